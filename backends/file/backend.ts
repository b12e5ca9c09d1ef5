// The class of the file backend. It reads small entries synchronously, queues writes, and does long work in steps.
import type { BackendStats, CacheBackend, ClearOptions, MaybePromise, StoredEntry } from '../../registry/backend.js'
import type { BackgroundTask } from '../../registry/background.js'
import { keepAliveDuring } from '../../registry/alive.js'
import { CACHE_ERR_BACKEND_FAILED, CACHE_ERR_CLOSED } from '../../registry/errors.js'
import { spoiltNotice } from '../../registry/own-file.js'
import { refusal } from '../../registry/refusal.js'
import type { BackendContext } from '../../registry/registry.js'
import { Folder } from './folder.js'
import { encodeHead, HEAD_BYTES } from '../../registry/codec.js'
import { FileScan } from './scan.js'
import { FileReadCache } from './read-cache.js'
import type { Settings } from './options.js'
import { EntryPaths } from './paths.js'
import { SmallFileReader, TOUCH_AFTER_MS } from './entry-file.js'
import { FileMaintenance } from './maintenance.js'
import { FileWriter } from './file-writer.js'
import { MAX_FILE_BYTES, SlowReader } from './slow-reader.js'
import { FileWriteQueue, type FileWrite } from './write-queue.js'

/** How long `close` waits for a slow disk before it refuses the pending writes. */
const CLOSE_PATIENCE_MS = 1_000

// The recorded time of each use is at least this much later than that of the use before it. So the order of uses is kept even if several
// happen at the same time, or the clock is set back. File systems and libuv store times exactly to the microsecond.
const USE_STEP_MS = 0.01

/** A backend that stores its entries in one folder. */
export class FileBackend implements CacheBackend {
  readonly #now: () => number
  readonly #settings: Settings
  readonly #folder: Folder
  readonly #paths: EntryPaths
  readonly #small = new SmallFileReader()
  readonly #slow: SlowReader
  readonly #cache = new FileReadCache()
  readonly #writer: FileWriter
  readonly #writes: FileWriteQueue
  readonly #maintenance: FileMaintenance
  readonly #scan: FileScan
  readonly #cleanup: BackgroundTask
  readonly #underWay = new Set<Promise<unknown>>()
  #latestUseAt = 0
  #closing: Promise<void> | undefined

  /** Opens the folder. Throws CACHE_ERR_OPTION if the folder can't be used. */
  constructor (settings: Settings, context: BackendContext) {
    this.#now = context.now
    this.#settings = settings
    this.#folder = new Folder(settings.dir, context.now)
    this.#folder.open()
    this.#paths = new EntryPaths(this.#folder, (entryPath) => { this.#cache.drop(entryPath) })
    this.#writer = new FileWriter(this.#folder, settings.fsync)
    this.#writes = new FileWriteQueue((write) => this.#carryOut(write))
    const noteSpoilt = spoiltNotice(context.log)
    const around = { folder: this.#folder, writes: this.#writes, now: context.now, goOn: () => { this.#endWhenClosed() } }
    this.#maintenance = new FileMaintenance({ ...around, maxBytes: settings.maxBytes, noteSpoilt, log: context.log })
    this.#slow = new SlowReader({ ...around, useAt: () => this.#useAt(), maintenance: this.#maintenance, noteSpoilt })
    this.#scan = new FileScan(around)
    this.#cleanup = context.background.every('file cleanup', settings.cleanupIntervalMs, () => this.#clean())
  }

  get (key: string): MaybePromise<StoredEntry | undefined> {
    this.#refuseClosed('get')
    const entryPath = this.#paths.of(key)
    const waiting = this.#writes.find(entryPath.name)
    if (waiting !== undefined) return this.#alive(waiting.entry)
    const at = this.#now()
    // Most reads take this path: a recent use is already recorded in the file, so only the file's bytes have to be checked.
    if (at - entryPath.usedAt <= TOUCH_AFTER_MS) {
      const entry = this.#cache.get(entryPath) ?? this.#cache.read(entryPath, (isHeld) => this.#small.read(entryPath, isHeld))
      if (entry !== undefined && entry.expiresAt > at) return entry
    }
    const read = this.#slow.read(entryPath)
    return read instanceof Promise ? this.#later(read) : read
  }

  getMany (keys: readonly string[]): MaybePromise<Array<StoredEntry | undefined>> {
    const found = keys.map((key) => this.get(key))
    return found.some((one) => one instanceof Promise) ? Promise.all(found) : found as Array<StoredEntry | undefined>
  }

  has (key: string): boolean {
    this.#refuseClosed('has')
    const entryPath = this.#paths.of(key)
    const waiting = this.#writes.find(entryPath.name)
    if (waiting !== undefined) return this.#alive(waiting.entry) !== undefined
    return this.#slow.has(entryPath)
  }

  set (key: string, { value, expiresAt }: StoredEntry): Promise<void> {
    if (this.#closing !== undefined) return Promise.reject(new CACHE_ERR_CLOSED('file.set'))
    const entryPath = this.#paths.of(key)
    const { name, key: stored } = entryPath
    this.#cache.drop(entryPath)
    const write = { key: name, stored, entry: undefined }
    const wholeMs = Math.min(Math.floor(expiresAt), Number.MAX_SAFE_INTEGER)
    if (!(wholeMs > this.#now())) return this.#writes.put(write)
    const bytes = HEAD_BYTES + stored.length + value.byteLength
    if (bytes > this.#settings.maxBytes || bytes > MAX_FILE_BYTES) {
      // The new entry is refused, but the old one is out of date and must be removed.
      this.#writes.put(write)
      return Promise.reject(refusal(new CACHE_ERR_BACKEND_FAILED('file', 'set', 'the entry is larger than file.maxBytes allows')))
    }
    // A write counts as a use.
    entryPath.usedAt = this.#now()
    return this.#writes.put({ ...write, entry: { value, expiresAt: wholeMs } })
  }

  delete (key: string): Promise<void> {
    if (this.#closing !== undefined) return Promise.reject(new CACHE_ERR_CLOSED('file.delete'))
    const entryPath = this.#paths.of(key)
    const { name, key: stored } = entryPath
    this.#cache.drop(entryPath)
    return this.#writes.put({ key: name, stored, entry: undefined })
  }

  async clear (prefix = '', options: ClearOptions = {}): Promise<void> {
    this.#refuseClosed('clear')
    await this.#later(this.#scan.clear(prefix, options))
  }

  async keys (pattern = '*'): Promise<string[]> {
    this.#refuseClosed('keys')
    return await this.#later(this.#scan.keys(pattern))
  }

  async size (): Promise<number> {
    this.#refuseClosed('size')
    return await this.#later(this.#scan.size())
  }

  async stats (): Promise<BackendStats> {
    this.#refuseClosed('stats')
    const waitingWrites = this.#writes.waiting
    await this.#writes.flush()
    const { entries, expired, bytes } = await this.#later(this.#maintenance.count())
    return {
      entries,
      activeEntries: entries - expired,
      expiredEntries: expired,
      bytes,
      maxBytes: this.#settings.maxBytes,
      evictions: this.#maintenance.evictions,
      damagedFiles: this.#slow.damaged,
      waitingWrites
    }
  }

  close (): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close (): Promise<void> {
    await keepAliveDuring(async () => {
      // After this `await`, `close` has set `#closing`, so running walks end at their next step.
      await Promise.resolve()
      await this.#cleanup.cancel()
      await this.#writes.closeWithin(CLOSE_PATIENCE_MS)
      await Promise.allSettled(this.#underWay)
    }, CLOSE_PATIENCE_MS)
  }

  #refuseClosed (operation: string): void {
    if (this.#closing !== undefined) throw new CACHE_ERR_CLOSED(`file.${operation}`)
  }

  #endWhenClosed (): void {
    if (this.#closing !== undefined) throw new CACHE_ERR_CLOSED('file')
  }

  async #clean (): Promise<void> {
    await this.#maintenance.cleanup().catch((error: unknown) => {
      if (!(error instanceof CACHE_ERR_CLOSED)) throw error
    })
  }

  async #carryOut ({ key: name, stored, entry }: FileWrite): Promise<void> {
    if (entry === undefined || this.#alive(entry) === undefined) {
      this.#maintenance.grow(-await this.#writer.remove(name))
      return
    }
    const { value, expiresAt } = entry
    const contents = { head: encodeHead(stored, entry), value, expiresAt, usedAt: this.#useAt() }
    await this.#maintenance.keep(contents.head.length + value.byteLength, () => this.#writer.put(name, contents))
  }

  #alive (entry: StoredEntry | undefined): StoredEntry | undefined {
    return entry !== undefined && entry.expiresAt > this.#now() ? entry : undefined
  }

  #useAt (): number {
    this.#latestUseAt = Math.max(this.#now(), this.#latestUseAt + USE_STEP_MS)
    return this.#latestUseAt
  }

  /** Returns `work`, and makes `close` wait for it. */
  #later<T> (work: Promise<T>): Promise<T> {
    const ended = work.then(() => {}, () => {}).finally(() => this.#underWay.delete(ended))
    this.#underWay.add(ended)
    return work
  }
}
