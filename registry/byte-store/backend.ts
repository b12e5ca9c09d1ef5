// Adapts a byte store (Keyv, Memcached, unstorage) to CacheBackend: each value is stored as a record with its key and its expiry time.
import type { BackgroundTask } from '../background.js'
import type { BackendStats, CacheBackend, ClearOptions, MaybePromise, StoredEntry } from '../backend.js'
import { ByteMaintenance } from './maintenance.js'
import { ByteScan } from './scan.js'
import type { ByteStore } from './byte-store.js'
import { BoundedCalls } from './bounded-calls.js'
import { encodeRecord, nameOf, decodeRecord, storedKey } from '../codec.js'
import type { BackendContext } from '../registry.js'
import { noop } from '../maybe-promise.js'
import type { Write } from '../write-queue.js'

/** Settings of a `ByteBackend`. */
export interface ByteStoreSettings {
  /** The backend's name, for error messages. */
  readonly name: string
  readonly timeoutMs: number
  /** How often expired entries are removed, if the store can list its items and does not remove expired ones itself. */
  readonly cleanupIntervalMs?: number
}

/** A backend that keeps its entries in a store of bytes. It has `clear`, `size` and `keys` if the store can list its items. */
export class ByteBackend implements CacheBackend {
  declare readonly getMany?: (keys: readonly string[]) => Promise<Array<StoredEntry | undefined>>
  declare readonly clear?: (prefix?: string, options?: ClearOptions) => Promise<void>
  declare readonly keys?: (pattern?: string) => Promise<string[]>
  declare readonly size?: () => Promise<number>
  readonly #store: ByteStore
  readonly #calls: BoundedCalls
  readonly #now: () => number
  readonly #maintenance: ByteMaintenance
  readonly #cleanup: BackgroundTask | undefined
  #foreign = 0
  #closing: Promise<void> | undefined

  constructor (store: ByteStore, { name, timeoutMs, cleanupIntervalMs }: ByteStoreSettings, { now, background }: BackendContext) {
    this.#store = store
    this.#calls = new BoundedCalls(name, timeoutMs, (write) => this.#carryOut(write))
    this.#now = now
    const parts = { store, calls: this.#calls, now, deleteKey: (key: string) => this.delete(key) }
    this.#maintenance = new ByteMaintenance({ ...parts, find: (key) => this.#find(key) })
    if (store.getMany !== undefined) this.getMany = (keys) => this.#getMany(keys)
    if (store.list === undefined) return
    const scan = new ByteScan(parts)
    this.clear = (prefix = '', options) => scan.clear(prefix, options)
    this.keys = (pattern = '*') => scan.keys(pattern)
    this.size = () => scan.size()
    if (!store.removesExpired && cleanupIntervalMs !== undefined) {
      this.#cleanup = background.every(`${name} cleanup`, cleanupIntervalMs, () => this.#maintenance.sweep(scan))
    }
  }

  async get (key: string): Promise<StoredEntry | undefined> {
    const entry = await this.#find(key)
    if (entry === undefined || this.#isLive(entry)) return entry
    if (!this.#store.removesExpired) this.#maintenance.removeExpired(key).catch(noop)
    return undefined
  }

  async set (key: string, { value, expiresAt }: StoredEntry): Promise<void> {
    const wholeMs = Math.min(Math.floor(expiresAt), Number.MAX_SAFE_INTEGER)
    if (!(wholeMs > this.#now())) return await this.delete(key)
    this.#maintenance.noteWrite(key)
    await this.#calls.write({ key, entry: { value, expiresAt: wholeMs } })
  }

  async delete (key: string): Promise<void> {
    this.#maintenance.noteWrite(key)
    await this.#calls.write({ key, entry: undefined })
  }

  /** Returns the figures that are known without a call to the store. */
  stats (): BackendStats {
    return { foreignValues: this.#foreign, timeouts: this.#calls.timeouts }
  }

  close (): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close (): Promise<void> {
    this.#calls.close()
    await this.#cleanup?.cancel()
    await this.#store.close()
  }

  async #getMany (keys: readonly string[]): Promise<Array<StoredEntry | undefined>> {
    const stored = keys.map(storedKey)
    const found = await this.#calls.run('getMany', () => this.#store.getMany!(stored.map(nameOf)))
    return found.map((bytes, at) => {
      const entry = this.#read(bytes, stored[at]!)
      return entry !== undefined && this.#isLive(entry) ? entry : undefined
    })
  }

  #carryOut ({ key, entry }: Write): MaybePromise<unknown> {
    const stored = storedKey(key)
    const lifeMs = entry === undefined ? 0 : entry.expiresAt - this.#now()
    return entry !== undefined && lifeMs > 0
      ? this.#store.set(nameOf(stored), encodeRecord(stored, entry), lifeMs)
      : this.#store.delete(nameOf(stored))
  }

  /** Returns the entry under `key`, even if it has expired. */
  async #find (key: string): Promise<StoredEntry | undefined> {
    const stored = storedKey(key)
    return this.#read(await this.#calls.run('get', () => this.#store.get(nameOf(stored))), stored)
  }

  /** Decodes an entry. Returns undefined if the bytes are damaged, belong to another key, or were not written by this cache. */
  #read (bytes: Uint8Array | undefined, stored: Buffer): StoredEntry | undefined {
    if (bytes === undefined) return undefined
    const entry = decodeRecord(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength), stored)
    if (entry === undefined) this.#foreign++
    return entry
  }

  #isLive (entry: StoredEntry): boolean {
    return entry.expiresAt > this.#now()
  }
}
