// Keeps the folder within its limit: removes expired entries, then the least recently used. Also removes what killed processes left.
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

// A temporary file older than this is removed: the process that was writing it must have ended.
const ORPHAN_AFTER_MS = 60_000

// An eviction reduces the folder to this share of its limit. It has to walk over the whole folder, so it makes room for many writes.
const KEPT_SHARE = 0.9

// The most files that one walk remembers for eviction. So a walk needs limited memory, whatever the size of the folder.
const MAX_CANDIDATES = 20_000

const MAX_ROUNDS = 100

// Errors that mean that the disk, or this user's quota, is full.
const FULL = ['ENOSPC', 'EDQUOT']

const DISK_FULL =
  'cache: the disk is full before file.maxBytes is reached; old entries are removed and the folder is kept below limitBytes; ' +
  'make room, or lower file.maxBytes'

// The least time between two evictions for a full disk. If other programs fill the disk, more evictions would only make room for them.
const GIVE_WAY_GAP_MS = 1_000

// After the disk was full, each cleanup multiplies the limit by this, up to maxBytes, because there may be more room again.
const REGROWTH = 1.25

/** Options and dependencies of the maintenance. */
export interface FileMaintenanceOptions {
  readonly folder: Folder
  readonly writes: FileWriteQueue
  readonly now: () => number
  readonly maxBytes: number
  /** Throws once the backend is closing. */
  readonly goOn: () => void
  /** Called with the path of each world-writable file, before it is removed. */
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

/** The totals of a walk over the folder. */
export interface Totals {
  entries: number
  expired: number
  bytes: number
}

/** Evicts entries and cleans up the folder of one backend. */
export class FileMaintenance {
  readonly #options: FileMaintenanceOptions
  /** The size of the folder at the last walk. What other processes have written since then is not included. */
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

  /** Records that the folder has grown by `bytes`, or has shrunk if `bytes` is negative. */
  grow (bytes: number): void {
    this.#grownBy += bytes
  }

  /** Calls `put`. If the disk is full, makes room and calls it again. Then brings the folder within its limit. Throws what `put` throws. */
  async keep (neededBytes: number, put: () => Promise<number>): Promise<void> {
    const grownBy = await put().catch(async (error: unknown) => {
      if (!FULL.includes(codeOf(error)) || !await this.#giveWay(neededBytes)) throw error
      return await put()
    })
    this.grow(grownBy)
    // The entry is already stored, even if making room fails. The next cleanup will report that failure.
    await this.#makeRoom().catch(() => {})
  }

  /** Removes entries until the folder is within its limit. */
  async #makeRoom (): Promise<void> {
    // Two sweeps may be needed, because the first call may only wait for a sweep that was already running and missed some files.
    for (let run = 0; run < 2 && this.#isFull(); run++) await keepAliveDuring(() => this.#sweep())
  }

  /**
   * Makes room on a disk that is full although the folder is within its limit. Removes expired entries, then the least recently used, and
   * lowers the limit below the folder's present size. Returns false if the folder is too small for this to free `neededBytes`.
   */
  async #giveWay (neededBytes: number): Promise<boolean> {
    await keepAliveDuring(async () => {
      await this.#run?.catch(() => {})
      if (performance.now() - this.#gaveWayAt > GIVE_WAY_GAP_MS) await this.#runAlone(() => this.#shrink(neededBytes))
    })
    return this.#gaveWay
  }

  /** Runs as a background task. Removes files that are expired, damaged or left behind, and evicts entries if needed. */
  async cleanup (): Promise<void> {
    await this.#run
    this.#limitBytes = Math.min(this.#limitBytes * REGROWTH, this.#options.maxBytes)
    await this.#sweep()
  }

  /** Counts entries and bytes, without removing anything. */
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

  /** Calls `run`, unless a run is already under way. Settles when the run that is under way has ended. */
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
      // Entries are evicted even if some files could not be checked. The error for those files is thrown afterwards.
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

  /** Removes a file that is expired, damaged or left behind. Returns any other file, which may be evicted. */
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

  /** Removes `candidates` in order until there is room. Returns how many it has removed. */
  async #evict (candidates: readonly Candidate[]): Promise<number> {
    const { writes } = this.#options
    const before = this.evictions
    let bytes = this.#bytes as number
    await inSteps(candidates, ({ name, path, inode, bytes: its }) => {
      if (bytes + this.#grownBy <= this.#limitBytes * KEPT_SHARE) return
      // A file is kept if we are replacing it, or if another process has replaced it since the walk.
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
