// One open database. It has a read cache, and remembers the number of entries and the uses that have not been written yet.
import { performance } from 'node:perf_hooks'
import { putAside, sweepAside } from './cleared.js'
import { CounterTable } from './counter-table.js'
import { LeaseTable } from './lease-table.js'
import { SqliteReadCache } from './read-cache.js'
import { driverError, type Database } from './driver.js'
import type { Row } from './row.js'
import { countersName, lostTables, tableName, type TableChoice } from './schema.js'
import { statementsOf, type Statements } from './statements.js'
import { dropUnusedTables } from './versions.js'
import type { Watch } from './watch.js'

/** A row without its value. */
export interface KeyRow {
  readonly key: string
  readonly expiresAt: number
}

// The most uses that are remembered until they are written. They are only hints for eviction, and not worth more memory.
const MAX_TOUCHED = 10_000

// A use is recorded only if the last recorded one is longer ago than this. That is exact enough for eviction.
const TOUCH_AFTER_MS = 60_000

const RECOUNT_MS = 1_000

/** An open database. It must not be used after `close`. */
export class Connection {
  readonly #leases: LeaseTable
  readonly #counters: CounterTable
  readonly #sql: Statements
  readonly #database: Database
  readonly #choice: TableChoice
  readonly #watch: Watch | undefined
  readonly #own: boolean
  readonly #touched = new Map<number, number>()
  readonly #pageBytes: number
  readonly #cache: SqliteReadCache | undefined
  #latestUseAt: number
  #entries: number | undefined
  #foreignWrites: unknown
  #countedAt = 0

  /** If `own`, the database is not caller-owned. So only we write through this connection, and SQLite reports all writes by others. */
  constructor (database: Database, choice: TableChoice, { own, watch }: { own: boolean, watch?: Watch | undefined }) {
    this.#database = database
    this.#choice = choice
    this.#watch = watch
    this.#own = own
    const table = tableName(choice)
    this.#sql = statementsOf(database, table)
    this.#leases = new LeaseTable(database, table)
    this.#counters = new CounterTable(database, countersName(table))
    this.#cache = own ? new SqliteReadCache(() => this.sql.foreignWrites.get()) : undefined
    this.#pageBytes = this.sql.pageBytes.get() as number
    this.#latestUseAt = (this.sql.latestUse.get() as number | null) ?? 0
  }

  /** Returns the statements. Throws SQLITE_READONLY_DBMOVED, within a second, if another file has taken the place of the open one. */
  get sql (): Statements {
    this.#watch?.glance()
    return this.#sql
  }

  /** The records of leases. Throws like `sql`. */
  get leases (): LeaseTable {
    this.#watch?.glance()
    return this.#leases
  }

  /** The counters. Throws like `sql`. */
  get counters (): CounterTable {
    this.#watch?.glance()
    return this.#counters
  }

  /**
   * Calls `work` in one transaction. Throws SQLITE_BUSY at once if another process or the database's owner is writing, and
   * SQLITE_READONLY_DBMOVED if the transaction was committed to a file that is no longer at its path.
   */
  transact<T> (work: () => T): T {
    if (this.#database.inTransaction) throw driverError('SQLITE_BUSY', 'the database is inside a transaction of its owner')
    const { commit, rollback } = this.#sql
    const entries = this.#entries
    this.#begin()
    try {
      this.noticeOthers()
      const result = work()
      commit.run()
      this.#watch?.look()
      return result
    } catch (error) {
      this.#entries = entries
      // After some errors, such as a full disk, SQLite has rolled back already.
      if (this.#database.inTransaction) rollback.run()
      throw error
    }
  }

  /** Drops what is cached if another connection has written it. Otherwise, that is noticed within a millisecond. */
  noticeOthers (): void {
    this.#cache?.look()
  }

  /** Returns the row under a stored key, if it has not expired at `at`. */
  find (key: string, at: number): Row | undefined {
    const row = this.#cache?.get(key) ?? this.#read(key)
    return row !== undefined && row.expiresAt > at ? row : undefined
  }

  /** Returns the row under a stored key, if it has not expired at `at`, without the read cache, which may be some time behind. */
  findNow (key: string, at: number): Row | undefined {
    const row = this.#read(key)
    return row !== undefined && row.expiresAt > at ? row : undefined
  }

  /** Inserts or replaces a row. All methods that change rows must be called inside `transact`, which checks the file at its end. */
  put (key: string, value: Uint8Array, expiresAt: number, at: number): void {
    this.#cache?.drop(key)
    const usedAt = this.#useAt(at)
    const inserted = this.#sql.insert.run(expiresAt, usedAt, key, value).changes
    if (inserted === 0) this.#sql.update.run(expiresAt, usedAt, value, key)
    this.#changed(inserted)
  }

  remove (key: string): void {
    this.#cache?.drop(key)
    this.#changed(-this.#sql.remove.run(key).changes)
  }

  /** Deletes at most `max` entries that have expired at `at`. Returns how many it deleted. */
  dropExpired (at: number, max: number): number {
    return this.#dropped(this.#sql.dropExpired.run(at, max).changes)
  }

  /** Deletes at most `max` of the least recently used entries. Returns how many it deleted. */
  dropUnused (max: number): number {
    return this.#dropped(this.#sql.dropUnused.run(max).changes)
  }

  /** Drops tables of other versions that were not used for a day. Called inside a transaction. Returns true if nothing is left to do. */
  dropUnusedTables (at: number, hasTime: () => boolean): boolean {
    return dropUnusedTables(this.#database, this.#choice, { at, hasTime })
  }

  /** Returns the names of our tables that somebody dropped or altered. Throws CACHE_ERR_OPTION if somebody else's table has such a name. */
  lostTables (): string[] {
    return lostTables(this.#database, this.#choice)
  }

  /** Removes all rows but those of the stored keys `kept`, inside a transaction. If the database is caller-owned, only returns false. */
  clear (kept: Iterable<string>): boolean {
    if (!this.#own) return false
    putAside(this.#database, tableName(this.#choice), kept)
    this.#cache?.clear()
    this.#touched.clear()
    this.#entries = undefined
    return true
  }

  /** Deletes at most `max` rows that a clear has left behind. Returns whether there were any. */
  sweep (max: number): boolean {
    return this.#own && sweepAside(this.#database, tableName(this.#choice), max)
  }

  /** Remembers the use of a row, so that `writeTouches` can write it later. */
  touch (row: Row, at: number): void {
    const use = this.#useAt(at)
    if (use - row.usedAt <= TOUCH_AFTER_MS || this.#touched.size >= MAX_TOUCHED) return
    this.#touched.set(row.id, use)
    row.usedAt = use
  }

  /**
   * Writes the remembered uses, at least one of them: if a slow machine never had the time, what is often read would be evicted. Called
   * inside a transaction. Returns whether all of them have been written.
   */
  writeTouches (hasTime: () => boolean): boolean {
    for (const [id, at] of this.#touched) {
      this.#sql.touch.run(at, id)
      this.#touched.delete(id)
      if (!hasTime()) break
    }
    return this.#touched.size === 0
  }

  /** Returns how many bytes of the file are in use. */
  usedBytes (): number {
    return ((this.sql.pages.get() as number) - (this.sql.freePages.get() as number)) * this.#pageBytes
  }

  fileBytes (): number {
    return (this.sql.pages.get() as number) * this.#pageBytes
  }

  /** Returns the share of the file that is free. */
  freeShare (): number {
    return (this.sql.freePages.get() as number) / (this.sql.pages.get() as number)
  }

  /** Returns a few free pages to the file system. */
  shrink (): void {
    this.#database.exec('PRAGMA incremental_vacuum(16)')
  }

  /** Writes the log into the file and truncates the log. Returns false if others are reading, or if the database is caller-owned. */
  truncateLog (): boolean {
    if (!this.#own) return false
    const [result] = this.#database.pragma('wal_checkpoint(TRUNCATE)') as [{ busy: number }]
    return result.busy === 0
  }

  /** From now on, a commit writes the log into the file if the log has this many pages or more. */
  checkpointAt (pages: number): void {
    this.#database.pragma(`wal_autocheckpoint = ${pages}`)
  }

  /** Returns the number of entries. Counts them once, adds our own changes, and counts them again from time to time if others write. */
  entries (): number {
    const foreignWrites = this.sql.foreignWrites.get()
    const at = performance.now()
    if (this.#entries === undefined || (foreignWrites !== this.#foreignWrites && at - this.#countedAt > RECOUNT_MS)) {
      this.#entries = this.sql.count.get() as number
      this.#foreignWrites = foreignWrites
      this.#countedAt = at
    }
    return this.#entries
  }

  close (): void {
    this.#database.close()
  }

  #read (key: string): Row | undefined {
    const columns = this.sql.find.get(key) as [number, number, number, Buffer] | undefined
    // A value that another tool has written may have any type.
    if (columns === undefined || typeof columns[1] !== 'number' || !(columns[3] instanceof Uint8Array)) return undefined
    const row = { id: columns[0], expiresAt: columns[1], usedAt: columns[2], value: columns[3] }
    this.#cache?.hold(key, row)
    return row
  }

  /** Begins a transaction, or throws at once. Turns off a caller-owned database's timeout for locks, which would block the event loop. */
  #begin (): void {
    const { begin, lockWaitMs } = this.#sql
    const waitMs = lockWaitMs.get() as number
    if (waitMs === 0) {
      begin.run()
      return
    }
    this.#database.exec('PRAGMA busy_timeout = 0')
    try {
      begin.run()
    } finally {
      this.#database.exec(`PRAGMA busy_timeout = ${waitMs}`)
    }
  }

  /** Returns the time to record for a use. It never goes back, because rows used after the clock was set back would be evicted first. */
  #useAt (at: number): number {
    if (at > this.#latestUseAt) this.#latestUseAt = at
    return this.#latestUseAt
  }

  #dropped (rows: number): number {
    if (rows > 0) this.#cache?.clear()
    this.#changed(-rows)
    return rows
  }

  #changed (by: number): void {
    if (this.#entries !== undefined) this.#entries += by
  }
}
