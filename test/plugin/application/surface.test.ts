// The public interface: options of the plugin, the decorator, the data cache, invalidation, counters, names of backends.
import t from 'tap'
import { builtIns, defineBackend, fromStringStore, type BackendOptions, type ResponseCache } from '../../../plugin.js'
import { build, forEachBackend } from '../../support/app.js'
import { Chaos } from '../../support/chaos.js'
import { HOST } from '../../support/client.js'
import { mapBackend } from '../../support/map-backend.js'
import { failureOf } from '../../support/entries.js'
import { stringMap } from '../../support/string-map.js'

const CACHED = { config: { cache: { ttl: '1m' } } } as const
const MINUTE_MS = 60_000

t.test('ttl, Age and the end of an entry follow the clock', async (t) => forEachBackend(t, async (t, on) => {
  const app = await build(t, {
    ...on,
    defaults: { ttl: '2m' },
    routes (app, probe) {
      app.get('/own', CACHED, async () => { probe.ran(); return 'x' })
      app.get('/default', { config: { cache: true } }, async () => { probe.ran(); return 'x' })
      app.get('/says', CACHED, async (_request, reply) => await reply.header('cache-control', 'max-age=10').send('x'))
      app.get('/never', { config: { cache: false } }, async () => 'x')
      app.get('/uncached', async () => 'x')
    }
  })
  for (const url of ['/own', '/default', '/says', '/never', '/uncached']) await app.ask(url)
  await app.clock.pass(9_500)
  t.match(await app.ask('/says'), { hit: true, headers: { age: '9' }, cacheStatus: 'fastify-response-cache; hit; ttl=0' })
  t.match(await app.ask('/own'), { hit: true, headers: { age: '9' }, cacheStatus: 'fastify-response-cache; hit; ttl=50' })
  await app.clock.pass(500)
  t.match(await app.ask('/says'), { hit: false })
  await app.clock.pass(MINUTE_MS - 10_000)
  t.match(await app.ask('/own'), { hit: false })
  t.match(await app.ask('/default'), { hit: true })
  await app.clock.pass(MINUTE_MS)
  t.match(await app.ask('/default'), { hit: false })
  for (const url of ['/never', '/uncached']) t.match((await app.ask(url)).headers, { age: undefined, 'cache-status': undefined })
}))

t.test("cacheStatus: Cache-Status has the package's name or a configured one, or is not sent", async (t) =>
  forEachBackend(t, async (t, on) => {
    for (const [
      cacheStatus, expected
    ] of [[true, 'fastify-response-cache; hit; ttl=60'], ['edge-1', 'edge-1; hit; ttl=60'], [false, '']] as const) {
      const app = await build(t, {
        ...on, namespace: String(cacheStatus), cacheStatus, routes (app) { app.get('/', CACHED, async () => 'x') }
      })
      await app.ask('/')
      const { cacheStatus: came, headers } = await app.ask('/')
      t.equal(came, expected)
      t.equal(headers.age, '0', 'Age is sent in any case')
    }
  }))

t.test("two namespaces on one store, two applications: neither sees, invalidates or clears the other's entries", async (t) => {
  const entries = new Map()
  const registry = () => builtIns().add('shared' as keyof BackendOptions, () =>
    defineBackend({ name: 'shared', create: (_options, { now }) => ({ ...mapBackend(now, entries), close () {} }) }))
  const app = async (namespace: string) => await build(t, {
    namespace,
    backend: 'shared',
    registry: registry(),
    compare: false,
    routes (app) { app.get('/', { config: { cache: { ttl: '1m', tags: ['t'] } } }, async () => namespace) }
  })
  const [one, other, twin] = [await app('one'), await app('two'), await app('one')]
  for (const side of [one, other]) {
    await side.ask('/')
    await side.cache.set('k', side === one ? 1 : 2, { ttl: '1m' })
  }
  t.match(await twin.ask('/'), { text: 'one', hit: true }, 'the same namespace is the same cache')
  await one.cache.invalidate('t')
  await one.cache.delete('k')
  t.match(await other.ask('/'), { text: 'two', hit: true })
  await one.cache.clear()
  t.match(await other.ask('/'), { text: 'two', hit: true })
  t.equal(await other.cache.get('k'), 2)
  t.match(await one.ask('/'), { text: 'one', hit: false })
})

t.test('decorateAs: the cache has another name', async (t) => forEachBackend(t, async (t, on) => {
  const app = await build(t, { ...on, decorateAs: 'responseCache', routes (app) { app.get('/', CACHED, async () => 'x') } })
  t.equal((app.app as { cache?: unknown }).cache, undefined)
  const cache = (app.app as unknown as { responseCache: ResponseCache }).responseCache
  await app.ask('/')
  t.equal((await cache.stats()).stores, 1)
  t.equal(cache.backend.name, on.backend)
  t.ok(cache.backend.powers.includes('clear'))
}))

t.test('reply.cache: ttl and tags of this response only, or that it is not stored', async (t) => forEachBackend(t, async (t, on) => {
  const app = await build(t, {
    ...on,
    routes (app) {
      app.get('/long', CACHED, async (_request, reply) =>
        await reply.header('cache-control', 'max-age=1').cache({ ttl: '1h', tags: ['own'] }).send('x'))
      app.get('/alone', { config: { cache: true } }, async (_request, reply) => await reply.cache({ ttl: 5 }).send('x'))
      app.get('/no', CACHED, async (_request, reply) => await reply.cache({ ttl: 5 }).cache({ store: false }).send('x'))
      app.get('/uncached', async (_request, reply) => await reply.cache({ ttl: 5 }).send('x'))
    }
  })
  for (const url of ['/long', '/alone', '/no', '/uncached']) await app.ask(url)
  t.match(await app.ask('/alone'), { hit: true })
  await app.clock.pass(MINUTE_MS)
  t.match(await app.ask('/alone'), { hit: false })
  t.match(await app.ask('/long'), { hit: true })
  t.match(await app.ask('/no'), { hit: false, cacheStatus: /detail=reply-store-false/ })
  await app.cache.invalidate('own')
  t.match(await app.ask('/long'), { hit: false })
}))

t.test('invalidate: by tag, URL, absolute URL, route and key; clear: everything', async (t) => forEachBackend(t, async (t, on) => {
  const app = await build(t, {
    ...on,
    routes (app) {
      app.get(
        '/items/:id', { config: { cache: { ttl: '1m', tags: (request) => ['items', `item ${(request.params as { id: string }).id}`] } } },
        async () => 'x')
      app.get('/custom', { config: { cache: { ttl: '1m', key: (request) => String(request.headers['x-key']) } } }, async () => 'x')
      app.get('/by', { config: { cache: { ttl: '1m', key: { headers: ['x-key'] } } } }, async () => 'x')
    }
  })
  const asked = [
    ['/items/1'], ['/items/1?a=1'], ['/items/2'], ['/items/1', 'other.example'], ['/custom', HOST, 'k1'], ['/custom', HOST, 'k2'],
    ['/by', HOST, 'k1'], ['/by', HOST, 'k2']
  ] as const
  const ask = async ([url, host = HOST, key = '']: readonly [string, string?, string?]): Promise<boolean> =>
    (await app.ask({ url, headers: { host, 'x-key': key } })).hit
  const missing = async (target: Parameters<ResponseCache['invalidate']>[0] | undefined): Promise<number[]> => {
    for (const one of asked) await ask(one)
    for (const one of asked) if (!await ask(one)) t.fail(`${one[0]} is not cached`)
    await app.change(async () => { await (target === undefined ? app.cache.clear() : app.cache.invalidate(target)) })
    const gone: number[] = []
    for (const [at, one] of asked.entries()) if (!await ask(one)) gone.push(at)
    return gone
  }
  t.same(await missing('items'), [0, 1, 2, 3])
  t.same(await missing({ tags: ['item 2', 'item 7'] }), [2])
  t.same(await missing({ url: '/items/1' }), [0, 3], 'on every host')
  t.same(await missing({ url: '/items/1?a=1' }), [1])
  t.same(await missing({ url: `http://${HOST}/items/1` }), [0], 'on that host')
  t.same(await missing({ url: '/items/1', method: 'HEAD' }), [0, 3])
  t.same(await missing({ url: '/items/1', method: 'POST' }), [])
  t.same(await missing({ url: '/by' }), [6, 7])
  t.same(await missing({ route: '/items/:id' }), [0, 1, 2, 3])
  t.same(await missing({ route: 'GET /by' }), [6, 7])
  t.same(await missing({ key: 'k1' }), [4])
  t.same(await missing(undefined), [0, 1, 2, 3, 4, 5, 6, 7])
}))

t.test('stats: counters by reason, in total and for each route', async (t) => forEachBackend(t, async (t, on) => {
  const app = await build(t, {
    ...on,
    routes (app) {
      app.get('/a/:id', CACHED, async () => 'x')
      app.get('/private', CACHED, async (_request, reply) => await reply.header('cache-control', 'private').send('x'))
    }
  })
  for (const url of ['/a/1', '/a/1', '/a/2', '/private', '/private']) await app.ask(url)
  await app.ask({ url: '/a/1', headers: { cookie: 'a=1' } })
  await app.ask({ url: '/a/1', headers: { 'cache-control': 'no-store' } })
  await app.ask({ url: '/a/3', method: 'HEAD' })
  const stats = await app.cache.stats()
  t.match(stats, {
    hits: 1,
    staleHits: 0,
    misses: 5,
    stores: 2,
    coalesced: 0,
    coalescedStreams: 0,
    stalled: 0,
    bypasses: { credentials: 1, 'no-store': 1 },
    refusals: { private: 2, head: 1 },
    errors: {},
    damaged: 0,
    entries: 2,
    bytes: Number
  })
  t.same(stats.routes['GET /a/:id'], {
    hits: 1,
    staleHits: 0,
    misses: 2,
    coalesced: 0,
    coalescedStreams: 0,
    stalled: 0,
    stores: 2,
    bypasses: { credentials: 1, 'no-store': 1 },
    refusals: {}
  })
  t.same(Object.keys(stats.routes).sort(), ['GET /a/:id', 'GET /private', 'HEAD /a/:id', 'HEAD /private'])
  stats.routes['GET /a/:id']!.hits = 99
  t.equal((await app.cache.stats()).routes['GET /a/:id']!.hits, 1, 'stats() returns a copy')
}))

t.test('a custom backend works by name, as does a store of strings; with the four required methods all but clear works', async (t) => {
  const registry = (): ReturnType<typeof builtIns> => builtIns()
    .add('strings' as keyof BackendOptions, () => defineBackend({
      name: 'strings', create: (_options, { now }) => fromStringStore(stringMap(now, { later: true }), { now })
    }))
    .add('bare' as keyof BackendOptions, () => defineBackend({
      name: 'bare',
      create: (_options, { now }) => { const { get, set, delete: del, close } = mapBackend(now); return { get, set, delete: del, close } }
    }))
  for (const backend of ['strings', 'bare']) {
    const app = await build(t, {
      backend,
      registry: registry(),
      routes (app) { app.get('/', { config: { cache: { ttl: '1m', tags: ['t'] } } }, async () => ({ grüße: '✓' })) }
    })
    t.same(app.cache.backend, { name: backend, powers: [] })
    for (const hit of [false, true]) t.match(await app.ask('/'), { hit }, backend)
    await app.change(async () => { await app.cache.invalidate('t') })
    for (const hit of [false, true]) t.match(await app.ask('/'), { hit }, backend)
    await app.cache.invalidate({ url: `http://${HOST}/` })
    t.match(await app.ask('/'), { hit: false })
    await app.cache.set('k', Buffer.from([255]), { ttl: 5 })
    t.same(await app.cache.get('k'), Buffer.from([255]))
    t.match(await failureOf(async () => { await app.cache.clear() }), { code: 'CACHE_ERR_POWER_MISSING', message: /clear/ })
    t.match(await failureOf(async () => { await app.cache.invalidate({ route: '/' }) }), { code: 'CACHE_ERR_POWER_MISSING' })
    t.match(await app.cache.stats(), { entries: undefined, bytes: undefined })
  }
})

t.test('after close() the calls of the cache reject, and stats() still returns', async (t) => forEachBackend(t, async (t, on) => {
  const app = await build(t, { ...on, routes (app) { app.get('/', CACHED, async () => 'x') } })
  await app.ask({ url: '/', via: 'inject' })
  await app.app.close()
  const { cache } = app
  const calls: Array<() => Promise<unknown>> = [
    () => cache.get('k'), () => cache.set('k', 1, { ttl: 5 }), () => cache.delete('k'), () => cache.has('k'),
    () => cache.getOrSet('k', { ttl: 5 }, () => 1), () => cache.invalidate('t'), () => cache.clear()
  ]
  for (const call of calls) t.match(await failureOf(call), { code: 'CACHE_ERR_CLOSED' })
  t.match(await cache.stats(), { stores: 1, entries: undefined })
}))

t.test("stats() returns the cache's own counts if the backend's stats fail", async (t) => {
  const chaos = new Chaos()
  const { ask, cache } = await build(t, { ...chaos.over(), routes (app) { app.get('/', CACHED, async () => 'x') } })
  await ask('/')
  for (const fault of ['reject', 'throw'] as const) {
    chaos.stats[fault]()
    t.match(await cache.stats(), { stores: 1, misses: 1, entries: undefined, bytes: undefined }, fault)
  }
})

t.test('invalidate({ url, method }): HEAD and GET are the same in upper and lower case, other methods are not', async (t) => {
  const { ask, cache } = await build(t, { fastify: { exposeHeadRoutes: false }, routes (app) { app.get('/', CACHED, async () => 'x') } })
  for (const [method, hit] of [['HEAD', false], ['head', false], ['get', false], ['POST', true]] as const) {
    await ask('/')
    await cache.invalidate({ url: '/', method })
    t.equal((await ask('/')).hit, hit, method)
  }
})
