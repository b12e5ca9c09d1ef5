// A store of bytes that was not made for this: what the adapters of Keyv, Memcached and unstorage make of theirs.
import type { MaybePromise } from './backend.js'

/** A store as it is asked here. A name is 64 hexadecimal digits. What it can't do it throws; it need not know what a call waits for. */
export interface ByteStore {
  /** Whether it forgets by itself what it was given for `lifeMs`. What doesn't is cleaned up from here. */
  readonly forgets: boolean
  /** The bytes under `name`; undefined when there are none. */
  get (name: string): MaybePromise<Uint8Array | undefined>
  /** Keeps `bytes` under `name`, for `lifeMs` at least; after that nobody asks for them. */
  set (name: string, bytes: Uint8Array, lifeMs: number): MaybePromise<unknown>
  /** Forgets `name`; no error when there is nothing. */
  delete (name: string): MaybePromise<unknown>
  /** Several at once, in the order of `names`. Absent: it can't. */
  getMany? (names: readonly string[]): MaybePromise<Array<Uint8Array | undefined>>
  /** What lies there that may be an entry, some of it twice perhaps. Absent: it can't tell. */
  list? (): AsyncIterator<Listed>
  /** Releases what is ours. */
  close (): MaybePromise<unknown>
}

/** Something that lies in a store under a name that may be ours. */
export interface Listed {
  readonly name: string
  /** What lies there, where it came along. */
  readonly bytes?: Uint8Array | undefined
}
