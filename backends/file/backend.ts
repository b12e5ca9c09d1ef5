// The file backend itself: small entries are answered at once, changes take their turn, everything long goes in steps.
import { closeSync, unlinkSync } from 'node:fs'
import type { BackendStats, CacheBackend, ClearOptions, MaybePromise, StoredEntry } from '../../registry/backend.js'
import type { BackgroundTask } from '../../registry/background.js'
import { keepAliveDuring } from '../../registry/alive.js'
import { CACHE_ERR_BACKEND_FAILED, CACHE_ERR_CLOSED } from '../../registry/errors.js'
import { spoiltNotice } from '../../registry/own-file.js'
import { refusal } from '../../registry/refusal.js'
import type { BackendContext } from '../../registry/registry.js'
import { Folder } from './folder.js'
import { encodeHead, HEAD_BYTES, decodeRecord } from '../../registry/record.js'
import { Listing } from './listing.js'
import { Near } from './near.js'
import type { Settings } from './options.js'
import { Places, type Place } from './places.js'
import { Desk, headOf, isTrusted, openEntry, readAndClose, touch, TOUCH_AFTER_MS, type OpenFile } from './read.js'
import { Upkeep } from './upkeep.js'
import { Files, statIfThere } from './write.js'
import { Writes, type Change } from './writes.js'

/** How long closing waits for a slow disk before it refuses the changes that wait. */
const CLOSE_PATIENCE_MS = 1_000

// Far below what a Buffer, and a number of 32 bits, can hold.
const MAX_FILE_BYTES = 1_000_000_000

// Uses at one instant have an order too, and after the clock was set back; file systems and libuv keep microseconds.
const USE_STEP_MS = 0.01

/** A backend on one folder. */
export class FileBackend implements CacheBackend {
  readonly #now: () => number
  readonly #settings: Settings
  readonly #folder: Folder
  readonly #places: Places
  readonly #desk = new Desk()
  readonly #near = new Near()
  readonly #files: Files
  readonly #writes: Writes
  readonly #upkeep: Upkeep
  readonly #listing: Listing
  readonly #cleanup: BackgroundTask
  readonly #noteSpoilt: (path: string) => void
  readonly #underWay = new Set<Promise<unknown>>()
  #latestUseAt = 0
  #damaged = 0
  #closing: Promise<void> | undefined

  /** A backend that is ready. Throws CACHE_ERR_OPTION when the folder can't be used. */
  constructor (settings: Settings, context: BackendContext) {
    this.#now = context.now
    this.#settings = settings
    this.#folder = new Folder(settings.dir, context.now)
    this.#folder.open()
    this.#places = new Places(this.#folder, (place) => { this.#near.drop(place) })
    this.#files = new Files(this.#folder, settings.fsync)
    this.#writes = new Writes((change) => this.#carryOut(change))
    this.#noteSpoilt = spoiltNotice(context.log)
    const around = { folder: this.#folder, writes: this.#writes, now: context.now, goOn: () => { this.#endWhenClosed() } }
    this.#upkeep = new Upkeep({ ...around, maxBytes: settings.maxBytes, noteSpoilt: this.#noteSpoilt, log: context.log })
    this.#listing = new Listing(around)
    this.#cleanup = context.background.every('file cleanup', settings.cleanupIntervalMs, () => this.#clean())
  }

  get (key: string): MaybePromise<StoredEntry | undefined> {
    this.#refuseClosed('get')
    const place = this.#places.of(key)
    const waiting = this.#writes.find(place.name)
    if (waiting !== undefined) return this.#alive(waiting.entry)
    const at = this.#now()
    // Most reads need neither note a use nor look at anything but the bytes.
    if (at - place.usedAt <= TOUCH_AFTER_MS) {
      const entry = this.#near.get(place) ?? this.#near.read(place, (isHeld) => this.#desk.read(place, isHeld))
      if (entry !== undefined && entry.expiresAt > at) return entry
    }
    return this.#look(place)
  }

  /** Reads a file after looking at what it is: an old, a large or a damaged one, or one whose use is to be noted. */
  #look (place: Place): MaybePromise<StoredEntry | undefined> {
    place.usedAt = -Infinity
    const file = openEntry(place.path)
    if (file === undefined) return undefined
    if (!isTrusted(file) || file.expiresAt <= this.#now() || file.size > MAX_FILE_BYTES) {
      closeSync(file.descriptor)
      if (!isTrusted(file)) this.#damaged++
      if (file.standing === 'spoilt') this.#noteSpoilt(place.path)
      this.#discard(place, file)
      return undefined
    }
    const usedAt = touch(file, this.#useAt())
    const bytes = readAndClose(file)
    if (bytes instanceof Promise) return this.#later(bytes.then((all) => this.#check(all, place, file)))
    place.usedAt = usedAt
    return this.#check(bytes, place, file)
  }

  getMany (keys: readonly string[]): MaybePromise<Array<StoredEntry | undefined>> {
    const found = keys.map((key) => this.get(key))
    return found.some((one) => one instanceof Promise) ? Promise.all(found) : found as Array<StoredEntry | undefined>
  }

  has (key: string): boolean {
    this.#refuseClosed('has')
    const place = this.#places.of(key)
    const waiting = this.#writes.find(place.name)
    if (waiting !== undefined) return this.#alive(waiting.entry) !== undefined
    const file = openEntry(place.path)
    if (file === undefined) return false
    try {
      const head = isTrusted(file) ? headOf(file) : undefined
      return head !== undefined && head.key.equals(place.key) && Math.min(head.expiresAt, file.expiresAt) > this.#now()
    } finally {
      closeSync(file.descriptor)
    }
  }

  set (key: string, { value, expiresAt }: StoredEntry): Promise<void> {
    if (this.#closing !== undefined) return Promise.reject(new CACHE_ERR_CLOSED('file.set'))
    const place = this.#places.of(key)
    const { name, key: stored } = place
    this.#near.drop(place)
    const change = { name, key: stored, entry: undefined }
    const wholeMs = Math.min(Math.floor(expiresAt), Number.MAX_SAFE_INTEGER)
    if (!(wholeMs > this.#now())) return this.#writes.put(change)
    const bytes = HEAD_BYTES + stored.length + value.byteLength
    if (bytes > this.#settings.maxBytes || bytes > MAX_FILE_BYTES) {
      // What was there before must not be taken for what could not be stored.
      this.#writes.put(change)
      return Promise.reject(refusal(new CACHE_ERR_BACKEND_FAILED('file', 'set', 'the entry is larger than file.maxBytes allows')))
    }
    // To write it is to use it.
    place.usedAt = this.#now()
    return this.#writes.put({ ...change, entry: { value, expiresAt: wholeMs } })
  }

  delete (key: string): Promise<void> {
    if (this.#closing !== undefined) return Promise.reject(new CACHE_ERR_CLOSED('file.delete'))
    const place = this.#places.of(key)
    const { name, key: stored } = place
    this.#near.drop(place)
    return this.#writes.put({ name, key: stored, entry: undefined })
  }

  async clear (prefix = '', options: ClearOptions = {}): Promise<void> {
    this.#refuseClosed('clear')
    await this.#later(this.#listing.clear(prefix, options))
  }

  async keys (pattern = '*'): Promise<string[]> {
    this.#refuseClosed('keys')
    return await this.#later(this.#listing.keys(pattern))
  }

  async size (): Promise<number> {
    this.#refuseClosed('size')
    return await this.#later(this.#listing.size())
  }

  async stats (): Promise<BackendStats> {
    this.#refuseClosed('stats')
    const waitingWrites = this.#writes.waiting
    await this.#writes.flush()
    const { entries, expired, bytes } = await this.#later(this.#upkeep.count())
    return {
      entries,
      activeEntries: entries - expired,
      expiredEntries: expired,
      bytes,
      maxBytes: this.#settings.maxBytes,
      evictions: this.#upkeep.evictions,
      damagedFiles: this.#damaged,
      waitingWrites
    }
  }

  close (): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close (): Promise<void> {
    await keepAliveDuring(async () => {
      // From here on the walks end at their next step.
      await Promise.resolve()
      await this.#cleanup.cancel()
      await this.#writes.close(CLOSE_PATIENCE_MS)
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
    await this.#upkeep.cleanup().catch((error: unknown) => {
      if (!(error instanceof CACHE_ERR_CLOSED)) throw error
    })
  }

  async #carryOut ({ name, key, entry }: Change): Promise<void> {
    if (entry === undefined || this.#alive(entry) === undefined) {
      this.#upkeep.grow(-await this.#files.remove(name))
      return
    }
    const { value, expiresAt } = entry
    const contents = { head: encodeHead(key, entry), value, expiresAt, usedAt: this.#useAt() }
    await this.#upkeep.keep(contents.head.length + value.byteLength, () => this.#files.put(name, contents))
  }

  #check (bytes: Buffer, place: Place, file: OpenFile): StoredEntry | undefined {
    const entry = bytes.length === file.size ? decodeRecord(bytes, place.key) : undefined
    if (entry !== undefined) return this.#alive(entry)
    this.#damaged++
    this.#discard(place, file)
    return undefined
  }

  /** Removes a file that is of no use, unless it was replaced meanwhile. Where that fails, the next set or cleanup does it. */
  #discard ({ name, path }: Place, { inode, size }: OpenFile): void {
    try {
      if (this.#writes.find(name) !== undefined || statIfThere(path)?.ino !== inode) return
      unlinkSync(path)
      this.#upkeep.grow(-size)
    } catch {}
  }

  #alive (entry: StoredEntry | undefined): StoredEntry | undefined {
    return entry !== undefined && entry.expiresAt > this.#now() ? entry : undefined
  }

  #useAt (): number {
    this.#latestUseAt = Math.max(this.#now(), this.#latestUseAt + USE_STEP_MS)
    return this.#latestUseAt
  }

  /** `close` waits for it. */
  #later<T> (work: Promise<T>): Promise<T> {
    const ended = work.then(() => {}, () => {}).finally(() => this.#underWay.delete(ended))
    this.#underWay.add(ended)
    return work
  }
}
