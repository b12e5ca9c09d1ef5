// One open database, with what is known of its rows without asking.
import { performance } from 'node:perf_hooks'
import { putAside, sweepAside } from './cleared.js'
import { SqliteReadCache } from './read-cache.js'
import { driverError, type Database } from './driver.js'
import type { Row } from './row.js'
import { tableName, tableState, type TableChoice } from './schema.js'
import { statementsOf, type Statements } from './statements.js'
import { dropUnusedTables } from './versions.js'
import type { Watch } from './watch.js'

/** A row without its value. */
export interface Listed {
  readonly key: string
  readonly expiresAt: number
}

// Beyond this many, the least recent uses are not noted: a hint about what to evict is not worth more memory.
const MAX_TOUCHED = 10_000

// A use is noted when the one noted last is older than this: the order of eviction need not be finer.
const TOUCH_AFTER_MS = 60_000

const RECOUNT_MS = 1_000

/** An open database. Nothing of it is used after `close`. */
export class Connection {
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

  /** `own`: nobody else writes through this very connection, so that SQLite tells of every write but ours. */
  constructor (database: Database, choice: TableChoice, { own, watch }: { own: boolean, watch?: Watch | undefined }) {
    this.#database = database
    this.#choice = choice
    this.#watch = watch
    this.#own = own
    this.#sql = statementsOf(database, tableName(choice))
    this.#cache = own ? new SqliteReadCache(() => this.sql.foreignWrites.get()) : undefined
    this.#pageBytes = this.sql.pageBytes.get() as number
    this.#latestUseAt = (this.sql.latestUse.get() as number | null) ?? 0
  }

  /** The statements. Throws SQLITE_READONLY_DBMOVED when the file is no longer the one at its path, which is seen within a second. */
  get sql (): Statements {
    this.#watch?.glance()
    return this.#sql
  }

  /**
   * Does `work` in one transaction. Throws SQLITE_BUSY at once when another process or the lender writes, SQLITE_READONLY_DBMOVED when
   * it was committed to a file that nobody else will read.
   */
  transact<T> (work: () => T): T {
    if (this.#database.inTransaction) throw driverError('SQLITE_BUSY', 'the database is inside a transaction of its owner')
    const { commit, rollback } = this.#sql
    const entries = this.#entries
    this.#begin()
    try {
      const answer = work()
      commit.run()
      this.#watch?.look()
      return answer
    } catch (error) {
      this.#entries = entries
      // Some errors, a full disk among them, have rolled back already.
      if (this.#database.inTransaction) rollback.run()
      throw error
    }
  }

  /** The row under a stored key, if it is alive at `at`. */
  find (key: string, at: number): Row | undefined {
    const row = this.#cache?.get(key) ?? this.#read(key)
    return row !== undefined && row.expiresAt > at ? row : undefined
  }

  /** Inside a transaction, as all that changes rows: that ends with a look at the file. */
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

  /** Deletes entries that are gone at `at`, `max` at most. Returns how many. */
  dropExpired (at: number, max: number): number {
    return this.#dropped(this.#sql.dropExpired.run(at, max).changes)
  }

  /** Deletes the least recently used entries, `max` at most. Returns how many. */
  dropUnused (max: number): number {
    return this.#dropped(this.#sql.dropUnused.run(max).changes)
  }

  /** Drops tables of other versions that none has used for a day at `at`, inside a transaction. Returns whether nothing is left to do. */
  dropUnusedTables (at: number, hasTime: () => boolean): boolean {
    return dropUnusedTables(this.#database, this.#choice, { at, hasTime })
  }

  /** Whether the table is there as it was made. Throws CACHE_ERR_OPTION when somebody else's is in its place. */
  hasTable (): boolean {
    return tableState(this.#database, this.#choice) === 'intact'
  }

  /** Forgets all but what is under the stored keys `kept`, inside a transaction. Returns whether it did: not in a lent database. */
  clear (kept: Iterable<string>): boolean {
    if (!this.#own) return false
    putAside(this.#database, tableName(this.#choice), kept)
    this.#cache?.clear()
    this.#touched.clear()
    this.#entries = undefined
    return true
  }

  /** Deletes rows that a clear has left, `max` at most. Returns whether there were any. */
  sweep (max: number): boolean {
    return this.#own && sweepAside(this.#database, tableName(this.#choice), max)
  }

  /** Notes that a row was used, to be written by `writeTouches`. */
  touch (row: Row, at: number): void {
    const use = this.#useAt(at)
    if (use - row.usedAt <= TOUCH_AFTER_MS || this.#touched.size >= MAX_TOUCHED) return
    this.#touched.set(row.id, use)
    row.usedAt = use
  }

  /** Writes, inside a transaction, which rows were used. Returns whether all are written. */
  writeTouches (hasTime: () => boolean): boolean {
    for (const [id, at] of this.#touched) {
      if (!hasTime()) return false
      this.#sql.touch.run(at, id)
      this.#touched.delete(id)
    }
    return true
  }

  /** Bytes of the file that hold something. */
  usedBytes (): number {
    return ((this.sql.pages.get() as number) - (this.sql.freePages.get() as number)) * this.#pageBytes
  }

  fileBytes (): number {
    return (this.sql.pages.get() as number) * this.#pageBytes
  }

  /** The share of the file that holds nothing. */
  freeShare (): number {
    return (this.sql.freePages.get() as number) / (this.sql.pages.get() as number)
  }

  /** Gives a few free pages back to the file system. */
  shrink (): void {
    this.#database.exec('PRAGMA incremental_vacuum(16)')
  }

  /** Writes all of the log into the file and empties it. Returns whether it did: not while others read, not that of a lent database. */
  truncateLog (): boolean {
    if (!this.#own) return false
    const [answer] = this.#database.pragma('wal_checkpoint(TRUNCATE)') as [{ busy: number }]
    return answer.busy === 0
  }

  /** From now on a commit that finds so many pages in the log writes them into the file. */
  checkpointAt (pages: number): void {
    this.#database.pragma(`wal_autocheckpoint = ${pages}`)
  }

  /** The number of entries. Counted once and kept up with our own changes; counted again, now and then, when others have written. */
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
    // What another tool has written there may be of any type.
    if (columns === undefined || typeof columns[1] !== 'number' || !(columns[3] instanceof Uint8Array)) return undefined
    const row = { id: columns[0], expiresAt: columns[1], usedAt: columns[2], value: columns[3] }
    this.#cache?.hold(key, row)
    return row
  }

  /** Begins a transaction or throws at once, also where a lent database was opened to wait for locks on the event loop. */
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

  /** Never before another use: after the clock was set back, what is used next would be the first to go. */
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
