// Clocks that jump: the system's under a running process, and the one under which an entry was stored.
import t from 'tap'
import Fastify from 'fastify'
import responseCache from '../../plugin.js'
import { build, forEachBackend } from '../support/app.js'
import { until } from '../support/barrier.js'

const HOUR_MS = 3_600_000

t.test('A17, A18: the system\'s clock is set back an hour or on a day while the process runs: nothing lives longer or shorter', async (t) => {
  await forEachBackend(t, async (t, on) => {
    const dateNow = Date.now
    t.teardown(() => { Date.now = dateNow })
    const app = Fastify()
    await app.register(responseCache, on as { backend: 'memory' })
    let runs = 0
    app.get('/a/:id', { config: { cache: { ttl: '1m' } } }, async () => { runs++; return 'a' })
    await app.inject('/a/1')
    for (const byMs of [-HOUR_MS, 24 * HOUR_MS, 0]) {
      Date.now = () => dateNow() + byMs
      const { headers } = await app.inject('/a/1')
      t.match(headers['cache-status'], /; hit/, `${byMs} ms`)
      t.ok(Number(headers.age) >= 0 && Number(headers.age) < 30)
      await app.inject(`/a/${byMs}`)
      t.match((await app.inject(`/a/${byMs}`)).headers['cache-status'], /; hit/)
    }
    t.equal(runs, 4)
    await app.close()
  })
})

t.test('A17: an entry from the future was stored under another clock: it is a miss and made anew', async (t) => {
  await forEachBackend(t, async (t, on) => {
    const { ask, clock, cache } = await build(t, { ...on, routes: (app) => app.get('/a', { config: { cache: { ttl: '1m' } } }, async () => 'a') })
    await ask('/a')
    await until(async () => (await cache.stats()).stores === 1)
    await clock.pass(-HOUR_MS)
    t.notOk((await ask('/a')).hit)
    const again = await ask('/a')
    t.ok(again.hit)
    t.equal(again.headers.age, '0')
  })
})

t.test('A18: forward a day and back: what expired is gone, what comes later is kept, no age is negative', async (t) => {
  await forEachBackend(t, async (t, on) => {
    const { ask, clock } = await build(t, { ...on, routes: (app) => app.get('/a', { config: { cache: { ttl: '1m' } } }, async () => 'a') })
    await ask('/a')
    t.ok((await ask('/a')).hit)
    await clock.pass(24 * HOUR_MS)
    t.notOk((await ask('/a')).hit)
    t.ok((await ask('/a')).hit)
    await clock.pass(-24 * HOUR_MS)
    t.notOk((await ask('/a')).hit)
    const { hit, headers } = await ask('/a')
    t.ok(hit)
    t.ok(Number(headers.age) >= 0)
  })
})
