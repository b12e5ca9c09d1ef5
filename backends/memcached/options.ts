// The options of the backend `memcached`: their types, their defaults and their checks. No error shows a password.
import { checkOptions, discreet, duration, exactlyOne, hasMethods, storePrefix, type Duration } from '../../registry/check.js'

/** The methods that the backend uses of a caller-owned memcache-client client. */
export interface LentMemcached {
  /** Returns the value under a key, or the values under several keys. */
  get (key: any): any
  /** Stores `value` for `lifetime` seconds. */
  set (key: string, value: any, options: { lifetime: number }): any
  /** Deletes the value under `key`. */
  delete (key: string): any
}

/** Options of the backend `memcached`. Exactly one of `server` and `client` must be given. */
export interface MemcachedOptions {
  /** The server, as `host:port`. @default none */
  server?: string
  /** A caller-owned client of memcache-client. The backend leaves it connected. @default none */
  client?: LentMemcached
  /** The prefix of all keys. The backend touches no other keys. @default 'frc' */
  prefix?: string
  /** The timeout of a call to the server. @default '900ms' */
  timeout?: Duration
}

/** The default value of the option `prefix`. */
export const MEMCACHED_PREFIX = 'frc'

/** The default value of the option `timeout`, in milliseconds. Twice this is still less than the guard's deadline for explicit calls. */
export const MEMCACHED_TIMEOUT_MS = 900

/** The options after validation, with defaults filled in and durations in milliseconds. */
export interface Settings {
  /** Empty if `client` is given. */
  readonly server: string
  readonly client: LentMemcached | undefined
  readonly prefix: string
  readonly timeoutMs: number
}

const server = discreet<string>("a server as 'host:port'", (value) => {
  const port = typeof value === 'string' ? /^[\w.-]+:(\d{1,5})$/.exec(value)?.[1] : undefined
  return port !== undefined && Number(port) > 0 && Number(port) < 65_536
})

const client = discreet<LentMemcached>('a client of memcache-client', (value) => hasMethods(value, 'get', 'set', 'delete'))

/** Returns the settings for `options`. Throws CACHE_ERR_OPTION if an option is wrong. */
export function readOptions (options: MemcachedOptions): Settings {
  const given = checkOptions<MemcachedOptions>('memcached', options, { server, client, prefix: storePrefix, timeout: duration() })
  exactlyOne('memcached', given, ['server', 'client'])
  return {
    server: given.server ?? '',
    client: given.client,
    prefix: given.prefix ?? MEMCACHED_PREFIX,
    // The check has already converted the duration to milliseconds.
    timeoutMs: given.timeout as number | undefined ?? MEMCACHED_TIMEOUT_MS
  }
}
