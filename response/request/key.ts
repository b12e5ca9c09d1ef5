// Request -> key, or the reason why this request is not for the cache. Distinct requests may split, never merge.
import { hash } from 'node:crypto'
import { inspect } from 'node:util'
import type { FastifyRequest } from 'fastify'
import { kArrival, NOT_NOTED, type ArrivedRequest } from './arrival.js'
import { ABSENT, bodyText, exactJson, lengthPrefixed } from './key-parts.js'
import { limitedTarget, listed, pathOf } from './query.js'
import type { KeyFunction, KeyOptions, RoutePolicy } from '../options/route-options.js'
import { fieldPart, fieldOf, WHOLLY } from './request-fields.js'
import type { BypassReason } from '../observe/reasons.js'

/** The key of a request, or why it has none; `fault` is what a developer should hear of. */
export type Keyed = { readonly key: string } | { readonly bypass: BypassReason, readonly fault?: unknown }

const LONGEST_CLEAR_CHARACTERS = 512
const RECENT_KEYS = 512
const LONGEST_RECENT_CHARACTERS = 256

/** What is secret, long or not for a log. Collision-free for all practical purposes, lone surrogates included. */
export function digest (value: string): string {
  return value.isWellFormed() ? hash('sha256', value, 'base64url') : hash('sha256', JSON.stringify(value), 'base64url') + '~'
}

/** `value` readable where it is short, else its digest with a mark that no length-prefixed part begins with. */
function clearPart (value: string): string {
  return value.length <= LONGEST_CLEAR_CHARACTERS ? lengthPrefixed(value) : `~${digest(value)}`
}

/** What all keys of a namespace begin with. */
export function namespacePrefix (namespace: string): string {
  return lengthPrefixed(namespace)
}

/** What all keys of one route and method begin with. HEAD is served from GET. */
export function routePrefix (namespace: string, method: string, pattern: string): string {
  return `${namespacePrefix(namespace)}r ${method === 'HEAD' ? 'GET' : method} ${lengthPrefixed(pattern)} `
}

/** The same, where routes of one pattern are told apart by constraints: they are different ones, also where those look the same. */
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

/** The part of a key that a raw request target becomes: the path in clear, the query as a digest. */
export function targetPart (target: string): string {
  const mark = target.indexOf('?')
  return mark === -1 ? clearPart(target) : `${clearPart(target.slice(0, mark))}?${digest(target.slice(mark))}`
}

/** The part of a key that says for which origin it is. */
export function originPart (origin: string): string {
  return ` ${clearPart(origin)}`
}

/** The key under which the backend holds a value. A digest: an application's keys may hold what no log should show. */
export function dataKey (namespace: string, key: string): string {
  return `${namespacePrefix(namespace)}d ${digest(key)}`
}

/** The key of a key function's value. */
export function customKey (prefix: string, value: string): string {
  return `${prefix}=${digest(value)}`
}

/** A builder of keys for one route. */
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
 * What hooks have made of the target and the origin, as far as these count; '' where that is what came. Stored responses are kept
 * apart by it under one key, which is that of what the client asked for: so an invalidation of that URL reaches all of them.
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

/**
 * Keys made a moment ago, by origin and target: to make one anew costs a hit more than anything else in it, most of all the digest of a
 * query.
 */
class RecentKeys {
  readonly #origins = new Map<string, Map<string, Keyed>>()
  #count = 0
  /** The origin that was asked last. */
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

  /** Right after `get` had none. */
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

/** Whether some of the route's keys are made of bodies too. */
export function isKeyedByBody ({ key, methods }: RoutePolicy): boolean {
  return typeof key !== 'function' && (key.body || [...methods].some(isBodied))
}

/** The parameters that some of the route's keys are made of, and no others. */
export function parametersOf ({ key }: RoutePolicy): readonly string[] {
  return typeof key === 'function' || typeof key.query === 'boolean' ? [] : key.query
}

/** Methods whose requests are told apart by their body. */
function isBodied (method: string): boolean {
  return method === 'POST' || method === 'QUERY'
}

type BuiltKey = Required<Omit<KeyOptions, 'by'>> & Pick<KeyOptions, 'by'>

function withExtra (
  located: string, request: ArrivedRequest, options: BuiltKey, { shape, withBody }: { shape: string, withBody: boolean }
): Keyed {
  const { target, originalTarget, protocol = '', host, query } = request[kArrival]
  // Which fields these are values of: a store outlives the options of a route.
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
    // Named otherwise in the target, and taken out of the query by a hook.
    if (query !== undefined && query !== json) extra.push(`q${lengthPrefixed(query)}`)
  }
  if (originalTarget !== target) extra.push(`u${lengthPrefixed(originalTarget)}`)
  // X-Forwarded-Proto may be any text; in `http://a` + `://` + `b` nobody sees where it ends.
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

/** What a user's function returns, if it can be part of a key. Never throws. */
function usable (keyOf: KeyFunction, request: FastifyRequest): string | { bypass: 'key', fault?: unknown } {
  try {
    const answer: unknown = keyOf(request)
    if (typeof answer === 'string' && answer !== '') return answer
    if (answer === undefined || answer === '') return { bypass: 'key' }
    // A promise's own failure belongs to nobody any more.
    if (answer instanceof Promise) answer.catch(() => {})
    return {
      bypass: 'key',
      fault: new TypeError(
        `a key function must return a string or undefined synchronously, got ${answer instanceof Promise ? 'a promise' : answer === null ? 'null' : typeof answer}`)
    }
  } catch (fault) {
    return { bypass: 'key', fault }
  }
}

/** What no cached route serves from the cache, whatever its options. */
function refusal (request: ArrivedRequest, withBody: boolean): Keyed | undefined {
  const { target, hasUpgrade, hasTwoHosts, hasBody } = request[kArrival]
  // RFC 9112 section 3.2.1: origin form only; Node hands out `/p#x` and absolute targets as they came.
  if (target.charCodeAt(0) !== 47 || target.includes('#')) return { bypass: 'target' }
  if (hasUpgrade) return { bypass: 'upgrade' }
  if (hasTwoHosts) return { bypass: 'target' }
  if (request.validationError) return { bypass: 'validation' }
  return !withBody && hasBody ? { bypass: 'request-body' } : undefined
}

function text (field: string | readonly string[] | undefined): string {
  return field === undefined ? '' : typeof field === 'string' ? field : field.join(';')
}

/** A cookie as it came, and what hooks have made of it where that is another one. */
function cookiePart (request: ArrivedRequest, name: string): string {
  const came = cookiePairs(text(fieldOf(request, 'cookie')), name)
  const now = cookiePairs(String(request.headers.cookie ?? ''), name)
  return came === now ? came : `${came}!${now}`
}

/** Every pair that some parser of cookies, however lenient, takes for that cookie, as it came. */
function cookiePairs (field: string, name: string): string {
  const pairs = field.split(';').filter((pair) => pair.split(',').some((piece) => piece.split('=', 1)[0]!.trim() === name))
  return pairs.map((pair) => lengthPrefixed(pair.replace(/^[ \t]+/, ''))).join('') || ABSENT
}

const BODY_REPLACED =
  'the parsed body may differ from what the client sent, so it can not be part of the key: a preParsing hook replaced the payload, or it was not read to its end'

/** The parsed body as it came, what hooks have made of it, and its type. */
function bodyPart (request: ArrivedRequest): string | Exclude<Keyed, { key: string }> {
  const { hasBody, body, isBodyReplaced } = request[kArrival]
  // What Fastify's parsers left alone is the handler's to read: nobody knows here what it says.
  const came = hasBody ? body : request.body === undefined ? ABSENT : undefined
  const now = bodyText(request.body)
  if (came === undefined || now === undefined) return { bypass: 'request-body' }
  if (isBodyReplaced) return { bypass: 'key', fault: new Error(BODY_REPLACED) }
  return `${fieldPart(request, 'content-type')}${came}${came === now ? '' : `!${now}`}`
}
