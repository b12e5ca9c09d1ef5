// Hooks that rewrite the request before the handler: the key contains the original request and the rewritten one, and both only split
// entries.
import type { FastifyInstance, FastifyRequest } from 'fastify'
import t from 'tap'
import type { RouteCacheOptions } from '../../../plugin.js'
import { build, forEachBackend, type Spec } from '../../support/app.js'
import { until } from '../../support/barrier.js'
import { Barrier } from '../../support/barrier.js'
import type { Ask } from '../../support/client.js'
import { kWho, stripTenant, who } from '../../support/rewriting.js'

interface Way {
  /** Returns the user, and rewrites the request. */
  readonly hook: (request: FastifyRequest) => unknown
  /** The requests of two different clients. */
  readonly asks: readonly [Ask, Ask]
  readonly route?: string
  readonly cache?: RouteCacheOptions
  readonly fields?: Record<string, string>
  readonly server?: Spec['fastify']
  /** HTTP/2 requests can't be sent in this way. */
  readonly http1Only?: true
}

const REWRITE_HEADER = (name: string, value: string | undefined) => ({ headers }: FastifyRequest): string => {
  const before = String(headers[name])
  if (value === undefined) delete headers[name]
  else headers[name] = value
  return before
}

const WAYS: Record<string, Way> = {
  'a tenant stripped from the URL': {
    route: '/t/:tenant/report',
    hook: stripTenant,
    asks: [{ url: '/t/alice/report' }, { url: '/t/bob/report' }]
  },
  'a language stripped from the URL of a wildcard route': {
    route: '/*',
    hook (request) {
      const { url } = request.raw as { url: string }
      request.raw.url = url.slice(3)
      return url.slice(1, 3)
    },
    asks: [{ url: '/de/page?a=1' }, { url: '/en/page?a=1' }]
  },
  'a tenant stripped from the URL, keyed by a list of parameters': {
    route: '/t/:tenant/report',
    cache: { key: { query: ['page'] } },
    hook: stripTenant,
    asks: [{ url: '/t/alice/report?page=1' }, { url: '/t/bob/report?page=1' }]
  },
  "a parameter with a name from the application's own parser, removed from the query": {
    cache: { key: { query: ['user'] } },
    server: {
      routerOptions: {
        querystringParser: (text: string) =>
          Object.fromEntries([...new URLSearchParams(text)].map(([name, value]) => [name.toLowerCase(), value]))
      }
    },
    hook (request) {
      const { user } = request.query as { user: string }
      request.query = {}
      return user
    },
    asks: [{ url: '/?USER=alice' }, { url: '/?USER=bob' }]
  },
  'a parameter of the key, removed from the URL': {
    cache: { key: { query: ['user'] } },
    hook (request) {
      const { user } = request.query as { user: string }
      request.raw.url = '/'
      request.query = {}
      return user
    },
    asks: [{ url: '/?user=alice' }, { url: '/?user=bob' }]
  },
  'Host set for an upstream': {
    hook: REWRITE_HEADER('host', 'upstream.example'),
    asks: [{ url: '/', headers: { host: 'a.example' } }, { url: '/', headers: { host: 'b.example' } }],
    http1Only: true
  },
  'request.headers replaced, with another Host': {
    hook (request) {
      const before = request.host
      request.raw.headers.host = 'upstream.example'
      request.headers = { ...request.headers, host: 'upstream.example' }
      return before
    },
    asks: [{ url: '/', headers: { host: 'a.example' } }, { url: '/', headers: { host: 'b.example' } }],
    http1Only: true
  },
  'X-Forwarded-Host removed': {
    server: { trustProxy: true },
    hook: REWRITE_HEADER('x-forwarded-host', undefined),
    asks: [{ url: '/', headers: { 'x-forwarded-host': 'a.example' } }, { url: '/', headers: { 'x-forwarded-host': 'b.example' } }]
  },
  'X-Forwarded-Proto removed': {
    server: { trustProxy: true },
    hook: REWRITE_HEADER('x-forwarded-proto', undefined),
    asks: [{ url: '/', headers: { 'x-forwarded-proto': 'https' } }, { url: '/', headers: { 'x-forwarded-proto': 'http' } }]
  },
  'Authorization replaced, if it is in the key': {
    cache: { key: { headers: ['authorization'] } },
    hook: REWRITE_HEADER('authorization', 'Bearer service'),
    asks: [{ url: '/', headers: { authorization: 'Bearer alice' } }, { url: '/', headers: { authorization: 'Bearer bob' } }]
  },
  'Authorization removed, if it is in the key': {
    cache: { key: { headers: ['authorization'] } },
    hook: REWRITE_HEADER('authorization', undefined),
    asks: [{ url: '/', headers: { authorization: 'Bearer alice' } }, { url: '/', headers: { authorization: 'Bearer bob' } }]
  },
  'Authorization replaced, if it is in Vary': {
    cache: { credentials: 'ignore' },
    fields: { vary: 'Authorization', 'cache-control': 'public, max-age=60' },
    hook: REWRITE_HEADER('authorization', 'Bearer service'),
    asks: [{ url: '/', headers: { authorization: 'Bearer alice' } }, { url: '/', headers: { authorization: 'Bearer bob' } }]
  },
  'Accept-Language replaced, if it is in a normalised Vary': {
    cache: { vary: 'normalised' },
    fields: { vary: 'Accept-Language' },
    hook: REWRITE_HEADER('accept-language', 'en'),
    asks: [{ url: '/', headers: { 'accept-language': 'de' } }, { url: '/', headers: { 'accept-language': 'fr' } }]
  },
  'a cookie replaced, if it is in the key': {
    cache: { key: { cookies: ['sid'] } },
    hook: REWRITE_HEADER('cookie', 'sid=service'),
    asks: [{ url: '/', headers: { cookie: 'sid=alice' } }, { url: '/', headers: { cookie: 'sid=bob' } }]
  },
  'a cookie replaced, if the field is in the key': {
    cache: { key: { headers: ['cookie'] } },
    hook: REWRITE_HEADER('cookie', 'sid=service'),
    asks: [{ url: '/', headers: { cookie: 'sid=alice' } }, { url: '/', headers: { cookie: 'sid=bob' } }]
  },
  'the raw header fields overwritten': {
    cache: { key: { headers: ['x-user'] } },
    hook (request) {
      const before = REWRITE_HEADER('x-user', 'service')(request)
      request.raw.rawHeaders.splice(0, Infinity, 'X-User', 'service')
      return before
    },
    asks: [{ url: '/', headers: { 'x-user': 'alice' } }, { url: '/', headers: { 'x-user': 'bob' } }]
  }
}

function serve (app: FastifyInstance, { route = '/', cache = {}, fields = {} }: Way, ran: () => unknown): void {
  app.get(route, { config: { cache: { ttl: '1m', ...cache } } }, async (request, reply) => {
    ran()
    return await reply.headers(fields).send(`for ${who(request)}`)
  })
}

for (const [name, way] of Object.entries(WAYS)) {
  for (const stage of ['onRequest', 'preHandler'] as const) {
    t.test(`${name} by a hook (${stage}): no client receives another client's response`, async (t) => forEachBackend(t, async (t, on) => {
      for (const via of way.http1Only === true ? ['socket'] as const : ['socket', 'h2'] as const) {
        const hook = async (request: FastifyRequest) => { Object.assign(request, { [kWho]: way.hook(request) }) }
        const app = await build(t, {
          ...on,
          ...(on.backend === 'sqlite' && { options: { path: ':memory:' } }),
          fastify: { ...way.server, ...(via === 'h2' && { http2: true }) },
          // A hook of the application that runs before any hook of the plugin.
          before: (app) => { if (stage === 'onRequest') app.addHook('onRequest', hook) },
          routes (app, probe) {
            if (stage === 'preHandler') app.addHook('preHandler', hook)
            serve(app, way, () => probe.ran())
          }
        })
        for (const hit of [false, true]) {
          for (const ask of way.asks) t.match(await app.ask({ ...ask, via }), { hit, status: 200 }, `${via} ${JSON.stringify(ask)}`)
        }
        t.equal(app.runs(), 2, `${via}: one response each`)
      }
    }))
  }
}

t.test('requests for one URL have separate responses if hooks rewrite them by something outside the key', async (t) =>
  forEachBackend(t, async (t, on) => {
    const app = await build(t, {
      ...on,
      routes (app, probe) {
        app.addHook('onRequest', async (request) => {
          const user = request.headers['x-user'] as string | undefined
          if (user !== undefined) request.headers.host = `${user}.upstream.example`
          if (request.headers['x-path'] !== undefined) request.raw.url = request.headers['x-path'] as string
        })
        app.get('/', { config: { cache: { ttl: '1m' } } }, async ({ host, url }) => { probe.ran(); return `${host}${url}` })
      }
    })
    const asks = [
      {}, { 'x-user': 'alice' }, { 'x-user': 'bob' }, { 'x-path': '/other' }, { 'x-path': '/other', 'x-user': 'bob' }
    ] as ReadonlyArray<Record<string, string>>
    for (const headers of asks) {
      t.match(await app.ask({ url: '/', headers }), {
        hit: false,
        text: `${headers['x-user'] === undefined ? 'test.example' : `${headers['x-user']}.upstream.example`}${headers['x-path'] ?? '/'}`
      })
    }
    // A response that was stored before hooks were known to rewrite requests is stored once more beside the others.
    await app.ask('/')
    await until(async () => (await app.cache.stats()).stores >= asks.length)
    for (const headers of [...asks, ...asks]) t.match(await app.ask({ url: '/', headers }), { hit: true }, JSON.stringify(headers))
    await app.cache.invalidate({ url: '/' })
    for (const headers of asks) {
      t.match(await app.ask({ url: '/', headers }), { hit: false }, 'one invalidation of the original URL reaches all of them')
    }
  }))

t.test('concurrent requests that hooks rewrite differently do not share a response', async (t) => forEachBackend(t, async (t, on) => {
  const barrier = new Barrier()
  const app = await build(t, {
    ...on,
    compare: false,
    routes (app, probe) {
      app.addHook('onRequest', async (request) => {
        if (request.headers['x-user'] !== undefined) request.headers.host = `${request.headers['x-user'] as string}.upstream.example`
      })
      app.get('/', { config: { cache: { ttl: '1m' } } }, async ({ host }) => {
        if (probe.ran() === 1) await barrier.pass()
        return host
      })
    }
  })
  const first = app.ask({ url: '/', headers: { host: 'a.example' } })
  await barrier.reached()
  const second = app.ask({ url: '/', headers: { host: 'a.example', 'x-user': 'bob' } })
  barrier.open()
  t.match(await first, { text: 'a.example' })
  t.match(await second, { text: 'bob.upstream.example' })
}))
