// The options of the backend `http`: their types, their defaults and their checks. No error shows a secret.
import {
  checkOptions, discreet, duration, expects, isPositiveInteger, kindOf, positiveInteger, type Duration
} from '../../registry/check.js'
import { CACHE_ERR_OPTION } from '../../registry/errors.js'

/** Options of the backend `http`. */
export interface HttpOptions {
  /** The service's URL, http or https. Entries are at `/cache/<digest>` below it. Its user and password are sent as Basic credentials. */
  baseUrl: string
  /** The bearer token. It is sent with every request, and only to the origin of `baseUrl`. @default none */
  authToken?: string
  /** How long a read may take, and how long a write may take including all its retries. @default '5s' */
  timeout?: Duration
  /** How many times a write is sent again if it fails for a reason that may be temporary. Reads are never sent again. @default 3 */
  maxRetries?: number
  /** The most connections to the service. @default 100 */
  maxConnections?: number
  /** The most bytes of one value. Larger values are neither sent nor read. @default 67108864 */
  maxValueBytes?: number
}

/** The default value of the option `timeout`: five seconds, in milliseconds. */
export const HTTP_TIMEOUT_MS = 5_000

/** The default value of the option `maxRetries`. */
export const HTTP_MAX_RETRIES = 3

/** The default value of the option `maxConnections`. */
export const HTTP_MAX_CONNECTIONS = 100

/** The default value of the option `maxValueBytes`: 64 MiB. */
export const HTTP_MAX_VALUE_BYTES = 64 * 1024 * 1024

/** The options after validation, with defaults filled in and durations in milliseconds. */
export interface Settings {
  readonly origin: string
  /** The path of the service, without a slash at its end. */
  readonly path: string
  /** The value of the Authorization header field, if it is sent. */
  readonly authorization: string | undefined
  /** Texts that must not appear in errors. */
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

// Other characters would end the header field, or make the HTTP client throw an error that shows the token.
const authToken = discreet<string>('text of visible ASCII characters without spaces', (value) =>
  typeof value === 'string' && /^[\x21-\x7e]+$/.test(value))

/** Returns the settings for `options`. Throws CACHE_ERR_OPTION if an option is wrong. */
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
    // The check has already converted the duration to milliseconds.
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

/** Decodes percent-encoded text. If the text is not encoded correctly, returns it unchanged. */
function decoded (text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}
