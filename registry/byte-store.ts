// The interface that the backends for Keyv, Memcached and unstorage implement for `ByteBackend`.
import type { MaybePromise } from './backend.js'

/** A store of bytes. Names are 64 hexadecimal digits. Methods throw what fails; timeouts are the caller's task. */
export interface ByteStore {
  /** Whether it removes expired entries itself. If not, the backend sweeps it. */
  readonly forgets: boolean
  /** The bytes under `name`; undefined if there are none. */
  get (name: string): MaybePromise<Uint8Array | undefined>
  /** Stores `bytes` under `name` for at least `lifeMs`. They are not used after that. */
  set (name: string, bytes: Uint8Array, lifeMs: number): MaybePromise<unknown>
  /** Removes what is under `name`; no error if there is nothing. */
  delete (name: string): MaybePromise<unknown>
  /** Reads several names at once. Results are in the order of `names`. Optional. */
  getMany? (names: readonly string[]): MaybePromise<Array<Uint8Array | undefined>>
  /** Lists items that may be entries, possibly some of them twice. Optional. */
  list? (): AsyncIterator<Listed>
  /** Releases what the backend opened. */
  close (): MaybePromise<unknown>
}

/** An item under a name that may be ours. */
export interface Listed {
  readonly name: string
  /** Its bytes, if the list includes them. */
  readonly bytes?: Uint8Array | undefined
}
