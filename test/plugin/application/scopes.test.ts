// Encapsulation and routing: which cache a route belongs to, and which routes are different.
import { once } from 'node:events'
import Fastify, { type FastifyInstance } from 'fastify'
import t from 'tap'
import responseCache, { type ResponseCache } from '../../../plugin.js'
import { build, databasePath, forEachBackend, type Probe } from '../../support/app.js'
import { until } from '../../support/barrier.js'

const CACHED = { config: { cache: { ttl: '1m' } } } as const

/** The plugin's options for another registration: SQLite gets its own file. */
function own (t: Parameters<typeof databasePath>[0], { options }: Probe, more: object = {}): object {
  return { ...options, ...(options.backend === 'sqlite' && { options: { path: databasePath(t) } }), ...more }
}

const cacheOf = (app: FastifyInstance): ResponseCache => app.cache

t.test('sibling scopes have a cache each, and a scope beside them has none', async (t) => forEachBackend(t, async (t, on) => {
  const caches: ResponseCache[] = []
  const app = await build(t, {
    ...on,
    register: false,
    routes (app, probe) {
      for (const name of ['one', 'two', 'none']) {
        app.register(async (scope) => {
          if (probe.cached && name !== 'none') {
            await scope.register(responseCache, own(t, probe) as never)
            caches.push(cacheOf(scope))
          }
          scope.get('/', CACHED, async () => { probe.ran(name); return name })
        }, { prefix: name })
      }
      app.get('/', CACHED, async () => 'root')
    }
  })
  for (const hit of [false, true]) for (const name of ['one', 'two']) t.match(await app.ask(`/${name}`), { hit, text: name })
  for (const url of ['/none', '/']) {
    for (let times = 0; times < 2; times++) t.equal((await app.ask(url)).headers['cache-status'], undefined, url)
  }
  t.equal((app.app as { cache?: unknown }).cache, undefined, 'nothing leaks upward')
  t.equal(caches.length, 2)
  await caches[0]!.clear()
  t.match([await app.ask('/one'), await app.ask('/two')], [{ hit: false }, { hit: true }])
  t.match([await caches[0]!.stats(), await caches[1]!.stats()], [{ hits: 1, misses: 2 }, { hits: 2, misses: 1 }])
}))

t.test('nested scopes: a route is cached only by the nearest cache', async (t) => forEachBackend(t, async (t, on) => {
  const caches: ResponseCache[] = []
  const app = await build(t, {
    ...on,
    routes (app, probe) {
      app.get('/outer', CACHED, async () => { probe.ran('/outer'); return 'outer' })
      app.register(async (scope) => {
        if (probe.cached) await scope.register(responseCache, own(t, probe, { cacheStatus: 'inner' }) as never)
        if (probe.cached) caches.push(cacheOf(scope))
        scope.get('/inner', CACHED, async (_request, reply) => {
          probe.ran('/inner')
          return await reply.cache({ tags: ['t'] }).send('inner')
        })
        scope.register(async (deeper) => { deeper.get('/deeper', CACHED, async () => { probe.ran('/deeper'); return 'deeper' }) })
      })
      app.register(async (scope) => { scope.get('/beside', CACHED, async () => { probe.ran('/beside'); return 'beside' }) })
    }
  })
  const stores = async (): Promise<number> => (await app.cache.stats()).stores + (await caches[0]!.stats()).stores
  for (const [url, name] of [
    ['/outer', 'fastify-response-cache'], ['/inner', 'inner'], ['/deeper', 'inner'], ['/beside', 'fastify-response-cache']
  ] as const) {
    const before = await stores()
    t.equal((await app.ask(url)).cacheStatus, `${name}; fwd=miss; stored`)
    await until(async () => await stores() > before)
    t.equal((await app.ask(url)).cacheStatus, `${name}; hit; ttl=60`)
    t.equal(app.runs(url), 1)
  }
  t.match([await app.cache.stats(), await caches[0]!.stats()], [{ hits: 2, misses: 2, entries: 2 }, { hits: 2, misses: 2, stores: 2 }])
  await app.cache.clear()
  t.match([await app.ask('/outer'), await app.ask('/inner')], [{ hit: false }, { hit: true }])
  await caches[0]!.invalidate('t')
  t.match(await app.ask('/inner'), { hit: false })
}))

t.test('two applications in one process share nothing', async (t) => forEachBackend(t, async (t, on) => {
  const made = await Promise.all([1, 2].map(async (number) => await build(t, {
    ...on,
    ...(on.backend === 'sqlite' && { options: { path: databasePath(t) } }),
    routes (app) { app.get('/', CACHED, async () => `application ${number}`) }
  })))
  for (const hit of [false, true]) {
    for (const [at, app] of made.entries()) t.match(await app.ask('/'), { hit, text: `application ${at + 1}` })
  }
  await made[0]!.cache.clear()
  await made[0]!.app.close()
  t.match(await made[1]!.ask('/'), { hit: true })
}))

t.test('prefixes: one pattern below two prefixes is two routes; with prefixTrailingSlash both, a route has two targets', async (t) =>
  forEachBackend(t, async (t, on) => {
    const app = await build(t, {
      ...on,
      routes (app) {
        for (const prefix of ['/v1', '/v2']) {
          app.register(async (scope) => {
            scope.get('/:id', CACHED, async (request) => `${prefix} ${(request.params as { id: string }).id}`)
            scope.get('/', { ...CACHED, prefixTrailingSlash: 'both' }, async (request) => `${prefix} root ${request.url}`)
          }, { prefix })
        }
      }
    })
    for (const url of ['/v1/a', '/v2/a', '/v1', '/v1/', '/v2/']) for (const hit of [false, true]) t.match(await app.ask(url), { hit }, url)
    t.same(Object.keys((await app.cache.stats()).routes).filter((name) => name.startsWith('GET /v1')).sort(), ['GET /v1', 'GET /v1/:id'],
      'Fastify reports one route')
    await app.change(async () => { await app.cache.invalidate({ route: '/v1/:id' }) })
    t.match([await app.ask('/v1/a'), await app.ask('/v2/a')], [{ hit: false }, { hit: true }])
    await app.change(async () => { await app.cache.invalidate({ url: '/v1/' }) })
    t.match([await app.ask('/v1/'), await app.ask('/v1')], [{ hit: false }, { hit: true }])
  }))

t.test('a route of several methods: each cacheable method is cached, apart from the others', async (t) =>
  forEachBackend(t, async (t, on) => {
    const app = await build(t, {
      ...on,
      routes (app) {
        app.route({
          method: ['GET', 'POST', 'PUT', 'DELETE'],
          url: '/some',
          config: { cache: { ttl: '1m', methods: ['GET', 'POST'] } },
          handler: async (request) => ({ method: request.method, body: request.body ?? null })
        })
        app.all('/all', CACHED, async (request) => request.method)
        app.post('/keyed', { config: { cache: { ttl: '1m', methods: ['POST'], key: (request) => (request.body as { id: string }).id } } },
          async (request) => request.body)
      }
    })
    const post = (url: string, body: object) => ({
      url, method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body)
    })
    t.match(await app.ask({ url: '/some', method: 'PUT' }), { hit: false, cacheStatus: /fwd=method/ })
    t.match(await app.ask({ url: '/all', method: 'DELETE' }), { hit: false, text: 'DELETE' })
    for (const hit of [false, true]) {
      t.match(await app.ask(post('/some', { a: 1 })), { hit, text: /"a":1/ })
      t.match(await app.ask(post('/some', { a: 2 })), { hit, text: /"a":2/ })
      t.match(await app.ask('/some'), { hit, text: /"GET"/ }, 'a POST that is served from the cache changes nothing')
      t.match(await app.ask(post('/keyed', { id: 'x' })), { hit })
      t.match(await app.ask('/all'), { hit, text: 'GET' })
    }
  }))

t.test('routes that differ by constraints are never mixed up', async (t) => forEachBackend(t, async (t, on) => {
  const app = await build(t, {
    ...on,
    routes (app) {
      const cache = { config: { cache: { ttl: '1m', key: { host: false } } } } as const
      for (const host of ['a.example', 'b.example', /^.*\.c\.example$/]) {
        app.get('/', { ...cache, constraints: { host } }, async () => String(host))
      }
      for (const version of ['1.2.0', '2.0.0']) app.get('/v', { ...cache, constraints: { version } }, async () => version)
    }
  })
  for (const hit of [false, true]) {
    for (const [host, text] of [['a.example', 'a.example'], ['b.example', 'b.example'], ['x.c.example', '/^.*\\.c\\.example$/']]) {
      t.match(await app.ask({ url: '/', headers: { host: host as string } }), { hit, text })
    }
    for (const [version, text] of [['1.2.0', '1.2.0'], ['2.0.0', '2.0.0']]) {
      t.match(await app.ask({ url: '/v', headers: { 'accept-version': version as string } }), { hit, text })
    }
  }
  t.match((await app.cache.stats()).routes['GET /'], { hits: 3, misses: 3, stores: 3 }, 'they share a line of the counters')
}))

t.test('an application may be closed twice, or fail because of another plugin, and a hundred may follow one another', async (t) =>
  forEachBackend(t, async (t, { backend, options }) => {
    const made = async (): Promise<FastifyInstance> => {
      const app = Fastify()
      await app.register(responseCache, { backend, options } as never)
      app.get('/', CACHED, async () => 'x')
      return app
    }
    await build(t, { routes () {} })
    const app = await made()
    await app.listen({ port: 0, host: '127.0.0.1' })
    const closed = once(app.server, 'close')
    await Promise.all([app.close(), app.close(), closed])
    const failing = await made()
    failing.register(async () => { throw new Error('not today') })
    t.match(await failing.ready().then(() => 'ready', (err: Error) => err.message), 'not today')
    await failing.close()
    for (let times = 0; times < 100; times++) {
      const one = await made()
      t.equal((await one.inject('/')).body, 'x')
      await one.close()
    }
  }))
