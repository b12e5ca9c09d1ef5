// The contract between the cache and a backend: four required methods, optional powers.

/** An answer that may be there now or later: memory and SQLite have it now, a network has it later. */
export type MaybePromise<T> = T | Promise<T>

/** What lies under a key: opaque bytes, and the instant at which they are forgotten. */
export interface StoredEntry {
  /** Opaque bytes. Nobody changes them once they are handed over, in either direction. */
  readonly value: Uint8Array
  /** Epoch milliseconds from which the entry is gone: at this instant it is already not returned. */
  readonly expiresAt: number
}

/** What a backend can tell of itself. A number that it does not know is absent. */
export interface BackendStats {
  /** Entries held, expired ones that were not dropped yet among them. */
  readonly entries?: number
  /** Bytes that those entries take where the backend keeps them. */
  readonly bytes?: number
  /** Whatever else the backend counts, under names of its own. */
  readonly [name: string]: number | undefined
}

/** How a `clear` says that it goes on. */
export interface ClearOptions {
  /**
   * To be called after each step of a walk over many keys, with the number of entries that this step forgot, also where that is
   * none. Whoever waits for the walk gives up after two seconds of silence: a walk that says nothing must be over by then.
   */
  readonly onProgress?: ((forgotten: number) => void) | undefined
}

/**
 * Where bytes rest (the guide's "Backend Interface"). Backends throw when they fail, log nothing, and are called
 * as methods, so a class may be one. Changes of one key take effect in the order in which they were called, before
 * they settle or not. A backend has a power exactly when it has the method.
 */
export interface CacheBackend {
  /** The entry under `key`; undefined when absent or expired. Throws what the driver throws. */
  get (key: string): MaybePromise<StoredEntry | undefined>
  /** Puts `entry` under `key` in place of what was there; an entry already expired leaves nothing. Settles when it is kept. */
  set (key: string, entry: StoredEntry): MaybePromise<void>
  /** Forgets `key`; no error when there is nothing. Settles when no later read can see it. */
  delete (key: string): MaybePromise<void>
  /** Releases what the backend opened, ends every wait, and may be called twice. What was lent stays open. */
  close (): MaybePromise<void>

  /** Power: whether `get` would find an entry, without reading its value. */
  has? (key: string): MaybePromise<boolean>
  /**
   * Power: forgets what was set, before the call, under keys that begin with `prefix`; without one, everything. Settles when no later
   * read can see it. One that takes longer than two seconds says with `onProgress` that it goes on.
   */
  clear? (prefix?: string, options?: ClearOptions): MaybePromise<void>
  /** Power: the keys of live entries that match `pattern`, in which `*` is any text and `?` any one character. @default '*' */
  keys? (pattern?: string): MaybePromise<string[]>
  /** Power: the number of entries held. */
  size? (): MaybePromise<number>
  /** Power: what the backend can tell of itself. */
  stats? (): MaybePromise<BackendStats>
  /** Power: `get` for several keys in one step; answers stand in the order of `keys`. */
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
