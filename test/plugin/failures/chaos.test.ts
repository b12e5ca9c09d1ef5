// Everything at once: a backend that fails in every way at random, with concurrent requests and invalidations, checked by the oracles.
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { build, forEachBackend } from '../../support/app.js'
import { turns, until } from '../../support/barrier.js'
import { Chaos, type ChaosMethod } from '../../support/chaos.js'

const DEADLINE_MS = 10

/** The same numbers in every run: mulberry32. */
function numbers (seed: number): () => number {
  return () => {
    seed = (seed + 0x6d2b79f5) | 0
    let x = Math.imul(seed ^ (seed >>> 15), 1 | seed)
    x = (x + Math.imul(x ^ (x >>> 7), 61 | x)) ^ x
    return ((x ^ (x >>> 14)) >>> 0) / 2 ** 32
  }
}

const FAULTS: ReadonlyArray<(method: ChaosMethod) => void> = [
  (method) => method.throw(), (method) => method.reject(), (method) => method.hang(), (method) => method.stall(),
  (method) => method.later(), (method) => method.delay(3), (method) => method.return(42), (method) => method.return(Promise.resolve(null)),
  (method) => method.applyAndReject(), (method) => method.applyAndThrow()
]

for (const seed of [1, 2]) {
  t.test(`chaos at random, seed ${seed}: every response is right, and nothing that was invalidated is served`, async (t) => {
    await forEachBackend(t, async (t, on) => {
      const random = numbers(seed)
      const pick = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)] as T
      const chaos = new Chaos()
      const { ask, cache, change, clock } = await build(t, {
        deadline: `${DEADLINE_MS}ms`,
        lockTimeout: '100ms',
        ...chaos.over(on as { backend: 'memory' }),
        routes: (app, { cached, version }) => {
          const handler = async (
            request: { params: unknown }, reply: { header (name: string, value: string): { send (body: unknown): unknown } }
          ) => {
            const seen = version()
            if (cached) await sleep(Math.floor(random() * 50))
            return reply.header('x-version', seen).send(request.params)
          }
          app.get('/tagged/:id', { config: { cache: { ttl: '1m', tags: ['news'] } } }, handler)
          app.get('/dynamic/:id', { config: { cache: { ttl: '1m', tags: () => ['news'] } } }, handler)
          app.get('/varied/:id', { config: { cache: { ttl: '1m', tags: ['news'] } } }, async (request, reply) =>
            await handler(request, reply.header('vary', 'accept')))
        }
      })
      for (let round = 0; round < 30; round++) {
        for (const method of chaos.all) {
          method.heal()
          if (random() < 0.15) pick(FAULTS)(method)
        }
        const asked = Array.from({ length: 12 }, async () =>
          await ask(`/${pick(['tagged', 'dynamic', 'varied'])}/${Math.floor(random() * 3)}`))
        await turns(Math.floor(random() * 4))
        if (random() < 0.3) {
          chaos.set.heal()
          // By then a hanging call has exceeded its deadline, and the guard knows. Before that, the backend itself would have to keep the
          // order.
          await sleep(2 * DEADLINE_MS)
          await change(async () => await cache.invalidate('news')).catch((err) => {
            if (err.code !== 'CACHE_ERR_BACKEND_FAILED') throw err
          })
        }
        for (const { status } of await Promise.all(asked)) if (status !== 200) t.fail(`status ${status}`)
        if (random() < 0.3) for (const method of chaos.all) method.release()
        for (let at = 0; at < 3; at++) await ask(`/${pick(['tagged', 'dynamic', 'varied'])}/${at}`)
        await clock.pass(Math.floor(random() * 4_000))
      }
      for (const method of chaos.all) {
        method.heal()
        method.release()
      }
      t.ok((await cache.stats()).hits > 20, 'the cache was in use')
      await turns()
      await clock.pass(60_000)
      await ask('/tagged/0')
      await until(async () => (await ask('/tagged/0')).hit)
      await change(async () => await cache.invalidate('news'))
      t.notOk((await ask('/tagged/0')).hit)
    })
  })
}
