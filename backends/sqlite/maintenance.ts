// Keeps the table within its bounds, in steps of a few milliseconds: removes expired entries first, then the least recently used.
import type { Connection } from './connection.js'
import type { KeyRange } from './codec.js'
import type { CacheDatabase } from './database.js'
import { LEAST_BYTES, type Settings } from './options.js'
import type { TimeSlices, SliceOptions } from './time-slices.js'
import type { WriteAheadLog } from './write-ahead-log.js'

// How many rows are deleted before the code looks at the clock again.
const ROWS_AT_ONCE = 16

// How many records of leases are looked at before the code looks at the clock again.
const LEASES_AT_ONCE = 64

// The pause between two steps that delete rows that a clear has left behind. It is long: the many requests after a clear are more urgent.
const SWEEP_PAUSE_MS = 10

// Eviction reduces the used bytes to this share of their limit. If it stopped at the limit, every flush of a full cache would evict again.
const KEPT_SHARE = 0.99

// Free pages are kept for later writes. But if more than MANY_FREE_SHARE of the file is free, it is shrunk until only FEW_FREE_SHARE is.
const MANY_FREE_SHARE = 0.25
const FEW_FREE_SHARE = 0.05

// After the disk was full, the file is kept this many bytes smaller than it was. If its size divided by ROOM_SHARE is more than that, it is
// kept smaller by that amount instead. This leaves room for the log and for other programs.
const ROOM_BYTES = 8 * 1024 * 1024
const ROOM_SHARE = 64

// The log is written into the file when its size reaches the file's limit divided by this, or 4 MiB (SQLite's default) if that is less.
const LOG_SHARE = 4

// After the disk was full, each cleanup multiplies the file's limit by this factor, because there may be more room again. This begins only
// an hour later, because the only way to find out is to fill the disk again, and then the whole file may be lost.
const GROWTH = 1.05
const GROWTH_GAP_MS = 3_600_000

/** Options and dependencies of the maintenance. */
export interface SqliteMaintenanceOptions {
  readonly database: CacheDatabase
  readonly slices: TimeSlices
  readonly now: () => number
  readonly settings: Settings
  readonly writeAheadLog: WriteAheadLog
}

type Work = (connection: Connection, hasTime: () => boolean) => boolean

/** Evicts entries and cleans up the database of one backend. */
export class SqliteMaintenance {
  readonly #database: CacheDatabase
  readonly #slices: TimeSlices
  readonly #now: () => number
  readonly #leaseNow: () => number
  readonly #writeAheadLog: WriteAheadLog
  readonly #maxEntries: number
  readonly #allowedBytes: number
  #maxBytes: number
  #fullAt = -Infinity
  #stopped = false
  /** How many entries were deleted to make room. */
  evictions = 0

  constructor ({ database, slices, now, settings, writeAheadLog }: SqliteMaintenanceOptions) {
    this.#database = database
    this.#slices = slices
    this.#now = now
    this.#leaseNow = settings.leaseNow
    this.#maxEntries = settings.maxEntries
    this.#writeAheadLog = writeAheadLog
    this.#allowedBytes = this.#maxBytes = settings.maxBytes
  }

  /** The most bytes of the file that may be in use: the option `maxBytes`, or less after the disk was full. */
  get maxBytes (): number {
    return this.#maxBytes
  }

  /** Makes a running cleanup end at its next step. */
  stop (): void {
    this.#stopped = true
  }

  /** Evicts entries until the table is within its bounds. */
  async makeRoom (): Promise<void> {
    const isFull = this.#database.use((connection) => this.#excess(connection, this.#maxBytes) > 0)
    if (isFull) await this.#slices.steps((hasTime) => this.#step((connection) => this.#evict(connection, hasTime), hasTime))
  }

  /** Evicts entries so that the file and its log fit on a disk that was full when the larger of the two had `bytes`. */
  async fitInto (bytes: number): Promise<void> {
    const before = this.#maxBytes
    this.keepBelow(bytes)
    try {
      await this.makeRoom()
      await this.#slices.steps((hasTime) => this.#step((connection) => this.#shrink(connection, hasTime), hasTime))
    } catch (error) {
      this.#bound(before)
      throw error
    }
  }

  /** From now on, keeps the file below `bytes`, the size at which the disk was full. */
  keepBelow (bytes: number): void {
    this.#fullAt = this.#now()
    const most = Math.min(this.#maxBytes, bytes)
    this.#bound(Math.max(most - Math.max(most / ROOM_SHARE, ROOM_BYTES), most / 2, LEAST_BYTES))
  }

  #bound (maxBytes: number): void {
    this.#maxBytes = Math.min(maxBytes, this.#allowedBytes)
    this.#database.keepLogBelow(this.#maxBytes / LOG_SHARE)
  }

  /** The background task. Notes in the database which entries were used lately, removes expired entries, and shrinks the file. */
  async cleanup (): Promise<void> {
    if (this.#maxBytes < this.#allowedBytes && this.#now() - this.#fullAt >= GROWTH_GAP_MS) this.#bound(this.#maxBytes * GROWTH)
    await this.#unhurried((connection, hasTime) => connection.writeTouches(hasTime))
    await this.#unhurried(sweepSome)
    await this.#unhurried((connection, hasTime) => this.#dropExpired(connection, hasTime))
    await this.#dropDeadLeases()
    await this.#unhurried((connection, hasTime) => connection.dropUnusedTables(this.#now(), hasTime))
    await this.makeRoom()
    if (this.#database.use((connection) => connection.freeShare() > MANY_FREE_SHARE)) {
      await this.#unhurried((connection, hasTime) => this.#shrink(connection, hasTime))
    }
    // The whole log is written into the file, because only then does SQLite shrink the file.
    if (!this.#stopped) this.#database.use((connection) => connection.truncateLog())
  }

  /** Starts to delete the rows that clears have left behind. Ignores failures: the next cleanup tries again and reports them. */
  sweep (): void {
    this.#unhurried(sweepSome, { pauseMs: SWEEP_PAUSE_MS }).catch(() => {})
  }

  #write<T> (work: (connection: Connection) => T): T {
    return this.#database.use((connection) => connection.transact(() => work(connection)))
  }

  async #unhurried (work: Work, options: SliceOptions = {}): Promise<void> {
    await this.#slices.steps((hasTime) => this.#stopped || this.#step(work, hasTime), { ref: false, ...options })
  }

  /** Does one step of `work` in a transaction. If the log is too long, ends the work instead, because maintenance can wait. */
  #step (work: Work, hasTime: () => boolean): boolean {
    return this.#writeAheadLog.isFull() || this.#write((connection) => work(connection, hasTime))
  }

  #dropExpired (connection: Connection, hasTime: () => boolean): boolean {
    const at = this.#now()
    while (connection.dropExpired(at, ROWS_AT_ONCE) > 0) {
      if (!hasTime()) return false
    }
    return true
  }

  async #dropDeadLeases (): Promise<void> {
    const at = this.#leaseNow()
    let from: KeyRange['from'] | undefined = ''
    await this.#unhurried(({ leases }, hasTime) => {
      do {
        from = leases.dropDead(from as KeyRange['from'], at, LEASES_AT_ONCE)
      } while (from !== undefined && hasTime())
      return from === undefined
    })
  }

  #evict (connection: Connection, hasTime: () => boolean): boolean {
    const at = this.#now()
    for (;;) {
      const excess = this.#excess(connection, this.#maxBytes * KEPT_SHARE)
      if (excess === 0) return true
      const max = Math.min(excess, ROWS_AT_ONCE)
      // If too many bytes are in use, rows that a clear has left behind are deleted first. They don't count as entries.
      if (connection.usedBytes() <= this.#maxBytes * KEPT_SHARE || !connection.sweep(ROWS_AT_ONCE)) {
        const dropped = connection.dropExpired(at, max) || connection.dropUnused(max)
        // If nothing was dropped, none of our entries is left, and the rest of the database belongs to somebody else.
        if (dropped === 0) return true
        this.evictions += dropped
      }
      if (!hasTime()) return false
    }
  }

  /** Returns how many entries to evict. If too many bytes are in use, it is not known how many that is, so a few are evicted at a time. */
  #excess (connection: Connection, maxBytes: number): number {
    if (connection.usedBytes() > maxBytes) return ROWS_AT_ONCE
    return this.#maxEntries === Infinity ? 0 : Math.max(connection.entries() - this.#maxEntries, 0)
  }

  #shrink (connection: Connection, hasTime: () => boolean): boolean {
    while (connection.freeShare() > FEW_FREE_SHARE) {
      const before = connection.fileBytes()
      connection.shrink()
      // A file that was created without auto_vacuum does not shrink.
      if (connection.fileBytes() === before) return true
      if (!hasTime()) return false
    }
    return true
  }
}

function sweepSome (connection: Connection, hasTime: () => boolean): boolean {
  while (connection.sweep(ROWS_AT_ONCE)) {
    if (!hasTime()) return false
  }
  return true
}
