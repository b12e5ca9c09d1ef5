// What keeps the folder within its bounds: the expired go first, then the least recently used; and what killed writers left.
import type { Stats } from 'node:fs'
import { begunAt, type Folder } from './folder.js'
import { HEAD_BYTES } from '../../registry/frame.js'
import { standingOf } from '../../registry/own-file.js'
import { LeastUsed } from './least-used.js'
import { expiryOf, isTrusted } from './read.js'
import { inSteps, walk, type Found, type Pace } from './walk.js'
import { removeNow, statIfThere } from './write.js'
import type { Writes } from './writes.js'

// A file that was begun this long ago is not written any more.
const ORPHAN_AFTER_MS = 60_000

// Every eviction walks over the whole folder: it makes room for a good many writes.
const KEPT_SHARE = 0.9

// Walks remember no more: a folder of any size takes a bounded memory.
const MAX_CANDIDATES = 20_000

const MAX_ROUNDS = 100

/** What the upkeep needs around it. */
export interface UpkeepOptions {
  readonly folder: Folder
  readonly writes: Writes
  readonly now: () => number
  readonly maxBytes: number
  /** Throws when the backend closes. */
  readonly goOn: () => void
  /** Told of a file that everybody could write, which is removed. */
  readonly noteSpoilt: (path: string) => void
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
export class Upkeep {
  readonly #options: UpkeepOptions
  /** As far as is known: other processes write too. */
  #bytes: number | undefined
  #grownBy = 0
  #run: Promise<void> | undefined
  #awaited = 0
  /** How many entries were removed to make room. */
  evictions = 0

  constructor (options: UpkeepOptions) {
    this.#options = options
  }

  /** The folder has become larger by this. */
  grow (bytes: number): void {
    this.#grownBy += bytes
  }

  /** Removes until the folder is within its bounds, where it is not. */
  async makeRoom (): Promise<void> {
    this.#awaited++
    try {
      // A run that was under way may not have seen all.
      for (let run = 0; run < 2 && this.#isFull(); run++) await this.#sweep()
    } finally {
      this.#awaited--
    }
  }

  /** Removes what is expired, damaged or left behind, and makes room. The background task. */
  async cleanup (): Promise<void> {
    await this.#run
    await this.#sweep()
  }

  /** Counts, and changes nothing. */
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
    return this.#bytes === undefined || this.#bytes + this.#grownBy > this.#options.maxBytes
  }

  /** One run at a time: whoever comes while one is under way gets that. */
  #sweep (): Promise<void> {
    this.#run ??= this.#sweepAll().finally(() => { this.#run = undefined })
    return this.#run
  }

  async #sweepAll (): Promise<void> {
    for (let round = 0; round < MAX_ROUNDS; round++) {
      const { candidates, failure } = await this.#sweepOnce()
      this.#options.goOn()
      // What could not be looked at is no reason to leave the folder too large.
      const evicted = this.#isFull() ? await this.#evict(candidates) : 0
      if (failure !== undefined) throw failure
      if (evicted === 0 || !this.#isFull()) return
    }
  }

  async #sweepOnce (): Promise<{ candidates: readonly Candidate[], failure: unknown }> {
    const { folder } = this.#options
    const at = this.#options.now()
    const candidates = new LeastUsed<Candidate>(MAX_CANDIDATES)
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

  /** Removes what must not stay. Answers what does. */
  #lookAt ({ name, path, isEntry }: Found, at: number): Candidate | undefined {
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

  /** Removes the first of `candidates` until there is room. Answers how many. */
  async #evict (candidates: readonly Candidate[]): Promise<number> {
    const { writes, maxBytes } = this.#options
    const before = this.evictions
    let bytes = this.#bytes as number
    await inSteps(candidates, ({ name, path, inode, bytes: its }) => {
      if (bytes + this.#grownBy <= maxBytes * KEPT_SHARE) return
      // It may have been replaced since, here or by another process.
      if (writes.find(name) !== undefined || statIfThere(path)?.ino !== inode) return
      removeNow(path)
      this.#bytes = bytes -= its
      this.evictions++
    }, this.#pace())
    return this.evictions - before
  }

  #pace (): Pace {
    return { goOn: this.#options.goOn, ref: () => this.#awaited > 0 }
  }
}

function isKept (stat: Stats, at: number): boolean {
  return stat.size >= HEAD_BYTES && expiryOf(stat) > at
}
