// Plugins that applications often use: each works with the cache, whether it is registered before or after it.
import { brotliDecompressSync, gunzipSync } from 'node:zlib'
import { Readable } from 'node:stream'
import compress from '@fastify/compress'
import cookie from '@fastify/cookie'
import cors from '@fastify/cors'
import etag from '@fastify/etag'
import helmet from '@fastify/helmet'
import rateLimit from '@fastify/rate-limit'
import session from '@fastify/session'
import type { FastifyInstance } from 'fastify'
import t, { type Test } from 'tap'
import { build, databasePath, forEachBackend, type Probe, type Spec, type TestApp } from '../../support/app.js'

const CACHED = { config: { cache: { ttl: '1m' } } } as const
const SHARED = { config: { cache: { ttl: '1m', credentials: 'ignore' } } } as const

type On = { backend: string, options: object }

/** Runs on each backend with `others` registered before the plugin, and after it. */
async function beforeAndAfter (
  t: Test, others: (app: FastifyInstance) => Promise<unknown>, spec: Omit<Spec, 'backend' | 'before'>,
  run: (t: Test, app: TestApp) => Promise<unknown>
): Promise<void> {
  await forEachBackend(t, async (t, on: On) => {
    for (const place of ['before', 'after']) {
      const options = on.backend === 'sqlite' ? { path: databasePath(t) } : {}
      await t.test(`registered ${place} the cache`, async (t) => {
        const app = await build(t, {
          ...on,
          ...spec,
          options,
          ...(place === 'before' && { before: others }),
          async routes (app: FastifyInstance, probe: Probe) {
            if (place === 'after') await others(app)
            await spec.routes(app, probe)
          }
        })
        await run(t, app)
      })
    }
  })
}

const LONG = { text: 'abcdefgh'.repeat(1000) }

t.test('@fastify/compress encodes for each client a response that is stored once, unencoded', async (t) =>
  beforeAndAfter(t, async (app) => await app.register(compress, { threshold: 0 }), {
    routes (app, probe) {
      app.get('/', CACHED, async () => { probe.ran(); return LONG })
      app.get('/stream', CACHED, async (_request, reply) => {
        probe.ran()
        return await reply.type('application/json').send(Readable.from([JSON.stringify(LONG)]))
      })
      app.get('/response', CACHED, async () => { probe.ran(); return Response.json(LONG) })
    }
  }, async (t, app) => {
    const decoders: Record<string, (body: Buffer) => Buffer> = { gzip: gunzipSync, br: brotliDecompressSync, identity: (body) => body }
    for (const url of ['/', '/stream', '/response']) {
      const before = app.runs()
      const accepts: Array<[accept: string | undefined, encoding: string]> = [
        ['gzip', 'gzip'], ['br', 'br'], [undefined, 'identity'], ['gzip', 'gzip'], ['identity', 'identity'],
        ['!!;q=nonsense, ;;;=,', 'identity'], [Array(1000).fill('x').map((name, at) => `${String(name)}${at}`).join(','), 'identity'],
        ['br;q=0.1, gzip;q=0.9', 'gzip']
      ]
      for (const [accept, encoding] of accepts) {
        // The encoded bytes depend on how the body was cut into pieces.
        const response = await app.ask({
          url, headers: accept === undefined ? {} : { 'accept-encoding': accept }, compare: { body: encoding === 'identity' }
        })
        t.equal(response.headers['content-encoding'] ?? 'identity', encoding, `${url} ${String(accept).slice(0, 20)}`)
        t.same(JSON.parse(decoders[encoding]!(response.body).toString()), LONG)
      }
      t.equal(app.runs(), before + 1, 'the unencoded response is stored')
    }
  }))

t.test('@fastify/cookie parses on hits too, and a cookie that is set is never stored', async (t) =>
  beforeAndAfter(t, async (app) => await app.register(cookie), {
    routes (app, probe) {
      app.addHook('preHandler', async (request, reply) => { reply.header('x-theme', request.cookies.theme ?? 'none') })
      app.get('/', SHARED, async () => { probe.ran(); return 'page' })
      app.get('/login', SHARED, async (request, reply) =>
        await reply.setCookie('sid', request.cookies.theme ?? 'x').setCookie('two', '2').send('in'))
      app.get('/plain', CACHED, async () => 'plain')
    }
  }, async (t, app) => {
    for (const [theme, hit] of [['dark', false], ['light', true]] as const) {
      t.match(await app.ask({ url: '/', headers: { cookie: `theme=${theme}` } }), { hit, headers: { 'x-theme': theme } })
    }
    for (const theme of ['a', 'b']) {
      t.match(await app.ask({ url: '/login', headers: { cookie: `theme=${theme}` } }), {
        hit: false, headers: { 'set-cookie': [`sid=${theme}`, 'two=2'] }
      })
    }
    await app.ask('/plain')
    t.match(await app.ask({ url: '/plain', headers: { cookie: 'theme=dark' } }), { hit: false, cacheStatus: /detail=credentials/ })
  }))

t.test('@fastify/cors sets the fields for each origin, on hits too', async (t) =>
  beforeAndAfter(t, async (app) => await app.register(cors, { origin: ['https://a.example', 'https://b.example'], credentials: true }), {
    routes (app, probe) { app.get('/', CACHED, async () => { probe.ran(); return 'x' }) }
  }, async (t, app) => {
    for (const origin of ['https://a.example', 'https://b.example', 'https://a.example', 'https://evil.example', 'https://b.example']) {
      const { headers } = await app.ask({ url: '/', headers: { origin } })
      t.equal(headers['access-control-allow-origin'], origin.includes('evil') ? undefined : origin)
      t.match(headers.vary, /origin/i)
    }
    t.match(await app.ask({ url: '/', headers: { origin: 'https://a.example' } }), { hit: true })
    t.equal((await app.ask('/')).headers['access-control-allow-origin'], undefined)
    t.match(
      await app.ask({ url: '/', method: 'OPTIONS', headers: { origin: 'https://a.example', 'access-control-request-method': 'GET' } }),
      { status: 204 })
  }))

t.test('@fastify/helmet sets its fields on hits, and a field that a handler removed is removed on hits too', async (t) =>
  beforeAndAfter(t, async (app) => await app.register(helmet), {
    routes (app, probe) {
      app.get('/', CACHED, async () => { probe.ran(); return 'x' })
      app.get('/frame', CACHED, async (_request, reply) => {
        probe.ran()
        return await reply.removeHeader('x-frame-options').header('content-security-policy', 'frame-ancestors *').send('x')
      })
    }
  }, async (t, app) => {
    for (const hit of [false, true, true]) {
      t.match(await app.ask('/'), { hit, headers: { 'x-frame-options': 'SAMEORIGIN', 'strict-transport-security': /max-age/ } })
      const frame = await app.ask('/frame')
      t.match(frame, { hit, headers: { 'content-security-policy': 'frame-ancestors *' } })
      t.equal(frame.headers['x-frame-options'], undefined)
    }
    t.equal(app.runs(), 2)
  }))

t.test('@fastify/helmet with a nonce: no two responses have the same one', async (t) =>
  beforeAndAfter(t, async (app) => await app.register(helmet, { enableCSPNonces: true }), {
    compare: { headers: false, body: false },
    routes (app) {
      app.get('/', CACHED, async (_request, reply) => await reply.type('text/html').send(`<script nonce="${reply.cspNonce.script}">`))
    }
  }, async (t, app) => {
    const seen = new Set<string>()
    for (let times = 0; times < 3; times++) {
      const { headers, text } = await app.ask('/')
      const nonce = /nonce="(\w+)"/.exec(text)![1]!
      t.ok(String(headers['content-security-policy']).includes(`'nonce-${nonce}'`), 'the page and the field agree')
      seen.add(nonce)
    }
    t.equal(seen.size, 3)
    t.match((await app.cache.stats()).refusals, { 'csp-nonce': 3 })
    t.equal(app.warnings().length, 1, 'warned about once')
  }))

t.test('@fastify/rate-limit counts hits, and refuses them', async (t) =>
  beforeAndAfter(t, async (app) => await app.register(rateLimit, { max: 4, timeWindow: 60_000 }), {
    compare: { ignore: ['x-ratelimit-reset', 'retry-after'] },
    routes (app, probe) { app.get('/', CACHED, async () => { probe.ran(); return 'x' }) }
  }, async (t, app) => {
    for (const left of ['3', '2', '1', '0']) {
      t.match(await app.ask('/'), { status: 200, headers: { 'x-ratelimit-remaining': left, 'x-ratelimit-limit': '4' } })
    }
    t.match(await app.ask('/'), { status: 429, hit: false })
    t.match(await app.ask('/'), { status: 429, hit: false })
    t.equal(app.runs(), 1)
  }))

t.test('@fastify/etag evaluates conditions on misses and hits', async (t) => beforeAndAfter(t, async (app) => await app.register(etag), {
  routes (app, probe) {
    app.get('/', CACHED, async () => { probe.ran(); return LONG })
    app.get('/other', CACHED, async () => ({ other: true }))
  }
}, async (t, app) => {
  const other = await app.ask('/other')
  t.match(await app.ask({ url: '/', headers: { 'if-none-match': String(other.headers.etag) } }), { status: 200, hit: false },
    'the ETag of another route')
  const { headers } = await app.ask('/')
  t.type(headers.etag, 'string')
  t.match(await app.ask({ url: '/', headers: { 'if-none-match': String(headers.etag) } }), { status: 304, text: '', hit: true })
  t.match(await app.ask('/'), { status: 200, hit: true, headers: { etag: String(headers.etag) } })
  t.equal(app.runs(), 1)
  await app.cache.clear()
  t.match(await app.ask({ url: '/', headers: { 'if-none-match': String(headers.etag) } }), { status: 304, hit: false },
    'a miss that gets a 304')
  t.match(await app.ask('/'), { status: 200, hit: true, text: /abcdefgh/ }, 'is stored whole')
}))

t.test('@fastify/session: a response that begins or renews a session is not shared', async (t) => beforeAndAfter(t, async (app) => {
  await app.register(cookie)
  await app.register(session, {
    secret: 'a secret of at least thirty-two characters', cookie: { secure: false }, rolling: true, saveUninitialized: true
  })
}, {
  compare: { ignore: ['set-cookie'], body: false },
  routes (app) {
    app.get('/me', SHARED, async (request) => ({ session: request.session.sessionId }))
    app.get('/public', SHARED, async () => 'public')
  }
}, async (t, app) => {
  const seen = new Set<string>()
  for (let times = 0; times < 3; times++) {
    const { hit, headers, text } = await app.ask('/me')
    t.notOk(hit)
    t.match(String(headers['set-cookie']), /sessionId=/)
    seen.add(text)
  }
  t.equal(seen.size, 3, 'three sessions')
  const own = String((await app.ask('/me')).headers['set-cookie']).split(';')[0]!
  t.match(await app.ask({ url: '/me', headers: { cookie: own } }), { hit: false })
  t.match((await app.cache.stats()), { stores: 0, refusals: { 'set-cookie': 5 } })
}))

t.test('all of them work together', async (t) => beforeAndAfter(t, async (app) => {
  await app.register(cookie)
  await app.register(cors, { origin: true })
  await app.register(helmet)
  await app.register(rateLimit, { max: 100 })
  await app.register(etag)
  await app.register(compress, { threshold: 0 })
}, {
  compare: { ignore: ['x-ratelimit-reset'] },
  routes (app, probe) { app.get('/', CACHED, async () => { probe.ran(); return LONG }) }
}, async (t, app) => {
  for (const hit of [false, true, true]) {
    const response = await app.ask({ url: '/', headers: { origin: 'https://a.example', 'accept-encoding': 'gzip' } })
    t.match(response, {
      hit,
      headers: {
        'content-encoding': 'gzip',
        'access-control-allow-origin': 'https://a.example',
        'x-frame-options': 'SAMEORIGIN',
        'x-ratelimit-limit': '100',
        etag: /"/
      }
    })
    t.same(JSON.parse(gunzipSync(response.body).toString()), LONG)
  }
  t.equal(app.runs(), 1)
}))
