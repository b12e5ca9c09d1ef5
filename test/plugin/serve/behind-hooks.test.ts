// ETags that the cache computes, and ranges, on routes with onSend hooks: they depend on what the hooks do to the body.
import { Readable } from 'node:stream'
import { gunzipSync, gzipSync } from 'node:zlib'
import compress from '@fastify/compress'
import cookie from '@fastify/cookie'
import type { FastifyInstance, FastifyReply, FastifyRequest, onSendHookHandler } from 'fastify'
import t, { type Test } from 'tap'
import { etagOf } from '../../../response/http/etag.js'
import { build, type TestApp } from '../../support/app.js'
import type { ClientResponse } from '../../support/client.js'
import { forEachWay } from '../../support/ways.js'

const BODY = '0123456789'.repeat(400)
const ETAG = etagOf(BODY)
const RANGE = { range: 'bytes=10-14' }
const PART = `bytes 10-14/${BODY.length}`

type Handler = (request: FastifyRequest, reply: FastifyReply) => unknown

/** The same body, as each kind of payload. */
const KINDS: Record<string, Handler> = {
  text: async (_request, reply) => await reply.type('text/plain').send(BODY),
  bytes: async (_request, reply) => await reply.type('text/plain').send(Buffer.from(BODY)),
  stream: async (_request, reply) => await reply.type('text/plain').send(Readable.from([BODY.slice(0, 15), BODY.slice(15)])),
  'web stream': async (_request, reply) => await reply.type('text/plain').send(new Response(BODY).body!),
  Response: async () => new Response(BODY, { headers: { 'content-type': 'text/plain' } })
}
const path = (kind: string): string => `/${kind.replace(' ', '-')}`

function serve (app: FastifyInstance): void {
  for (const [kind, handler] of Object.entries(KINDS)) app.get(path(kind), { config: { cache: { ttl: '1m', etag: true } } }, handler)
}

/** Hooks that leave the body alone, as most hooks of plugins do. */
const LEFT_ALONE: Record<string, onSendHookHandler> = {
  'passes the payload on': (_request, _reply, payload, done) => { done(null, payload) },
  'passes nothing on': (_request, _reply, _payload, done) => { done() },
  'returns the payload': async (_request, _reply, payload) => payload,
  'sets a header field': async (_request, reply) => { reply.header('x-hook', 'yes') }
}

for (const [name, hook] of Object.entries(LEFT_ALONE)) {
  t.test(`a hook that ${name} changes nothing: hits have an ETag, 304s and ranges, as without a hook`, async (t) =>
    forEachWay(t, async (t, { on, via }) => {
      const app = await build(t, { ...on, compare: false, routes (app) { app.addHook('onSend', hook); serve(app) } })
      for (const kind of Object.keys(KINDS)) {
        const ask = async (headers = {}, method = 'GET'): Promise<ClientResponse> =>
          await app.ask({ url: path(kind), via, method, headers })
        t.match(await ask(), { hit: false, status: 200, text: BODY, headers: { 'accept-ranges': 'bytes' } }, `${kind}: miss`)
        t.match(await ask(), { hit: true, status: 200, text: BODY, headers: { etag: ETAG, 'accept-ranges': 'bytes' } }, `${kind}: hit`)
        t.match(await ask({ 'if-none-match': ETAG }), { hit: true, status: 304, text: '', headers: { etag: ETAG } }, `${kind}: 304`)
        t.match(await ask({ 'if-match': '"other"' }), { hit: true, status: 412, text: '' }, `${kind}: 412`)
        t.match(await ask(RANGE), {
          hit: true, status: 206, text: '01234', headers: { etag: ETAG, 'content-range': PART, 'content-length': '5' }
        }, `${kind}: 206`)
        t.match(await ask({ ...RANGE, 'if-range': ETAG }), { status: 206, text: '01234' }, `${kind}: If-Range`)
        t.match(await ask({ ...RANGE, 'if-range': '"other"' }), { status: 200, text: BODY }, `${kind}: other If-Range`)
        const none = { 'content-range': `bytes */${BODY.length}` }
        t.match(await ask({ range: 'bytes=9999-' }), { status: 416, text: '', headers: none }, `${kind}: 416`)
        t.match(await ask({}, 'HEAD'), {
          hit: true, status: 200, text: '', headers: { etag: ETAG, 'accept-ranges': 'bytes', 'content-length': String(BODY.length) }
        }, `${kind}: HEAD`)
        t.match(await ask({ 'if-none-match': ETAG }, 'HEAD'), { hit: true, status: 304, text: '' }, `${kind}: HEAD with a condition`)
      }
      t.same(app.warnings(), [])
    }))
}

t.test('a range of a miss is cut behind hooks that leave the body alone, also out of a stream', async (t) =>
  forEachWay(t, async (t, { on, via }) => {
    const hook = LEFT_ALONE['returns the payload']!
    for (const kind of Object.keys(KINDS)) {
      const app = await build(t, { ...on, compare: false, routes (app) { app.addHook('onSend', hook); serve(app) } })
      t.match(await app.ask({ url: path(kind), via, headers: RANGE }), {
        hit: false, status: 206, text: '01234', headers: { 'content-range': PART, 'content-length': '5' }
      }, kind)
      t.match(await app.ask({ url: path(kind), via }), { hit: true, status: 200, text: BODY }, `${kind}: the whole body was stored`)
    }
  }))

/** Hooks that change the body. */
const CHANGING: Record<string, onSendHookHandler> = {
  'returns another text': async () => 'other',
  'changes the bytes in place': async (_request, _reply, payload) => {
    if (Buffer.isBuffer(payload)) payload.fill('x', 0, 4)
    return Buffer.isBuffer(payload) ? payload : 'other'
  },
  'compresses the body': async (_request, reply, payload) => {
    reply.header('content-encoding', 'gzip').removeHeader('content-length')
    return gzipSync(typeof payload === 'string' || Buffer.isBuffer(payload) ? payload : BODY)
  },
  'only sets Content-Encoding': async (_request, reply, payload) => {
    reply.header('content-encoding', 'x-own')
    return payload
  }
}

for (const [name, hook] of Object.entries(CHANGING)) {
  t.test(`a hook that ${name}: the cache's ETag is not sent, nothing is cut, and one warning says so`, async (t) =>
    forEachWay(t, async (t, { on, via }) => {
      const app = await build(t, {
        ...on,
        compare: false,
        routes (app) {
          app.addHook('onSend', async function changing (request, reply, payload) {
            return await hook.call(this, request, reply, payload, () => {})
          })
          serve(app)
        }
      })
      for (const kind of ['text', 'bytes']) {
        const ask = async (headers = {}): Promise<ClientResponse> => await app.ask({ url: path(kind), via, headers })
        for (const hit of [false, true]) {
          const whole = await ask()
          t.match(whole, { hit, status: 200, headers: { etag: undefined, 'accept-ranges': undefined } }, `${kind}: ${whole.cacheStatus}`)
          t.not(app.warnings().length, 0, 'already the miss is told')
        }
        t.match(await ask({ 'if-none-match': ETAG }), { hit: true, status: 200, headers: { etag: undefined } }, `${kind}: no 304`)
        t.match(await ask(RANGE), { hit: true, status: 200, headers: { 'content-range': undefined } }, `${kind}: no part`)
      }
      const told = /^cache: (?:the onSend hook "changing"|an onSend hook) changes bodies(?: \(.+\))? after the handler, here on GET \/text: /
      t.match(app.warnings(), [{ msg: told }])
      t.equal(app.warnings().length, name === 'changes the bytes in place' ? 2 : 1)
    }))
}

t.test('@fastify/compress compresses for some clients: only the others get the ETag and ranges', async (t) => {
  const app = await build(t, { compare: false, routes: async (app) => { await app.register(compress, { threshold: 0 }); serve(app) } })
  const gzip = { 'accept-encoding': 'gzip' }
  const ask = async (headers = {}): Promise<ClientResponse> => await app.ask({ url: '/text', via: 'socket', headers })
  const first = await ask(gzip)
  t.match(first, { hit: false, headers: { etag: undefined, 'content-encoding': 'gzip' } })
  t.equal(gunzipSync(first.body).toString(), BODY)
  t.match(await ask(), { hit: true, text: BODY, headers: { etag: ETAG, 'accept-ranges': 'bytes' } })
  t.match(await ask(gzip), { hit: true, headers: { etag: undefined, 'content-encoding': 'gzip' } })
  t.match(await ask({ ...gzip, 'if-none-match': ETAG }), { hit: true, status: 200, headers: { 'content-encoding': 'gzip' } })
  t.match(await ask({ 'if-none-match': ETAG }), { hit: true, status: 304 })
  t.match(await ask({ ...gzip, ...RANGE }), { hit: true, status: 200 })
  t.match(await ask(RANGE), { hit: true, status: 206, text: '01234' })
  t.equal(app.warnings().length, 1)
})

t.test('a hook that changes only hits is named, too', async (t) => {
  const app = await build(t, { compare: false, routes: async (app) => { await app.register(compress, { threshold: 0 }); serve(app) } })
  await app.ask({ url: '/text', via: 'socket' })
  t.same(app.warnings(), [])
  const gzip = { 'accept-encoding': 'gzip' }
  t.match(await app.ask({ url: '/text', via: 'socket', headers: gzip }), { hit: true, headers: { etag: undefined } })
  t.match(app.warnings(), [{ msg: /^cache: the onSend hook "\w+" changes bodies \(Content-Encoding: gzip\) after the handler/ }])
})

/** An application whose entry becomes stale, behind a hook that may change bodies. */
async function stale (t: Test, respond: Handler, isChanging: () => boolean = () => false): Promise<TestApp> {
  return await build(t, {
    compare: false,
    async routes (app) {
      await app.register(cookie)
      app.addHook('onSend', async (_request, _reply, payload) => isChanging() ? 'other' : payload)
      app.get('/', { config: { cache: { ttl: '1s', etag: true, staleIfError: '1h' } } }, respond)
    }
  })
}

t.test('a validated response has its ETag again behind hooks that leave the body alone, and its own 304', async (t) => {
  const app = await stale(t, async (request, reply) => {
    reply.type('text/plain').header('last-modified', 'Mon, 01 Jan 2024 00:00:00 GMT')
    return request.headers['if-modified-since'] === undefined ? await reply.send(BODY) : await reply.code(304).send()
  })
  await app.ask({ url: '/', via: 'socket' })
  await app.clock.pass(2_000)
  t.match(await app.ask({ url: '/', via: 'socket' }), { status: 200, text: BODY, headers: { etag: ETAG }, cacheStatus: /fwd-status=304/ })
  await app.clock.pass(2_000)
  t.match(await app.ask({ url: '/', via: 'socket', headers: { 'if-none-match': ETAG } }), { status: 304, headers: { etag: ETAG } })
  t.match(await app.ask({ url: '/', via: 'socket', headers: RANGE }), { status: 206, text: '01234', hit: true })
})

t.test('a stale response that is served on an error has its ETag, unless a hook changes the body', async (t) => {
  let runs = 0
  let isChanging = false
  const app = await stale(t, async (_request, reply) => {
    if (++runs > 1) throw new Error('down')
    return await reply.type('text/plain').send(BODY)
  }, () => isChanging)
  await app.ask({ url: '/', via: 'socket' })
  await app.clock.pass(2_000)
  t.match(await app.ask({ url: '/', via: 'socket' }), { status: 200, text: BODY, headers: { etag: ETAG } })
  t.match(await app.ask({ url: '/', via: 'socket', headers: { 'if-none-match': ETAG } }), { status: 304 })
  isChanging = true
  t.match(await app.ask({ url: '/', via: 'socket' }), { status: 200, text: 'other', headers: { etag: undefined } })
  t.match(await app.ask({ url: '/', via: 'socket', headers: { 'if-none-match': ETAG } }), { status: 200, text: 'other' })
})
