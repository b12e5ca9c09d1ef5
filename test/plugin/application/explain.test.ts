// `cache.explain()`: what would be done with a request, and why, by the rules for requests.
import { inspect } from 'node:util'
import Fastify, { type FastifyInstance } from 'fastify'
import t, { type Test } from 'tap'
import responseCache, { type ExplainOptions } from '../../../plugin.js'
import { build } from '../../support/app.js'
import { Chaos } from '../../support/chaos.js'
import { testClock } from '../../support/clock.js'
import { cached } from '../../support/document.js'

async function setUp (t: Test, routes: (app: FastifyInstance) => unknown, options: object = {}) {
  const clock = testClock()
  const app = Fastify(options)
  await app.register(responseCache, { now: clock.now })
  await routes(app)
  t.teardown(async () => await app.close())
  return {
    app,
    clock,
    explain: async (asked: ExplainOptions | string) => await app.cache.explain(typeof asked === 'string' ? { url: asked } : asked)
  }
}

t.test('explain: its Cache-Status is that of the next request', async (t) => {
  const { app, clock, explain } = await setUp(t, (app) => {
    app.get('/fresh/:id', cached({ tags: ['a'] }), async () => 'stored')
    app.get('/stale', cached({ staleWhileRevalidate: '1h' }), async () => 'stored')
    app.get('/vary', cached(), async (_request, reply) => { reply.header('vary', 'x-lang'); return 'stored' })
    app.get('/mine', cached({ credentials: 'bypass' }), async () => 'stored')
    app.post('/post', cached(), async () => 'stored')
  })
  const asks: Array<{ method?: string, url: string, headers?: Record<string, string> }> = [
    { url: '/fresh/1' }, { url: '/fresh/1?a=1' }, { method: 'HEAD', url: '/fresh/1' }, { method: 'HEAD', url: '/fresh/3' },
    { url: '/fresh/1', headers: { host: 'a.example' } }, { url: '/stale' },
    { url: '/vary', headers: { 'x-lang': 'de' } }, { url: '/vary', headers: { 'x-lang': 'en' } },
    { url: '/mine', headers: { cookie: 'a=b' } }, { url: '/mine', headers: { authorization: 'x' } },
    ...[
      'no-cache', 'no-store', 'only-if-cached', 'max-age=0', 'max-age=5', 'min-fresh=70', 'max-stale', 'max-stale, only-if-cached'
    ].flatMap((control) => ['/fresh/1', '/stale', '/none'].map((url) => ({ url, headers: { 'cache-control': control } }))),
    { method: 'POST', url: '/post' }
  ]
  for (const url of ['/fresh/1', '/stale']) await app.inject(url)
  await app.inject({ url: '/vary', headers: { 'x-lang': 'de' } })
  for (const passMs of [0, 10_000, 60_000]) {
    await clock.pass(passMs)
    for (const ask of asks) {
      const said = await explain(ask)
      const before = await app.cache.stats()
      const told = (await app.inject(ask as { method: 'GET', url: string })).headers['cache-status'] as string | undefined
      // The parameters that depend on the handler's response are not known before.
      const known = told?.replace(/; (stored|fwd-status=\d+)/g, '')
      t.equal(said.cacheStatus, known,
        `${ask.method ?? 'GET'} ${ask.url} ${JSON.stringify(ask.headers)} after ${passMs}: ${said.decision}, ${said.reason}`)
      const after = await app.cache.stats()
      t.equal(said.decision === 'hit', after.hits > before.hits)
      t.equal(said.decision === 'stale', after.staleHits > before.staleHits)
      t.same(said.decision === 'bypass' && said.reason !== 'uncached' ? [said.reason] : [],
        Object.keys(after.bypasses).filter((reason) => after.bypasses[reason as 'key'] !== before.bypasses[reason as 'key']))
    }
  }
})

t.test('explain: no handler and no hook runs, and nothing is counted', async (t) => {
  const ran: string[] = []
  const { app, explain } = await setUp(t, (app) => {
    for (const hook of ['onRequest', 'preHandler', 'onSend', 'onResponse'] as const) app.addHook(hook, async () => { ran.push(hook) })
    app.get('/', cached(), async () => { ran.push('handler'); return '' })
  })
  await explain('/')
  await explain({ method: 'DELETE', url: '/' })
  t.same(ran, [])
  t.match(await app.cache.stats(), { hits: 0, misses: 0, bypasses: {} })
})

t.test('explain: the life of an entry, in instants and in text', async (t) => {
  const { app, clock, explain } = await setUp(t, (app) =>
    app.get('/', cached({ staleWhileRevalidate: 10, staleIfError: 100, keep: 0, tags: ['a', 'b'] }), async () => 'stored'))
  const storedAt = clock.now()
  await app.inject('/')
  await clock.pass(3_000)
  const { decision, reason, entry } = await explain('/')
  t.match({ decision, reason }, { decision: 'hit', reason: 'fresh' })
  t.match(entry, { status: 200, bytes: 6, ageSeconds: 3, tags: ['a', 'b'] })
  t.same(Object.entries(entry!.timeline).map(([name, { at, text }]) => [name, at - storedAt, Date.parse(text) - storedAt]), [
    ['stored', 0, 0], ['freshUntil', 60_000, 60_000], ['staleUntil', 70_000, 70_000], ['staleOnErrorUntil', 160_000, 160_000],
    ['gone', 160_000, 160_000]
  ])
})

t.test('explain: the reason why nothing can be served', async (t) => {
  const { app, clock, explain } = await setUp(t, (app) => {
    app.get('/tagged', cached({ tags: ['a'], keep: '1h' }), async (_request, reply) => { reply.header('etag', '"1"'); return 'stored' })
    app.get('/vary', cached(), async (_request, reply) => { reply.header('vary', 'x-lang'); return 'stored' })
    app.get('/none', async () => '')
  })
  const why = async (asked: ExplainOptions | string) => {
    const { decision, reason } = await explain(asked)
    return `${decision}, ${reason}`
  }
  t.equal(await why('/tagged'), 'miss, absent')
  await app.inject('/tagged')
  t.equal(await why('/tagged'), 'hit, fresh')
  await app.cache.invalidate({ tags: ['a'], soft: true })
  t.equal(await why('/tagged'), 'miss, stale')
  await app.cache.invalidate('a')
  t.equal(await why('/tagged'), 'miss, invalidated')
  await app.inject('/tagged')
  await clock.pass(61_000)
  t.equal(await why('/tagged'), 'miss, stale')
  await app.inject({ url: '/vary', headers: { 'x-lang': 'de' } })
  t.match(await explain({ url: '/vary', headers: { 'X-Lang': 'en' } }), {
    decision: 'miss', reason: 'variant', variants: { count: 1, fields: { 'x-lang': 'en' } }
  })
  t.match(await explain('/none'), { decision: 'bypass', reason: 'uncached', route: 'GET /none' })
  const { route } = await explain('/unheard-of')
  t.equal(route, undefined)
})

t.test("explain: the key's parts are those that the route uses", async (t) => {
  const { explain } = await setUp(t, (app) => {
    app.get('/all', cached(), async () => '')
    app.get('/some/:id', cached({
      key: { query: ['page'], headers: ['Accept'], cookies: ['lang'], host: false, by: (request) => (request.params as { id: string }).id }
    }), async () => '')
    app.get('/own', cached({ key: (request) => `key of ${request.url}` }), async () => '')
    app.get('/user', cached({ key: { by: (request) => (request as unknown as { user: { id: string } }).user.id } }), async () => '')
  })
  t.same((await explain('https://a.example/all?b=1')).key!.parts, { path: '/all', query: 'b=1', origin: 'https://a.example' })
  t.same((await explain({ url: '/all', headers: { host: 'b.example' } })).key!.parts, {
    path: '/all', query: '', origin: 'http://b.example'
  })
  t.same((await explain({ url: '/some/7?page=2&utm=x', headers: { accept: 'text/html' } })).key!.parts, {
    path: '/some/7', query: 'of page', 'field accept': 'text/html', cookies: 'lang', by: '7'
  })
  t.same((await explain('/own')).key!.parts, { function: 'key of /own' })
  const user = await explain('/user')
  t.match(user, { decision: 'bypass', reason: 'key', because: /no hook ran/ })
})

t.test('explain: the route is the one that Fastify chooses', async (t) => {
  const { app, explain } = await setUp(t, (app) => {
    app.get('/a/:id', cached(), async () => '')
    app.get('/a/fixed', async () => '')
    app.get('/a/*', cached(), async () => '')
    app.get('/b', { ...cached(), constraints: { host: 'b.example' } }, async () => '')
    app.get('/v', { ...cached(), constraints: { version: '1.2.0' } }, async () => '')
  }, { routerOptions: { caseSensitive: false, ignoreTrailingSlash: true } })
  await app.ready()
  const routeOf = async (asked: ExplainOptions | string) => (await explain(asked)).route
  t.equal(await routeOf('/a/1'), 'GET /a/:id')
  t.equal(await routeOf('/A/1/'), 'GET /a/:id')
  t.equal(await routeOf('/a/fixed'), 'GET /a/fixed')
  t.equal(await routeOf('/a/1/2'), 'GET /a/*')
  t.equal(await routeOf('http://b.example/b'), 'GET /b')
  t.equal(await routeOf('http://c.example/b'), undefined)
  t.equal(await routeOf({ url: '/v', headers: { 'accept-version': '1.x' } }), 'GET /v')
  t.equal(await routeOf('/v'), undefined)
})

t.test('explain: a route that is added after another was explained is found', async (t) => {
  const { app, explain } = await setUp(t, (app) => app.get('/first', cached(), async () => ''))
  t.match(await explain('/second'), { decision: 'bypass', route: undefined })
  app.get('/second', cached(), async () => '')
  t.match(await explain('/second'), { decision: 'miss', route: 'GET /second' })
})

t.test('explain: the route / below a prefix matches with a trailing slash or without, as in Fastify', async (t) => {
  const { app, explain } = await setUp(t, (app) => {
    for (const prefixTrailingSlash of ['both', 'slash', 'no-slash'] as const) {
      app.register(async (scope) => { scope.get('/', { ...cached(), prefixTrailingSlash }, async () => prefixTrailingSlash) }, {
        prefix: `/${prefixTrailingSlash}`
      })
    }
    app.register(async (scope) => {
      scope.get('', cached(), async () => '')
      scope.get('/', { prefixTrailingSlash: 'slash' }, async () => '')
    }, { prefix: '/two' })
  })
  await app.ready()
  for (const url of ['/both', '/both/', '/slash', '/slash/', '/no-slash', '/no-slash/', '/two', '/two/']) {
    await app.inject(url)
    t.equal((await explain({ url, headers: { host: 'localhost:80' } })).decision,
      (await app.inject(url)).headers['cache-status']?.toString().includes('hit') === true ? 'hit' : 'bypass', url)
  }
})

t.test('explain: a request that came through a proxy is explained by the URL that the client requested', async (t) => {
  const { app, explain } = await setUp(t, (app) => { app.get('/', cached(), async () => '') }, { trustProxy: true })
  await app.inject({ url: '/', headers: { 'x-forwarded-proto': 'https', 'x-forwarded-host': 'shop.example' } })
  t.match(await explain('https://shop.example/'), { decision: 'hit' })
  t.match(await explain('http://shop.example/'), { decision: 'miss', reason: 'absent' })
})

t.test('explain: it prints as a page, and is data for programs', async (t) => {
  const { app, clock, explain } = await setUp(t, (app) => app.get('/items/:id', cached({ tags: ['items'] }), async () => 'stored'))
  await app.inject('/items/1')
  await clock.pass(3_000)
  const explanation = await explain('/items/1')
  const lines = inspect(explanation).split('\n')
  t.equal(lines[0], 'GET http://localhost:80/items/1')
  t.match(lines[1], /^ {2}hit, fresh +the stored response is fresh$/)
  for (const [name, value] of [
    ['route', 'GET /items/:id'], ['key: path', '/items/1'], ['key: origin', 'http://localhost:80'],
    ['entry', 'status 200, 6 bytes, age 3 s, tags items'], ['fresh until', explanation.entry!.timeline.freshUntil.text],
    ['Cache-Status', 'fastify-response-cache; hit; ttl=57']
  ]) {
    t.ok(lines.some((line) => new RegExp(`^ {2}${name} {2,}`).test(line) && line.endsWith(value!)), name!)
  }
  t.equal(JSON.parse(JSON.stringify(explanation)).entry.status, 200)
  t.equal(String(explanation), inspect(explanation))
})

t.test('explain: a value that is not a request is refused', async (t) => {
  const { explain } = await setUp(t, (app) => app.get('/', cached(), async () => ''))
  for (const asked of [
    {}, { url: 1 }, { url: 'a' }, { url: '' }, { url: '/', method: '' }, { url: '/', headers: [] }, { url: '/', body: '' }, undefined, null
  ]) {
    await t.rejects(explain(asked as never), { code: 'CACHE_ERR_OPTION' }, String(JSON.stringify(asked)))
  }
})

t.test('explain: an entry that cannot be read, or is damaged, is a miss with that reason', async (t) => {
  const chaos = new Chaos()
  const app = await build(t, {
    ...chaos.over({ backend: 'memory' }), routes: (app, probe) => { app.get('/', cached(), async () => { probe.ran(); return 'stored' }) }
  })
  await app.ask('/')
  const explained = async (): Promise<unknown> => await app.cache.explain({ url: '/', headers: { host: 'test.example' } })
  t.match(await explained(), { decision: 'hit' })
  chaos.get.reject()
  t.match(await explained(), { decision: 'miss', reason: 'unavailable' })
  chaos.get.return({ value: Buffer.from('damaged'), expiresAt: app.clock.now() + 60_000 })
  t.match(await explained(), { decision: 'miss', reason: 'damaged' })
})

t.test('explain: a closed cache is reported as closed', async (t) => {
  const { app, explain } = await setUp(t, (app) => app.get('/', cached(), async () => ''))
  await app.inject('/')
  await app.close()
  t.match(await explain('/'), { decision: 'bypass', reason: 'closed' })
})
