// Routes of @fastify/static, @fastify/reply-from and @fastify/http-proxy: with the cache as without it, over real sockets.
import { mkdirSync, mkdtempSync, rmSync, utimesSync, writeFileSync } from 'node:fs'
import http from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { brotliCompressSync, gzipSync } from 'node:zlib'
import httpProxy from '@fastify/http-proxy'
import replyFrom from '@fastify/reply-from'
import fastifyStatic from '@fastify/static'
import type { FastifyInstance } from 'fastify'
import t, { type Test } from 'tap'
import { rfc9111, type RouteCacheOptions } from '../../plugin.js'
import { build, databasePath, forEachBackend } from '../support/app.js'
import type { Ask } from '../support/client.js'
import { testClock, type TestClock } from '../support/clock.js'

const CHANGED_AT = new Date(Date.now() - 3_600_000)
const CHANGED = CHANGED_AT.toUTCString()
const PAGE = `<p>${'abcdefghij'.repeat(100)}`

/** A folder with pages, one of them in several encodings. */
function folder (): string {
  const root = mkdtempSync(join(tmpdir(), 'response-cache-files-'))
  t.teardown(() => rmSync(root, { recursive: true, force: true }))
  mkdirSync(join(root, 'sub'))
  const files = {
    'page.html': PAGE,
    'page.html.br': brotliCompressSync(PAGE),
    'page.html.gz': gzipSync(PAGE),
    'empty.txt': '',
    'bytes.bin': Buffer.from([1, 0, 255]),
    'sub/index.html': 'index'
  }
  for (const [name, content] of Object.entries(files)) {
    writeFileSync(join(root, name), content)
    utimesSync(join(root, name), CHANGED_AT, CHANGED_AT)
  }
  return root
}

/** An upstream server: its path names a status, its query what is special about it. */
async function upstream (t: Test, clock: TestClock): Promise<string> {
  const server = http.createServer((request, response) => {
    const { pathname, searchParams: says } = new URL(request.url as string, 'http://upstream')
    const status = Number(pathname.slice(1))
    response.setHeader('date', new Date(clock.now()).toUTCString()).setHeader('connection', 'close')
    if (says.has('control')) response.setHeader('cache-control', says.get('control') as string)
    // Without a delay @fastify/reply-from asks a 503 again, ten times.
    if (status === 301) response.setHeader('location', '/there')
    if (status === 503) response.setHeader('retry-after', '0')
    if (status !== 200) return response.writeHead(status, { 'content-type': 'text/plain' }).end(`status ${status}`)
    response.setHeader('etag', '"1"').setHeader('last-modified', CHANGED)
    if (says.has('encoded')) response.setHeader('vary', 'accept-encoding')
    const { 'if-none-match': etag, 'if-modified-since': since, 'accept-encoding': accepted, range } = request.headers
    if (etag === undefined ? since === CHANGED : etag === '"1"') return response.writeHead(304).end()
    const isEncoded = says.has('encoded') && accepted === 'gzip'
    const body = isEncoded ? gzipSync(PAGE) : Buffer.from(says.has('empty') ? '' : PAGE)
    if (isEncoded) response.setHeader('content-encoding', 'gzip')
    if (!says.has('untyped')) response.setHeader('content-type', 'text/html')
    if (range === 'bytes=0-3' && request.method === 'GET' && body.byteLength > 0) {
      return response.writeHead(206, { 'content-range': `bytes 0-3/${body.byteLength}` }).end(body.subarray(0, 4))
    }
    if (!says.has('chunked')) response.setHeader('content-length', body.byteLength)
    response.writeHead(200).write(body)
    response.end()
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => { server.close() })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

interface Setup {
  before? (app: FastifyInstance, cache: RouteCacheOptions): unknown
  routes (app: FastifyInstance, cache: RouteCacheOptions): Promise<unknown>
}

const root = folder()

const files: Record<string, Setup> = {
  'reply.sendFile()': {
    async routes (app, cache) {
      await app.register(fastifyStatic, { root, serve: false, preCompressed: true })
      app.get<{ Params: { '*': string } }>('/*', { config: { cache } }, (request, reply) => reply.sendFile(request.params['*']))
    }
  },
  'routes of its own': {
    // They take no options of ours: a hook of the application opts them in.
    before: (app, cache) => app.addHook('onRoute', (route) => { route.config = Object.assign(route.config ?? {}, { cache }) }),
    routes: async (app) => await app.register(fastifyStatic, { root, preCompressed: true })
  }
}

const forwarding = (base: string): Record<string, Setup> => ({
  '@fastify/reply-from': {
    async routes (app, cache) {
      await app.register(replyFrom, { base })
      app.get('/*', { config: { cache } }, (request, reply) => reply.from(request.raw.url))
    }
  },
  '@fastify/http-proxy': {
    routes: async (app, cache) => await app.register(httpProxy, { upstream: base, config: { cache } })
  }
})

const reload = { 'cache-control': 'max-age=0' }
const since = { 'if-modified-since': CHANGED }

/** What browsers and others ask for one URL, again and again. `etag`: the one that they were given. */
function requests (url: string, etag: string | undefined): Array<Omit<Ask, 'url'>> {
  const conditions: Array<Record<string, string>> = [{ ...since, ...reload }, { 'if-none-match': '"other"', ...reload }]
  if (etag !== undefined) conditions.push({ 'if-none-match': etag }, { 'if-none-match': etag, ...since, ...reload })
  // Of an empty file every range is unsatisfiable, and errors are the cache's own.
  const ranges = url.includes('empty') ? [] : [{ range: 'bytes=0-3' }, { range: 'bytes=0-3', ...reload }]
  const validations = conditions.flatMap((headers) => [{ headers }, { headers, method: 'HEAD' }])
  return [{}, { method: 'HEAD' }, ...validations, ...ranges.map((headers) => ({ headers })), {}]
}

/** Fields of one hop (RFC 9110 section 7.6.1). */
const HOP = ['connection', 'keep-alive']
/** RFC 9110 section 15.4.5: what a 304 should not say, and these plugins do. */
const OF_THE_CONTENT = ['content-type', 'content-encoding']

interface On { readonly backend: string, readonly options: object }

interface Compared {
  readonly setup: Setup
  readonly cache: RouteCacheOptions
  readonly clock?: TestClock
  readonly urls: readonly string[]
  readonly via: 'socket' | 'h2'
}

const ENCODINGS = [{}, { 'accept-encoding': 'gzip' }, { 'accept-encoding': 'br' }]

/** Asks both applications everything, and once more a minute later. Returns what came: status and Cache-Status. */
async function compared (t: Test, on: On, { setup, cache, urls, via, clock = testClock(Date.now()) }: Compared): Promise<Set<string>> {
  const app = await build(t, {
    ...on,
    options: on.backend === 'sqlite' ? { path: databasePath(t) } : on.options,
    clock,
    fastify: { http2: via === 'h2' },
    before: (app) => setup.before?.(app, cache),
    routes: async (app) => await setup.routes(app, cache)
  })
  const seen = new Set<string>()
  const ask = async (url: string, { method = 'GET', headers = {} }: Omit<Ask, 'url'>) => {
    const has304 = headers['if-none-match'] !== undefined || headers['if-modified-since'] !== undefined
    const answer = await app.ask({ url, method, headers, via, compare: { ignore: has304 ? [...HOP, ...OF_THE_CONTENT] : HOP } })
    seen.add(`${method} ${answer.status} ${answer.cacheStatus.replace(/^[^;]*; |; ttl=-?\d+/g, '')}`)
    return answer
  }
  for (const url of urls) {
    for (const encoding of /page|encoded/.test(url) ? ENCODINGS : [{}]) {
      const { headers: { etag } } = await ask(url, { headers: encoding })
      for (let times = 0; times < 2; times++) {
        for (const { method = 'GET', headers } of requests(url, etag as string | undefined)) {
          await ask(url, { method, headers: { ...encoding, ...headers } })
        }
        await app.clock.pass(61_000)
      }
    }
  }
  return seen
}

const BY_304 = 'fwd=stale; fwd-status=304; stored'
const VALIDATED = [`GET 200 ${BY_304}`, `GET 304 ${BY_304}`, `HEAD 304 ${BY_304}`, `GET 206 ${BY_304}`]

const EACH: Array<[preset: string, cache: RouteCacheOptions, via: 'socket' | 'h2']> = [
  ['a ttl', { ttl: '1m' }, 'socket'], ['the preset rfc9111', rfc9111, 'h2']
]

for (const [preset, cache, via] of EACH) {
  const where = `by HTTP/${via === 'h2' ? '2' : '1.1'}, with ${preset}`

  for (const [name, setup] of Object.entries(files)) {
    t.test(`${where}: files of @fastify/static by ${name}, also precompressed and missing ones`, async (t) => {
      await forEachBackend(t, async (t, on) => {
        const urls = ['/page.html', '/empty.txt', '/bytes.bin', '/sub/index.html', '/missing.html']
        const seen = await compared(t, on, { setup, cache, urls, via })
        for (const one of [...VALIDATED, 'GET 404 fwd=miss; detail=hijacked']) t.ok(seen.has(one), one)
      })
    })
  }

  for (const name of Object.keys(forwarding(''))) {
    t.test(`${where}: what ${name} forwards`, async (t) => forEachBackend(t, async (t, on) => {
      const controls = ['no-cache', 'max-age=90', 'max-age=0', 'max-age=0&chunked', 'max-age=0&encoded', 'max-age=0&empty']
      const errors = [301, 404, 500, 503].flatMap((status) => [`/${status}`, `/${status}?control=max-age=90`])
      const urls = [...controls.map((control) => `/200?control=${control}`), ...errors]
      const clock = testClock(Date.now())
      const setup = forwarding(await upstream(t, clock))[name] as Setup
      const seen = await compared(t, on, { setup, cache, clock, urls, via })
      for (const one of [...VALIDATED, 'GET 200 hit', 'GET 301 hit', 'GET 404 hit', 'GET 500 hit', 'GET 503 hit']) t.ok(seen.has(one), one)
    }))
  }
}
