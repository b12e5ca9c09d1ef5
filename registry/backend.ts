// The contract between the cache and a backend: four required methods, and optional methods, which are called powers.

/** A value, or a promise of it: the backends for memory and SQLite return the value itself, network backends return a promise. */
export type MaybePromise<T> = T | Promise<T>

/** An entry: opaque bytes, and the time when they expire. */
export interface StoredEntry {
  /** Opaque bytes. After the cache has passed them to the backend, or the backend to the cache, neither may change them. */
  readonly value: Uint8Array
  /** When the entry expires, in epoch milliseconds. From this time on, the backend does not return it. */
  readonly expiresAt: number
}

/** Figures that a backend reports about itself. If the backend does not know a figure, that figure is absent. */
export interface BackendStats {
  /** The number of entries, including expired ones that have not been removed yet. */
  readonly entries?: number
  /** The number of bytes that the entries take up in the store. */
  readonly bytes?: number
  /** Other figures, under names that the backend chooses. */
  readonly [name: string]: number | undefined
}

/** Options of `clear`. */
export interface ClearOptions {
  /**
   * The backend calls this after each step of a walk over many keys, with the number of entries that the step removed, even if that is 0.
   * The caller of `clear` gives up after two seconds without such a call.
   */
  readonly onProgress?: ((deleted: number) => void) | undefined
}

/**
 * Stores bytes under keys. If a method fails, it throws an error and does not log it. Methods are called with the backend as `this`, so a
 * backend may be an instance of a class. Writes to the same key take effect in the order in which they were called, even if the caller does
 * not wait for one write before it calls the next. Optional methods are called powers. A backend that has the method has the power;
 * there are no flags that declare powers.
 */
export interface CacheBackend {
  /** Returns the entry under `key`, or undefined if there is none or it has expired. If the driver throws, this throws the same error. */
  get (key: string): MaybePromise<StoredEntry | undefined>
  /**
   * Stores `entry` under `key`, replacing any entry there. If `entry` has already expired, removes any entry there and stores nothing.
   * Settles when that is done.
   */
  set (key: string, entry: StoredEntry): MaybePromise<void>
  /** Removes the entry under `key`. Does nothing if there is none. Settles when no later read can return the entry. */
  delete (key: string): MaybePromise<void>
  /** Closes everything that the backend opened, and settles every pending call. Leaves caller-owned things open. May be called twice. */
  close (): MaybePromise<void>

  /** Power: returns whether `get` would find an entry, but does not read the entry's value. */
  has? (key: string): MaybePromise<boolean>
  /**
   * Power: removes all entries that were set before the call, or only those whose keys begin with `prefix` if it is given. Settles when no
   * later read can return any of them. If that takes longer than two seconds, the backend must call `onProgress` in the meantime.
   */
  clear? (prefix?: string, options?: ClearOptions): MaybePromise<void>
  /** Power: returns the keys of unexpired entries that match `pattern`: `*` stands for any text, `?` for any one character. @default '*' */
  keys? (pattern?: string): MaybePromise<string[]>
  /** Power: returns the number of entries. */
  size? (): MaybePromise<number>
  /** Power: returns figures about the backend. */
  stats? (): MaybePromise<BackendStats>
  /** Power: does what `get` does, for several keys in one step. Returns the results in the order of `keys`. */
  getMany? (keys: readonly string[]): MaybePromise<Array<StoredEntry | undefined>>
}

/** The optional methods of the contract. */
export const POWERS = ['has', 'clear', 'keys', 'size', 'stats', 'getMany'] as const

/** The name of an optional method of the contract. */
export type Power = typeof POWERS[number]

/** The methods that every backend has. */
export const REQUIRED_METHODS = ['get', 'set', 'delete', 'close'] as const

/** Returns the powers that a backend has. */
export function powersOf (backend: CacheBackend): Power[] {
  return POWERS.filter((power) => typeof backend[power] === 'function')
}
