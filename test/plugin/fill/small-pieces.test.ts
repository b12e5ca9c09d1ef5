// A stream that comes in very many pieces: recording it takes memory for its bytes, however small the pieces are.
import { Readable } from 'node:stream'
import t from 'tap'
import { build, forEachBackend } from '../../support/app.js'
import { turns } from '../../support/barrier.js'
import { runChild } from '../../support/child.js'

const PIECES = 150_000
const MB = 1e6
const LIMIT_BYTES = 1_000

for (const kind of ['Node', 'web']) {
  const name = `a ${kind} stream of ${PIECES} pieces of one byte takes little more memory than its bytes while it is recorded`
  t.test(name, async (t) => forEachBackend(t, async (t, on) => {
    const { stdout, stderr } = await runChild('support/children/small-pieces.js', { args: [JSON.stringify(on), kind] })
    const { heldBytes, ...stored } = JSON.parse(stdout === '' ? '{}' : stdout) as { heldBytes: number }
    t.ok(heldBytes < 8 * MB, `${(heldBytes / MB).toFixed(1)} MB are held for ${PIECES / MB} MB`)
    t.match(stored, { cacheStatus: /; hit; /, isWhole: true }, stderr)
  }))
}

t.test('few pieces of an unread stream are taken beyond maxBodyBytes, however small', async (t) => forEachBackend(t, async (t, on) => {
  let taken = 0
  const app = await build(t, {
    ...on,
    compare: false,
    routes (app, { cached }) {
      const onSend = async (_request: unknown, _reply: unknown, payload: unknown): Promise<unknown> => {
        // Until no more are taken.
        for (let before = -1; before !== taken;) {
          before = taken
          await turns()
        }
        if (cached) t.ok(taken < LIMIT_BYTES + 70_000, `${taken} pieces wait`)
        return payload
      }
      const cache = { ttl: '1m', maxBodyBytes: LIMIT_BYTES } as const
      app.get('/', { config: { cache }, onSend }, async (_request, reply) => await reply.type('text/plain').send(new Readable({
        highWaterMark: 1,
        read () { this.push(++taken > PIECES ? null : 'x') }
      })))
    }
  })
  t.match(await app.ask('/'), { hit: false, whole: true })
}))
