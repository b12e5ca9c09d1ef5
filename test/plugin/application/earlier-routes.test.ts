// Routes that were declared before the cache was registered, or outside of its scope.
import t from 'tap'
import Fastify, { type FastifyInstance } from 'fastify'
import responseCache, { type ResponseCacheOptions } from '../../../plugin.js'
import { build, forEachBackend, type Probe, type Spec } from '../../support/app.js'

const CACHED = { config: { cache: { ttl: '1m' } } } as const

const routes = (app: FastifyInstance, { ran }: Probe): void => {
  app.get('/page', CACHED, async () => ({ page: ran() }))
  app.post('/page', async () => 'changed')
  app.get('/chosen', CACHED, async (_request, reply) => {
    ran('chosen')
    return await reply.cache({ store: false }).send('chosen')
  })
  const search = { config: { cache: { ttl: '1m', methods: ['POST'], safe: true } } } as const
  app.post('/search', search, async ({ body }) => ({ body, run: ran('search') }))
  app.get('/typed', { config: { cache: { ttl: '1m', key: { query: ['a'] } } } }, async ({ query }) => ({ query, run: ran('typed') }))
  app.get('/plain', async () => `plain ${ran('plain')}`)
  app.get('/wide', { ...CACHED, constraints: { host: /^www\./ } }, async () => `wide ${ran('wide')}`)
}

/** A hook that is added after everything else. */
const guard = (app: FastifyInstance): void => {
  app.addHook('preHandler', async ({ headers }, reply) => headers['x-guest'] === undefined ? undefined : await reply.code(401).send('no'))
}

const register = (app: FastifyInstance, { cached, options }: Probe): void => { if (cached) app.register(responseCache, options) }

const ORDERS: Record<string, Pick<Spec, 'before' | 'routes' | 'register'>> = {
  'registered after the routes': { before: routes, routes: guard },
  'registered without await, with the routes on the next line': {
    register: false,
    routes (app, probe) { register(app, probe); routes(app, probe); guard(app) }
  },
  'registered after a scope that has decorated its requests and replies': {
    async before (app, probe) {
      await app.register(async (scope) => {
        scope.decorateRequest('who', null).decorateReply('page', null)
        routes(scope, probe)
        guard(scope)
      })
    },
    routes () {}
  }
}

for (const [order, spec] of Object.entries(ORDERS)) {
  t.test(`routes are cached if the cache is ${order}`, async (t) => forEachBackend(t, async (t, on) => {
    const app = await build(t, { ...on, ...spec })
    t.match(await app.ask('/page'), { hit: false, status: 200 })
    t.match(await app.ask({ url: '/page', compare: false }), { hit: true, body: Buffer.from('{"page":1}') })
    t.match(await app.ask({ method: 'HEAD', url: '/page', compare: false }), { hit: true })
    t.match(await app.ask({ url: '/page', headers: { 'x-guest': '1' } }), { status: 401 }, 'the hook that was added last runs on a hit')
    await app.ask({ method: 'POST', url: '/page' })
    t.match(await app.ask('/page'), { hit: false, body: Buffer.from('{"page":2}') }, 'a POST has invalidated the page')
    await app.ask('/chosen')
    t.match(await app.ask('/chosen'), { hit: false }, 'reply.cache() works')
    for (const body of ['a', 'b', 'a']) {
      await app.ask({ method: 'POST', url: '/search', headers: { 'content-type': 'text/plain' }, body, compare: false })
    }
    t.equal(app.runs('search'), 2, 'the body is part of the key')
    await app.ask({ url: '/typed?a=1&b=1', compare: false })
    t.match(await app.ask({ url: '/typed?a=1&b=2', compare: false }), { hit: true, body: Buffer.from('{"query":{"a":"1"},"run":1}') })
    await app.ask('/plain')
    t.notOk((await app.ask({ url: '/plain', compare: false })).cacheStatus, 'other routes are left alone')
    await app.ask({ url: '/wide', headers: { host: 'www.example.com' } })
    t.match(await app.ask({ url: '/wide', headers: { host: 'www.example.com' }, compare: false }), { hit: true })
    t.match(await app.cache.explain({ url: '/page' }), { route: 'GET /page' })
    t.match((await app.cache.stats()).routes['GET /page'], { hits: 1, stores: 2 })
    t.same(app.warnings(), [])
  }))
}

t.test('a route at / below a prefix, declared before the cache, is cached under both of its paths', async (t) => {
  const app = await build(t, {
    async before (app, { ran }) {
      await app.register(async (scope) => { scope.get('/', CACHED, async () => `run ${ran()}`) }, { prefix: '/v1' })
    },
    routes () {}
  })
  for (const url of ['/v1', '/v1/']) {
    t.match(await app.ask({ url, compare: false }), { hit: false })
    t.match(await app.ask({ url, compare: false }), { hit: true })
    t.match(await app.cache.explain({ url }), { route: 'GET /v1' })
  }
  t.equal(app.runs(), 2)
})

/** Returns the warnings of an application that `declare` builds. */
async function warned (declare: (app: FastifyInstance) => unknown): Promise<Array<Record<string, any>>> {
  const lines: string[] = []
  const app = Fastify({ logger: { level: 'warn', stream: { write: (line: string) => { lines.push(line) } } } })
  await declare(app)
  await app.ready()
  await app.close()
  return lines.map((line) => JSON.parse(line))
}

t.test('a route that opts in outside of the scope of every registration is named in a warning', async (t) => {
  const register = async (app: FastifyInstance): Promise<void> => { await app.register(responseCache) }
  const lines = await warned((app) => {
    app.get('/before', CACHED, async () => '')
    app.register(async (scope) => { await register(scope); scope.get('/inside', CACHED, async () => '') })
    app.register(async (scope) => { await register(scope); scope.get('/too', CACHED, async () => '') }, { prefix: '/b' })
    app.register(async (scope) => { scope.get('/after', CACHED, async () => '') })
    app.get('/none', async () => '')
    app.get('/out', { config: { cache: false } }, async () => '')
  })
  t.match(lines, [{ level: 40, routes: ['GET /before', 'GET /after'], msg: /wrap the plugin that registers fastify-response-cache in fastify-plugin/ }])
  t.equal(lines.length, 1, 'once, not by each registration')
})

t.test('a route that opts out before the cache is registered has no warning', async (t) => {
  t.same(await warned(async (app) => {
    app.get('/out', { config: { cache: false } }, async () => '')
    app.get('/in', CACHED, async () => '')
    await app.register(responseCache)
  }), [])
})

t.test('an application without any cached route has a warning', async (t) => {
  t.match(await warned((app) => { app.register(responseCache, {} as ResponseCacheOptions); app.get('/', async () => '') }), [{
    level: 40, msg: /^cache: no route asks for the cache/
  }])
})

t.test('`cache` beside `config` is named in a warning', async (t) => {
  const lines = await warned(async (app) => {
    await app.register(responseCache)
    app.get('/beside', { cache: { ttl: '1m' } } as object, async () => '')
    app.get('/inside', CACHED, async () => '')
  })
  t.match(lines, [{ level: 40, routes: ['GET /beside'], msg: /write config: \{ cache: \.\.\. \}/ }])
  t.equal(lines.length, 1)
})
