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

/** The outcome of a `claim` whose caller may create the entry. */
export interface GrantedClaim {
  /** The caller passes the token to `settle` once, whatever comes of the work. */
  readonly token: string
}

/** The outcome of a `claim` if there is an entry that is not the one that the caller has seen. */
export interface FoundClaim {
  /** The entry under the key. */
  readonly entry: StoredEntry
}

/** The outcome of a `claim` if somebody else is creating the entry. */
export interface BusyClaim {
  /** Unless they settle earlier, nobody else gets a lease for this many milliseconds. */
  readonly busyMs: number
}

/** The outcome of `claim`. */
export type Claim = GrantedClaim | FoundClaim | BusyClaim

/** Options of `claim`. All times are durations, which the store's clock measures, because the clocks of processes may differ. */
export interface ClaimOptions {
  /**
   * For how many milliseconds nobody else may begin to create the entry. With 0, there is no lease: the caller gets a token even if
   * somebody else has the lease, and that lease stays as it is.
   */
  readonly leaseMs: number
  /** For how many milliseconds an entry may be stored with the token. At least `leaseMs`. */
  readonly fillMs: number
  /** The `expiresAt` of the entry that the caller has seen and wants to replace; absent if it has seen none. */
  readonly seen?: number | undefined
  /**
   * The caller's own token. No new token is given out. If this one is no longer valid, returns `busyMs`, which may be 0. If `leaseMs` is
   * not 0, and somebody else has the lease by now, returns `busyMs`. Otherwise returns the same token, after making its lease, if it is to
   * have one, end `leaseMs` from now.
   */
  readonly token?: string | undefined
}

/** How the work for which a token was given out has ended. */
export interface Settlement {
  /** The entry to store; absent if there is none. */
  readonly entry?: StoredEntry | undefined
  /**
   * Only with `entry`: it is stored only in place of the entry with this `expiresAt`, or with 0, only if there is no entry. It may then
   * also be stored if another token was settled with an entry meanwhile. If it is not stored for this reason, the token stays valid.
   */
  readonly replaces?: number | undefined
  /** For this many milliseconds, nobody waits for this key: every claim gets a token at once, and no lease. Only without `entry`. */
  readonly aloneMs?: number | undefined
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

  /**
   * Power, together with `settle`: asks to create the entry under `key`. Happens in one step, between whose parts no other process can do
   * anything to the key. If there is an entry that the caller has not seen, returns that entry. Otherwise, if somebody else has the lease,
   * returns for how long. Otherwise, returns a token, and the lease with it. A token stays valid after its lease has ended: the lease says
   * who runs, and the token says who may store. `set`, `delete` and `clear` make every token invalid that was given out for their keys
   * before, and do so before they settle. A lease is not an entry: no other method returns or counts it.
   */
  claim? (key: string, options: ClaimOptions): MaybePromise<Claim>
  /**
   * Power, together with `claim`: ends the work for which the token was given out, and its lease, in one step. An entry is stored under
   * `key` only if the token is still valid: `fillMs` has not passed, and since it was given out, `key` was neither set, deleted nor
   * cleared, and no entry was stored with this token or, unless `replaces` is given, with one that was given out later. Returns whether an
   * entry was stored. A token that is unknown has no effect. If this rejects, the entry is not stored by this call, not even later.
   */
  settle? (key: string, token: string, settlement: Settlement): MaybePromise<boolean>
  /**
   * Power: returns a number that all processes share under `name`. With `raise`, makes it larger first. It never becomes smaller, not even
   * if the store is emptied, evicts it or is restarted.
   */
  version? (name: string, raise?: boolean): MaybePromise<number>
}

/** The optional methods of the contract. */
export const POWERS = ['has', 'clear', 'keys', 'size', 'stats', 'getMany', 'claim', 'settle', 'version'] as const

/** The name of an optional method of the contract. */
export type Power = typeof POWERS[number]

/** The methods that every backend has. */
export const REQUIRED_METHODS = ['get', 'set', 'delete', 'close'] as const

/** Returns the powers that a backend has. */
export function powersOf (backend: CacheBackend): Power[] {
  return POWERS.filter((power) => typeof backend[power] === 'function')
}
