// The options of the backend `keyv`: their types, defaults and checks. No error shows an adapter, because it may contain passwords.
import { checkOptions, duration, exactlyOne, hasMethods, kindOf, storePrefix, type Check, type Duration } from '../../registry/check.js'
import { CACHE_ERR_OPTION } from '../../registry/errors.js'

/** The members of a Keyv 5 storage adapter that the backend uses. */
export interface KeyvAdapter {
  /** The prefix of the adapter's keys, if it has one. */
  readonly namespace?: string | undefined
  /** Returns the value under `key`, or undefined if there is none. */
  get (key: string): any
  /** Stores `value`, for `ttlMs` if the store supports lifetimes. */
  set (key: string, value: any, ttlMs?: number): any
  /** Deletes the value under `key`. */
  delete (key: string): any
}

/** The members of a caller-owned Keyv that the backend uses. */
export interface LentKeyv {
  /** The Keyv's adapter. */
  readonly store: any
  /** The Keyv's compression, if it has one. */
  readonly compression?: unknown
  /** Serialises a value. */
  serializeData (data: { value: string }): any
  /** Deserialises a value. */
  deserializeData (data: any): any
}

/** Options of the backend `keyv`. Exactly one of `store` and `keyv` must be given. */
export interface KeyvOptions {
  /** An adapter, for example `new KeyvPostgres(url)`. It is handed over to the cache, which disconnects it on close. @default none */
  store?: KeyvAdapter
  /** A caller-owned Keyv. The backend uses its adapter, its namespace and its serialisation, and leaves it connected. @default none */
  keyv?: LentKeyv
  /** The prefix of all keys. It comes after the adapter's own namespace. @default 'frc' */
  prefix?: string
  /** The timeout of a call to the store. @default '1s' */
  timeout?: Duration
  /** How often the backend removes expired entries, if the store can list its keys and does not remove them itself. @default '10m' */
  cleanupInterval?: Duration
}

/** The default value of the option `prefix`. */
export const KEYV_PREFIX = 'frc'

/** The default value of the option `timeout`: one second, in milliseconds. */
export const KEYV_TIMEOUT_MS = 1_000

/** The default value of the option `cleanupInterval`: ten minutes, in milliseconds. */
export const KEYV_CLEANUP_INTERVAL_MS = 10 * 60_000

/** The options after validation, with defaults filled in and durations in milliseconds. */
export interface Settings {
  readonly adapter: KeyvAdapter
  /** The caller-owned Keyv. Undefined if the option `store` was given instead. */
  readonly keyv: LentKeyv | undefined
  readonly prefix: string
  readonly timeoutMs: number
  readonly cleanupIntervalMs: number
}

const isAdapter = (value: unknown): boolean => hasMethods(value, 'get', 'set', 'delete')
const isKeyv = (value: unknown): boolean => hasMethods(value, 'serializeData', 'deserializeData')

const store: Check<KeyvAdapter> = (value, who) => {
  if (isKeyv(value)) throw new CACHE_ERR_OPTION(who, 'a storage adapter', 'a Keyv, which is the option keyv')
  if (!isAdapter(value)) throw new CACHE_ERR_OPTION(who, 'a storage adapter of Keyv 5', kindOf(value))
  return value as KeyvAdapter
}

const keyv: Check<LentKeyv> = (value, who) => {
  if (isKeyv(value) && isAdapter((value as LentKeyv).store)) return value as LentKeyv
  throw new CACHE_ERR_OPTION(who, 'a Keyv of version 5', isAdapter(value) ? 'an adapter, which is the option store' : kindOf(value))
}

/** Returns the settings for `options`. Throws CACHE_ERR_OPTION if an option is wrong. */
export function readOptions (options: KeyvOptions): Settings {
  const given = checkOptions<KeyvOptions>('keyv', options, {
    store, keyv, prefix: storePrefix, timeout: duration(), cleanupInterval: duration()
  })
  exactlyOne('keyv', given, ['store', 'keyv'])
  return {
    adapter: given.store ?? given.keyv?.store,
    keyv: given.keyv,
    prefix: given.prefix ?? KEYV_PREFIX,
    // The checks have already converted the durations to milliseconds.
    timeoutMs: given.timeout as number | undefined ?? KEYV_TIMEOUT_MS,
    cleanupIntervalMs: given.cleanupInterval as number | undefined ?? KEYV_CLEANUP_INTERVAL_MS
  }
}
