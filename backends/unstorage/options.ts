// The options of the backend `unstorage`: their shape, their defaults, their checks. Drivers are never shown, because they hold passwords.
import {
  checkOptions, discreet, duration, exactlyOne, hasMethods, kindOf, storePrefix, type Check, type Duration
} from '../../registry/check.js'
import { CACHE_ERR_OPTION } from '../../registry/errors.js'

/** The part of an unstorage driver that is checked. */
export interface UnstorageDriver {
  /** The driver's own name. */
  readonly name?: string
  /** The options with which it was created. */
  readonly options?: any
  /** Whether there is something under `key`. */
  hasItem (key: string, options: any): any
  /** The value under `key`, as text. */
  getItem (key: string, options?: any): any
  /** All keys. */
  getKeys (base: string, options: any): any
}

/** The part of a caller-owned unstorage storage that is used. */
export interface LentStorage {
  /** Whether there is something under `key`. */
  hasItem (key: string): Promise<boolean>
  /** The bytes under `key`, in the driver's own type. */
  getItemRaw (key: string): Promise<any>
  /** Stores bytes, for `ttl` seconds if the driver supports that. */
  setItemRaw (key: string, value: any, options?: any): Promise<void>
  /** Deletes `key`. */
  removeItem (key: string): Promise<void>
  /** The keys that begin with `base`. */
  getKeys (base?: string): Promise<string[]>
  /** The mount of a key, with its `driver`. */
  getMount (key?: string): any
}

/** Options of the backend `unstorage`. Exactly one of `driver` and `storage` is given. */
export interface UnstorageOptions {
  /** A driver, for example `fsDriver({ base: 'cache' })`. It is handed over: closing the cache disposes it. @default none */
  driver?: UnstorageDriver
  /** A caller-owned storage. Closing the cache does not dispose it. @default none */
  storage?: LentStorage
  /** The prefix of all keys. No other key is touched. @default 'frc' */
  prefix?: string
  /** The timeout of a call to the driver. @default '1s' */
  timeout?: Duration
  /** How often expired entries are removed, if the store does not remove them itself. @default '10m' */
  cleanupInterval?: Duration
}

/** @default for `prefix` */
export const UNSTORAGE_PREFIX = 'frc'

/** @default for `timeout`: a second, in milliseconds */
export const UNSTORAGE_TIMEOUT_MS = 1_000

/** @default for `cleanupInterval`: ten minutes, in milliseconds */
export const UNSTORAGE_CLEANUP_INTERVAL_MS = 10 * 60_000

/** The options after validation, with defaults filled in and durations in milliseconds. */
export interface Settings {
  readonly driver: UnstorageDriver | undefined
  readonly storage: LentStorage | undefined
  readonly prefix: string
  readonly timeoutMs: number
  readonly cleanupIntervalMs: number
}

const isStorage = (value: unknown): boolean => hasMethods(value, 'hasItem', 'getItemRaw', 'setItemRaw', 'removeItem', 'getKeys', 'getMount')

const driver: Check<UnstorageDriver> = (value, who) => {
  const expected = 'an unstorage driver that can write'
  if (isStorage(value)) throw new CACHE_ERR_OPTION(who, expected, 'a storage, which is the option storage')
  if (typeof value === 'function') throw new CACHE_ERR_OPTION(who, expected, 'a function: call it, it returns the driver')
  if (!hasMethods(value, 'hasItem', 'getItem', 'getKeys')) throw new CACHE_ERR_OPTION(who, expected, kindOf(value))
  assertWritable(value as UnstorageDriver, who)
  return value as UnstorageDriver
}

const storage = discreet<LentStorage>('a storage made with createStorage', isStorage)

/** Throws CACHE_ERR_OPTION for a read-only driver, which would silently discard writes. */
export function assertWritable (driver: UnstorageDriver, who: string): void {
  const isReadOnly = (driver.options as { readOnly?: unknown } | undefined)?.readOnly === true
  if (!isReadOnly && hasMethods(driver, 'removeItem') && (hasMethods(driver, 'setItem') || hasMethods(driver, 'setItemRaw'))) return
  throw new CACHE_ERR_OPTION(who, 'an unstorage driver that can write', 'a read-only driver')
}

/** Returns the settings for `options`. Throws CACHE_ERR_OPTION. */
export function readOptions (options: UnstorageOptions): Settings {
  const given = checkOptions<UnstorageOptions>('unstorage', options, {
    driver, storage, prefix: storePrefix, timeout: duration(), cleanupInterval: duration()
  })
  exactlyOne('unstorage', given, ['driver', 'storage'])
  const settings = {
    driver: given.driver,
    storage: given.storage,
    prefix: given.prefix ?? UNSTORAGE_PREFIX,
    // The checks turned the durations into milliseconds.
    timeoutMs: given.timeout as number | undefined ?? UNSTORAGE_TIMEOUT_MS,
    cleanupIntervalMs: given.cleanupInterval as number | undefined ?? UNSTORAGE_CLEANUP_INTERVAL_MS
  }
  if (given.storage !== undefined) assertWritable(given.storage.getMount(settings.prefix).driver, 'unstorage.storage')
  return settings
}
