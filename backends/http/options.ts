// The options of the backend `http`: their shape, their defaults, their checks, none of which shows a secret.
import {
  checkOptions, discreet, duration, expects, isPositiveInteger, kindOf, positiveInteger, type Duration
} from '../../registry/check.js'
import { CACHE_ERR_OPTION } from '../../registry/errors.js'

/** Options of the backend `http`. */
export interface HttpOptions {
  /**
   * The service's URL, http or https; entries lie below it, at `/cache/<digest>`. A user and password in it are sent as Basic credentials.
   */
  baseUrl: string
  /** Sent as a bearer token with every request, to this one origin and nowhere else. @default none */
  authToken?: string
  /** How long one read may take in all, and how long one write may, its retries among it. @default '5s' */
  timeout?: Duration
  /** How often a write or delete is sent again that failed for a reason that passes. Reads are never sent again. @default 3 */
  maxRetries?: number
  /** Connections at most. @default 100 */
  maxConnections?: number
  /** Bytes of one value at most: larger ones are not sent, and not read. @default 67108864 */
  maxValueBytes?: number
}

/** @default for `timeout`: five seconds, in milliseconds */
export const HTTP_TIMEOUT_MS = 5_000

/** @default for `maxRetries` */
export const HTTP_MAX_RETRIES = 3

/** @default for `maxConnections` */
export const HTTP_MAX_CONNECTIONS = 100

/** @default for `maxValueBytes`: 64 MiB */
export const HTTP_MAX_VALUE_BYTES = 64 * 1024 * 1024

/** The options as the code works with them. */
export interface Settings {
  readonly origin: string
  /** The path below which entries lie, without a slash at its end. */
  readonly path: string
  /** The Authorization field, where there is one. */
  readonly authorization: string | undefined
  /** What no error may tell. */
  readonly secrets: readonly string[]
  readonly timeoutMs: number
  readonly maxRetries: number
  readonly maxConnections: number
  readonly maxValueBytes: number
}

const MOST_RETRIES = 100

const maxRetries = expects<number>(`an integer from 0 to ${MOST_RETRIES}`, (value) =>
  value === 0 || (isPositiveInteger(value) && (value as number) <= MOST_RETRIES))

function baseUrl (value: unknown, who: string): string {
  const expected = 'a URL that begins with http:// or https:// and has neither query nor fragment'
  const url = typeof value === 'string' && URL.canParse(value) ? new URL(value) : undefined
  if (url === undefined) throw new CACHE_ERR_OPTION(who, expected, kindOf(value))
  if (url.protocol !== 'http:' && url.protocol !== 'https:') {
    throw new CACHE_ERR_OPTION(who, expected, `one that begins with ${url.protocol}`)
  }
  if (url.search !== '' || url.hash !== '') {
    throw new CACHE_ERR_OPTION(who, expected, `one with a ${url.search !== '' ? 'query' : 'fragment'}`)
  }
  return url.href
}

// What a header field can carry: anything else would end the field, or be refused with the value in the message.
const authToken = discreet<string>('text of visible ASCII characters without spaces', (value) =>
  typeof value === 'string' && /^[\x21-\x7e]+$/.test(value))

/** The settings that `options` stand for. Throws CACHE_ERR_OPTION. */
export function readOptions (options: HttpOptions): Settings {
  const given = checkOptions<HttpOptions>('http', options, {
    baseUrl, authToken, timeout: duration(), maxRetries, maxConnections: positiveInteger, maxValueBytes: positiveInteger
  })
  if (given.baseUrl === undefined) throw new CACHE_ERR_OPTION('http.baseUrl', 'given: the URL of the cache service', 'none')
  const url = new URL(given.baseUrl)
  return {
    origin: url.origin,
    path: url.pathname.replace(/\/+$/, ''),
    ...credentials(url, given.authToken),
    // The check turned the duration into milliseconds.
    timeoutMs: given.timeout as number | undefined ?? HTTP_TIMEOUT_MS,
    maxRetries: given.maxRetries ?? HTTP_MAX_RETRIES,
    maxConnections: given.maxConnections ?? HTTP_MAX_CONNECTIONS,
    maxValueBytes: given.maxValueBytes ?? HTTP_MAX_VALUE_BYTES
  }
}

function credentials ({ username, password }: URL, token: string | undefined): Pick<Settings, 'authorization' | 'secrets'> {
  if (username === '' && password === '') {
    return token === undefined ? { authorization: undefined, secrets: [] } : { authorization: `Bearer ${token}`, secrets: [token] }
  }
  if (token !== undefined) {
    throw new CACHE_ERR_OPTION('http.authToken', 'absent where http.baseUrl has a user or password; choose one of them', 'both')
  }
  const pair = Buffer.from(`${decoded(username)}:${decoded(password)}`).toString('base64')
  return { authorization: `Basic ${pair}`, secrets: [pair, password, decoded(password)].filter((text) => text !== '') }
}

/** A percent sign that stands for itself is left as it is. */
function decoded (text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}
