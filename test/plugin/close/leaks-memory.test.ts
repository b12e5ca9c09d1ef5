// Doing the same thing many times leaves nothing behind, on memory. And how much memory many collapsed requests need for one large stream.
import http from 'node:http'
import { Readable } from 'node:stream'
import t from 'tap'
import { build, forEachBackend } from '../../support/app.js'
import { Barrier, turns, until } from '../../support/barrier.js'
import { HOST, portOf } from '../../support/client.js'
import { leavesNothing } from '../../support/leaks.js'

await leavesNothing(t, () => ({ backend: 'memory' }))

t.test('two hundred clients that share one large slow stream take little memory for it, although they do not read', async (t) => {
  await forEachBackend(t, async (t, on) => {
    const CHUNK_BYTES = 1 << 20
    const CLIENTS = 200
    const barrier = new Barrier()
    let taken = 0
    const { app, cache, runs } = await build(t, {
      ...on,
      compare: false,
      routes: (app, { ran }) =>
        app.get('/big', { config: { cache: { ttl: '1m', maxBodyBytes: 4 * CHUNK_BYTES } } }, async (_request, reply) => {
          ran()
          return await reply.type('application/octet-stream').send(Readable.from((async function * () {
            for (let at = 0; at < 20; at++) {
              if (at === 1) await barrier.pass()
              taken = at
              yield Buffer.alloc(CHUNK_BYTES, at)
            }
          })()))
        })
    })
    const port = await portOf(app)
    const clients = Array.from({ length: CLIENTS }, () =>
      http.get({ host: '127.0.0.1', port, path: '/big', headers: { host: HOST }, agent: false }).on('error', () => {}))
    // The clients read nothing, so their sockets are full before long.
    for (const client of clients) client.on('response', (response) => response.on('error', () => {}).pause())
    await until(async () => (await cache.stats()).coalescedStreams === CLIENTS - 1)
    const before = process.memoryUsage().arrayBuffers
    barrier.open()
    await until(async () => (await cache.stats()).refusals['too-large'] === 1)
    await turns()
    const grownBytes = process.memoryUsage().arrayBuffers - before
    t.ok(grownBytes < CLIENTS * 350_000, `${(grownBytes / CHUNK_BYTES).toFixed(0)} MiB`)
    t.equal(runs(), 1)
    t.ok(taken < 8, `the source waits for the clients: ${taken} of 20 MiB were taken`)
    for (const client of clients) client.destroy()
  })
})
