// A stream that comes in very many pieces: recording it takes memory for its bytes, however small the pieces are.
import { once } from 'node:events'
import { request, type IncomingMessage } from 'node:http'
import { Readable } from 'node:stream'
import t from 'tap'
import { build, forEachBackend } from '../../support/app.js'
import { Barrier, turns, until } from '../../support/barrier.js'
import { HOST, portOf } from '../../support/client.js'
import { usedBytes } from '../../support/oracles.js'

const PIECES = 150_000
const MB = 1e6
const CACHED = { config: { cache: { ttl: '1m' } } }

/** Pieces of one byte, which stop at the barrier before the last one. */
async function * pieces (last: Barrier): AsyncGenerator<Uint8Array> {
  const source = Buffer.alloc(PIECES, 'piece by piece ')
  for (let at = 0; at < PIECES; at++) {
    if (at === PIECES - 1) await last.pass()
    yield source.subarray(at, at + 1)
  }
}

const KINDS = {
  Node: (last: Barrier) => Readable.from(pieces(last), { objectMode: false }),
  web: (last: Barrier) => {
    const source = pieces(last)
    return new ReadableStream<Uint8Array>({
      async pull (controller) {
        const { done, value } = await source.next()
        if (done === true) controller.close()
        else controller.enqueue(value)
      }
    }, { highWaterMark: 0 })
  }
}

for (const [kind, make] of Object.entries(KINDS)) {
  const name = `a ${kind} stream of ${PIECES} pieces of one byte takes little more memory than its bytes while it is recorded`
  t.test(name, async (t) => forEachBackend(t, async (t, on) => {
    const last = new Barrier()
    const app = await build(t, {
      ...on,
      compare: false,
      routes (app) {
        app.get('/', CACHED, async (_request, reply) => await reply.type('text/plain').send(make(last)))
      }
    })
    const port = await portOf(app.app)
    const before = usedBytes()
    // A client that keeps nothing.
    const sent = request({ port, host: '127.0.0.1', headers: { host: HOST }, agent: false }).end()
    const [response] = await once(sent, 'response') as [IncomingMessage]
    let receivedBytes = 0
    response.on('data', (piece: Buffer) => { receivedBytes += piece.length })
    await last.reached()
    // What the sockets hold doesn't count.
    await until(() => receivedBytes === PIECES - 1)
    const heldBytes = usedBytes() - before
    last.open()
    await once(response, 'end')
    t.ok(heldBytes < 8 * MB, `${(heldBytes / MB).toFixed(1)} MB are held for ${PIECES / MB} MB`)
    const stored = await app.ask('/')
    t.match(stored, { hit: true, whole: true })
    t.ok(stored.body.equals(Buffer.alloc(PIECES, 'piece by piece ')), 'the whole body is stored')
  }))
}

t.test('few pieces of an unread stream are taken, however small they are', async (t) => forEachBackend(t, async (t, on) => {
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
        if (cached) t.ok(taken < 4_096, `${taken} pieces wait`)
        return payload
      }
      app.get('/', { ...CACHED, onSend }, async (_request, reply) => await reply.type('text/plain').send(new Readable({
        highWaterMark: 1,
        read () { this.push(++taken > PIECES ? null : 'x') }
      })))
    }
  })
  t.match(await app.ask('/'), { hit: false, whole: true })
}))
