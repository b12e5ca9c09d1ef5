// The contract between the cache and a backend: four required methods, optional powers.

/** A value or a promise of it: memory and SQLite return the value at once, a network backend returns a promise. */
export type MaybePromise<T> = T | Promise<T>

/** What is stored under a key: opaque bytes, and when they expire. */
export interface StoredEntry {
  /** Opaque bytes. Nobody changes them once they are handed over, in either direction. */
  readonly value: Uint8Array
  /** When the entry expires, in epoch milliseconds. At this instant it is no longer returned. */
  readonly expiresAt: number
}

/** What a backend reports about itself. A number that it does not know is absent. */
export interface BackendStats {
  /** Entries held, including expired ones that were not removed yet. */
  readonly entries?: number
  /** Bytes that those entries take in the store. */
  readonly bytes?: number
  /** Other counts, under the backend's own names. */
  readonly [name: string]: number | undefined
}

/** How a `clear` reports progress. */
export interface ClearOptions {
  /**
   * Call this after each step of a walk over many keys, with the number of entries that the step removed, even if that is 0. The caller
   * gives up after two seconds without a call.
   */
  readonly onProgress?: ((forgotten: number) => void) | undefined
}

/**
 * Stores bytes under keys (the guide's "Backend Interface"). Backends throw when they fail and log nothing. Methods are called on the
 * backend, so it may be a class. Writes of one key take effect in the order of the calls, even if the caller does not wait for the first
 * before the next. A backend has an optional method, a power, or it does not: there are no flags.
 */
export interface CacheBackend {
  /** The entry under `key`; undefined when absent or expired. Throws what the driver throws. */
  get (key: string): MaybePromise<StoredEntry | undefined>
  /** Stores `entry` under `key` and replaces what was there. An entry that has expired removes it. Settles when the entry is stored. */
  set (key: string, entry: StoredEntry): MaybePromise<void>
  /** Removes the entry under `key`; no error if there is none. Settles when no later read can return it. */
  delete (key: string): MaybePromise<void>
  /** Releases what the backend opened and ends every wait. What is caller-owned stays open. May be called twice. */
  close (): MaybePromise<void>

  /** Power: whether `get` would find an entry, without reading its value. */
  has? (key: string): MaybePromise<boolean>
  /**
   * Power: removes what was set before the call under keys that begin with `prefix`, or everything without one. Settles when no later
   * read can return it. If that takes longer than two seconds, it must call `onProgress` meanwhile.
   */
  clear? (prefix?: string, options?: ClearOptions): MaybePromise<void>
  /** Power: the keys of live entries that match `pattern`, in which `*` is any text and `?` any one character. @default '*' */
  keys? (pattern?: string): MaybePromise<string[]>
  /** Power: the number of entries held. */
  size? (): MaybePromise<number>
  /** Power: what the backend reports about itself. */
  stats? (): MaybePromise<BackendStats>
  /** Power: `get` for several keys in one step. Results are in the order of `keys`. */
  getMany? (keys: readonly string[]): MaybePromise<Array<StoredEntry | undefined>>
}

/** The optional methods of the contract. */
export const POWERS = ['has', 'clear', 'keys', 'size', 'stats', 'getMany'] as const

/** The name of an optional method of the contract. */
export type Power = typeof POWERS[number]

/** The methods that every backend has. */
export const REQUIRED_METHODS = ['get', 'set', 'delete', 'close'] as const

/** The powers that this backend has. */
export function powersOf (backend: CacheBackend): Power[] {
  return POWERS.filter((power) => typeof backend[power] === 'function')
}
