// Request -> key, or the reason why this request is not for the cache. Distinct requests may split, never merge.
import { hash } from 'node:crypto'
import { inspect } from 'node:util'
import type { FastifyRequest } from 'fastify'
import { isRecord } from '../registry/check.js'
import { listed, pathOf } from './query.js'
import type { KeyFunction, KeyOptions, RoutePolicy } from './options.js'
import { ABSENT, part, sent, value, WHOLLY } from './sent.js'
import type { BypassReason } from './status.js'

/** The key of a request, or why it has none; `fault` is what a developer should hear of. */
export type Keyed = { readonly key: string } | { readonly bypass: BypassReason, readonly fault?: unknown }

const LONGEST_CLEAR_CHARACTERS = 512
const LARGEST_KEY_BODY_BYTES = 1024 * 1024
const RECENT_KEYS = 512
const LONGEST_RECENT_CHARACTERS = 256

/** What is secret, long or not for a log. Collision-free for all practical purposes, lone surrogates included. */
export function digest (value: string): string {
  return value.isWellFormed() ? hash('sha256', value, 'base64url') : hash('sha256', JSON.stringify(value), 'base64url') + '~'
}

/** `value` readable where it is short, else its digest with a mark that no length-prefixed part begins with. */
function clearPart (value: string): string {
  return value.length <= LONGEST_CLEAR_CHARACTERS ? part(value) : `~${digest(value)}`
}

/** What all keys of a namespace begin with. */
export function namespacePrefix (namespace: string): string {
  return part(namespace)
}

/** What all keys of one route and method begin with. HEAD is answered from GET. */
export function routePrefix (namespace: string, method: string, pattern: string): string {
  return `${namespacePrefix(namespace)}r ${method === 'HEAD' ? 'GET' : method} ${part(pattern)} `
}

/** The same, where routes of one pattern are told apart by constraints: they are different ones, also where those look the same. */
export function distinctPrefix (namespace: string, { method, url, constraints }: { method: string, url: string, constraints: object | undefined }, others: ReadonlyArray<{ method: string, prefix: string }>): string {
  const told = constraints === undefined ? url : `${url} ${inspect(constraints, WHOLLY)}`
  let prefix = routePrefix(namespace, method, told)
  for (let at = 1; others.some((other) => other.method === method && other.prefix === prefix); at++) prefix = routePrefix(namespace, method, `${told} ${at}`)
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

/** The key of a key function's value. */
export function customKey (prefix: string, value: string): string {
  return `${prefix}=${digest(value)}`
}

/** A builder of keys for one route. */
export function keyBuilder (prefix: string, policy: RoutePolicy): (request: FastifyRequest) => Keyed {
  const options = policy.key
  const bypassing = policy.credentials === 'bypass'
  if (typeof options === 'function') return (request) => refusal(request, isBodied(request.method)) ?? functionKey(prefix, options, request)
  const cookiesCount = bypassing && options.by === undefined && options.cookies.length === 0 && !options.headers.includes('cookie')
  const authorizationCounts = bypassing && options.by === undefined && !options.headers.includes('authorization')
  const shape = part(JSON.stringify({ headers: options.headers, cookies: options.cookies, by: options.by !== undefined }))
  const recent = new RecentKeys()
  const plain = options.query === true && options.headers.length === 0 && options.cookies.length === 0 && options.by === undefined && !options.body

  return (request) => {
    const { method } = request
    const withBody = options.body || isBodied(method)
    const refused = refusal(request, withBody)
    if (refused !== undefined) return refused
    if ((authorizationCounts && sent(request, 'authorization') !== undefined) || (cookiesCount && sent(request, 'cookie') !== undefined)) return { bypass: 'credentials' }
    const target = request.raw.url as string
    const { host, protocol } = request
    const isPlain = plain && !withBody && request.originalUrl === target && host !== '' && !protocol.includes(':')
    const known = isPlain ? recent.get(target, protocol, host) : undefined
    if (known !== undefined) return known
    const base = prefix + targetPart(options.query === true ? target : pathOf(target))
    const located = options.host ? base + originPart(`${protocol}://${host}`) : base
    return isPlain ? recent.set(target, { key: located }) : withExtra(located, request, options, { shape, withBody })
  }
}

/** Keys made a moment ago, by origin and target: to make one anew costs a hit more than anything else in it, most of all the digest of a query. */
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

/** Methods whose requests are told apart by their body. */
function isBodied (method: string): boolean {
  return method === 'POST' || method === 'QUERY'
}

function withExtra (located: string, request: FastifyRequest, options: Required<Omit<KeyOptions, 'by'>> & Pick<KeyOptions, 'by'>, { shape, withBody }: { shape: string, withBody: boolean }): Keyed {
  // Which fields these are values of: a store outlives the options of a route.
  const extra = [shape, ...options.headers.map((name) => value(sent(request, name)))]
  if (options.cookies.length > 0) {
    const pairs = text(sent(request, 'cookie')).split(';')
    extra.push(...options.cookies.map((name) => cookiePairs(pairs, name).map(part).join('') || ABSENT))
  }
  if (options.query !== true) {
    const { query, target } = listed(request, options.query)
    const json = exactJson(query)
    if (json === undefined) return { bypass: 'key', fault: new TypeError('a query parameter that is part of the key is no JSON: the querystringParser made something else of it') }
    extra.push(part(json), part(target))
  }
  if (request.originalUrl !== request.raw.url) extra.push(`u${part(request.originalUrl)}`)
  // X-Forwarded-Proto may be any text; in `http://a` + `://` + `b` nobody sees where it ends.
  if (request.protocol.includes(':')) extra.push(`p${part(request.protocol)}`)
  // A schema may have taken Host away after a hook had read it.
  if (options.host && request.host === '') extra.push(`h${value(sent(request, 'host'))}`)
  if (options.by !== undefined) {
    const by = usable(options.by, request)
    if (typeof by !== 'string') return by
    extra.push(part(by))
  }
  if (withBody) {
    const body = bodyPart(request)
    if (body === undefined) return { bypass: 'request-body' }
    extra.push(body)
  }
  return { key: `${located} +${digest(extra.join('|'))}` }
}

function functionKey (prefix: string, keyOf: KeyFunction, request: FastifyRequest): Keyed {
  const custom = usable(keyOf, request)
  return typeof custom === 'string' ? { key: customKey(prefix, custom) } : custom
}

/** What a user's function answers, if it can be part of a key. Never throws. */
function usable (keyOf: KeyFunction, request: FastifyRequest): string | { bypass: 'key', fault?: unknown } {
  try {
    const answer: unknown = keyOf(request)
    if (typeof answer === 'string' && answer !== '') return answer
    if (answer === undefined || answer === '') return { bypass: 'key' }
    // A promise's own failure belongs to nobody any more.
    if (answer instanceof Promise) answer.catch(() => {})
    return { bypass: 'key', fault: new TypeError(`a key function must answer a string or undefined at once, got ${answer instanceof Promise ? 'a promise' : answer === null ? 'null' : typeof answer}`) }
  } catch (fault) {
    return { bypass: 'key', fault }
  }
}

/** What no cached route answers from the cache, whatever its options. */
function refusal (request: FastifyRequest, withBody: boolean): Keyed | undefined {
  const { headers } = request
  const target = request.raw.url
  // RFC 9112 section 3.2.1: origin form only; Node hands out `/p#x` and absolute targets as they came.
  if (target === undefined || target.charCodeAt(0) !== 47 || target.includes('#')) return { bypass: 'target' }
  if (headers.upgrade !== undefined) return { bypass: 'upgrade' }
  // RFC 9113 section 8.3.1: HTTP/2 asks for one host by two names, and handlers read either.
  if (headers[':authority'] !== undefined && headers.host !== undefined && headers.host !== headers[':authority']) return { bypass: 'target' }
  if (request.validationError) return { bypass: 'validation' }
  return !withBody && hasBody(request) ? { bypass: 'request-body' } : undefined
}

function hasBody (request: FastifyRequest): boolean {
  const length = sent(request, 'content-length')
  const { stream } = request.raw as { stream?: { endAfterHeaders?: boolean } }
  return sent(request, 'transfer-encoding') !== undefined || (length !== undefined && length !== '0') || stream?.endAfterHeaders === false
}

function text (field: string | readonly string[] | undefined): string {
  return field === undefined ? '' : typeof field === 'string' ? field : field.join(';')
}

/** Every pair that some parser of cookies, however lenient, takes for that cookie, as it came. */
function cookiePairs (pairs: readonly string[], name: string): string[] {
  return pairs.filter((pair) => pair.split(',').some((piece) => piece.split('=', 1)[0]!.trim() === name)).map((pair) => pair.replace(/^[ \t]+/, ''))
}

/** The parsed body and its type, as a part; undefined for one that can't be told apart beyond doubt. */
function bodyPart (request: FastifyRequest): string | undefined {
  const type = value(sent(request, 'content-type'))
  const { body } = request
  // What Fastify's parsers left alone is the handler's to read: nobody knows here what it says.
  if (body === undefined) return hasBody(request) ? undefined : `${type}${ABSENT}`
  if (Buffer.isBuffer(body)) return body.byteLength > LARGEST_KEY_BODY_BYTES ? undefined : `${type}b${part(body.toString('latin1'))}`
  const json = exactJson(body)
  return json === undefined || json.length > LARGEST_KEY_BODY_BYTES ? undefined : `${type}j${part(json)}`
}

/** JSON of a parsed body; undefined where it doesn't say all of it: `1e999`, which is parsed, becomes `null` in it. */
function exactJson (body: unknown): string | undefined {
  let isExact = true
  const json = JSON.stringify(body, function (this: Record<string, unknown>, name, item: unknown) {
    isExact &&= isJson(this[name])
    return isExact ? item : undefined
  })
  return isExact ? json : undefined
}

function isJson (item: unknown): boolean {
  if (typeof item === 'number') return Number.isFinite(item) && !Object.is(item, -0)
  if (typeof item !== 'object') return typeof item === 'string' || typeof item === 'boolean'
  return item === null || ((Array.isArray(item) || isRecord(item)) && typeof (item as { toJSON?: unknown }).toJSON !== 'function')
}
