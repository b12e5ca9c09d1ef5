// The interface that the backends for Keyv, Memcached and unstorage implement for `ByteBackend`.
import type { MaybePromise } from './backend.js'

/**
 * A store of bytes. Names are 64 hexadecimal digits. Methods throw if the store fails. They need no timeouts, because the caller has them.
 */
export interface ByteStore {
  /** Whether the store removes expired entries itself. If not, the backend removes them. */
  readonly forgets: boolean
  /** The bytes under `name`; undefined if there are none. */
  get (name: string): MaybePromise<Uint8Array | undefined>
  /** Stores `bytes` under `name` for at least `lifeMs`. After that time they are not used, even if they are still stored. */
  set (name: string, bytes: Uint8Array, lifeMs: number): MaybePromise<unknown>
  /** Removes the bytes under `name`; no error if there are none. */
  delete (name: string): MaybePromise<unknown>
  /** Reads several names at once. Results are in the order of `names`. Optional. */
  getMany? (names: readonly string[]): MaybePromise<Array<Uint8Array | undefined>>
  /** Lists items that may be entries. Some may be listed twice. Optional. */
  list? (): AsyncIterator<Listed>
  /** Closes what the backend opened. */
  close (): MaybePromise<unknown>
}

/** A listed item, whose name may be that of an entry. */
export interface Listed {
  readonly name: string
  /** Its bytes, if the list includes them. */
  readonly bytes?: Uint8Array | undefined
}
