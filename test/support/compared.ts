// An application with a plugin that serves files or forwards requests, with the cache and without it, for requests like a browser's.
import type { FastifyInstance } from 'fastify'
import type { Test } from 'tap'
import { rfc9111, type RouteCacheOptions } from '../../plugin.js'
import { build, databasePath } from './app.js'
import type { Ask } from './client.js'
import { testClock, type TestClock } from './clock.js'

export const CHANGED_AT = new Date(Date.now() - 3_600_000)
export const CHANGED = CHANGED_AT.toUTCString()
export const PAGE = `<p>${'abcdefghij'.repeat(100)}`

export interface Setup {
  before? (app: FastifyInstance, cache: RouteCacheOptions): unknown
  routes (app: FastifyInstance, cache: RouteCacheOptions): Promise<unknown>
}

const reload = { 'cache-control': 'max-age=0' }
const since = { 'if-modified-since': CHANGED }

/** The requests of browsers and other clients for one URL. `etag` is the one that they received. */
function requests (url: string, etag: string | undefined): Array<Omit<Ask, 'url'>> {
  const conditions: Array<Record<string, string>> = [{ ...since, ...reload }, { 'if-none-match': '"other"', ...reload }]
  if (etag !== undefined) conditions.push({ 'if-none-match': etag }, { 'if-none-match': etag, ...since, ...reload })
  // Every range of an empty file is unsatisfiable, and the cache sends its own errors.
  const ranges = url.includes('empty') ? [] : [{ range: 'bytes=0-3' }, { range: 'bytes=0-3', ...reload }]
  const validations = conditions.flatMap((headers) => [{ headers }, { headers, method: 'HEAD' }])
  return [{}, { method: 'HEAD' }, ...validations, ...ranges.map((headers) => ({ headers })), {}]
}

/** Fields for a single connection (RFC 9110 section 7.6.1). */
const HOP = ['connection', 'keep-alive']
/** Fields that a 304 should not have (RFC 9110 section 15.4.5), but that these plugins send. */
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

/** Sends all requests to both applications, and again a minute later. Returns the status and Cache-Status of each response. */
export async function compared (t: Test, on: On, asked: Compared): Promise<Set<string>> {
  const { setup, cache, urls, via, clock = testClock(Date.now()) } = asked
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
    const response = await app.ask({ url, method, headers, via, compare: { ignore: has304 ? [...HOP, ...OF_THE_CONTENT] : HOP } })
    seen.add(`${method} ${response.status} ${response.cacheStatus.replace(/^[^;]*; |; ttl=-?\d+/g, '')}`)
    return response
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
/** The outcomes if a 304 of the handler validates the stored response. */
export const VALIDATED: readonly string[] = [`GET 200 ${BY_304}`, `GET 304 ${BY_304}`, `HEAD 304 ${BY_304}`, `GET 206 ${BY_304}`]

/** The options, and the protocol. */
export const EACH: ReadonlyArray<readonly [where: string, cache: RouteCacheOptions, via: 'socket' | 'h2']> = [
  ['by HTTP/1.1, with a ttl', { ttl: '1m' }, 'socket'],
  ['by HTTP/2, with the preset rfc9111', rfc9111, 'h2']
]
