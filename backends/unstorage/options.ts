// The options of the backend `unstorage`: their types, defaults and checks. No error shows a driver, because it may contain passwords.
import {
  checkOptions, discreet, duration, exactlyOne, hasMethods, kindOf, storePrefix, type Check, type Duration
} from '../../registry/check.js'
import { CACHE_ERR_OPTION } from '../../registry/errors.js'

/** The members of an unstorage driver that are checked. */
export interface UnstorageDriver {
  /** The driver's own name. */
  readonly name?: string
  /** The options with which the driver was created. */
  readonly options?: any
  /** Returns whether there is something under `key`. */
  hasItem (key: string, options: any): any
  /** Returns the value under `key`, as text. */
  getItem (key: string, options?: any): any
  /** Returns all keys. */
  getKeys (base: string, options: any): any
}

/** The methods of a caller-owned unstorage storage that the backend uses. */
export interface LentStorage {
  /** Returns whether there is something under `key`. */
  hasItem (key: string): Promise<boolean>
  /** Returns the bytes under `key`, in the driver's own type. */
  getItemRaw (key: string): Promise<any>
  /** Stores bytes under `key`, for `ttl` seconds if the driver supports lifetimes. */
  setItemRaw (key: string, value: any, options?: any): Promise<void>
  /** Deletes the bytes under `key`. */
  removeItem (key: string): Promise<void>
  /** Returns the keys that begin with `base`. */
  getKeys (base?: string): Promise<string[]>
  /** Returns the mount to which a key belongs. The mount has a `driver`. */
  getMount (key?: string): any
}

/** Options of the backend `unstorage`. Exactly one of `driver` and `storage` must be given. */
export interface UnstorageOptions {
  /** A driver, for example `fsDriver({ base: 'cache' })`. It is handed over to the cache, which disposes it on close. @default none */
  driver?: UnstorageDriver
  /** A caller-owned storage. Closing the cache does not dispose it. @default none */
  storage?: LentStorage
  /** The prefix of all keys. The backend touches no other keys. @default 'frc' */
  prefix?: string
  /** The timeout of a call to the driver. @default '1s' */
  timeout?: Duration
  /** How often the backend removes expired entries, if the store does not remove them itself. @default '10m' */
  cleanupInterval?: Duration
}

/** The default value of the option `prefix`. */
export const UNSTORAGE_PREFIX = 'frc'

/** The default value of the option `timeout`: one second, in milliseconds. */
export const UNSTORAGE_TIMEOUT_MS = 1_000

/** The default value of the option `cleanupInterval`: ten minutes, in milliseconds. */
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

/** Throws CACHE_ERR_OPTION if a driver is read-only, because it would silently discard writes. */
export function assertWritable (driver: UnstorageDriver, who: string): void {
  const isReadOnly = (driver.options as { readOnly?: unknown } | undefined)?.readOnly === true
  if (!isReadOnly && hasMethods(driver, 'removeItem') && (hasMethods(driver, 'setItem') || hasMethods(driver, 'setItemRaw'))) return
  throw new CACHE_ERR_OPTION(who, 'an unstorage driver that can write', 'a read-only driver')
}

/** Returns the settings for `options`. Throws CACHE_ERR_OPTION if an option is wrong. */
export function readOptions (options: UnstorageOptions): Settings {
  const given = checkOptions<UnstorageOptions>('unstorage', options, {
    driver, storage, prefix: storePrefix, timeout: duration(), cleanupInterval: duration()
  })
  exactlyOne('unstorage', given, ['driver', 'storage'])
  const settings = {
    driver: given.driver,
    storage: given.storage,
    prefix: given.prefix ?? UNSTORAGE_PREFIX,
    // The checks have already converted the durations to milliseconds.
    timeoutMs: given.timeout as number | undefined ?? UNSTORAGE_TIMEOUT_MS,
    cleanupIntervalMs: given.cleanupInterval as number | undefined ?? UNSTORAGE_CLEANUP_INTERVAL_MS
  }
  if (given.storage !== undefined) assertWritable(given.storage.getMount(settings.prefix).driver, 'unstorage.storage')
  return settings
}
