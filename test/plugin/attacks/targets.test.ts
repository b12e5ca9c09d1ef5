// Attacks: requests that a cache and a router read differently. They are sent over a bare socket, byte by byte as they stand here.
import type { FastifyInstance, FastifyRequest, FastifyServerOptions } from 'fastify'
import t from 'tap'
import type { RouteCacheOptions } from '../../../plugin.js'
import { build, forEachBackend, type Probe } from '../../support/app.js'
import { cached } from '../../support/document.js'
import { someOf } from '../../support/size.js'

/** Options for another backend of the same kind, which is empty. */
let made = 0
const another = ({ options }: { options: { path?: string } }): object =>
  options.path === undefined ? {} : { path: `${options.path}.${++made}` }

/** Everything that a handler can read of its target. */
function asSeen (request: FastifyRequest): string {
  const { params, query, url, originalUrl, host, hostname, port, protocol, method } = request
  return JSON.stringify({ params, query, url, originalUrl, host, hostname, port: Number.isNaN(port) ? null : port, protocol, method })
}

const PATTERNS = ['/items/:id', '/of/:id/part/:part', '/p', '/p/*', '/']

const routes = (cache?: RouteCacheOptions) => (app: FastifyInstance, probe: Probe): void => {
  for (const url of PATTERNS) {
    app.get(url, cached(cache), async (request) => {
      probe.ran()
      return asSeen(request)
    })
  }
}

const get = (target: string, fields: string[] = ['Host: a.example']): string =>
  [`GET ${target} HTTP/1.1`, ...fields, 'Connection: close', '', ''].join('\r\n')
const statusOf = (response: string): string => /^cache-status: [^;]*; (.*)\r$/im.exec(response)?.[1] ?? ''

const ROUTERS: Record<string, Omit<FastifyServerOptions, 'routerOptions'> & { routerOptions?: object }> = {
  'as it is': {},
  'caseSensitive: false': { routerOptions: { caseSensitive: false } },
  ignoreTrailingSlash: { routerOptions: { ignoreTrailingSlash: true } },
  ignoreDuplicateSlashes: { routerOptions: { ignoreDuplicateSlashes: true } },
  useSemicolonDelimiter: { routerOptions: { useSemicolonDelimiter: true } },
  'rewriteUrl that removes a language': { rewriteUrl: (request) => request.url!.replace(/^\/(?:de|fr)\//, '/') },
  'all of them, behind a proxy': {
    trustProxy: true,
    routerOptions: { caseSensitive: false, ignoreTrailingSlash: true, ignoreDuplicateSlashes: true, useSemicolonDelimiter: true }
  }
}

const TARGETS = [
  '/items/', '/items//', '//items/', '/items/?a', '/items/1', '/items/%31', '/items/a%2Fb', '/items/a%2fb', '/items/a%252Fb',
  '/items/a%3Fx', '/items/a%23x', '/items/a', '/items/A', '/ITEMS/a', '/items/a/', '//items/a', '/items//a', '/items/%00', '/items/..',
  '/items/%2e%2e',
  '/items/a;b', '/items/a%3Bb', '/items/%C3%A9', '/items/%E9', '/items/é', '/of/1/part/2', '/of//part/2', '/of//part/', '/of//part/2/',
  '/p', '/p/', '/p//', '/p/?a', '/p/a/', '//p', '/p;x', '/p;x=1', '/./p', '/p/.', '/P', '/p?', '/p?a', '/p?a=', '/p?a=1', '/p?a=1&a=2',
  '/p?a=2&a=1', '/p?a=2', '/p?a[]=1', '/p?a=1;b=2', '/p;a=1?b=2',
  '/p?&a=1', '/p?a=1&&b=2', '/p?=', '/p?a=+', '/p?a=%20', '/p?a=%zz', '/p?a=%C3%A9', '/p?a=%E9', '/p?a=é', '/p?__proto__=x',
  '/p?constructor=x', '/p?a=1%00', '/p?a=1%0d%0ax:y', '/p?A=1', '/p??a=1', '/de/p', '/fr/p', '/', '/?', '//'
]

t.test('every spelling of a target gets the same response as without the cache, in every router', async (t) =>
  forEachBackend(t, async (t, on) => {
    for (const [router, fastify] of Object.entries(ROUTERS)) {
      await t.test(router, async (t) => {
        const options = another(on)
        const app = await build(t, { ...on, options, fastify: fastify as FastifyServerOptions, routes: routes() })
        const targets = someOf(TARGETS)
        let hits = 0
        for (const times of [1, 2]) {
          for (const target of targets) {
            // The oracle compares with the application that has no cache.
            const response = await app.raw(Buffer.from(get(target), 'utf8'))
            if (times === 1 && statusOf(response).startsWith('hit')) t.fail(`${target} is served the response to another target`)
            if (times === 2 && statusOf(response).startsWith('hit')) hits++
          }
        }
        t.ok(hits > 0.37 * targets.length, `${hits} of ${targets.length} were served from the cache in the second round`)
      })
    }
  }))

t.test('every spelling of a target is invalidated by the URL that its route saw, and by a write to it, in every router', async (t) =>
  forEachBackend(t, async (t, on) => {
    for (const [router, fastify] of Object.entries(ROUTERS)) {
      await t.test(router, async (t) => {
        for (const host of [true, false]) {
          const app = await build(t, {
            ...on,
            options: another(on),
            fastify: fastify as FastifyServerOptions,
            compare: false,
            routes (app, probe) {
              routes({ key: { host } })(app, probe)
              for (const url of PATTERNS) app.put(url, async () => 'written')
            }
          })
          const isHit = async (target: string): Promise<boolean> =>
            statusOf(await app.raw(Buffer.from(get(target), 'utf8'))).startsWith('hit')
          for (const target of someOf(TARGETS)) {
            const url = /"url":("[^"]+")/.exec(await app.raw(Buffer.from(get(target), 'utf8')))?.[1]
            if (url === undefined || !await isHit(target)) continue
            await app.cache.invalidate({ url: JSON.parse(url) })
            t.notOk(await isHit(target), `invalidate ${target}, key.host ${host}`)
            // The handler of a rewritten URL can't know for which other URLs its response is stored.
            if (fastify.rewriteUrl !== undefined) continue
            t.ok(await isHit(target))
            await app.raw(Buffer.from(get(target).replace('GET', 'PUT').replace('\r\n\r\n', '\r\nContent-Length: 0\r\n\r\n'), 'utf8'))
            t.notOk(await isHit(target), `PUT ${target}, key.host ${host}`)
          }
        }
      })
    }
  }))

t.test('a target that is not a path, or has a fragment, bypasses the cache', async (t) => forEachBackend(t, async (t, on) => {
  for (const key of [undefined, { query: false }, { host: false }, { query: ['a'] }] as Array<RouteCacheOptions['key']>) {
    const options = another(on)
    // The handler does not find what a key leaves out either: that differs on purpose.
    const app = await build(t, {
      ...on, options, ...(key !== undefined && { compare: false }), routes: routes({ ...(key !== undefined && { key }) })
    })
    for (const target of [
      'http://evil.example/p', 'http://a.example/p', 'HTTP://evil/p', '/p#frag', '/p?#x', '/p?a=1#x', '/items/1#', '/#'
    ]) {
      for (let times = 0; times < 2; times++) t.notMatch(statusOf(await app.raw(get(target))), /hit|stored/, target)
    }
    t.match(statusOf(await app.raw(get('/p'))), /stored/)
    t.match(statusOf(await app.raw(get('/p'))), /hit/)
  }
}))

t.test('each spelling of the host has its own response, and so has a request without one', async (t) => forEachBackend(t, async (t, on) => {
  const hosts = [
    ['Host: a'], ['Host: b'], ['Host: a:80'], ['Host: A'], ['Host: a.'], ['Host: a"<x>/..'], ['Host: '], ['Host: a, b'],
    ['Host: x', 'Host: y'], ['Host: y', 'Host: x'], ['Host: [::1]:80'], ['Host: é'], ['Host: 4:http://a']
  ]
  const app = await build(t, { ...on, routes: routes() })
  for (const times of [1, 2]) {
    for (const fields of hosts) {
      const response = await app.raw(Buffer.from(get('/p', fields), 'latin1'))
      if (/^HTTP\/1.1 200/.test(response) && times === 1 && fields[0] !== 'Host: x' && fields[0] !== 'Host: y') {
        t.match(statusOf(response), /miss/, fields.join())
      }
    }
    const old = await app.raw('GET /p HTTP/1.0\r\n\r\n')
    t.match(old, /"host":""/)
  }
}))

t.test('behind a proxy, the forwarded host and protocol are in the key, however they are spelled', async (t) =>
  forEachBackend(t, async (t, on) => {
    const app = await build(t, { ...on, fastify: { trustProxy: true }, routes: routes() })
    const rows = [
      [], ['X-Forwarded-Host: evil'], ['X-Forwarded-Host: a.example'], ['X-Forwarded-Host: b, evil'], ['X-Forwarded-Host: evil, b'],
      ['X-Forwarded-Host: '], ['X-Forwarded-Host: ,'],
      ['X-Forwarded-Proto: https'], ['X-Forwarded-Proto: http'], ['X-Forwarded-Proto: javascript'], ['X-Forwarded-Proto: HTTPS'],
      ['X-Forwarded-Proto: http://a', 'X-Forwarded-Host: b'], ['X-Forwarded-Proto: http', 'X-Forwarded-Host: a://b'],
      ['X-Forwarded-Proto: http:'], ['X-Forwarded-Host: "><script>'], ['X-Forwarded-Proto: 3:a', 'X-Forwarded-Host: b'],
      ['X-Forwarded-Host: a.example:443', 'X-Forwarded-Proto: https'], ['X-Forwarded-Port: 99'], ['Forwarded: host=evil']
    ]
    let hits = 0
    for (let times = 0; times < 2; times++) {
      for (const fields of rows) if (statusOf(await app.raw(get('/p', ['Host: a.example', ...fields]))).startsWith('hit')) hits++
    }
    t.ok(hits >= rows.length, 'each was stored')
  }))

t.test('without trustProxy the forwarded fields are not in the key', async (t) => forEachBackend(t, async (t, on) => {
  const app = await build(t, { ...on, routes: routes() })
  await app.raw(get('/p'))
  t.match(statusOf(await app.raw(get('/p', ['Host: a.example', 'X-Forwarded-Host: evil', 'X-Forwarded-Proto: x']))), /hit/)
}))

t.test('a GET with a body goes to the handler, and its response to no other client', async (t) => forEachBackend(t, async (t, on) => {
  const readsBody = (app: FastifyInstance, probe: Probe): void => {
    for (const [url, cache] of [['/p', {}], ['/body', { key: { body: true } }], ['/fn', { key: () => 'mine' }]] as const) {
      app.get(url, cached(cache as RouteCacheOptions), async (request) => {
        probe.ran()
        let body = ''
        for await (const chunk of request.raw) body += String(chunk)
        return `body ${body}`
      })
    }
  }
  const app = await build(t, { ...on, routes: readsBody })
  for (const url of ['/p', '/body', '/fn']) {
    for (let times = 0; times < 2; times++) {
      for (const [fields, body] of [
        [['Content-Length: 4'], 'evil'], [['Transfer-Encoding: chunked'], '4\r\nevil\r\n0\r\n\r\n'],
        [['Transfer-Encoding: chunked'], '0\r\n\r\n'], [['Content-Length: 04'], 'evil']
      ] as const) {
        const response = await app.raw(get(url, ['Host: a.example', ...fields]) + body)
        if (response.startsWith('HTTP/1.1 200')) t.match(statusOf(response), /detail=request-body/, `${url} ${fields.join()}`)
      }
      t.match(await app.raw(get(url)), /body \r?\n?$|body $/)
      t.match(statusOf(await app.raw(get(url, ['Host: a.example', 'Content-Length: 0']))), /hit/)
    }
  }
}))

t.test('over HTTP/2 a GET with a body but no Content-Length goes to the handler too', async (t) =>
  forEachBackend(t, async (t, on) => {
    const app = await build(t, {
      ...on,
      fastify: { http2: true },
      routes: (app, probe) => app.get('/p', cached(), async (request) => {
        probe.ran()
        let body = ''
        for await (const chunk of request.raw) body += String(chunk)
        return `body ${body}`
      })
    })
    for (let times = 0; times < 2; times++) {
      t.match(await app.ask({ url: '/p', via: 'h2', body: 'evil' }), { text: 'body evil', cacheStatus: /detail=request-body/ })
      t.match(await app.ask({ url: '/p', via: 'h2' }), { text: 'body ', hit: times === 1 })
    }
  }))

t.test("a method in a field or a parameter does not override the request's method", async (t) => forEachBackend(t, async (t, on) => {
  const app = await build(t, {
    ...on,
    routes: (app, probe) => {
      routes()(app, probe)
      app.post('/p', async () => 'posted')
    }
  })
  await app.raw(get('/p'))
  for (const field of ['X-HTTP-Method-Override: POST', 'X-HTTP-Method: DELETE', 'X-Method-Override: HEAD']) {
    t.match(await app.raw(get('/p', ['Host: a.example', field])), /"method":"GET"/)
  }
  t.match(statusOf(await app.raw(get('/p?_method=POST'))), /miss/)
  t.match(await app.ask({ url: '/p', method: 'POST' }), { text: 'posted' })
  t.match(statusOf(await app.raw(get('/p'))), /hit/)
}))

t.test('a request whose method a hook changes bypasses the cache', async (t) => forEachBackend(t, async (t, on) => {
  const app = await build(t, {
    ...on,
    routes (app) {
      app.addHook('onRequest', async ({ headers, raw }) => {
        if (headers['x-method'] !== undefined) raw.method = headers['x-method'] as string
      })
      app.route({
        method: ['GET', 'POST'], url: '/', ...cached({ methods: ['GET', 'POST'] }), handler: async ({ method }) => `made for ${method}`
      })
    }
  })
  for (const [method, other] of [['GET', 'POST'], ['POST', 'GET']] as const) {
    for (const hit of [false, true]) t.match(await app.ask({ url: '/', method }), { hit, text: `made for ${method}` })
    t.match(await app.ask({ url: '/', method, headers: { 'x-method': other } }), {
      text: `made for ${other}`, cacheStatus: /; fwd=method$/
    })
  }
}))

t.test('HEAD is served from what GET stored, and stores nothing that GET could receive', async (t) => forEachBackend(t, async (t, on) => {
  const app = await build(t, {
    ...on,
    routes: (app, probe) => {
      app.get('/p', cached(), async () => { probe.ran(); return 'content' })
      app.route({
        method: ['GET', 'HEAD'],
        url: '/both',
        ...cached(),
        handler: async (request) => { probe.ran(); return request.method === 'HEAD' ? '' : 'content' }
      })
      app.get('/own', { ...cached(), exposeHeadRoute: false }, async () => { probe.ran(); return 'content' })
      app.head('/own', cached(), async (_request, reply) => { probe.ran(); return reply.header('x-head', '1').send() })
    }
  })
  for (const url of ['/p', '/both', '/own']) {
    t.match(await app.ask({ url, method: 'HEAD' }), { hit: false, text: '' }, url)
    t.match(await app.ask({ url, method: 'HEAD' }), { hit: false, text: '' })
    t.match(await app.ask(url), { hit: false, text: 'content' })
    t.match(await app.ask({ url, method: 'HEAD', ...(url !== '/p' && { compare: false }) }), {
      hit: true, text: '', headers: { 'content-length': '7' }
    })
    t.match(await app.ask(url), { hit: true, text: 'content' })
  }
}))

t.test('a request that fails validation is not served from the cache', async (t) => forEachBackend(t, async (t, on) => {
  const schema = {
    querystring: { type: 'object', properties: { n: { type: 'integer' } }, required: ['n'] },
    headers: { type: 'object', properties: { 'x-v': { type: 'integer' } } }
  }
  const app = await build(t, {
    ...on, routes: (app, probe) => app.get('/p', { schema, ...cached({ key: { query: false } }) }, async () => { probe.ran(); return 'ok' })
  })
  t.match(await app.ask('/p?n=1'), { status: 200, hit: false })
  t.match(await app.ask('/p?n=1'), { status: 200, hit: true })
  t.match(await app.ask('/p?n=x'), { status: 400, hit: false })
  t.match(await app.ask('/p'), { status: 400, hit: false })
  t.match(await app.ask({ url: '/p?n=1', headers: { 'x-v': 'x' } }), { status: 400, hit: false })
  t.match(await app.ask('/p?n=1'), { status: 200, hit: true })
}))
