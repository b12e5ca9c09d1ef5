// A fill with an impossible sequence of states: it throws in tests, and is logged in production, where the response is delivered anyway.
import Fastify, { type FastifyInstance } from 'fastify'
import t, { type Test } from 'tap'
import responseCache from '../../../plugin.js'
import { kFill, type FillReply } from '../../../response/fill/recording-hooks.js'

/** An application that concludes each fill a second time while it is being concluded. */
async function concludesTwice (t: Test, environment: string) {
  const before = process.env.NODE_ENV
  process.env.NODE_ENV = environment
  t.teardown(() => { before === undefined ? delete process.env.NODE_ENV : process.env.NODE_ENV = before })
  const lines: string[] = []
  const app: FastifyInstance = Fastify({ logger: { level: 'warn', stream: { write: (line: string) => { lines.push(line) } } } })
  t.teardown(async () => await app.close())
  await app.register(responseCache, { backend: 'memory' })
  const thrown: string[] = []
  app.get('/', { config: { cache: { ttl: 60 } } }, async (_request, reply) => {
    const fill = (reply as FillReply)[kFill]!
    const { conclude } = fill
    fill.conclude = function (send) {
      conclude.call(this, () => {
        try {
          conclude.call(this, () => {})
        } catch (err) {
          thrown.push((err as Error).message)
        }
        send()
      })
    }
    return 'hello'
  })
  const { body } = await app.inject('/')
  return { body, thrown, lines }
}

t.test('an impossible transition throws in tests', async (t) => {
  const { thrown } = await concludesTwice(t, 'test')
  t.match(thrown, [/impossible.*a fill that is (?:storable|storing) becomes storable/])
})

t.test('an impossible transition is logged elsewhere, and costs no response', async (t) => {
  const { body, thrown, lines } = await concludesTwice(t, 'production')
  t.equal(body, 'hello')
  t.same(thrown, [])
  t.equal(lines.filter((line) => line.includes('impossible, please report it')).length, 1)
})
