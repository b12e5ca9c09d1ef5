// Fields that describe content come from the stored response only. The default that an earlier hook sets is meant for other responses.
import type { FastifyInstance } from 'fastify'
import t from 'tap'
import { build } from '../../support/app.js'
import type { ClientResponse } from '../../support/client.js'
import { forEachWay } from '../../support/ways.js'

const HTML = 'text/html; charset=utf-8'
const DESCRIBING = ['content-type', 'content-language', 'content-encoding', 'content-range', 'content-md5', 'content-digest'] as const
const DEFAULTS = { 'content-type': 'application/json', 'content-language': 'xx', 'content-md5': 'AAAA', 'content-digest': 'md5=:AAAA:' }

/** Sets the defaults before the handler, on the reply or on the raw response, if the request says so. */
function setDefaults (app: FastifyInstance): void {
  app.addHook('onRequest', async ({ headers }, reply) => {
    if (headers['x-defaults'] === 'reply') reply.headers(DEFAULTS)
    if (headers['x-defaults'] === 'raw') for (const [name, value] of Object.entries(DEFAULTS)) reply.raw.setHeader(name, value)
  })
}

const described = ({ headers }: ClientResponse): object =>
  Object.fromEntries(DESCRIBING.filter((name) => headers[name] !== undefined).map((name) => [name, headers[name]]))

t.test('a hit, and each part of it or 304 for it, has the stored fields that describe the content', async (t) =>
  forEachWay(t, async (t, { on, via, hook }) => {
    const body = 'x'.repeat(100)
    const app = await build(t, {
      ...on,
      compare: false,
      routes (app) {
        setDefaults(app)
        hook(app)
        app.get('/', { config: { cache: { ttl: '1m' } } }, async (_request, reply) =>
          await reply.type(HTML).header('etag', '"a"').send(body))
        app.get('/untyped', { config: { cache: { ttl: '1m' } } }, async () => new Response(Buffer.from(body), { headers: { etag: '"a"' } }))
        app.get('/empty', { config: { cache: { ttl: '1m', statuses: [204] } } }, async (_request, reply) => await reply.code(204).send())
      }
    })
    const cases: ReadonlyArray<readonly [
      status: number, headers: Record<string, string>, method: string, described: object, untyped: object
    ]> = [
      [200, {}, 'GET', { 'content-type': HTML }, {}],
      [200, {}, 'HEAD', { 'content-type': HTML }, {}],
      [304, { 'if-none-match': '"a"' }, 'GET', {}, {}],
      [304, { 'if-none-match': '"a"' }, 'HEAD', {}, {}],
      [412, { 'if-match': '"b"' }, 'GET', {}, {}],
      [206, { range: 'bytes=0-9' }, 'GET', { 'content-type': HTML, 'content-range': 'bytes 0-9/100' },
        { 'content-range': 'bytes 0-9/100' }],
      [416, { range: 'bytes=900-' }, 'GET', { 'content-range': 'bytes */100' }, { 'content-range': 'bytes */100' }]
    ]
    for (const url of ['/', '/untyped', '/empty']) await app.ask({ url, via })
    for (const from of ['reply', 'raw']) {
      for (const [status, headers, method, typed, untyped] of cases) {
        for (const [url, expected] of [['/', typed], ['/untyped', untyped]] as const) {
          const response = await app.ask({ url, via, method, headers: { ...headers, 'x-defaults': from } })
          t.match(response, { status, hit: true }, `${method} ${url} ${status}`)
          t.strictSame(described(response), expected, `${method} ${url} ${status}, defaults set on ${from}`)
        }
      }
      const response = await app.ask({ url: '/empty', via, headers: { 'x-defaults': from } })
      t.match(response, { status: 204, hit: true })
      t.strictSame(described(response), {}, `204, defaults set on ${from}`)
    }
  }))

t.test('a 304 from the cache has no Content-Type, even if an earlier hook always sets one', async (t) =>
  forEachWay(t, async (t, { on, via, hook }) => {
    const app = await build(t, {
      ...on,
      compare: false,
      routes (app) {
        app.addHook('onRequest', async (_request, reply) => { reply.header('content-type', 'application/json') })
        hook(app)
        app.get('/', { config: { cache: { ttl: '1m' } } }, async (_request, reply) =>
          await reply.type(HTML).header('etag', '"a"').send('<p>'))
      }
    })
    for (const hit of [false, true]) t.match(await app.ask({ url: '/', via }), { hit, headers: { 'content-type': HTML } })
    const response = await app.ask({ url: '/', via, headers: { 'if-none-match': '"a"' } })
    t.match(response, { status: 304, hit: true, headers: { etag: '"a"' } })
    t.strictSame(described(response), {})
  }))

t.test('a hit does not have the Content-Length that an earlier hook has set', async (t) => forEachWay(t, async (t, { on, via, hook }) => {
  const app = await build(t, {
    ...on,
    compare: false,
    routes (app) {
      app.addHook('onRequest', async ({ headers }, reply) => { if (headers['x-length'] !== undefined) reply.header('content-length', '7') })
      hook(app)
      app.get('/', { config: { cache: { ttl: '1m' } } }, async (_request, reply) =>
        await reply.type(HTML).header('etag', '"a"').send('stored'))
    }
  })
  await app.ask({ url: '/', via })
  const headers = { 'x-length': 'yes' }
  t.match(await app.ask({ url: '/', via, headers }), { hit: true, text: 'stored', headers: { 'content-length': '6' } })
  t.match(await app.ask({ url: '/', via, headers, method: 'HEAD' }), { hit: true, headers: { 'content-length': '6' } })
  t.equal((await app.ask({ url: '/', via, headers: { ...headers, 'if-none-match': '"a"' } })).headers['content-length'], undefined)
}))

t.test('a stored response has its stored content fields when it is served on an error or after a validation', async (t) =>
  forEachWay(t, async (t, { on, via, hook }) => {
    const app = await build(t, {
      ...on,
      compare: false,
      routes (app, probe) {
        setDefaults(app)
        hook(app)
        for (const [url, headers] of [['/typed', { 'content-type': HTML }], ['/untyped', {}]] as const) {
          app.get(`/on-error${url}`, { config: { cache: { ttl: '1m', staleIfError: '1h' } } }, async () => {
            if (probe.ran(url) > 1) throw new Error('down')
            return new Response(Buffer.from('stored'), { headers })
          })
          app.get(`/validated${url}`, { config: { cache: { ttl: '1m', keep: '1h' } } }, async (request, reply) => {
            if (request.headers['if-none-match'] === '"a"') return await reply.code(304).send()
            return new Response(Buffer.from('stored'), { headers: { ...headers, etag: '"a"' } })
          })
        }
      }
    })
    const urls = ['/on-error/typed', '/on-error/untyped', '/validated/typed', '/validated/untyped']
    for (const url of urls) await app.ask({ url, via })
    for (const from of ['reply', 'raw']) {
      await app.clock.pass(61_000)
      for (const url of urls) {
        const response = await app.ask({ url, via, headers: { 'x-defaults': from } })
        t.match(response, { status: 200, text: 'stored', cacheStatus: /fwd-status=/ }, url)
        t.strictSame(described(response), url.endsWith('/typed') ? { 'content-type': HTML } : {}, `${url}, defaults set on ${from}`)
      }
      const response = await app.ask({ url: '/validated/typed', via, headers: { 'x-defaults': from, 'if-none-match': '"a"' } })
      t.match(response, { status: 304 })
      t.strictSame(described(response), {}, `304, defaults set on ${from}`)
    }
  }))
