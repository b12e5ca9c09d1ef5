// Route options. They are checked once and then frozen, and each default is defined in one place only.
import type { FastifyReply, FastifyRequest } from 'fastify'
import {
  aDuration, boolean, checkOptions, duration, durationAsGiven, expects, isRecord, isTextList, oneOf, positiveInteger, show, textList,
  type Check, type Duration
} from '../../registry/check.js'
import { CACHE_ERR_OPTION } from '../../registry/errors.js'
import type { Spelling } from '../http/selecting-fields.js'
import { isCacheableStatus, type StoragePolicy } from '../http/storability.js'
import { ROUTE_ADVICE } from './advice.js'
import { parseTargets, areTags, MAX_TAG_CHARACTERS, MAX_TAGS, type InvalidationTarget } from './invalidation-target.js'

/** The parts of a request that its key contains. */
export interface KeyOptions<Request = FastifyRequest> {
  /** The query parameters in the key: all (`true`), none (`false`) or a list. The others are removed from `request.query`. @default true */
  query?: boolean | readonly string[]
  /** Request header fields whose values are part of the key. @default [] */
  headers?: readonly string[]
  /** Cookies whose values are part of the key. @default [] */
  cookies?: readonly string[]
  /** Whether protocol and host are part of the key, as Fastify derives them (see its option `trustProxy`). @default true */
  host?: boolean
  /** Whether the parsed body is part of the key. For `POST` and `QUERY`, the body always is. @default false */
  body?: boolean
  /**
   * Returns the user, tenant or group that may share the stored response. The request bypasses the cache if this function returns an empty
   * string or anything but a string.
   */
  by?: (request: Request) => string
}

/** Returns the key to use instead of the one that the cache builds. If this key is undefined or empty, the request bypasses the cache. */
export type KeyFunction<Request = FastifyRequest> = (request: Request) => string | undefined

/** Returns the targets that the response to this request invalidates. It is called when a 2xx or 3xx response is about to be sent. */
export type InvalidatesFunction<Request = FastifyRequest, Reply = FastifyReply> =
  (request: Request, reply: Reply) => readonly InvalidationTarget[]

/** Returns whether a response may be stored. `payload` is what the handler returned or sent. */
export type WhenFunction<Request = FastifyRequest, Reply = FastifyReply> = (request: Request, reply: Reply, payload: unknown) => boolean

/**
 * The options in a route's `config.cache`. `Request` and `Reply` are the types that their functions receive. In a route's declaration, they
 * follow from its generics, its schema and the type provider.
 */
export interface RouteCacheOptions<Request = FastifyRequest, Reply = FastifyReply> {
  /** How long a response is fresh if it doesn't state its freshness itself. @default none */
  ttl?: Duration
  /** How long a stale response is served while one refresh runs, unless the response states `stale-while-revalidate`. @default 0 */
  staleWhileRevalidate?: Duration
  /** How long a stale response is served if the handler fails, unless the response states `stale-if-error`. @default 0 */
  staleIfError?: Duration
  /** How long a stale response with a validator from the handler is kept, so that it can be validated. @default '1h' */
  keep?: Duration
  /** Whether freshness is guessed from Last-Modified if the response doesn't state it and `ttl` doesn't apply. @default false */
  heuristic?: boolean
  /** Targeted fields that replace Cache-Control and Expires for this cache (RFC 9213), in order of precedence. @default [] */
  targetList?: readonly string[]
  /** The methods whose responses are cached. A HEAD request is served the stored response to GET. @default ['GET', 'HEAD'] */
  methods?: readonly string[]
  /** The statuses of the responses to which `ttl` applies. @default [200, 203, 301, 308] */
  statuses?: readonly number[]
  /** The parts of a request that its key contains, or a function that returns the key. */
  key?: KeyOptions<Request> | KeyFunction<Request>
  /** Whether requests with `Authorization` or `Cookie` bypass the cache if the key has neither that field nor `by`. @default 'bypass' */
  credentials?: 'bypass' | 'ignore' | 'shared'
  /** Tags by which the response can be invalidated. @default [] */
  tags?: readonly string[] | ((request: Request, reply: Reply) => readonly string[])
  /**
   * Targets that a 2xx or 3xx response to an unsafe method (POST, PUT ...) invalidates, besides the request's own URL and the URLs in the
   * response's Location and Content-Location (RFC 9111 section 4.4). `false`: only the request's own URL. @default []
   */
  invalidates?: readonly InvalidationTarget[] | InvalidatesFunction<Request, Reply> | false
  /** Whether a response that sets cookies is stored, including the cookies. @default 'refuse' */
  setCookie?: 'refuse' | 'store'
  /** Whether a response without ETag receives an ETag that is generated from its body. @default false */
  etag?: boolean
  /** How the values of the request fields named in Vary are compared: exactly, or after they are normalised. @default 'exact' */
  vary?: Spelling
  /** The maximum size of a body. Responses with a larger body are not stored. @default 1048576 */
  maxBodyBytes?: number
  /** Whether a request's Cache-Control is honoured. @default 'honour' */
  clientCacheControl?: 'honour' | 'ignore'
  /**
   * Returns whether the response is stored, if nothing else forbids it. `payload` is what the handler returned or sent, before it is
   * serialised. If this throws an error, or returns anything but `true`, the response is not stored. @default none
   */
  when?: WhenFunction<Request, Reply>
  /** Whether the route's POST requests change nothing, so that they invalidate nothing, and are cached without a warning. @default false */
  safe?: boolean
  /** Whether concurrent misses for the same key share one run of the handler. @default true */
  lock?: boolean
}

/** Route options with every default filled in. Durations are milliseconds, and field names are in lower case. */
export interface RoutePolicy extends StoragePolicy {
  readonly etag: boolean
  readonly vary: Spelling
  readonly methods: ReadonlySet<string>
  readonly key: Required<Omit<KeyOptions, 'by'>> & Pick<KeyOptions, 'by'> | KeyFunction
  readonly credentials: 'bypass' | 'ignore' | 'shared'
  readonly tags: NonNullable<RouteCacheOptions['tags']>
  readonly invalidates: readonly InvalidationTarget[] | InvalidatesFunction | false
  readonly maxBodyBytes: number
  readonly clientCacheControl: 'honour' | 'ignore'
  readonly lock: boolean
  readonly when: WhenFunction | undefined
  /** The route's durations as the application wrote them. */
  readonly written: Readonly<Record<string, Duration | undefined>>
  readonly safe: boolean
}

/** The options that are durations. */
export const WRITTEN_DURATIONS = ['ttl', 'staleWhileRevalidate', 'staleIfError', 'keep'] as const

/** The only methods whose responses can be stored. */
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
  lock: true,
  safe: false
} as const satisfies RouteCacheOptions

export const KEY_DEFAULTS = { query: true, headers: [], cookies: [], host: true, body: false } as const satisfies KeyOptions

/** Checks a duration, which may be zero, and returns it in milliseconds. */
export const durationOrZero: Check<number> = duration({ zero: true })

/** Checks a duration, which may be zero, and returns it unchanged. */
export const aDurationOrZero: Check<Duration> = durationAsGiven({ zero: true })

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
  credentials: oneOf('bypass', 'ignore', 'shared'),
  tags: expects(`a function, or an array of at most ${MAX_TAGS} strings of 1 to ${MAX_TAG_CHARACTERS} characters`, (value) =>
    typeof value === 'function' || areTags(value)),
  invalidates: (value, who) =>
    typeof value === 'function' ? value as InvalidatesFunction : value === false ? value : parseTargets(value, who),
  maxBodyBytes: positiveInteger,
  clientCacheControl: oneOf('honour', 'ignore'),
  when: expects<WhenFunction>('a function', (value) => typeof value === 'function'),
  safe: boolean,
  lock: boolean
}

/** The names of all route options. */
export const ROUTE_OPTION_NAMES: readonly string[] = Object.keys(ROUTE_CHECKS)

/** Checks the options of a route, or the default options of all routes. If one is invalid, throws CACHE_ERR_OPTION, which names `who`. */
export function checkRouteOptions (who: string, options: unknown): Partial<RouteCacheOptions> {
  return checkOptions<RouteCacheOptions>(who, options, ROUTE_CHECKS, ROUTE_ADVICE)
}

/** Returns a route's policy. The route's own options override the plugin's `defaults`, which override the package's defaults. */
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
    lock: all.lock,
    when: all.when,
    written: Object.fromEntries(WRITTEN_DURATIONS.map((name) => [name, all[name]])),
    safe: all.safe
  })
}

/** Returns whether the keys of a route contain what tells users apart: `by`, a cookie or credentials. */
export function namesUser ({ key }: Pick<RoutePolicy, 'key'>): boolean {
  return typeof key !== 'function' &&
    (key.by !== undefined || key.cookies.length > 0 || key.headers.some((name) => name === 'authorization' || name === 'cookie'))
}

/** Returns whether the route names targets that unsafe requests to it invalidate, besides the URLs of the request and the response. */
export function listsTargets ({ invalidates }: Pick<RoutePolicy, 'invalidates'>): boolean {
  return typeof invalidates === 'function' || (invalidates !== false && invalidates.length > 0)
}

/** Merges a route's key options with those in `defaults`. A route that lists only query parameters keeps the `by` from `defaults`. */
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
