// Selects the header fields of a response to store: those that the handler set and that may be sent to other clients.
import { joined, type FieldValue, type Fields } from './field-values.js'

/**
 * Fields that are never stored: hop-by-hop fields (RFC 9111 section 3.1, RFC 9110 section 7.6.1), fields that are generated for each
 * response, and fields about one request.
 */
export const FIELDS_NOT_STORED: ReadonlySet<string> = new Set([
  'connection', 'keep-alive', 'proxy-authenticate', 'proxy-authentication-info', 'proxy-authorization', 'proxy-connection', 'te', 'trailer',
  'transfer-encoding', 'upgrade',
  'content-length', 'age',
  'x-request-id', 'request-id', 'x-correlation-id', 'traceparent', 'tracestate', 'server-timing', 'x-response-time',
  'x-ratelimit-limit', 'x-ratelimit-remaining', 'x-ratelimit-reset', 'ratelimit', 'ratelimit-policy', 'ratelimit-limit',
  'ratelimit-remaining', 'ratelimit-reset'
])

/**
 * Digests of the content of a message (RFC 9530 section 2, RFC 1864). The digests of a partial response differ from those of the whole one.
 */
export const CONTENT_DIGESTS: readonly string[] = ['content-digest', 'content-md5']

/** Fields that describe the content of the message in which they are sent. */
export const DESCRIBES_CONTENT: readonly string[] = [
  'content-type', 'content-encoding', 'content-language', 'content-range', ...CONTENT_DIGESTS
]

/** Fields without which a body can't be interpreted. They are stored even if a hook had set the same value before the handler ran. */
const GOES_WITH_THE_BODY: readonly string[] = ['content-type', 'content-encoding', 'content-language']

const NAME = /^[!#$%&'*+.^_`|~0-9a-z-]+$/
// RFC 9110 section 5.5: a value contains no CR, LF or NUL. Node sends values as latin1.
const VALUE = /^[\t\x20-\x7e\x80-\xff]*$/

/** The header fields of a reply, as an entry stores them. */
export interface StoredFields {
  /** The fields that the handler set, and Date, as a list: name, value, name, value ... */
  readonly fields: readonly string[]
  /** Names of fields that hooks set before the handler ran, and that the handler removed. */
  readonly removed: readonly string[]
  /** Whether Access-Control-Allow-Origin allows only one origin to read the response. */
  readonly allowsOneOrigin: boolean
  /** Whether the handler added a cookie to Set-Cookie. */
  readonly setsCookie: boolean
}

/** The options that determine how the fields of a reply are stored. */
export interface StoredFieldsOptions {
  readonly setCookie: 'refuse' | 'store'
  readonly dates: HttpDates
  /** When the handler responded, in epoch milliseconds. */
  readonly madeAt: number
}

/**
 * Returns the fields of a reply that are stored, or undefined if one of them could not be sent again unchanged. `before` has the fields
 * from before the handler ran, and `after` those from after it.
 */
export function storedFields (before: Fields, after: Fields, { setCookie, dates, madeAt }: StoredFieldsOptions): StoredFields | undefined {
  const own = fieldsToStore(before, after, setCookie)
  if (own === undefined) return undefined
  let isDated = false
  for (let at = 0; at < own.length && !isDated; at += 2) isDated = own[at] === 'date'
  // RFC 9110 section 6.6.1: a response without Date receives one.
  const fields = isDated ? own : [...own, 'date', dates.of(madeAt)]
  const setsCookie = after['set-cookie'] !== undefined && cookiesSince(before, after['set-cookie']).length > 0
  return { fields, removed: fieldsRemoved(before, after), allowsOneOrigin: allowsOneOrigin(own), setsCookie }
}

/**
 * Returns the handler's fields as name, value, name, value ..., or undefined if one of them could not be sent again unchanged. `setCookie`
 * says whether cookies are stored.
 */
export function fieldsToStore (before: Fields, after: Fields, setCookie: 'refuse' | 'store' = 'refuse'): string[] | undefined {
  const listed = after.connection === undefined ? [] : joined(after.connection).toLowerCase().split(',').map((name) => name.trim())
  const pairs: string[] = []
  for (const name of Object.keys(after)) {
    const value = after[name]
    if ((value === before[name] && !GOES_WITH_THE_BODY.includes(name)) || value === undefined || FIELDS_NOT_STORED.has(name) ||
      listed.includes(name)) continue
    // RFC 9211 section 2: the members of caches nearer to the origin become one line, and this cache's member follows them.
    if (name === 'cache-status') pairs.push(name, joined(value))
    else if (name === 'set-cookie') {
      if (setCookie === 'store') for (const line of cookiesSince(before, value)) pairs.push(name, String(line))
    } else if (Array.isArray(value)) {
      for (const line of value) pairs.push(name, String(line))
    } else pairs.push(name, String(value))
  }
  return areFields(pairs) ? pairs : undefined
}

/** Returns the fields as they are now. The list of cookies is copied, because Fastify adds later cookies to the same list. */
export function asTheyAre (fields: Fields): Fields {
  return Array.isArray(fields['set-cookie']) ? { ...fields, 'set-cookie': [...fields['set-cookie']] } : fields
}

/** Returns the cookies that the handler set. Fastify keeps them in the same list as the cookies that hooks set for the current request. */
function cookiesSince (before: Fields, after: FieldValue): unknown[] {
  const known: readonly unknown[] = [before['set-cookie']].flat()
  return [after].flat().filter((line) => !known.includes(line))
}

/** Returns the names of the fields that were set before the handler ran and that the handler removed. */
export function fieldsRemoved (before: Fields, after: Fields): string[] {
  return Object.keys(before).filter((name) => before[name] !== undefined && after[name] === undefined)
}

/** Returns whether this is a list of name, value, name, value ... that an entry may contain and Node can send. */
export function areFields (pairs: unknown): pairs is string[] {
  return Array.isArray(pairs) && pairs.length % 2 === 0 && pairs.every((item, index) => typeof item === 'string' &&
    // `__proto__` is a valid token, but assigning it would set an object's prototype.
    (index % 2 === 0 ? NAME.test(item) && item !== '__proto__' && !FIELDS_NOT_STORED.has(item) : VALUE.test(item)))
}

/** Returns the pairs without the fields that have one of these names. */
export function without (pairs: readonly string[], names: readonly string[]): string[] {
  return pairs.filter((_, at) => !names.includes(pairs[at - at % 2] as string))
}

/** Returns whether Access-Control-Allow-Origin allows only one origin to read the response (Fetch standard, CORS protocol). */
export function allowsOneOrigin (pairs: readonly string[]): boolean {
  return pairs.some((name, at) => at % 2 === 0 && name === 'access-control-allow-origin' && pairs[at + 1] !== '*')
}

/** Formats HTTP dates (RFC 9110 section 5.6.7). Dates within the same second share one text. */
export class HttpDates {
  #second = NaN
  #text = ''

  /** Returns the HTTP date for `at`, a time in epoch milliseconds. */
  of (at: number): string {
    const second = Math.floor(at / 1_000)
    if (second !== this.#second) {
      this.#second = second
      this.#text = new Date(second * 1_000).toUTCString()
    }
    return this.#text
  }
}
