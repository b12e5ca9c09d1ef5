// The interface that the backends for Keyv, Memcached and unstorage implement for `ByteBackend`.
import type { MaybePromise } from '../backend.js'

/** A store of bytes. Names are 64 hexadecimal digits. Methods throw if the store fails. They need no timeouts: the caller sets them. */
export interface ByteStore {
  /** Whether the store removes expired entries itself. If not, the backend removes them. */
  readonly removesExpired: boolean
  /** Returns the bytes under `name`, or undefined if there are none. */
  get (name: string): MaybePromise<Uint8Array | undefined>
  /** Stores `bytes` under `name` for at least `lifeMs`. After that time, the caller does not use them, even if they are still stored. */
  set (name: string, bytes: Uint8Array, lifeMs: number): MaybePromise<unknown>
  /** Removes the bytes under `name`. Does nothing if there are none. */
  delete (name: string): MaybePromise<unknown>
  /** Reads the bytes under several names at once. Returns the results in the order of `names`. This method is optional. */
  getMany? (names: readonly string[]): MaybePromise<Array<Uint8Array | undefined>>
  /** Lists the items that may be entries. It may list an item twice. This method is optional. */
  list? (): AsyncIterator<Listed>
  /** Closes everything that the backend opened. */
  close (): MaybePromise<unknown>
}

/** An item in the store's list, which may be an entry. */
export interface Listed {
  readonly name: string
  /** The item's bytes, if the list includes them. */
  readonly bytes?: Uint8Array | undefined
}
