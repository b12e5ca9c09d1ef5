// Closing while calls and requests are in progress, and how a closed cache behaves.
import t, { type Test } from 'tap'
import Fastify, { type FastifyInstance } from 'fastify'
import responseCache, { type ResponseCache } from '../../../plugin.js'
import { build, forEachBackend, type Spec } from '../../support/app.js'
import { Barrier, turns, until } from '../../support/barrier.js'
import { Chaos } from '../../support/chaos.js'

type On = Parameters<Parameters<typeof forEachBackend>[1]>[1]

async function setUp (t: Test, on: On, { barrier = new Barrier(), ...spec }: Partial<Spec> & { barrier?: Barrier } = {}) {
  const chaos = new Chaos()
  const built = await build(t, {
    compare: false,
    ...chaos.over(on as { backend: 'memory' }),
    routes: (app, { cached, ran }) => app.get('/a', { config: { cache: { ttl: '1m' } } }, async () => {
      ran()
      if (cached) await barrier.pass()
      return 'a'
    }),
    ...spec
  })
  return { ...built, get cache () { return built.cache }, chaos, barrier }
}

// Two waits of 0.8 seconds, and what a busy machine may add.
const LONGEST_CLOSE_MS = 5_000

/** Closes the application, and returns how long that took. */
async function close (app: FastifyInstance): Promise<number> {
  const began = performance.now()
  await app.close()
  return performance.now() - began
}

t.test('close() during a read lets the request finish', async (t) => {
  await forEachBackend(t, async (t, on) => {
    const { ask, app, chaos, barrier } = await setUp(t, on, { deadline: '100ms' })
    barrier.open()
    chaos.get.hang()
    const response = ask('/a')
    await chaos.get.hangs()
    const closed = close(app)
    t.equal((await response).text, 'a')
    t.ok(await closed < LONGEST_CLOSE_MS)
    chaos.get.release()
    await turns()
  })
})

t.test('close() while a handler runs and others wait for it lets them all finish', async (t) => {
  await forEachBackend(t, async (t, on) => {
    const { ask, app, cache, barrier, runs } = await setUp(t, on)
    const responses = Array.from({ length: 5 }, async () => await ask('/a'))
    await until(async () => (await cache.stats()).misses === 5)
    await turns()
    const closed = close(app)
    await turns()
    barrier.open()
    t.same((await Promise.all(responses)).map(({ text }) => text), ['a', 'a', 'a', 'a', 'a'])
    t.ok(await closed < LONGEST_CLOSE_MS)
    t.equal(runs(), 1)
  })
})

t.test('close() while the handler of an injected request runs releases the requests that wait for it', async (t) => {
  await forEachBackend(t, async (t, on) => {
    const { ask, app, cache, barrier } = await setUp(t, on, { lockTimeout: '1m' })
    const responses = Array.from({ length: 3 }, async () => await ask({ url: '/a', via: 'inject' }))
    await until(async () => (await cache.stats()).misses === 3)
    await turns()
    t.ok(await close(app) < LONGEST_CLOSE_MS)
    await until(() => barrier.arrived === 3)
    barrier.open()
    t.same((await Promise.all(responses)).map(({ text }) => text), ['a', 'a', 'a'])
    t.match((await cache.stats()), { stores: 0 })
  })
})

t.test('close() waits for a response that is being stored', async (t) => {
  await forEachBackend(t, async (t, on) => {
    const { ask, app, chaos, barrier } = await setUp(t, on)
    barrier.open()
    chaos.fills.hang()
    await ask('/a')
    await chaos.fills.hangs()
    const closed = close(app)
    await turns()
    t.equal(chaos.close.calls.length, 0, 'it waits for the store')
    chaos.fills.release()
    await closed
    t.equal(chaos.close.calls.length, 1)
  })
})

t.test("close() ends though a store never ends and the backend's close never ends", async (t) => {
  await forEachBackend(t, async (t, on) => {
    const { ask, app, chaos, barrier } = await setUp(t, on)
    barrier.open()
    chaos.fills.hang()
    chaos.close.hang()
    await ask('/a')
    t.ok(await close(app) < LONGEST_CLOSE_MS)
    t.equal(chaos.close.calls.length, 1)
    for (const method of [chaos.fills, chaos.close]) method.release()
    await turns()
  })
})

t.test('close() ends during an invalidation, a set and a producer', async (t) => {
  await forEachBackend(t, async (t, on) => {
    const { app, cache, chaos, barrier } = await setUp(t, on)
    const produced = cache.getOrSet('k', { ttl: '1m' }, async ({ signal }) => { await barrier.pass(); return signal.aborted })
    await barrier.reached()
    chaos.set.hang()
    const invalidated = cache.invalidate('news')
    await chaos.set.hangs()
    const closed = close(app)
    await turns()
    chaos.set.release()
    await invalidated
    t.ok(await closed < LONGEST_CLOSE_MS)
    barrier.open()
    t.equal(await produced, true, "the producer's signal is aborted")
  })
})

const calls: ReadonlyArray<readonly [name: string, call: (cache: ResponseCache) => Promise<unknown>]> = [
  ['get', async (cache) => await cache.get('k')], ['set', async (cache) => await cache.set('k', 1, { ttl: 1 })],
  ['delete', async (cache) => await cache.delete('k')], ['has', async (cache) => await cache.has('k')],
  ['getOrSet', async (cache) => await cache.getOrSet('k', { ttl: 1 }, () => 1)], ['clear', async (cache) => await cache.clear()],
  ['invalidate a tag', async (cache) => await cache.invalidate('news')],
  ['invalidate a key', async (cache) => await cache.invalidate({ key: 'k' })],
  ['invalidate a URL', async (cache) => await cache.invalidate({ url: '/a' })],
  ['invalidate a URL without responses', async (cache) => await cache.invalidate({ url: '/none' })],
  ['invalidate a route', async (cache) => await cache.invalidate({ route: '/a' })],
  ['invalidate no tags', async (cache) => await cache.invalidate({ tags: [] })]
]

t.test('a cache may be closed twice, and its calls reject afterwards', async (t) => {
  await forEachBackend(t, async (t, on) => {
    const { app, cache, chaos } = await setUp(t, on)
    await Promise.all([app.close(), app.close()])
    await app.close()
    t.equal(chaos.close.calls.length, 1)
    const asked = chaos.get.calls.length + chaos.set.calls.length
    for (const [name, call] of calls) await t.rejects(call(cache), { code: 'CACHE_ERR_CLOSED' }, name)
    t.match(await cache.stats(), { hits: 0, entries: undefined })
    t.equal(chaos.get.calls.length + chaos.set.calls.length, asked, 'the backend is not called')
  })
})

t.test('a backend whose close fails leaves nothing else open', async (t) => {
  for (const command of ['throw', 'reject', 'applyAndReject', 'applyAndThrow'] as const) {
    const chaos = new Chaos()
    chaos.close[command]()
    const app = Fastify()
    await app.register(responseCache, chaos.over())
    let later = 0
    app.addHook('onClose', async () => { later++ })
    await app.close()
    t.equal(later, 1)
  }
})

t.test('a backend is closed with the application if another plugin fails later', async (t) => {
  await forEachBackend(t, async (t, on) => {
    const chaos = new Chaos()
    const app = Fastify()
    app.register(responseCache, chaos.over(on as { backend: 'memory' }))
    app.register(async () => { throw new Error('of another plugin') })
    await t.rejects(async () => await app.ready(), { message: 'of another plugin' })
    await app.close()
    t.equal(chaos.close.calls.length, 1)
  })
})

t.test('what was stored right before close() is there afterwards', async (t) => {
  await forEachBackend(t, async (t, on) => {
    if (on.backend === 'memory') return t.pass('memory keeps nothing')
    const paths = Array.from({ length: 20 }, (_, at) => `/b/${at}`)
    const start = async (): Promise<FastifyInstance> => {
      const app = Fastify()
      await app.register(responseCache, on as { backend: 'sqlite' })
      app.get('/b/:id', { config: { cache: { ttl: '1h', tags: ['news'] } } }, async (request) => request.params)
      return app
    }
    const first = await start()
    for (const path of paths) await first.inject(path)
    await first.cache.set('k', { v: 1 }, { ttl: '1h' })
    await first.close()
    const second = await start()
    for (const path of paths) t.match((await second.inject(path)).headers['cache-status'], /; hit/)
    t.same(await second.cache.get('k'), { v: 1 })
    await second.close()
  })
})
