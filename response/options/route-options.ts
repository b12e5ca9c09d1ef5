// Route options: checked once, defaults written once, frozen.
import type { FastifyReply, FastifyRequest } from 'fastify'
import {
  aDuration, boolean, checkOptions, duration, expects, isRecord, isTextList, oneOf, positiveInteger, show, textList, type Check,
  type Duration
} from '../../registry/check.js'
import { CACHE_ERR_OPTION } from '../../registry/errors.js'
import type { Spelling } from '../http/selecting-fields.js'
import { isCacheableStatus, type StoragePolicy } from '../http/storability.js'
import { parseTargets, areTags, MAX_TAG_CHARACTERS, MAX_TAGS, type InvalidationTarget } from './invalidation-target.js'

/** What makes two requests different ones. */
export interface KeyOptions {
  /** The whole query as it came, none of it, or these parameters; the others are taken out of `request.query`. @default true */
  query?: boolean | readonly string[]
  /** Request header fields whose values are part of the key. @default [] */
  headers?: readonly string[]
  /** Cookies whose values are part of the key. @default [] */
  cookies?: readonly string[]
  /** Protocol and host as Fastify derives them (`trustProxy`). @default true */
  host?: boolean
  /** The parsed body. On for `POST` and `QUERY`. @default false */
  body?: boolean
  /** A user, a tenant: whoever shares a response. No string, or an empty one: the request is not for the cache. */
  by?: (request: FastifyRequest) => string
}

/** Returns the key in place of the built one; undefined: the request is not for the cache. */
export type KeyFunction = (request: FastifyRequest) => string | undefined

/** Returns what the response to this request invalidates; asked when it is about to be sent, if its status is 2xx or 3xx. */
export type InvalidatesFunction = (request: FastifyRequest, reply: FastifyReply) => readonly InvalidationTarget[]

/** `config.cache` of a route. */
export interface RouteCacheOptions {
  /** How long a response is fresh that doesn't say so itself. @default none */
  ttl?: Duration
  /** How long after that it is still served while one refresh runs. A response's own `stale-while-revalidate` goes first. @default 0 */
  staleWhileRevalidate?: Duration
  /** How long after that it is still served when the handler fails. A response's own `stale-if-error` goes first. @default 0 */
  staleIfError?: Duration
  /** How long after that a response whose handler named a validator is kept, to be asked whether it still holds. @default '1h' */
  keep?: Duration
  /** Whether freshness is guessed from Last-Modified where nothing else says how long. @default false */
  heuristic?: boolean
  /** Targeted fields that speak to this cache in place of Cache-Control and Expires (RFC 9213), the first one first. @default [] */
  targetList?: readonly string[]
  /** Methods that are cached; HEAD is served from GET. @default ['GET', 'HEAD'] */
  methods?: readonly string[]
  /** Statuses to which `ttl` applies. @default [200, 203, 301, 308] */
  statuses?: readonly number[]
  /** What makes two requests different ones. */
  key?: KeyOptions | KeyFunction
  /** What `Authorization` and `Cookie` do to a request, unless the key names them. @default 'bypass' */
  credentials?: 'bypass' | 'ignore'
  /** Names by which the response can be invalidated. @default [] */
  tags?: readonly string[] | ((request: FastifyRequest, reply: FastifyReply) => string[])
  /** What a response of 2xx or 3xx to an unsafe method (POST, PUT, DELETE ...) invalidates, beside the URL itself. @default [] */
  invalidates?: readonly InvalidationTarget[] | InvalidatesFunction
  /** Whether a response that sets cookies is stored, cookies and all. @default 'refuse' */
  setCookie?: 'refuse' | 'store'
  /** Whether a response without ETag is given one, made of its body. @default false */
  etag?: boolean
  /** How far the spellings of a request's fields that Vary names are taken for one. @default 'exact' */
  vary?: Spelling
  /** Larger responses pass through unstored. @default 1048576 */
  maxBodyBytes?: number
  /** Whether a request's Cache-Control counts. @default 'honour' */
  clientCacheControl?: 'honour' | 'ignore'
  /** Whether concurrent misses run the handler once. @default true */
  lock?: boolean
}

/** Route options with every default filled in; durations are milliseconds, names lower case. */
export interface RoutePolicy extends StoragePolicy {
  readonly etag: boolean
  readonly vary: Spelling
  readonly methods: ReadonlySet<string>
  readonly key: Required<Omit<KeyOptions, 'by'>> & Pick<KeyOptions, 'by'> | KeyFunction
  readonly credentials: 'bypass' | 'ignore'
  readonly tags: NonNullable<RouteCacheOptions['tags']>
  readonly invalidates: readonly InvalidationTarget[] | InvalidatesFunction
  readonly maxBodyBytes: number
  readonly clientCacheControl: 'honour' | 'ignore'
  readonly lock: boolean
}

/** Methods whose responses can be stored at all. */
export const CACHEABLE_METHODS = ['GET', 'HEAD', 'POST', 'QUERY'] as const

export const ROUTE_DEFAULTS = {
  staleWhileRevalidate: 0,
  staleIfError: 0,
  keep: '1h',
  heuristic: false,
  targetList: [],
  setCookie: 'refuse',
  etag: false,
  vary: 'exact',
  methods: ['GET', 'HEAD'],
  statuses: [200, 203, 301, 308],
  credentials: 'bypass',
  tags: [],
  invalidates: [],
  maxBodyBytes: 1024 * 1024,
  clientCacheControl: 'honour',
  lock: true
} as const satisfies RouteCacheOptions

export const KEY_DEFAULTS = { query: true, headers: [], cookies: [], host: true, body: false } as const satisfies KeyOptions

/** A duration in milliseconds, or zero: none at all. */
export const durationOrZero: Check<number> = duration({ zero: true })

/** The same as it was written. */
export const aDurationOrZero: Check<Duration> = (value, who) => {
  durationOrZero(value, who)
  return value as Duration
}

const keyFunction = expects<(request: FastifyRequest) => string>('a function', (value) => typeof value === 'function')

const KEY_CHECKS: { [K in keyof KeyOptions]-?: Check<KeyOptions[K]> } = {
  query: expects("true, false or an array of parameters' names", (value) => typeof value === 'boolean' || isTextList(value)),
  headers: textList,
  cookies: textList,
  host: boolean,
  body: boolean,
  by: keyFunction
}

const key: Check<RouteCacheOptions['key']> = (value, who) => {
  if (typeof value === 'function') return value as KeyFunction
  if (!isRecord(value)) throw new CACHE_ERR_OPTION(who, 'an object or a function', show(value))
  return checkOptions<KeyOptions>(who, value, KEY_CHECKS)
}

const ROUTE_CHECKS: { [K in keyof RouteCacheOptions]-?: Check<RouteCacheOptions[K]> } = {
  ttl: aDuration,
  staleWhileRevalidate: aDurationOrZero,
  staleIfError: aDurationOrZero,
  keep: aDurationOrZero,
  heuristic: boolean,
  targetList: textList,
  setCookie: oneOf('refuse', 'store'),
  etag: boolean,
  vary: oneOf('exact', 'normalised'),
  methods: expects(`an array of ${CACHEABLE_METHODS.join(', ')}`, (value) =>
    isTextList(value) && (value as string[]).every((item) => CACHEABLE_METHODS.includes(item as 'GET'))),
  statuses: expects('an array of final status codes, other than 206, 304, 412 and 416', (value) =>
    Array.isArray(value) && value.every(isCacheableStatus)),
  key,
  credentials: oneOf('bypass', 'ignore'),
  tags: expects(`a function, or an array of at most ${MAX_TAGS} strings of 1 to ${MAX_TAG_CHARACTERS} characters`, (value) =>
    typeof value === 'function' || areTags(value)),
  invalidates: (value, who) => typeof value === 'function' ? value as InvalidatesFunction : parseTargets(value, who),
  maxBodyBytes: positiveInteger,
  clientCacheControl: oneOf('honour', 'ignore'),
  lock: boolean
}

/** Checks the options of one route, or the defaults of all. Throws CACHE_ERR_OPTION naming `who`. */
export function checkRouteOptions (who: string, options: unknown): Partial<RouteCacheOptions> {
  return checkOptions<RouteCacheOptions>(who, options, ROUTE_CHECKS)
}

/** The policy of a route: its own options, then the plugin's `defaults`, then the defaults of the project. */
export function routePolicy (who: string, options: unknown, defaults: Partial<RouteCacheOptions>): RoutePolicy {
  const own = options === true ? {} : checkRouteOptions(who, options)
  const all = { ...ROUTE_DEFAULTS, ...defaults, ...own }
  return Object.freeze({
    ttlMs: all.ttl === undefined ? undefined : duration()(all.ttl, `${who}.ttl`),
    staleWhileRevalidateMs: durationOrZero(all.staleWhileRevalidate, `${who}.staleWhileRevalidate`),
    staleIfErrorMs: durationOrZero(all.staleIfError, `${who}.staleIfError`),
    keepMs: durationOrZero(all.keep, `${who}.keep`),
    heuristic: all.heuristic,
    targetList: all.targetList.map((name) => name.toLowerCase()),
    setCookie: all.setCookie,
    etag: all.etag,
    vary: all.vary,
    methods: new Set(all.methods),
    statuses: new Set(all.statuses),
    key: keyPolicy(who, all.key, defaults.key),
    credentials: all.credentials,
    tags: all.tags,
    invalidates: all.invalidates,
    maxBodyBytes: all.maxBodyBytes,
    clientCacheControl: all.clientCacheControl,
    lock: all.lock
  })
}

/** A route that names its parameters still has the user that the defaults put into every key. */
function keyPolicy (who: string, key: RouteCacheOptions['key'], common: RouteCacheOptions['key']): RoutePolicy['key'] {
  if (typeof key === 'function') return key
  if (typeof common === 'function') {
    throw new CACHE_ERR_OPTION(
      `${who}.key`, 'a function, because the key in defaults is one, and what that adds to keys would be lost', show(key))
  }
  const all = { ...KEY_DEFAULTS, ...common, ...key }
  const united = (name: 'headers' | 'cookies'): string[] => [...new Set([...common?.[name] ?? [], ...all[name]])]
  return namesLowerCased({ ...all, headers: united('headers'), cookies: united('cookies') })
}

function namesLowerCased<T extends { headers: readonly string[] }> (options: T): T {
  return Object.freeze({ ...options, headers: options.headers.map((name) => name.toLowerCase()) })
}
