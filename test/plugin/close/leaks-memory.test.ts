// Doing the same thing many times leaves nothing behind, on memory. And how much memory a thousand collapsed requests need for one large
// response.
import { Readable } from 'node:stream'
import t from 'tap'
import { build, forEachBackend } from '../../support/app.js'
import { Barrier, turns, until } from '../../support/barrier.js'
import { leavesNothing } from '../../support/leaks.js'

await leavesNothing(t, () => ({ backend: 'memory' }))

t.test('a thousand requests that wait for one large slow stream do not wait for a copy of it', async (t) => {
  await forEachBackend(t, async (t, on) => {
    const CHUNK_BYTES = 1 << 20
    const barrier = new Barrier()
    const { ask, cache, runs } = await build(t, {
      ...on,
      compare: false,
      routes: (app, { cached, ran }) =>
        app.get('/big', { config: { cache: { ttl: '1m', maxBodyBytes: 4 * CHUNK_BYTES } } }, async (_request, reply) => {
          const isFirst = ran() === 1
          if (!isFirst || !cached) return await reply.send('small')
          return await reply.type('application/octet-stream').send(Readable.from((async function * () {
            for (let at = 0; at < 20; at++) {
              if (at === 2 || at === 10) await barrier.pass()
              yield Buffer.alloc(CHUNK_BYTES, at)
            }
          })()))
        })
    })
    const leader = ask({ url: '/big', via: 'inject' })
    await barrier.reached(1)
    const followers = Array.from({ length: 1_000 }, async () => await ask({ url: '/big', via: 'inject' }))
    await until(async () => (await cache.stats()).misses === 1_001)
    await turns()
    t.equal(runs(), 1, 'they wait')
    barrier.letGo()
    // Beyond maxBodyBytes nothing is recorded, and no request waits for the end.
    await Promise.all(followers)
    t.equal(runs(), 1_001)
    barrier.open()
    t.equal((await leader).body.byteLength, 20 * CHUNK_BYTES)
    t.match(await cache.stats(), { refusals: { 'too-large': 1 } })
  })
})
