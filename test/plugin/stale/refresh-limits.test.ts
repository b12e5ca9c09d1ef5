// The limits of refreshes: how long one may take, how many may run, and what is logged.
import { mock } from 'node:test'
import t from 'tap'
import { build, forEachBackend } from '../../support/app.js'
import { Barrier, turns, until } from '../../support/barrier.js'
import { cached } from '../../support/document.js'

const SWR = { staleWhileRevalidate: '1h' } as const
const DEADLINE_MS = 30_000
const LOCK_TIMEOUT_MS = 5_000

t.test('a refresh that exceeds 30 seconds is ended and logged; stale responses are still served, and the next one comes later',
  async (t) => forEachBackend(t, async (t, on) => {
    const app = await build(t, {
      ...on,
      compare: false,
      routes (app, probe) {
        app.get('/', cached(SWR), (_request, reply) => { if (probe.ran() === 1) reply.send('x') })
      }
    })
    await app.ask('/')
    await app.clock.pass(61_000)
    t.teardown(() => mock.timers.reset())
    mock.timers.enable({ apis: ['setTimeout'] })
    const stale = async (): Promise<unknown> => t.match(await app.ask('/'), { status: 200, text: 'x', hit: true })
    await stale()
    await until(() => app.runs() === 2)
    mock.timers.tick(DEADLINE_MS - 1)
    await app.clock.pass(DEADLINE_MS - 1)
    await stale()
    await turns()
    t.same([app.warnings(), app.runs()], [[], 2], 'it may take that long')
    mock.timers.tick(1)
    await until(() => app.warnings().length > 0)
    t.match(app.warnings(), [{ key: /^0:r GET 1:\/ /, deadlineMs: DEADLINE_MS, msg: /^cache: a refresh timed out/ }])
    // Its handler may still respond, for as long as other requests would wait for it.
    await turns()
    mock.timers.tick(LOCK_TIMEOUT_MS)
    mock.timers.reset()
    await until(async () => (await app.cache.stats()).refusals['client-gone'] === 1)
    t.match(await app.cache.stats(), { hits: 0, staleHits: 2, misses: 2, stores: 1 })
    await stale()
    await turns()
    t.equal(app.runs(), 2, 'not again at once')
    await app.clock.pass(1_000)
    await stale()
    await until(() => app.runs() === 3)
  }))

t.test('a response that a refresh brings after its deadline is stored nevertheless, and ends the pause', async (t) =>
  forEachBackend(t, async (t, on) => {
    const barrier = new Barrier()
    const app = await build(t, {
      ...on,
      compare: false,
      routes (app, probe) {
        app.get('/', cached(SWR), async () => {
          const times = probe.ran()
          if (times === 2) await barrier.pass()
          return `number ${times}`
        })
      }
    })
    await app.ask('/')
    await app.clock.pass(61_000)
    t.teardown(() => mock.timers.reset())
    mock.timers.enable({ apis: ['setTimeout'] })
    await app.ask('/')
    await barrier.reached()
    mock.timers.tick(DEADLINE_MS)
    await until(() => app.warnings().length > 0)
    mock.timers.reset()
    barrier.open()
    await until(async () => (await app.cache.stats()).stores === 2)
    t.match(await app.ask('/'), { text: 'number 2', cacheStatus: /hit; ttl=60/ })
    await app.clock.pass(60_000)
    await app.ask('/')
    await until(() => app.runs() === 3)
  }))

t.test('at most a hundred refreshes run at a time; further stale responses are served, and refreshed at their next request', async (t) =>
  forEachBackend(t, async (t, on) => {
    const barrier = new Barrier()
    const app = await build(t, {
      ...on,
      compare: false,
      routes (app, probe) {
        app.get('/:id', cached(SWR), async (request) => {
          probe.ran()
          if (request.isCacheRefresh) await barrier.pass()
          return request.params
        })
      }
    })
    const urls = Array.from({ length: 103 }, (_, id) => `/${id}`)
    for (const url of urls) await app.ask(url)
    await app.clock.pass(61_000)
    for (const url of urls) t.ok((await app.ask(url)).hit)
    await barrier.reached(100)
    await turns()
    t.equal(barrier.arrived, 100)
    for (const url of urls.slice(100)) t.ok((await app.ask(url)).hit)
    await turns()
    t.equal(barrier.arrived, 100)
    barrier.open()
    await until(async () => (await app.cache.stats()).stores === 203)
    for (const url of urls.slice(100)) t.match(await app.ask(url), { hit: true, cacheStatus: /ttl=-1/ })
    await until(async () => (await app.cache.stats()).stores === 206)
    t.equal(app.runs(), 206)
  }))
