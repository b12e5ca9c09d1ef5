// An application with a plugin that serves files or forwards, asked as browsers ask, with the cache and without it.
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
/** What comes where a 304 of the handler says that the stored response still holds. */
export const VALIDATED: readonly string[] = [`GET 200 ${BY_304}`, `GET 304 ${BY_304}`, `HEAD 304 ${BY_304}`, `GET 206 ${BY_304}`]

/** With which options, and how it is asked. */
export const EACH: ReadonlyArray<readonly [where: string, cache: RouteCacheOptions, via: 'socket' | 'h2']> = [
  ['by HTTP/1.1, with a ttl', { ttl: '1m' }, 'socket'],
  ['by HTTP/2, with the preset rfc9111', rfc9111, 'h2']
]
