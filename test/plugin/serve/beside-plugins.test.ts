// Fastify's own plugins, registered before the cache and after it: a hit, a 304, a range and HEAD are what the docs say. Nothing is silent.
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import compress from '@fastify/compress'
import cookie from '@fastify/cookie'
import cors from '@fastify/cors'
import etag from '@fastify/etag'
import helmet from '@fastify/helmet'
import proxy, { type FastifyHttpProxyOptions } from '@fastify/http-proxy'
import jwt from '@fastify/jwt'
import rateLimit from '@fastify/rate-limit'
import session from '@fastify/session'
import files from '@fastify/static'
import swagger from '@fastify/swagger'
import underPressure from '@fastify/under-pressure'
import view from '@fastify/view'
import websocket from '@fastify/websocket'
import Fastify, { type FastifyInstance } from 'fastify'
import t, { type Test } from 'tap'
import responseCache, { type RouteCacheOptions } from '../../../plugin.js'
import type { ClientResponse } from '../../support/client.js'
import { build, type TestApp } from '../../support/app.js'
import { newFolder } from '../../support/folder.js'

const BODY = '0123456789'.repeat(300)
const RANGE = { range: 'bytes=10-14' }
const SECRET = 'a secret of at least thirty-two characters'

interface Beside {
  /** Registers the plugin. `folder` has the files `r.txt` and `r.ejs`. */
  register (app: FastifyInstance, folder: string): unknown
  /** Declares the route `/r`, unless it is the plain one. */
  route?: (app: FastifyInstance, cache: RouteCacheOptions) => unknown
  /** Options of the route, besides `ttl` and `etag`. */
  cache?: RouteCacheOptions
  /** Header fields of every request. */
  headers?: (app: FastifyInstance) => Record<string, string>
  /** Who makes the ETag. @default 'cache' */
  etag?: 'cache' | 'other'
  /** A header field that the plugin sets on hits, too. */
  onHits?: string
}

const BY_USER: RouteCacheOptions = { key: { by: (request) => request.headers['x-user'] as string } }

const BESIDE: Record<string, Beside> = {
  session: {
    register: async (app) => { await app.register(cookie); await app.register(session, { secret: SECRET, cookie: { secure: false } }) },
    cache: BY_USER,
    headers: () => ({ 'x-user': 'ann' }),
    onHits: 'set-cookie'
  },
  cookie: { register: async (app) => await app.register(cookie) },
  compress: { register: async (app) => await app.register(compress, { threshold: 0 }) },
  etag: { register: async (app) => await app.register(etag), etag: 'other' },
  cors: { register: async (app) => await app.register(cors), onHits: 'access-control-allow-origin' },
  helmet: { register: async (app) => await app.register(helmet), onHits: 'content-security-policy' },
  'rate-limit': { register: async (app) => await app.register(rateLimit, { max: 100, timeWindow: 60_000 }), onHits: 'x-ratelimit-limit' },
  jwt: {
    register: async (app) => await app.register(jwt, { secret: SECRET }),
    route: (app, cache) => app.get('/r', { config: { cache }, onRequest: async (request) => { await request.jwtVerify() } },
      async (_request, reply) => await reply.type('text/plain').send(BODY)),
    cache: { key: { by: (request) => (request as unknown as { user: { sub: string } }).user.sub } },
    headers: (app) => ({ authorization: `Bearer ${app.jwt.sign({ sub: 'ann' })}` })
  },
  swagger: { register: async (app) => await app.register(swagger) },
  static: {
    // By default, it says max-age=0.
    register: async (app, root) => await app.register(files, { root, serve: false, cacheControl: false }),
    route: (app, cache) => {
      app.get('/r', { config: { cache } }, async (_request, reply) => await reply.sendFile('r.txt'))
    },
    etag: 'other'
  },
  view: {
    async register (app, root) {
      const { default: ejs } = await import('ejs' as string) as { default: object }
      await app.register(view, { engine: { ejs }, root })
    },
    route: (app, cache) => app.get('/r', { config: { cache } }, async (_request, reply) => await reply.view('r.ejs'))
  },
  websocket: { register: async (app) => await app.register(websocket) },
  'http-proxy': {
    register: () => {},
    async route (app, cache) {
      const upstream = Fastify()
      upstream.get('/r', async (_request, reply) => await reply.type('text/plain').send(BODY))
      app.addHook('onClose', async () => { await upstream.close() })
      await app.register(proxy, { upstream: await upstream.listen(), prefix: '/', config: { cache } } as FastifyHttpProxyOptions)
    }
  },
  'under-pressure': { register: async (app) => await app.register(underPressure, { maxEventLoopDelay: 60_000 }) }
}

async function built (t: Test, { register, route, cache }: Beside, order: 'before' | 'after'): Promise<TestApp> {
  const folder = newFolder(t)
  mkdirSync(folder, { recursive: true })
  for (const name of ['r.txt', 'r.ejs']) writeFileSync(join(folder, name), BODY)
  return await build(t, {
    compare: false,
    register: false,
    async routes (app, { cached, options }) {
      if (order === 'before') await register(app, folder)
      if (cached) await app.register(responseCache, options)
      if (order === 'after') await register(app, folder)
      const all = { ttl: '1m', etag: true, ...cache } as const
      if (route !== undefined) await route(app, all)
      else app.get('/r', { config: { cache: all } }, async (_request, reply) => await reply.type('text/plain').send(BODY))
    }
  })
}

for (const [name, beside] of Object.entries(BESIDE)) {
  for (const order of ['before', 'after'] as const) {
    t.test(`@fastify/${name}, registered ${order} the cache: hit, 304, range and HEAD are as documented`, async (t) => {
      const app = await built(t, beside, order)
      const own = beside.headers?.(app.app) ?? {}
      const ask = async (headers = {}, method = 'GET'): Promise<ClientResponse> =>
        await app.ask({ url: '/r', via: 'socket', method, headers: { ...own, ...headers } })
      t.match(await ask(), { status: 200, text: BODY, cacheStatus: /; fwd=miss/ }, 'a miss')
      const hit = await ask()
      t.match(hit, { hit: true, status: 200, text: BODY, headers: { 'accept-ranges': 'bytes' } }, 'a hit')
      const tag = String(hit.headers.etag)
      t.match(tag, beside.etag === 'other' ? /^(?:W\/)?"/ : /^"[\w-]{27}"$/, 'with an ETag')
      if (beside.onHits !== undefined) t.ok(hit.headers[beside.onHits], `${beside.onHits} is set on hits`)
      t.match(await ask({ 'if-none-match': tag }), { hit: true, status: 304, text: '' }, 'a 304')
      const part = { 'content-range': `bytes 10-14/${BODY.length}` }
      t.match(await ask(RANGE), { hit: true, status: 206, text: '01234', headers: part }, 'a part')
      t.match(await ask({}, 'HEAD'), { hit: true, status: 200, text: '', headers: { 'content-length': String(BODY.length) } }, 'HEAD')
      t.equal((await ask({ 'accept-encoding': 'gzip' })).headers.etag, name === 'compress' ? undefined : tag, 'for who accepts gzip')
      if (name === 'compress') {
        t.equal(gunzipSync((await ask({ 'accept-encoding': 'gzip', ...RANGE })).body).toString(), BODY, 'no part of a compressed body')
      }
      const told = app.warnings().map(({ msg }) => String(msg))
      t.match(told, name === 'compress' ? [/the onSend hook "onSend" changes bodies \(Content-Encoding: gzip\)/] : [])
      t.equal(told.length, name === 'compress' ? 1 : 0)
    })
  }
}
