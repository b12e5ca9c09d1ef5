// Builds a request's key, or says why it has none. Different requests never share a key, but equal requests may have different keys.
import { hash } from 'node:crypto'
import { inspect } from 'node:util'
import type { FastifyRequest } from 'fastify'
import { kArrival, NOT_NOTED, type ArrivedRequest } from './arrival.js'
import { ABSENT, bodyText, exactJson, lengthPrefixed } from './key-parts.js'
import { limitedTarget, listed, pathOf } from './query.js'
import type { KeyFunction, KeyOptions, RoutePolicy } from '../options/route-options.js'
import { fieldPart, fieldOf, WHOLLY } from './request-fields.js'
import type { BypassReason } from '../observe/reasons.js'

/** The key of a request, or the reason why the request bypasses the cache. `fault` is an error that developers should see. */
export type Keyed = { readonly key: string } | { readonly bypass: BypassReason, readonly fault?: unknown }

const LONGEST_CLEAR_CHARACTERS = 512
const RECENT_KEYS = 512
const LONGEST_RECENT_CHARACTERS = 256

/**
 * Returns a digest, to be used instead of a value that is secret, long, or must not be logged. In practice, different values have different
 * digests, even if they contain lone surrogates.
 */
export function digest (value: string): string {
  return value.isWellFormed() ? hash('sha256', value, 'base64url') : hash('sha256', JSON.stringify(value), 'base64url') + '~'
}

/** Returns a short value after its length, or the digest of a long value after `~`, which can't be mistaken for a length. */
function clearPart (value: string): string {
  return value.length <= LONGEST_CLEAR_CHARACTERS ? lengthPrefixed(value) : `~${digest(value)}`
}

/** Returns the prefix of all keys of a namespace. */
export function namespacePrefix (namespace: string): string {
  return lengthPrefixed(namespace)
}

/** Returns the prefix of all keys of a route and method. HEAD has the prefix of GET, because responses to GET are served to HEAD. */
export function routePrefix (namespace: string, method: string, pattern: string): string {
  return `${namespacePrefix(namespace)}r ${method === 'HEAD' ? 'GET' : method} ${lengthPrefixed(pattern)} `
}

/**
 * Like `routePrefix`, but returns a prefix that none of `others` has, even if two routes have the same pattern and their constraints print
 * as the same text.
 */
export function distinctPrefix (
  namespace: string,
  { method, url, constraints }: { method: string, url: string, constraints: object | undefined },
  others: ReadonlyArray<{ method: string, prefix: string }>
): string {
  const told = constraints === undefined ? url : `${url} ${inspect(constraints, WHOLLY)}`
  let prefix = routePrefix(namespace, method, told)
  for (let at = 1; others.some((other) => other.method === method && other.prefix === prefix); at++) {
    prefix = routePrefix(namespace, method, `${told} ${at}`)
  }
  return prefix
}

/** Encodes a raw request target as a part of a key. The path remains readable unless it is long, and the query becomes a digest. */
export function targetPart (target: string): string {
  const mark = target.indexOf('?')
  return mark === -1 ? clearPart(target) : `${clearPart(target.slice(0, mark))}?${digest(target.slice(mark))}`
}

/** Encodes an origin as a part of a key. */
export function originPart (origin: string): string {
  return ` ${clearPart(origin)}`
}

/** Returns the backend's key for a value of the data cache. The application's key becomes a digest, because it may be unfit for logs. */
export function dataKey (namespace: string, key: string): string {
  return `${namespacePrefix(namespace)}d ${digest(key)}`
}

/** Returns the key under which the backend stores a response, made from the value that the route's key function returned. */
export function customKey (prefix: string, value: string): string {
  return `${prefix}=${digest(value)}`
}

/** Returns the function that builds the keys of one route. */
export function keyBuilder (prefix: string, policy: RoutePolicy): (request: ArrivedRequest) => Keyed {
  const options = policy.key
  const bypassing = policy.credentials === 'bypass'
  if (typeof options === 'function') return (request) => refusal(request, isBodied(request.method)) ?? functionKey(prefix, options, request)
  const cookiesCount = bypassing && options.by === undefined && options.cookies.length === 0 && !options.headers.includes('cookie')
  const authorizationCounts = bypassing && options.by === undefined && !options.headers.includes('authorization')
  const shape = lengthPrefixed(JSON.stringify({ headers: options.headers, cookies: options.cookies, by: options.by !== undefined }))
  const recent = new RecentKeys()
  const plain = options.query === true && options.headers.length === 0 && options.cookies.length === 0 &&
    options.by === undefined && !options.body

  return (request) => {
    const { [kArrival]: arrival, headers } = request
    const withBody = options.body || isBodied(arrival.method)
    const refused = refusal(request, withBody)
    if (refused !== undefined) return refused
    if (authorizationCounts && (arrival.hasAuthorization || headers.authorization !== undefined)) return { bypass: 'credentials' }
    if (cookiesCount && (arrival.hasCookie || headers.cookie !== undefined)) return { bypass: 'credentials' }
    arrival.changes = changesOf(request, options)
    const { target, protocol, host } = arrival
    if (protocol === undefined || host === undefined) return { bypass: 'key', fault: new Error(NOT_NOTED) }
    const isPlain = plain && !withBody && arrival.originalTarget === target && host !== '' && !protocol.includes(':')
    const known = isPlain ? recent.get(target, protocol, host) : undefined
    if (known !== undefined) return known
    const base = prefix + targetPart(options.query === true ? target : pathOf(target))
    const located = options.host ? base + originPart(`${protocol}://${host}`) : base
    return isPlain ? recent.set(target, { key: located }) : withExtra(located, request, options, { shape, withBody })
  }
}

/**
 * Returns the target and origin after hooks changed them, or '' if nothing changed. Parts that are not in the key are left out. The key
 * itself is built from the URL that the client requested, so that an invalidation of that URL reaches all stored responses. The returned
 * text distinguishes the responses that are stored under the same key.
 */
function changesOf (request: ArrivedRequest, { query, host }: BuiltKey): string {
  const { [kArrival]: arrival, raw } = request
  const hasTarget = raw.url === arrival.target && request.originalUrl === arrival.originalTarget
  const hasOrigin = !host || (request.host === arrival.host && request.protocol === arrival.protocol && arrival.originFields === '')
  if (hasTarget && hasOrigin) return ''
  const [came, now] = [[arrival.target, arrival.originalTarget], [raw.url as string, request.originalUrl]]
    .map((targets) => targets.map((target) => lengthPrefixed(limitedTarget(target, query))).join('')) as [string, string]
  if (came === now && hasOrigin) return ''
  return hasOrigin ? now : `${now}${lengthPrefixed(request.protocol)}${lengthPrefixed(request.host)}${lengthPrefixed(arrival.originFields)}`
}

/** Remembers recently built keys by origin and target. Building a key is the slowest part of a hit, mainly because the query is hashed. */
class RecentKeys {
  readonly #origins = new Map<string, Map<string, Keyed>>()
  #count = 0
  /** The protocol and host that were last passed to `get`. */
  #protocol = ''
  #host = ''
  #keys: Map<string, Keyed> | undefined

  get (target: string, protocol: string, host: string): Keyed | undefined {
    if (protocol !== this.#protocol || host !== this.#host) {
      this.#protocol = protocol
      this.#host = host
      this.#keys = this.#origins.get(`${protocol}://${host}`)
    }
    return this.#keys?.get(target)
  }

  /** Remembers a key for the origin that was last passed to `get`, and returns the key. */
  set (target: string, keyed: Keyed): Keyed {
    const origin = `${this.#protocol}://${this.#host}`
    if (target.length + origin.length > LONGEST_RECENT_CHARACTERS) return keyed
    if (++this.#count > RECENT_KEYS) {
      this.#origins.clear()
      this.#keys = undefined
      this.#count = 1
    }
    if (this.#keys === undefined) this.#origins.set(origin, this.#keys = new Map())
    this.#keys.set(target, keyed)
    return keyed
  }
}

/** Returns whether the body is part of any of the route's keys. */
export function isKeyedByBody ({ key, methods }: RoutePolicy): boolean {
  return typeof key !== 'function' && (key.body || [...methods].some(isBodied))
}

/** Returns the query parameters that the route's key options list, or none if the key contains the whole query or none of it. */
export function parametersOf ({ key }: RoutePolicy): readonly string[] {
  return typeof key === 'function' || typeof key.query === 'boolean' ? [] : key.query
}

/** Returns whether the keys of requests with this method always contain the body. */
function isBodied (method: string): boolean {
  return method === 'POST' || method === 'QUERY'
}

type BuiltKey = Required<Omit<KeyOptions, 'by'>> & Pick<KeyOptions, 'by'>

function withExtra (
  located: string, request: ArrivedRequest, options: BuiltKey, { shape, withBody }: { shape: string, withBody: boolean }
): Keyed {
  const { target, originalTarget, protocol = '', host, query } = request[kArrival]
  // `shape` names the fields, so that entries that were stored before the route's options changed are not found.
  const extra = [
    shape, ...options.headers.map((name) => fieldPart(request, name)), ...options.cookies.map((name) => cookiePart(request, name))
  ]
  if (options.query !== true) {
    const json = exactJson(listed(request.query as Record<string, unknown>, options.query))
    if (json === undefined || query === '') {
      return {
        bypass: 'key',
        fault: new TypeError(
          'a query parameter that is part of the key can not be represented as JSON: the querystringParser made something else of it')
      }
    }
    extra.push(lengthPrefixed(json), lengthPrefixed(limitedTarget(target, options.query)))
    // If a hook changed the parsed parameters, the originals are added too. The target may not show them: a parser may rename them.
    if (query !== undefined && query !== json) extra.push(`q${lengthPrefixed(query)}`)
  }
  if (originalTarget !== target) extra.push(`u${lengthPrefixed(originalTarget)}`)
  // X-Forwarded-Proto can be any text. If it contains a colon, `protocol://host` doesn't show where the protocol ends.
  if (protocol.includes(':')) extra.push(`p${lengthPrefixed(protocol)}`)
  if (options.host && host === '') extra.push(`h${fieldPart(request, 'host')}`)
  if (options.by !== undefined) {
    const by = usable(options.by, request)
    if (typeof by !== 'string') return by
    extra.push(lengthPrefixed(by))
  }
  if (withBody) {
    const body = bodyPart(request)
    if (typeof body !== 'string') return body
    extra.push(body)
  }
  return { key: `${located} +${digest(extra.join('|'))}` }
}

function functionKey (prefix: string, keyOf: KeyFunction, request: ArrivedRequest): Keyed {
  const custom = usable(keyOf, request)
  return typeof custom === 'string' ? { key: customKey(prefix, custom) } : custom
}

/** Calls the application's function. Returns its result if that can be part of a key, otherwise the reason for a bypass. Never throws. */
function usable (keyOf: KeyFunction, request: FastifyRequest): string | { bypass: 'key', fault?: unknown } {
  try {
    const result: unknown = keyOf(request)
    if (typeof result === 'string' && result !== '') return result
    if (result === undefined || result === '') return { bypass: 'key' }
    // The promise is not used, so its rejection is ignored.
    if (result instanceof Promise) result.catch(() => {})
    return {
      bypass: 'key',
      fault: new TypeError(
        `a key function must return a string or undefined synchronously, got ${result instanceof Promise ? 'a promise' : result === null ? 'null' : typeof result}`)
    }
  } catch (fault) {
    return { bypass: 'key', fault }
  }
}

/** Returns the reason why a request bypasses the cache regardless of the route's options, or undefined if there is no such reason. */
function refusal (request: ArrivedRequest, withBody: boolean): Keyed | undefined {
  const { target, hasUpgrade, hasTwoHosts, hasBody } = request[kArrival]
  // Only the origin form is accepted (RFC 9112 section 3.2.1). Node lets other targets through, such as `/p#x` and absolute URLs.
  if (target.charCodeAt(0) !== 47 || target.includes('#')) return { bypass: 'target' }
  if (hasUpgrade) return { bypass: 'upgrade' }
  if (hasTwoHosts) return { bypass: 'target' }
  if (request.validationError) return { bypass: 'validation' }
  return !withBody && hasBody ? { bypass: 'request-body' } : undefined
}

function text (field: string | readonly string[] | undefined): string {
  return field === undefined ? '' : typeof field === 'string' ? field : field.join(';')
}

/** Encodes a cookie as the client sent it, followed by its current value if hooks changed it. */
function cookiePart (request: ArrivedRequest, name: string): string {
  const came = cookiePairs(text(fieldOf(request, 'cookie')), name)
  const now = cookiePairs(String(request.headers.cookie ?? ''), name)
  return came === now ? came : `${came}!${now}`
}

/** Encodes every name-value pair in the field that any cookie parser, even a very lenient one, could read as this cookie. */
function cookiePairs (field: string, name: string): string {
  const pairs = field.split(';').filter((pair) => pair.split(',').some((piece) => piece.split('=', 1)[0]!.trim() === name))
  return pairs.map((pair) => lengthPrefixed(pair.replace(/^[ \t]+/, ''))).join('') || ABSENT
}

const BODY_REPLACED =
  'the parsed body may differ from what the client sent, so it can not be part of the key: a preParsing hook replaced the payload, or it was not read to its end'

/** Encodes the body's Content-Type and the parsed body, followed by the current body if hooks changed it. */
function bodyPart (request: ArrivedRequest): string | Exclude<Keyed, { key: string }> {
  const { hasBody, body, isBodyReplaced } = request[kArrival]
  // A body that Fastify didn't parse is read by the handler, so its content is unknown here.
  const came = hasBody ? body : request.body === undefined ? ABSENT : undefined
  const now = bodyText(request.body)
  if (came === undefined || now === undefined) return { bypass: 'request-body' }
  if (isBodyReplaced) return { bypass: 'key', fault: new Error(BODY_REPLACED) }
  return `${fieldPart(request, 'content-type')}${came}${came === now ? '' : `!${now}`}`
}
