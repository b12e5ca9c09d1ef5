// Hooks that rewrite the request: invalidations, writes, refreshes, bodies and methods concern the request that the client sent.
import { Readable } from 'node:stream'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import t from 'tap'
import type { RouteCacheOptions } from '../../../plugin.js'
import { build, forEachBackend } from '../../support/app.js'
import { until } from '../../support/barrier.js'
import { Barrier } from '../../support/barrier.js'
import { kWho, stripTenant, who } from '../../support/rewriting.js'

/** A hook that strips the tenant from the URL, and another route with the rest of the URL. */
function tenants (app: FastifyInstance, ran: (name: string) => number, cache: RouteCacheOptions = {}): void {
  app.addHook('onRequest', async (request) => { Object.assign(request, { [kWho]: stripTenant(request) }) })
  app.get('/report', { config: { cache: { ttl: '1m', ...cache } } }, async () => `main ${ran('main')}`)
  app.get('/t/:tenant/report', { config: { cache: { ttl: '1m', ...cache } } }, async (request) => `${who(request)} ${ran('tenant')}`)
  app.post('/t/:tenant/report', async (_request, reply) => await reply.code(204).send())
  app.post('/t/:tenant/:id/move', async (_request, reply) => await reply.code(201).header('location', '/t/alice/report').send())
}

t.test('behind a hook that strips a prefix, invalidations and writes reach the URL that the client requested', async (t) =>
  forEachBackend(t, async (t, on) => {
    const app = await build(t, { ...on, compare: false, routes: (app, probe) => { tenants(app, (name) => probe.ran(name)) } })
    const acts: Record<string, () => Promise<unknown>> = {
      'an invalidation by URL': async () => await app.cache.invalidate({ url: '/t/alice/report' }),
      'an invalidation by absolute URL': async () => await app.cache.invalidate({ url: 'http://test.example/t/alice/report' }),
      'a write to the URL': async () => await app.ask({ url: '/t/alice/report', method: 'POST' }),
      'a write with the URL in its Location': async () => await app.ask({ url: '/t/bob/7/move', method: 'POST' })
    }
    for (const [name, act] of Object.entries(acts)) {
      for (const url of ['/t/alice/report', '/t/bob/report', '/report']) await app.ask(url)
      for (const url of ['/t/alice/report', '/t/bob/report', '/report']) t.match(await app.ask(url), { hit: true }, url)
      await act()
      t.match(await app.ask('/t/alice/report'), { hit: false, text: /^alice/ }, name)
      for (const url of ['/t/bob/report', '/report']) t.match(await app.ask(url), { hit: true }, `${name} reaches no other: ${url}`)
    }
  }))

t.test('a fill behind such a hook is not stored after an invalidation of the URL that the client requested', async (t) =>
  forEachBackend(t, async (t, on) => {
    const barrier = new Barrier()
    const app = await build(t, {
      ...on,
      compare: false,
      routes (app, probe) {
        app.addHook('onRequest', async (request) => { stripTenant(request) })
        app.get('/t/:tenant/report', { config: { cache: { ttl: '1m' } } }, async () => {
          if (probe.ran() === 1) await barrier.pass()
          return `number ${app.hasRoute({ method: 'GET', url: '/' })}`
        })
      }
    })
    const filling = app.ask('/t/alice/report')
    await barrier.reached()
    await app.cache.invalidate({ url: '/t/alice/report' })
    barrier.open()
    t.match(await filling, { status: 200, cacheStatus: /detail=invalidated/ })
    t.match(await app.ask('/t/alice/report'), { hit: false })
  }))

t.test('a refresh runs the route that its client requested, with the header fields that the client sent', async (t) =>
  forEachBackend(t, async (t, on) => {
    const seen: unknown[] = []
    const app = await build(t, {
      ...on,
      compare: false,
      routes (app, probe) {
        app.addHook('onRequest', async ({ isCacheRefresh, headers, raw, host }) => {
          if (probe.cached && isCacheRefresh) seen.push([raw.url, headers['x-token'], host])
          headers['x-token'] = 'service'
          headers.host = 'upstream.example'
        })
        tenants(app, (name) => probe.ran(name), { staleWhileRevalidate: '1h', key: { headers: ['x-token'] } })
      }
    })
    const ask = { url: '/t/alice/report', headers: { 'x-token': 'alice', host: 'a.example' } }
    t.match(await app.ask(ask), { text: 'alice 1' })
    await app.clock.pass(61_000)
    const { stores } = await app.cache.stats()
    t.match(await app.ask(ask), { text: 'alice 1', hit: true })
    while ((await app.cache.stats()).stores === stores) await new Promise(setImmediate)
    t.strictSame(seen, [['/t/alice/report', 'alice', 'a.example']])
    t.match(await app.ask(ask), { text: 'alice 2', cacheStatus: /hit; ttl=60/ })
    t.strictSame([app.runs('main'), app.runs('tenant')], [0, 2])
  }))

t.test('explain() explains the request that a client sends', async (t) => forEachBackend(t, async (t, on) => {
  const app = await build(t, { ...on, compare: false, routes: (app, probe) => { tenants(app, (name) => probe.ran(name)) } })
  t.match(await app.cache.explain({ url: '/t/alice/report' }), { decision: 'miss', reason: 'absent', route: 'GET /t/:tenant/report' })
  await app.ask('/t/alice/report')
  await until(async () => (await app.cache.stats()).stores === 1)
  const explanation = await app.cache.explain({ url: 'http://test.example/t/alice/report' })
  t.match(explanation, { decision: 'miss', reason: 'variant', key: { parts: { path: '/t/alice/report' } }, because: /hooks/ },
    'no hook runs for it, and `because` says so')
}))

t.test('requests with different bodies do not share a response if a hook replaces, changes or consumes the body', async (t) =>
  forEachBackend(t, async (t, on) => {
    const hooks: Record<string, (request: FastifyRequest) => unknown> = {
      replaced: (request) => { request.body = {} },
      changed: ({ body }) => { delete (body as { user?: string }).user },
      removed: (request) => { request.body = undefined }
    }
    const app = await build(t, {
      ...on,
      routes (app, probe) {
        app.register(async (scope) => {
          for (const [name, hook] of Object.entries(hooks)) {
            scope.post(`/${name}`, {
              config: { cache: { ttl: '1m', methods: ['POST'], safe: true } },
              preValidation: async (request) => {
                Object.assign(request, { [kWho]: (request.body as { user: string }).user })
                hook(request)
              }
            }, async (request) => { probe.ran(); return who(request) })
          }
        })
        // The parser receives something else, so the original body cannot be known.
        app.post('/parsing', {
          config: { cache: { ttl: '1m', methods: ['POST'], safe: true } },
          preParsing: async (request, _reply, payload) => {
            const chunks: Buffer[] = []
            for await (const chunk of payload) chunks.push(chunk as Buffer)
            Object.assign(request, { [kWho]: Buffer.concat(chunks).toString() })
            return Object.assign(Readable.from([Buffer.from('{}')]), { receivedEncodedLength: Buffer.concat(chunks).byteLength })
          }
        }, async (request) => { probe.ran(); return who(request) })
      }
    })
    const post = (url: string, user: string) =>
      app.ask({ url, method: 'POST', body: JSON.stringify({ user, list: [1] }), headers: { 'content-type': 'application/json' } })
    for (const name of Object.keys(hooks)) {
      for (const hit of [false, true]) {
        for (const user of ['alice', 'bob']) t.match(await post(`/${name}`, user), { hit, status: 200, text: user }, name)
      }
    }
    for (const user of ['alice', 'bob']) {
      t.match(await post('/parsing', user), { cacheStatus: 'fastify-response-cache; fwd=bypass; detail=key', status: 200 })
    }
    t.match(app.warnings(), [{ route: 'POST /parsing', err: { message: /preParsing hook/ } }], 'the log says why')
  }))

t.test('a request whose method a hook overrides bypasses the cache, and gets a response', async (t) => forEachBackend(t, async (t, on) => {
  const app = await build(t, {
    ...on,
    routes (app, probe) {
      app.addHook('onRequest', async ({ raw, headers }) => {
        if (headers['x-http-method-override'] !== undefined) raw.method = headers['x-http-method-override'] as string
      })
      app.route({
        method: ['GET', 'POST', 'PUT'],
        url: '/',
        config: { cache: { ttl: '1m', methods: ['GET', 'POST'] } },
        handler: async ({ method }) => `${method} ${probe.ran() > 0}`
      })
      app.post('/only', { config: { cache: { ttl: '1m', methods: ['POST'], safe: true } } }, async ({ method }) => method)
    }
  })
  const override = (method: string, other: string, url = '/') => app.ask({
    url,
    method,
    headers: { 'x-http-method-override': other, ...(method === 'POST' && { 'content-type': 'text/plain' }) },
    ...(method === 'POST' && { body: 'x' })
  })
  for (const [method, other, url] of [
    ['POST', 'PUT', '/'], ['POST', 'PUT', '/only'], ['POST', 'GET', '/'], ['GET', 'HEAD', '/'], ['GET', 'POST', '/'], ['GET', 'PURGE', '/'],
    ['HEAD', 'GET', '/']
  ] as const) {
    t.match(await override(method, other, url), { status: 200, cacheStatus: 'fastify-response-cache; fwd=method' }, `${method} to ${other}`)
  }
  await app.ask('/')
  t.match(await app.ask('/'), { hit: true })
  await override('POST', 'GET')
  t.match(await app.ask('/'), { hit: false }, 'a POST still counts as a write if a hook overrides its method')
}))
