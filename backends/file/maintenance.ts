// Keeps the folder within its bounds. Removes expired entries first, then the least recently used, and files that killed writers left.
import type { Stats } from 'node:fs'
import { keepAliveDuring } from '../../registry/alive.js'
import { begunAt, codeOf, type Folder } from './folder.js'
import { HEAD_BYTES } from '../../registry/codec.js'
import { standingOf } from '../../registry/own-file.js'
import type { CacheLog } from '../../registry/registry.js'
import { EvictionCandidates } from './eviction-candidates.js'
import { expiryOf, isTrusted } from './entry-file.js'
import { inSteps, walk, type FoundFile, type Pace } from './walk.js'
import { removeNow, statIfThere } from './file-writer.js'
import type { FileWriteQueue } from './write-queue.js'

// A temporary file older than this has no writer any more.
const ORPHAN_AFTER_MS = 60_000

// An eviction walks over the whole folder, so it makes room for many writes.
const KEPT_SHARE = 0.9

// Bounds the memory of a walk, whatever the size of the folder.
const MAX_CANDIDATES = 20_000

const MAX_ROUNDS = 100

// The disk is full, or this user's quota is.
const FULL = ['ENOSPC', 'EDQUOT']

const DISK_FULL =
  'cache: the disk is full before file.maxBytes is reached; old entries are removed and the folder is kept below limitBytes; ' +
  'make room, or lower file.maxBytes'

// If others fill the disk too, they take freed space at once. So no more is freed within this time.
const GIVE_WAY_GAP_MS = 1_000

// Each cleanup allows the folder to grow by this factor, up to maxBytes, because the disk may have room by now.
const REGROWTH = 1.25

/** What the maintenance needs around it. */
export interface FileMaintenanceOptions {
  readonly folder: Folder
  readonly writes: FileWriteQueue
  readonly now: () => number
  readonly maxBytes: number
  /** Throws when the backend closes. */
  readonly goOn: () => void
  /** Called with each file that everybody could write, which is removed. */
  readonly noteSpoilt: (path: string) => void
  readonly log: CacheLog
}

interface Candidate {
  readonly name: string
  readonly path: string
  readonly bytes: number
  readonly inode: number
  readonly usedAt: number
}

/** What a walk found. */
export interface Totals {
  entries: number
  expired: number
  bytes: number
}

/** Eviction and cleanup of one backend. */
export class FileMaintenance {
  readonly #options: FileMaintenanceOptions
  /** The size at the last walk. Other processes write too. */
  #bytes: number | undefined
  #grownBy = 0
  /** `maxBytes`, or less after the disk was full. */
  #limitBytes: number
  #run: Promise<void> | undefined
  #gaveWayAt = -Infinity
  #gaveWay = false
  /** How many entries were removed to make room. */
  evictions = 0

  constructor (options: FileMaintenanceOptions) {
    this.#options = options
    this.#limitBytes = options.maxBytes
  }

  /** The folder has become larger by this. */
  grow (bytes: number): void {
    this.#grownBy += bytes
  }

  /**
   * Calls `put`, which returns by how much the folder grew, and makes room if needed. If the disk is full, it makes room and tries again.
   * Throws what `put` throws.
   */
  async keep (neededBytes: number, put: () => Promise<number>): Promise<void> {
    const grownBy = await put().catch(async (error: unknown) => {
      if (!FULL.includes(codeOf(error)) || !await this.#giveWay(neededBytes)) throw error
      return await put()
    })
    this.grow(grownBy)
    // The entry is stored, even if this fails. The next cleanup will report the failure.
    await this.#makeRoom().catch(() => {})
  }

  /** Removes entries until the folder is within its bounds. */
  async #makeRoom (): Promise<void> {
    // A run that was already under way may have missed some.
    for (let run = 0; run < 2 && this.#isFull(); run++) await keepAliveDuring(() => this.#sweep())
  }

  /**
   * For a disk that is full before the folder is: removes expired entries, then the least recently used, and keeps the folder below its
   * size. Returns whether that makes room: not if the folder is small compared to `neededBytes`.
   */
  async #giveWay (neededBytes: number): Promise<boolean> {
    await keepAliveDuring(async () => {
      await this.#run?.catch(() => {})
      if (performance.now() - this.#gaveWayAt > GIVE_WAY_GAP_MS) await this.#runAlone(() => this.#shrink(neededBytes))
    })
    return this.#gaveWay
  }

  /** Removes what is expired, damaged or left behind, and evicts if needed. The background task. */
  async cleanup (): Promise<void> {
    await this.#run
    this.#limitBytes = Math.min(this.#limitBytes * REGROWTH, this.#options.maxBytes)
    await this.#sweep()
  }

  /** Counts entries and bytes. Changes nothing. */
  async count (): Promise<Totals> {
    const totals = { entries: 0, expired: 0, bytes: 0 }
    const at = this.#options.now()
    await walk(this.#options.folder, (found) => {
      const stat = statIfThere(found.path)
      if (stat?.isFile() !== true) return
      totals.bytes += stat.size
      if (!found.isEntry) return
      totals.entries++
      if (expiryOf(stat) <= at) totals.expired++
    }, this.#options)
    return totals
  }

  #isFull (): boolean {
    return this.#bytes === undefined || this.#bytes + this.#grownBy > this.#limitBytes
  }

  #sweep (): Promise<void> {
    return this.#runAlone(() => this.#sweepAll())
  }

  /** One run at a time: calls during a run wait for that run. */
  #runAlone (run: () => Promise<void>): Promise<void> {
    this.#run ??= run().finally(() => { this.#run = undefined })
    return this.#run
  }

  async #shrink (neededBytes: number): Promise<void> {
    const { candidates } = await this.#sweepOnce()
    this.#options.goOn()
    const bytes = this.#bytes as number
    this.#gaveWay = bytes >= neededBytes * 2
    if (this.#gaveWay) {
      this.#limitTo(Math.floor(bytes * KEPT_SHARE))
      await this.#evict(candidates)
    }
    this.#gaveWayAt = performance.now()
  }

  #limitTo (limitBytes: number): void {
    const { folder, log, maxBytes } = this.#options
    if (this.#limitBytes === maxBytes) log.warn({ dir: folder.shardsDir, limitBytes, maxBytes }, DISK_FULL)
    this.#limitBytes = limitBytes
  }

  async #sweepAll (): Promise<void> {
    for (let round = 0; round < MAX_ROUNDS; round++) {
      const { candidates, failure } = await this.#sweepOnce()
      this.#options.goOn()
      // Files that could not be checked are no reason to leave the folder too large.
      const evicted = this.#isFull() ? await this.#evict(candidates) : 0
      if (failure !== undefined) throw failure
      if (evicted === 0 || !this.#isFull()) return
    }
  }

  async #sweepOnce (): Promise<{ candidates: readonly Candidate[], failure: unknown }> {
    const { folder } = this.#options
    const at = this.#options.now()
    const candidates = new EvictionCandidates<Candidate>(MAX_CANDIDATES)
    let bytes = 0
    this.#grownBy = 0
    const failure = await walk(folder, (found) => {
      const kept = this.#lookAt(found, at)
      if (kept === undefined) return
      bytes += kept.bytes
      if (found.isEntry) candidates.add(kept)
    }, this.#pace()).then(() => undefined, (error: unknown) => error)
    this.#bytes = bytes
    return { candidates: candidates.inOrder, failure }
  }

  /** Removes a file that must not stay. Returns one that may. */
  #lookAt ({ name, path, isEntry }: FoundFile, at: number): Candidate | undefined {
    const begun = begunAt(name)
    if (begun !== undefined && Math.abs(at - begun) > ORPHAN_AFTER_MS) {
      removeNow(path)
      return undefined
    }
    const stat = statIfThere(path)
    if (stat === undefined) return undefined
    const standing = standingOf(stat)
    if (isEntry && !(isTrusted({ standing }) && isKept(stat, at)) && this.#options.writes.find(name) === undefined) {
      if (standing === 'spoilt') this.#options.noteSpoilt(path)
      removeNow(path)
      return undefined
    }
    return { name, path, bytes: stat.size, inode: stat.ino, usedAt: stat.atimeMs }
  }

  /** Removes `candidates` in order until there is room. Returns how many. */
  async #evict (candidates: readonly Candidate[]): Promise<number> {
    const { writes } = this.#options
    const before = this.evictions
    let bytes = this.#bytes as number
    await inSteps(candidates, ({ name, path, inode, bytes: its }) => {
      if (bytes + this.#grownBy <= this.#limitBytes * KEPT_SHARE) return
      // It may have been replaced meanwhile, by us or by another process.
      if (writes.find(name) !== undefined || statIfThere(path)?.ino !== inode) return
      removeNow(path)
      this.#bytes = bytes -= its
      this.evictions++
    }, this.#pace())
    return this.evictions - before
  }

  #pace (): Pace {
    return { goOn: this.#options.goOn, ref: false }
  }
}

function isKept (stat: Stats, at: number): boolean {
  return stat.size >= HEAD_BYTES && expiryOf(stat) > at
}
