// Ranges are announced wherever the cache would cut one out, and a miss has the same ranges as a hit.
import { Readable } from 'node:stream'
import type { FastifyInstance, FastifyReply } from 'fastify'
import t from 'tap'
import { build, forEachBackend } from '../../support/app.js'
import type { ClientResponse } from '../../support/client.js'
import { cached } from '../../support/document.js'

const BODY = 'abcdefghij'.repeat(100)
const [CHANGED, LATER] = ['Tue, 06 May 2031 06:00:00 GMT', 'Tue, 06 May 2031 06:30:00 GMT']
const FIELDS = {
  etag: '"1"', 'last-modified': CHANGED, date: LATER, 'content-type': 'text/plain', 'content-digest': 'sha-256=:x:', 'x-own': 'yes'
}

const pieces = function * (): Generator<Buffer> { for (let at = 0; at < BODY.length; at += 90) yield Buffer.from(BODY.slice(at, at + 90)) }
const announced = (reply: FastifyReply): FastifyReply => reply.header('content-length', BODY.length)

/** The kinds of payload in which a handler may send the body. */
const PAYLOADS: Record<string, (reply: FastifyReply) => unknown> = {
  text: () => BODY,
  buffer: () => Buffer.from(BODY),
  stream: () => Readable.from(pieces(), { objectMode: false }),
  'announced-stream': (reply) => { announced(reply); return Readable.from(pieces(), { objectMode: false }) },
  web: () => new Blob([BODY]).stream(),
  'announced-web': (reply) => { announced(reply); return new Blob([BODY]).stream() },
  response: () => new Response(BODY, { headers: FIELDS }),
  'chunked-stream': (reply) => { reply.header('transfer-encoding', 'chunked'); return Readable.from(pieces()) }
}

function documents (app: FastifyInstance): void {
  for (const [kind, payload] of Object.entries(PAYLOADS)) {
    app.get(`/${kind}/:name`, cached(), async (_request, reply) => await reply.headers(FIELDS).send(payload(reply)))
  }
}

/** The parts of a response that are the same on a miss and on a hit. */
function comparable ({ status, headers, text, whole }: ClientResponse): object {
  const { age: _age, 'cache-status': _status, connection: _connection, 'keep-alive': _alive, ...left } = headers
  const boundary = /boundary=(.+)$/.exec(String(left['content-type']))?.[1] ?? '\0'
  return {
    status,
    whole,
    text: text.replaceAll(boundary, 'boundary'),
    headers: { ...left, 'content-type': left['content-type']?.toString().replace(boundary, 'boundary') }
  }
}

const ROWS: ReadonlyArray<readonly [headers: Record<string, string>, status: number, text?: string, range?: string]> = [
  [{ range: 'bytes=0-0' }, 206, 'a', 'bytes 0-0/1000'], [{ range: 'bytes=995-' }, 206, 'fghij', 'bytes 995-999/1000'],
  [{ range: 'bytes=-3' }, 206, 'hij', 'bytes 997-999/1000'], [{ range: 'bytes=0-' }, 206, BODY, 'bytes 0-999/1000'],
  [{ range: 'bytes=80-99' }, 206, BODY.slice(80, 100), 'bytes 80-99/1000'], [{ range: 'bytes=0-1, 500-502, -1' }, 206],
  [{ range: 'bytes=1000-' }, 416, '', 'bytes */1000'], [{ range: 'x=0-1' }, 200, BODY], [{ range: 'bytes=3-1' }, 200, BODY],
  [{ range: 'bytes=0-1', 'if-range': '"1"' }, 206, 'ab', 'bytes 0-1/1000'], [{ range: 'bytes=0-1', 'if-range': '"0"' }, 200, BODY],
  [{ range: 'bytes=0-1', 'if-range': CHANGED }, 206, 'ab', 'bytes 0-1/1000'], [{ range: 'bytes=0-1', 'if-range': LATER }, 200, BODY],
  [{ range: 'bytes=0-1', 'if-none-match': '"1"' }, 304, ''], [{ range: 'bytes=0-1', 'if-none-match': '"0"' }, 206, 'ab', 'bytes 0-1/1000'],
  [{ range: 'bytes=0-1', 'if-match': '"0"' }, 412, ''], [{ range: 'bytes=0-1', 'if-unmodified-since': LATER }, 206, 'ab', 'bytes 0-1/1000']
]

t.test('a range gets the same response on a miss as on a hit, whatever the handler sends, and the whole is stored', async (t) =>
  forEachBackend(t, async (t, on) => {
    for (const via of ['socket', 'h2'] as const) {
      const app = await build(t, { ...on, compare: false, ...(via === 'h2' && { fastify: { http2: true } }), routes: documents })
      for (const kind of Object.keys(PAYLOADS).filter((kind) => via === 'socket' || kind !== 'chunked-stream')) {
        for (const [at, [headers, status, text, range]] of ROWS.entries()) {
          const ask = { url: `/${kind}/${via}-${at}`, headers, via }
          const miss = await app.ask(ask)
          // Without a length that is known beforehand, a response that is sent whole is framed in chunks.
          const framing = status === 200 && miss.headers['content-length'] === undefined ? { 'content-length': '1000' } : {}
          const about = `${JSON.stringify(headers)} of ${kind} by ${via}`
          t.match(miss, { status, ...(text !== undefined && { text }), hit: false, headers: { 'content-range': range } }, about)
          const hit = await app.ask(ask)
          const framed: ClientResponse['headers'] = { ...miss.headers, ...framing }
          const [{ 'transfer-encoding': _chunked, ...one }, other] = [framed, hit.headers]
          t.strictSame(comparable({ ...miss, headers: one }), comparable({ ...hit, headers: other }), about)
          t.match(hit, { hit: true }, about)
          t.match(await app.ask({ url: ask.url, via }), {
            status: 200, text: BODY, hit: true, headers: { 'content-digest': FIELDS['content-digest'] }
          }, about)
        }
      }
    }
  }))

t.test('RFC 9110 section 14.3: ranges are announced on misses and hits, on the whole, a part, a HEAD and an unsatisfiable range',
  async (t) => forEachBackend(t, async (t, on) => {
    for (const via of ['socket', 'inject'] as const) {
      const app = await build(t, { ...on, namespace: via, compare: false, routes: documents })
      for (const kind of Object.keys(PAYLOADS)) {
        const url = `/${kind}/1`
        // Fastify's own hook of a HEAD route fails on a fetch Response.
        if (kind !== 'response') {
          t.match((await app.ask({ url, via, method: 'HEAD' })).headers, { 'accept-ranges': 'bytes' }, `HEAD of ${kind}, miss`)
        }
        t.match(await app.ask({ url, via }), { hit: false, headers: { 'accept-ranges': 'bytes' } }, `${kind}, miss`)
        for (const [headers, status] of [[{}, 200], [{ range: 'bytes=0-1' }, 206], [{ range: 'bytes=1000-' }, 416]] as const) {
          t.match(await app.ask({ url, via, headers }), { status, hit: true, headers: { 'accept-ranges': 'bytes' } },
            `${kind}, hit, ${status}`)
        }
        t.match(await app.ask({ url, via, method: 'HEAD' }), { hit: true, headers: { 'accept-ranges': 'bytes' } }, `HEAD of ${kind}, hit`)
      }
    }
  }))

t.test('ranges are announced on a stale response, on a validated one and on one in place of an error', async (t) =>
  forEachBackend(t, async (t, on) => {
    let status = 200
    const app = await build(t, {
      ...on,
      compare: false,
      routes (app) {
        app.get('/', cached({ ttl: '5s', staleIfError: '1m' }), async (_request, reply) =>
          await reply.code(status).header('etag', '"1"').send(status === 304 ? undefined : BODY))
        app.get('/swr', cached({ ttl: '5s', staleWhileRevalidate: '1m' }), async () => BODY)
      }
    })
    for (const url of ['/', '/swr']) await app.ask(url)
    await app.clock.pass(6_000)
    const headers = { range: 'bytes=0-1' }
    t.match(await app.ask({ url: '/swr', headers }), {
      status: 206, text: 'ab', cacheStatus: /hit; ttl=-1/, headers: { 'accept-ranges': 'bytes' }
    })
    for (const [name, code] of [['in place of an error', 503], ['validated', 304]] as const) {
      status = code
      t.match(await app.ask({ url: '/', headers }), {
        status: 206, text: 'ab', cacheStatus: new RegExp(`fwd-status=${code}`), headers: { 'accept-ranges': 'bytes' }
      }, name)
    }
  }))

t.test('ranges are announced where the cache would cut one out, and nowhere else', async (t) => forEachBackend(t, async (t, on) => {
  const app = await build(t, {
    ...on,
    compare: false,
    async routes (app) {
      app.get('/stored', cached(), async () => BODY)
      app.get('/missing', cached({ statuses: [404] }), async (_request, reply) => await reply.code(404).send(BODY))
      app.get('/no-store', cached(), async (_request, reply) => await reply.header('cache-control', 'no-store').send(BODY))
      app.get('/large', cached({ maxBodyBytes: 999 }), async () => BODY)
      app.get('/large-stream', cached({ maxBodyBytes: 999 }), async (_request, reply) =>
        await announced(reply).send(Readable.from(pieces())))
      app.post('/posted', cached({ methods: ['POST'] }), async () => BODY)
      app.get('/uncached', async () => BODY)
      await app.register(async (scope) => {
        scope.addHook('onSend', async (_request, _reply, payload) => typeof payload === 'string' ? Buffer.from(payload) : payload)
        scope.get('/hooked', cached(), async () => BODY)
        scope.route({ method: ['GET', 'HEAD'], url: '/hooked-own-head', ...cached(), handler: async () => BODY })
      })
    }
  })
  t.match(await app.ask('/stored'), { headers: { 'accept-ranges': 'bytes' } })
  for (const url of ['/missing', '/no-store', '/large', '/large-stream', '/posted', '/uncached', '/hooked', '/hooked-own-head']) {
    const ask = { url, method: url === '/posted' ? 'POST' : 'GET' }
    for (let times = 0; times < 2; times++) t.equal((await app.ask(ask)).headers['accept-ranges'], undefined, `${url} ${times}`)
    t.match(await app.ask({ ...ask, headers: { range: 'bytes=0-1' } }), {
      status: url === '/missing' ? 404 : 200, text: BODY, headers: { 'accept-ranges': undefined }
    }, url)
    if (ask.method === 'GET') t.equal((await app.ask({ url, method: 'HEAD' })).headers['accept-ranges'], undefined, `HEAD ${url}`)
  }
}))

t.test(
  "RFC 9110 section 14.3: the handler's own value is kept, and turns ranges off unless it names bytes, on a miss and on a hit",
  async (t) => forEachBackend(t, async (t, on) => {
    for (const [value, isCut] of [['none', false], ['items', false], ['bytes', true], ['items, Bytes', true]] as const) {
      for (const whose of ['handler', 'hook']) {
        const app = await build(t, {
          ...on,
          namespace: `${value}-${whose}`,
          compare: false,
          routes (app) {
            if (whose === 'hook') app.addHook('onRequest', async (_request, reply) => { reply.header('accept-ranges', value) })
            app.get('/:name', cached(), async (_request, reply) =>
              await (whose === 'hook' ? reply : reply.header('accept-ranges', value)).send(BODY))
            app.get('/stream/:name', cached(), async (_request, reply) =>
              await (whose === 'hook' ? reply : reply.header('accept-ranges', value)).send(Readable.from(pieces())))
          }
        })
        for (const url of ['/1', '/stream/1']) {
          for (const hit of [false, true]) {
            const part = isCut ? { status: 206, text: 'ab' } : { status: 200, text: BODY }
            t.match(await app.ask({ url, headers: { range: 'bytes=0-1' } }), { ...part, hit, headers: { 'accept-ranges': value } },
              `${value} of the ${whose}, ${url}, ${hit ? 'hit' : 'miss'}`)
          }
          t.match(await app.ask(url), { status: 200, text: BODY, hit: true, headers: { 'accept-ranges': value } })
        }
      }
    }
  }))

t.test('a part on a miss has the ETag that the cache makes, and If-Range with that ETag holds from then on', async (t) =>
  forEachBackend(t, async (t, on) => {
    const app = await build(t, {
      ...on,
      compare: false,
      routes (app) {
        app.get('/text', cached({ etag: true }), async () => BODY)
        app.get('/stream', cached({ etag: true }), async (_request, reply) => await reply.type('text/plain').send(Readable.from(pieces())))
      }
    })
    for (const url of ['/text', '/stream']) {
      const { headers: { etag }, ...miss } = await app.ask({ url, headers: { range: 'bytes=0-1' } })
      t.match(miss, { status: 206, text: 'ab', hit: false })
      t.match(etag, /^"/)
      t.match(await app.ask({ url, headers: { range: 'bytes=2-3', 'if-range': String(etag) } }), {
        status: 206, text: 'cd', hit: true, headers: { etag }
      })
    }
  }))

t.test('RFC 9110 section 13.1.5: If-Range with the Last-Modified of a response without Date holds on a miss too', async (t) =>
  forEachBackend(t, async (t, on) => {
    const app = await build(t, {
      ...on,
      compare: false,
      routes (app) { app.get('/', cached(), async (_request, reply) => await reply.header('last-modified', CHANGED).send(BODY)) }
    })
    const headers = { range: 'bytes=0-1', 'if-range': CHANGED }
    for (const hit of [false, true]) t.match(await app.ask({ url: '/', headers }), { status: 206, text: 'ab', hit })
  }))

t.test('a part of a response that replaces a stale entry is cut out of a stream too', async (t) => forEachBackend(t, async (t, on) => {
  let version = 1
  const app = await build(t, {
    ...on,
    compare: false,
    routes (app) {
      app.get('/', cached({ ttl: '5s' }), async (_request, reply) =>
        await reply.type('text/plain').header('etag', `"${version}"`).send(Readable.from([`version ${version}`])))
    }
  })
  await app.ask('/')
  version = 2
  await app.clock.pass(6_000)
  t.match(await app.ask({ url: '/', headers: { range: 'bytes=-1' } }), {
    status: 206, text: '2', cacheStatus: /fwd=stale/, headers: { etag: '"2"', 'accept-ranges': 'bytes', 'content-range': 'bytes 8-8/9' }
  })
  t.match(await app.ask('/'), { status: 200, text: 'version 2', hit: true })
}))
