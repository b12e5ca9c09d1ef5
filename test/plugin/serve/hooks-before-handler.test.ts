// The cache stands at the handler: earlier hooks run for hits too, and what they set belongs to the current request.
import type { FastifyInstance, FastifyReply } from 'fastify'
import t from 'tap'
import { build, databasePath, forEachBackend, type Probe } from '../../support/app.js'

const CACHED = { config: { cache: { ttl: '1m' } } } as const
const TOKEN = { authorization: 'Bearer good' }

/** A guard that belongs to the application. */
function guard (app: FastifyInstance, hook: 'onRequest' | 'preHandler' | 'preValidation' | 'preParsing'): void {
  const check = async (request: { headers: { authorization?: string } }): Promise<void> => {
    if (request.headers.authorization !== 'Bearer good') throw Object.assign(new Error('not allowed'), { statusCode: 401 })
  }
  app.addHook(hook as 'onRequest', check as never)
}

const shared = { config: { cache: { ttl: '1m', credentials: 'ignore' } } } as const

function secret (app: FastifyInstance, probe: Probe): void {
  app.get('/secret', shared, async (_request, reply) => {
    probe.ran()
    reply.header('cache-control', 'public')
    return { secret: 42 }
  })
}

t.test('a guard of the application guards hits', async (t) => forEachBackend(t, async (t, on) => {
  for (const hook of ['onRequest', 'preParsing', 'preValidation', 'preHandler'] as const) {
    const places = {
      'after the plugin and before the route': (app: FastifyInstance, probe: Probe) => { guard(app, hook); secret(app, probe) },
      'after the route': (app: FastifyInstance, probe: Probe) => { secret(app, probe); guard(app, hook) },
      'in a child scope': (app: FastifyInstance, probe: Probe) => {
        app.register(async (child) => { guard(child, hook); secret(child, probe) })
      },
      'in the parent of a child scope': (app: FastifyInstance, probe: Probe) => {
        guard(app, hook)
        app.register(async (child) => { secret(child, probe) })
      }
    }
    for (const [place, routes] of Object.entries(places)) {
      const options = on.backend === 'sqlite' ? { path: databasePath(t) } : {}
      await t.test(`${hook}, ${place}`, async (t) => {
        const app = await build(t, { ...on, options, routes })
        t.match(await app.ask({ url: '/secret', headers: TOKEN }), { status: 200, hit: false })
        t.match(await app.ask({ url: '/secret', headers: TOKEN }), { status: 200, hit: true })
        t.match(await app.ask('/secret'), { status: 401, hit: false }, 'a request without a token is refused')
        t.match(await app.ask({ url: '/secret', headers: { authorization: 'Bearer bad' } }), { status: 401, hit: false },
          'a request with a wrong token is refused')
        t.equal(app.runs(), 1)
      })
    }
  }
}))

t.test('a guard that is registered before the plugin, in `before`, and one on the route, guard hits', async (t) =>
  forEachBackend(t, async (t, on) => {
    const app = await build(t, {
      ...on,
      before: (app) => guard(app, 'onRequest'),
      routes (app, probe) {
        secret(app, probe)
        const preHandler = async (request: { headers: { [name: string]: unknown } }): Promise<void> => {
          if (request.headers['x-role'] !== 'admin') throw Object.assign(new Error('no'), { statusCode: 403 })
        }
        app.get('/admin', { ...shared, preHandler }, async (_request, reply) => { reply.header('cache-control', 'public'); return 'admin' })
      }
    })
    const admin = { ...TOKEN, 'x-role': 'admin' }
    await app.ask({ url: '/admin', headers: admin })
    t.match(await app.ask({ url: '/admin', headers: admin }), { hit: true })
    t.match(await app.ask({ url: '/admin', headers: TOKEN }), { status: 403, hit: false })
    t.match(await app.ask({ url: '/admin', headers: { 'x-role': 'admin' } }), { status: 401, hit: false })
  }))

t.test('a request that the schema refuses is refused though there is an entry', async (t) => forEachBackend(t, async (t, on) => {
  const schema = {
    querystring: { type: 'object', properties: { page: { type: 'integer', maximum: 9 } } },
    headers: { type: 'object', required: ['x-client'], properties: { 'x-client': { type: 'string' } } }
  }
  const app = await build(t, {
    ...on,
    routes (app, probe) {
      app.get('/list', { config: { cache: { ttl: '1m', key: { query: false } } }, schema }, async () => { probe.ran(); return 'list' })
    }
  })
  const headers = { 'x-client': 'me' }
  await app.ask({ url: '/list?page=1', headers })
  t.match(await app.ask({ url: '/list?page=2', headers }), { status: 200, hit: true }, 'the query is not part of the key')
  t.match(await app.ask({ url: '/list?page=10', headers }), { status: 400, hit: false })
  t.match(await app.ask({ url: '/list?page=x', headers }), { status: 400, hit: false })
  t.match(await app.ask('/list?page=1'), { status: 400, hit: false }, 'a header field is missing')
  t.equal(app.runs(), 1)
}))

t.test('fields that earlier hooks set on the reply belong to the current request, on hits too', async (t) =>
  forEachBackend(t, async (t, on) => {
    const app = await build(t, {
      ...on,
      routes (app, probe) {
        app.addHook('onRequest', async (request, reply) => {
          reply.header('x-for', request.headers['x-for'])
          reply.header('x-shared', 'from the hook')
          reply.raw.setHeader('x-raw-for', String(request.headers['x-for']))
        })
        app.addHook('preHandler', async (request, reply) => {
          reply.headers({ 'x-pre': request.headers['x-for'], 'x-list': ['a', String(request.headers['x-for'])] })
        })
        app.get('/', CACHED, async (_request, reply) => {
          probe.ran()
          reply.header('x-shared', 'from the handler')
          reply.header('x-own', 'of the handler').header('link', ['</a>; rel=preload', '</b>; rel=preload'])
          return { ok: true }
        })
      }
    })
    for (const who of ['one', 'two', 'three']) {
      const { headers } = await app.ask({ url: '/', headers: { 'x-for': who } })
      t.match(headers, {
        'x-for': who, 'x-raw-for': who, 'x-pre': who, 'x-list': `a, ${who}`, 'x-shared': 'from the handler', 'x-own': 'of the handler'
      })
    }
    t.equal(app.runs(), 1)
  }))

t.test("the same holds if another plugin's onSend hook receives hits", async (t) => forEachBackend(t, async (t, on) => {
  const app = await build(t, {
    ...on,
    routes (app, probe) {
      app.addHook('onSend', async (request, reply) => { reply.header('x-sent-for', request.headers['x-for']) })
      app.addHook('onRequest', async (request, reply) => { reply.header('x-for', request.headers['x-for']) })
      app.get('/', CACHED, async () => { probe.ran(); return { ok: true } })
    }
  })
  for (const who of ['one', 'two', 'three']) {
    t.match((await app.ask({ url: '/', headers: { 'x-for': who } })).headers, { 'x-for': who, 'x-sent-for': who })
  }
  t.equal(app.runs(), 1)
}))

t.test("on a hit, Vary has the fields of the current request's hooks and those of the handler", async (t) =>
  forEachBackend(t, async (t, on) => {
    const app = await build(t, {
      ...on,
      // The `x-one` of the first request stays in it: an extra field in Vary splits entries, a missing one merges them.
      compare: { ignore: ['vary'] },
      routes (app, probe) {
        app.addHook('onRequest', async (request, reply) => { reply.header('vary', request.headers['x-vary']) })
        const handler = async (_request: unknown, reply: FastifyReply): Promise<string> => {
          probe.ran()
          reply.header('vary', `${String(reply.getHeader('vary'))}, Accept-Language`)
          return 'x'
        }
        app.get('/straight', CACHED, handler)
        app.get('/hooked', { ...CACHED, onSend: async () => {} }, handler)
      }
    })
    for (const url of ['/straight', '/hooked']) {
      for (const [name, hit] of [['x-one', false], ['x-two', true], ['x-three', true]] as const) {
        const response = await app.ask({ url, headers: { 'x-vary': name } })
        t.equal(response.hit, hit)
        t.match(response.headers.vary, new RegExp(`${name}.*accept-language|accept-language.*${name}`, 'i'), url)
      }
    }
  }))

t.test('a field that the handler removed is removed on hits too', async (t) => forEachBackend(t, async (t, on) => {
  for (const withHook of [false, true]) {
    const options = on.backend === 'sqlite' ? { path: databasePath(t) } : {}
    await t.test(withHook ? 'with an onSend hook' : 'straight', async (t) => {
      const app = await build(t, {
        ...on,
        options,
        routes (app, probe) {
          if (withHook) app.addHook('onSend', async () => {})
          app.addHook('onRequest', async (_request, reply) => {
            reply.header('x-frame-options', 'DENY')
            reply.raw.setHeader('x-raw', 'raw')
            reply.header('x-kept', 'kept')
          })
          app.get('/', CACHED, async (_request, reply) => {
            probe.ran()
            reply.removeHeader('x-frame-options')
            reply.raw.removeHeader('x-raw')
            return 'embeddable'
          })
        }
      })
      for (let times = 0; times < 3; times++) {
        const { headers } = await app.ask('/')
        t.equal(headers['x-frame-options'], undefined)
        t.equal(headers['x-raw'], undefined)
        t.equal(headers['x-kept'], 'kept')
      }
      t.equal(app.runs(), 1)
    })
  }
}))

t.test('fields that belong to one request are not stored, even if the handler itself set them', async (t) =>
  forEachBackend(t, async (t, on) => {
    const ofOneRequest = {
      'x-request-id': 'first',
      'server-timing': 'db;dur=1',
      'x-ratelimit-remaining': '9',
      'keep-alive': 'timeout=9',
      'x-secret-hop': 'hop',
      age: '3'
    }
    const app = await build(t, {
      ...on,
      compare: { headers: false },
      routes (app, probe) {
        app.get('/', CACHED, async (_request, reply) => {
          probe.ran()
          reply.headers(ofOneRequest).header('connection', 'close, x-secret-hop').header('x-kept', 'kept')
          return 'x'
        })
      }
    })
    await app.ask('/')
    app.clock.pass(2_000)
    const { headers, hit } = await app.ask('/')
    t.ok(hit)
    t.match(headers, { 'x-kept': 'kept', age: '5' })
    for (const name of ['x-request-id', 'server-timing', 'x-ratelimit-remaining', 'keep-alive', 'x-secret-hop']) {
      t.equal(headers[name], undefined, name)
    }
  }))

t.test('hooks behind the handler run on hits, and the log has a line for each request', async (t) => forEachBackend(t, async (t, on) => {
  const app = await build(t, {
    ...on,
    routes (app, probe) {
      app.addHook('onResponse', async (_request, reply) => { probe.ran(`onResponse ${reply.statusCode}`) })
      app.get('/', CACHED, async () => { probe.ran(); return 'x' })
    }
  })
  await app.ask('/')
  await app.ask('/')
  t.equal(app.runs(), 1)
  t.equal(app.runs('onResponse 200'), 2)
  t.equal(app.logs.filter(({ msg, res }) => msg === 'request completed' && res?.statusCode === 200).length, 2)
}))

t.test('a response has the status that an earlier hook or the handler set', async (t) => forEachBackend(t, async (t, on) => {
  const app = await build(t, {
    ...on,
    routes (app, probe) {
      app.get('/gone', { config: { cache: { ttl: '1m', statuses: [410] } } }, async (_request, reply) => {
        probe.ran()
        return await reply.code(410).send({ gone: true })
      })
      app.get('/moved', CACHED, async (_request, reply) => { probe.ran(); return reply.redirect('/gone', 301) })
      app.get('/found', CACHED, async (_request, reply) => { probe.ran(); return reply.redirect('/gone') })
    }
  })
  for (const [url, status, hit] of [['/gone', 410, true], ['/moved', 301, true], ['/found', 302, false]] as const) {
    await app.ask(url)
    t.match(await app.ask(url), { status, hit }, url)
  }
}))
