// Middleware between Fastify and Node: a hit is served through it, and the error handler responds to what it throws while a hit is
// written.
import { createRequire } from 'node:module'
import type { FastifyInstance, FastifyReply } from 'fastify'
import middie from '@fastify/middie'
import t from 'tap'
import { build, forEachBackend, type Probe } from '../../support/app.js'
import { HOST } from '../../support/client.js'
import { forEachWay } from '../../support/ways.js'

// on-headers 1.0.2, which has no types. CVE-2025-7339: it takes a list of header fields for a list of pairs, and throws.
const onHeaders = createRequire(import.meta.url)('on-headers-vulnerable') as (response: object, listener: () => void) => void

/** Some throw in the turn of the request, others in a later one. */
const BACKENDS = ['memory', 'sqlite', 'later']
const CACHED = { config: { cache: { ttl: '1m', staleWhileRevalidate: '1h' } } } as const
const FIELDS = { etag: '"a"', 'cache-control': 'public, max-age=60', link: ['</a>', '</b>'] }
/** Fields of the hit that an error in its place must not have. */
const OF_THE_HIT = ['etag', 'cache-control', 'link', 'age']

function serve (app: FastifyInstance, probe: Probe): void {
  app.get('/', CACHED, async (_request, reply) => { probe.ran(); return await reply.headers(FIELDS).type('text/html').send('stored') })
  app.get('/plain', CACHED, async (_request, reply) => {
    probe.ran()
    return await reply.type('text/html').header('etag', '"a"').send('plain')
  })
}

t.test('behind Express middleware with on-headers before 1.1.0, a hit is the same as the response without the cache', async (t) =>
  forEachWay(t, async (t, { on, via, hook }) => {
    const listen = (raw: object): void =>
      onHeaders(raw, function (this: { setHeader (name: string, value: string): void }) { this.setHeader('x-listener', 'yes') })
    const app = await build(t, {
      ...on,
      async routes (app, probe) {
        hook(app)
        if (via === 'socket') {
          await app.register(middie)
          app.use((_request, response, next) => { listen(response); next() })
        } else app.addHook('onRequest', async (_request, reply) => listen(reply.raw))
        app.addHook('preHandler', async ({ headers }, reply) => {
          if (headers['x-front'] !== undefined) reply.headers({ 'x-request-id': '7', 'set-cookie': ['a=1', 'b=2'] })
        })
        serve(app, probe)
      }
    })
    for (const [url, text] of [['/plain', 'plain'], ['/', 'stored']] as const) {
      for (const hit of [false, true, true]) {
        t.match(await app.ask({ url, via }), { status: 200, hit, text, headers: { 'x-listener': 'yes', etag: '"a"' } })
      }
    }
    t.match(await app.ask({ url: '/', via, headers: { 'x-front': 'yes' } }), {
      status: 200, hit: true, headers: { 'x-request-id': '7', 'set-cookie': ['a=1', 'b=2'], link: '</a>, </b>' }
    })
    t.match(await app.ask({ url: '/', via, method: 'HEAD' }), { status: 200, hit: true, headers: { 'content-length': '6' } })
    t.match(await app.ask({ url: '/', via, headers: { 'if-none-match': '"a"' }, compare: false }), {
      status: 304, hit: true, headers: { 'x-listener': 'yes' }
    })
    t.equal(app.runs(), 2)
  }, BACKENDS))

/** Throws once while a response is written, if the request says so. */
const THROWERS: Record<string, (reply: FastifyReply) => void> = {
  writeHead: (reply) => replaceOnce(reply, 'writeHead'),
  setHeader: (reply) => {
    // Node's writeHead calls it if a field was set before.
    reply.raw.setHeader('x-raw', 'yes')
    replaceOnce(reply, 'setHeader')
  },
  'a listener of on-headers': (reply) => onHeaders(reply.raw, () => { throw new Error('thrown on the way out') })
}

function replaceOnce ({ raw }: FastifyReply, name: 'writeHead' | 'setHeader' | 'end'): void {
  const own = (raw[name] as (...args: unknown[]) => unknown).bind(raw)
  raw[name] = ((..._args: unknown[]) => {
    raw[name] = own as never
    throw new Error('thrown on the way out')
  }) as never
}

/** An application whose hooks make a response throw while it is sent, and whose error handler reports that. */
function serveThrowing (app: FastifyInstance, probe: Probe): void {
  app.addHook('onRequest', async ({ headers }, reply) => {
    reply.raw.setHeader('x-front', 'yes')
    THROWERS[String(headers['x-throw'])]?.(reply)
  })
  app.setErrorHandler((error, request, reply) => {
    request.log.error({ err: error }, 'handled')
    return reply.code(500).send({ handled: (error as Error).message })
  })
  serve(app, probe)
}

t.test("the application's error handler responds to an error thrown while the head of a hit is written, without fields of the entry",
  async (t) => forEachWay(t, async (t, { on, via, hook, isHooked }) => {
    // Behind onSend hooks, Fastify catches it: the error is the same as without the cache, with the fields of the response that was to be
    // sent.
    const app = await build(t, { ...on, compare: isHooked ? {} : false, routes (app, probe) { hook(app); serveThrowing(app, probe) } })
    await app.ask({ url: '/', via })
    let handled = 0
    for (const thrower of Object.keys(THROWERS)) {
      // HTTP/2 doesn't set fields by the public method.
      if (via === 'h2' && thrower === 'setHeader') continue
      const response = await app.ask({ url: '/', via, headers: { 'x-throw': thrower } })
      t.match(response, { status: 500, headers: { 'x-front': 'yes' } }, thrower)
      t.ok(app.logs.filter(({ msg }) => msg === 'handled').length > handled, thrower)
      handled = app.logs.filter(({ msg }) => msg === 'handled').length
      if (!isHooked) {
        t.match(response, {
          text: '{"handled":"thrown on the way out"}', headers: { 'content-type': 'application/json; charset=utf-8' }
        }, thrower)
        t.strictSame(OF_THE_HIT.filter((name) => response.headers[name] !== undefined), [], thrower)
      }
      t.match(await app.ask({ url: '/', via }), { status: 200, hit: true, text: 'stored' }, `after ${thrower}`)
    }
    t.equal(app.runs(), 1)
  }, BACKENDS))

t.test('such an error has its own status line, and keeps the fields that hooks had set on the raw response', async (t) =>
  forEachBackend(t, async (t, on) => {
    const app = await build(t, {
      ...on,
      compare: false,
      routes (app, probe) {
        app.addHook('onRequest', async ({ headers }, { raw }) => {
          if (headers['x-throw'] !== undefined) raw.setHeader('cache-control', 'no-store')
        })
        serveThrowing(app, probe)
      }
    })
    await app.ask('/')
    const text = await app.raw(`GET / HTTP/1.1\r\nHost: ${HOST}\r\nConnection: close\r\nX-Throw: a listener of on-headers\r\n\r\n`)
    t.match(text, /^HTTP\/1\.1 500 Internal Server Error\r\n/)
    t.match(text, /\r\ncache-control: no-store\r\n/i)
    t.notMatch(text, /public|etag|"stored"/i)
  }))

t.test('an error in place of a stored redirect or error does not have its status', async (t) =>
  forEachWay(t, async (t, { on, via }) => {
    const app = await build(t, {
      ...on,
      compare: false,
      routes (app) {
        app.addHook('onRequest', async ({ headers }, reply) => THROWERS[String(headers['x-throw'])]?.(reply))
        app.get('/301', CACHED, async (_request, reply) => reply.code(301).redirect('/elsewhere'))
        app.get('/404', { config: { cache: { ttl: '1m', statuses: [404] } } }, async (_request, reply) =>
          await reply.code(404).send('not there'))
      }
    })
    for (const status of [301, 404]) {
      for (const hit of [false, true]) t.match(await app.ask({ url: `/${status}`, via }), { status, hit })
      t.match(await app.ask({ url: `/${status}`, via, headers: { 'x-throw': 'writeHead' } }), {
        status: 500, text: /thrown on the way out/, headers: { location: undefined }
      })
    }
  }))

t.test('an error that is thrown after the head was sent ends the connection and is logged, and no client waits for the rest', async (t) =>
  forEachWay(t, async (t, { on, via, hook }) => {
    const app = await build(t, {
      ...on,
      routes (app, probe) {
        hook(app)
        app.addHook('onRequest', async ({ headers }, reply) => { if (headers['x-throw'] === 'end') replaceOnce(reply, 'end') })
        serve(app, probe)
      }
    })
    await app.ask({ url: '/', via })
    const failed = await app.ask({ url: '/', via, headers: { 'x-throw': 'end' } }).then(({ whole }) => whole ? 'whole' : 'broken',
      (err) => err.code)
    t.not(failed, 'whole')
    t.ok(app.logs.some(({ err }) => err?.message === 'thrown on the way out'))
    t.match(await app.ask({ url: '/', via }), { status: 200, hit: true, text: 'stored' })
  }, BACKENDS))

t.test('a hit whose end is delayed, as express-session does until it has stored the session, is sent once and whole', async (t) =>
  forEachWay(t, async (t, { on, via, hook }) => {
    const app = await build(t, {
      ...on,
      routes (app, probe) {
        hook(app)
        app.addHook('onRequest', async (_request, { raw }) => {
          const end = raw.end.bind(raw) as (...args: unknown[]) => unknown
          raw.end = ((...args: unknown[]) => { setImmediate(() => end(...args)) }) as never
        })
        serve(app, probe)
      }
    })
    for (const hit of [false, true, true]) t.match(await app.ask({ url: '/plain', via }), { status: 200, hit, whole: true })
    t.strictSame(app.logs.filter(({ level }) => level >= 40), [])
  }, BACKENDS))
