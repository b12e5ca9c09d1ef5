// The contract between the cache and a backend: four required methods, and optional ones, which are called powers.

/** A value or a promise of it: memory and SQLite return the value at once, a network backend returns a promise. */
export type MaybePromise<T> = T | Promise<T>

/** An entry: opaque bytes, and the time when they expire. */
export interface StoredEntry {
  /** Opaque bytes. Neither the cache nor the backend changes them after one has passed them to the other. */
  readonly value: Uint8Array
  /** When the entry expires, in epoch milliseconds. At this instant it is no longer returned. */
  readonly expiresAt: number
}

/** Figures that a backend reports about itself. A figure that it does not know is absent. */
export interface BackendStats {
  /** The number of entries, including expired ones that have not been removed yet. */
  readonly entries?: number
  /** The number of bytes that these entries take in the store. */
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
  readonly onProgress?: ((forgotten: number) => void) | undefined
}

/**
 * Stores bytes under keys (the guide's "Backend Interface"). A backend throws when it fails, and logs nothing. Its methods are called with
 * the backend as `this`, so it may be an instance of a class. Writes of one key take effect in the order of the calls, even if the caller
 * does not wait for one write before it requests the next. Optional methods are called powers. A backend has a power exactly if it has the
 * method: there are no flags.
 */
export interface CacheBackend {
  /** Returns the entry under `key`, or undefined if there is none or it has expired. If the driver throws, this throws the same error. */
  get (key: string): MaybePromise<StoredEntry | undefined>
  /**
   * Stores `entry` under `key`, replacing any entry there. If `entry` has already expired, removes any entry there and stores nothing.
   * Settles when that is done.
   */
  set (key: string, entry: StoredEntry): MaybePromise<void>
  /** Removes the entry under `key`; no error if there is none. Settles when no later read can return it. */
  delete (key: string): MaybePromise<void>
  /** Closes what the backend opened itself, and ends every wait. Leaves caller-owned things open. May be called twice. */
  close (): MaybePromise<void>

  /** Power: whether `get` would find an entry, without reading its value. */
  has? (key: string): MaybePromise<boolean>
  /**
   * Power: removes all entries that were set before the call, or only those whose keys begin with `prefix` if it is given. Settles when no
   * later read can return any of them. If that takes longer than two seconds, the backend must call `onProgress` meanwhile.
   */
  clear? (prefix?: string, options?: ClearOptions): MaybePromise<void>
  /** Power: the keys of live entries that match `pattern`, in which `*` stands for any text and `?` for any one character. @default '*' */
  keys? (pattern?: string): MaybePromise<string[]>
  /** Power: the number of entries. */
  size? (): MaybePromise<number>
  /** Power: figures about the backend. */
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
