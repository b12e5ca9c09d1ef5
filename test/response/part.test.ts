// The part that a client requests on a miss: a stream that was held back is passed on if no memory is left to hold the rest.
import { Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import Fastify from 'fastify'
import t from 'tap'
import { Part } from '../../response/fill/part.js'
import { RecordingBudget } from '../../response/fill/recording.js'

const AT = Date.UTC(2031, 4, 6, 7, 8, 9)

/** The head of a response without its body. */
const HEAD = { status: 200, fields: [], mayChange: false }

t.test('if a stream exceeds the limit of all recordings together, every piece of it is passed on', async (t) => {
  for (const [maxBytes, name] of [[0, 'the first'], [3, 'the second'], [8, 'the third']] as const) {
    const app = Fastify()
    t.teardown(async () => await app.close())
    app.get('/', async (request, reply) => {
      const part = new Part(request, reply, new RecordingBudget(maxBytes))
      part.hold(Readable.from(['abc', 'def', 'ghi']), HEAD, AT)
      return await text(await part.whenWhole(undefined, () => '', () => true) as Readable)
    })
    const { body } = await app.inject({ url: '/', headers: { range: 'bytes=0-1' } })
    t.equal(body, 'abcdefghi', `no memory is left for ${name} piece`)
  }
})
