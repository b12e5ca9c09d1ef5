// The options of the backend `memcached`: their shape, their defaults, their checks, none of which shows a password.
import { checkOptions, discreet, duration, exactlyOne, hasMethods, storePrefix, type Duration } from '../../registry/check.js'

/** A client of memcache-client, as far as one that is lent is used. */
export interface LentMemcached {
  /** What lies under a key, or under several. */
  get (key: any): any
  /** Keeps `value` for `lifetime` seconds. */
  set (key: string, value: any, options: { lifetime: number }): any
  /** Forgets `key`. */
  delete (key: string): any
}

/** Options of the backend `memcached`. Exactly one of `server` and `client` is given. */
export interface MemcachedOptions {
  /** The server, as `host:port`. @default none */
  server?: string
  /** A client of memcache-client, which is lent: it stays as it is. @default none */
  client?: LentMemcached
  /** What every key begins with; no other key is touched. @default 'frc' */
  prefix?: string
  /** How long one call of the server may take before it has failed. @default '900ms' */
  timeout?: Duration
}

/** @default for `prefix` */
export const MEMCACHED_PREFIX = 'frc'

/** @default for `timeout`, in milliseconds: less than the cache's patience with calls on purpose, even twice. */
export const MEMCACHED_TIMEOUT_MS = 900

/** The options as the code works with them. */
export interface Settings {
  /** Where `client` is undefined. */
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

/** The settings that `options` stand for. Throws CACHE_ERR_OPTION. */
export function readOptions (options: MemcachedOptions): Settings {
  const given = checkOptions<MemcachedOptions>('memcached', options, { server, client, prefix: storePrefix, timeout: duration() })
  exactlyOne('memcached', given, ['server', 'client'])
  return {
    server: given.server ?? '',
    client: given.client,
    prefix: given.prefix ?? MEMCACHED_PREFIX,
    // The check turned the duration into milliseconds.
    timeoutMs: given.timeout as number | undefined ?? MEMCACHED_TIMEOUT_MS
  }
}
