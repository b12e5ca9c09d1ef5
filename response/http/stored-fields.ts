// Which header fields of a response belong to the entry: those that the handler set, and that another response may carry.
import { joined, type FieldValue, type Fields } from './field-values.js'

/**
 * Never stored: hop-by-hop (RFC 9111 section 3.1, RFC 9110 section 7.6.1), made anew for each response, or about
 * one request alone.
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
 * Digests of the very bytes that a response has as its content (RFC 9530 section 2, RFC 1864), not of the whole that they are a part of.
 */
export const CONTENT_DIGESTS: readonly string[] = ['content-digest', 'content-md5']

/** What describes the content of the response that it stands in. */
export const DESCRIBES_CONTENT: readonly string[] = [
  'content-type', 'content-encoding', 'content-language', 'content-range', ...CONTENT_DIGESTS
]

/** What a body is, without which nobody else can read it: stored also if a hook had said the same of it before. */
const GOES_WITH_THE_BODY: readonly string[] = ['content-type', 'content-encoding', 'content-language']

const NAME = /^[!#$%&'*+.^_`|~0-9a-z-]+$/
// RFC 9110 section 5.5: no CR, LF, NUL; Node sends latin1.
const VALUE = /^[\t\x20-\x7e\x80-\xff]*$/

/** What an entry keeps of a reply's header fields. */
export interface StoredFields {
  /** Name, value, name, value ...: the fields that the handler set, and a Date. */
  readonly fields: readonly string[]
  /** Names of fields that hooks in front of the handler had set and that it took away. */
  readonly removed: readonly string[]
  /** Whether only one origin may read the response. */
  readonly allowsOneOrigin: boolean
}

/** How the fields of a reply are stored. */
export interface StoredFieldsOptions {
  readonly setCookie: 'refuse' | 'store'
  readonly dates: HttpDates
  /** When the head of the response was made, in epoch milliseconds. */
  readonly madeAt: number
}

/** What is stored of a reply's fields; undefined when one could not be sent again as it is. `before`: those before the handler ran. */
export function storedFields (before: Fields, after: Fields, { setCookie, dates, madeAt }: StoredFieldsOptions): StoredFields | undefined {
  const own = fieldsToStore(before, after, setCookie)
  if (own === undefined) return undefined
  let isDated = false
  for (let at = 0; at < own.length && !isDated; at += 2) isDated = own[at] === 'date'
  // RFC 9110 section 6.6.1: a response without a Date is dated when it came.
  const fields = isDated ? own : [...own, 'date', dates.of(madeAt)]
  return { fields, removed: fieldsRemoved(before, after), allowsOneOrigin: allowsOneOrigin(own) }
}

/**
 * The handler's fields as name, value, name, value ...; undefined when one could not be sent again as it is. `setCookie`: what becomes of
 * cookies.
 */
export function fieldsToStore (before: Fields, after: Fields, setCookie: 'refuse' | 'store' = 'refuse'): string[] | undefined {
  const listed = after.connection === undefined ? [] : joined(after.connection).toLowerCase().split(',').map((name) => name.trim())
  const pairs: string[] = []
  for (const name of Object.keys(after)) {
    const value = after[name]
    if ((value === before[name] && !GOES_WITH_THE_BODY.includes(name)) || value === undefined || FIELDS_NOT_STORED.has(name) ||
      listed.includes(name)) continue
    // RFC 9211 section 2: the members of the caches that are nearer to the origin, as one line that this one's follows.
    if (name === 'cache-status') pairs.push(name, joined(value))
    else if (name === 'set-cookie') {
      if (setCookie === 'store') for (const line of cookiesSince(before, value)) pairs.push(name, String(line))
    } else if (Array.isArray(value)) {
      for (const line of value) pairs.push(name, String(line))
    } else pairs.push(name, String(value))
  }
  return areFields(pairs) ? pairs : undefined
}

/** Fields that stay what they are: Fastify adds cookies to the list that is there. */
export function asTheyAre (fields: Fields): Fields {
  return Array.isArray(fields['set-cookie']) ? { ...fields, 'set-cookie': [...fields['set-cookie']] } : fields
}

/** Fastify puts cookies beside those that a hook has set, which belong to the present request. */
function cookiesSince (before: Fields, after: FieldValue): unknown[] {
  const known: readonly unknown[] = [before['set-cookie']].flat()
  return [after].flat().filter((line) => !known.includes(line))
}

/** Fields that stood before the handler ran and that it took away. */
export function fieldsRemoved (before: Fields, after: Fields): string[] {
  return Object.keys(before).filter((name) => before[name] !== undefined && after[name] === undefined)
}

/** Whether these are pairs of a name and a value that an entry may hold and Node can send. */
export function areFields (pairs: unknown): pairs is string[] {
  return Array.isArray(pairs) && pairs.length % 2 === 0 && pairs.every((item, index) => typeof item === 'string' &&
    // `__proto__` is a token, and sets the prototype of the object that it is put into.
    (index % 2 === 0 ? NAME.test(item) && item !== '__proto__' && !FIELDS_NOT_STORED.has(item) : VALUE.test(item)))
}

/** The pairs but for those of these names. */
export function without (pairs: readonly string[], names: readonly string[]): string[] {
  return pairs.filter((_, at) => !names.includes(pairs[at - at % 2] as string))
}

/** Whether only one origin may read the response (Fetch standard, CORS protocol). */
export function allowsOneOrigin (pairs: readonly string[]): boolean {
  return pairs.some((name, at) => at % 2 === 0 && name === 'access-control-allow-origin' && pairs[at + 1] !== '*')
}

/** Writes dates as HTTP sends them (RFC 9110 section 5.6.7): each once a second. */
export class HttpDates {
  #second = NaN
  #text = ''

  /** `at`: epoch milliseconds. */
  of (at: number): string {
    const second = Math.floor(at / 1_000)
    if (second !== this.#second) {
      this.#second = second
      this.#text = new Date(second * 1_000).toUTCString()
    }
    return this.#text
  }
}
