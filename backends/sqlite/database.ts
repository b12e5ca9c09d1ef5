// The database of one backend: a file, which is opened again if it was replaced or damaged, or a caller-owned database.
import type { CacheLog } from '../../registry/registry.js'
import { CACHE_ERR_CLOSED } from '../../registry/errors.js'
import { Connection } from './connection.js'
import { driverError, isDamage, isMoved, isNoAccess, isStatementError, type Database, type Driver } from './driver.js'
import {
  bytesAt, identityOf, isCutShort, isStill, logOf, makePrivate, refusePath, removeAll, removeLog, setAside
} from './database-file.js'
import { IN_MEMORY, type Settings } from './options.js'
import { ensureTables } from './schema.js'
import { Watch } from './watch.js'

// The least time between two new files. Without it, new files would be created endlessly on a disk that damages each of them at once.
const REBUILD_GAP_MS = 1_000

const NOTICE_GAP_MS = 60_000

/** The size that a write-ahead log may keep after a burst of writes. */
export const KEPT_LOG_BYTES = 16 * 1024 * 1024

// SQLite's defaults: how many pages the log has when SQLite writes it into the file, and the size of a page.
const LOG_PAGES = 1_000
const PAGE_BYTES = 4_096

/** Options and dependencies of the database. */
export interface CacheDatabaseOptions {
  readonly settings: Settings
  /** Absent if the database is caller-owned. */
  readonly driver: Driver | undefined
  readonly log: CacheLog
}

/** Owns the connection of one backend. */
export class CacheDatabase {
  readonly #settings: Settings
  readonly #driver: Driver | undefined
  readonly #log: CacheLog
  #connection: Connection | undefined
  #identity: string | undefined
  #watch: Watch | undefined
  #rebuiltAt = -Infinity
  #logPages = LOG_PAGES
  #notedAt = -Infinity
  #closed = false
  /** How many damaged files were set aside. */
  rebuilds = 0

  constructor ({ settings, driver, log }: CacheDatabaseOptions) {
    this.#settings = settings
    this.#driver = driver
    this.#log = log
  }

  /**
   * Returns what `work` returns. If the file turns out to be damaged, or is no longer the one at the path, calls `work` again, with the
   * file that is at the path now or with a new one. Throws the driver's errors, and CACHE_ERR_CLOSED after `close`.
   */
  use<T> (work: (connection: Connection) => T): T {
    try {
      return work(this.#connection ?? this.#open())
    } catch (error) {
      if (this.#closed || !this.#repair(error)) throw error
      return work(this.#connection ?? this.#open())
    }
  }

  get path (): string {
    return this.#settings.path
  }

  /** Whether the database is a file that belongs to the cache. */
  get hasFile (): boolean {
    return this.#isFile()
  }

  /** Returns the size of the write-ahead log. */
  logBytes (): number {
    return this.#isFile() && this.#connection !== undefined ? bytesAt(logOf(this.path)) : 0
  }

  /** Returns the size of the file or that of its log. Returns the larger one, because there may be a limit on the size of any file. */
  diskBytes (): number {
    return this.#isFile() ? Math.max(bytesAt(this.path), bytesAt(logOf(this.path))) : 0
  }

  /** From now on, the log is written into the file when it has this many bytes, or earlier if SQLite does that by default. */
  keepLogBelow (bytes: number): void {
    this.#logPages = Math.max(Math.min(Math.floor(bytes / PAGE_BYTES), LOG_PAGES), 1)
    if (this.#isFile()) this.#connection?.checkpointAt(this.#logPages)
  }

  /** Deletes the file; a new one is created on next use. It is deleted rather than renamed, to free the disk space. */
  beginAnew (): void {
    this.#disconnect()
    removeAll(this.path, this.#identity)
  }

  /** Closes the file. A caller-owned database stays open. May be called twice. */
  close (): void {
    this.#closed = true
    this.#disconnect()
  }

  #isFile (): boolean {
    return this.#driver !== undefined && this.#settings.path !== IN_MEMORY
  }

  #open (): Connection {
    if (this.#closed) throw new CACHE_ERR_CLOSED('sqlite')
    const { database, path } = this.#settings
    if (this.#driver === undefined) {
      this.#ensureTables(database as Database)
      this.#connection = new Connection(database as Database, this.#settings, { own: false })
    } else {
      this.#connection = this.#openOwn(this.#driver, path)
    }
    return this.#connection
  }

  #ensureTables (database: Database): void {
    this.#noteLost(ensureTables(database, this.#settings))
  }

  #openOwn (Driver: Driver, path: string): Connection {
    if (this.#isFile()) {
      makePrivate(path, (file) => this.#noteSpoilt(file))
      this.#identity = identityOf(path)
      if (isCutShort(path)) throw driverError('SQLITE_CORRUPT', 'the file is shorter than its header says')
    }
    let database: Database | undefined
    try {
      // The timeout is 0, because waiting for a lock must never block the event loop.
      database = new Driver(path, { timeout: 0 })
      // The file is checked before anything is written to it, and again when the files beside it are open too.
      this.#refuseExchanged()
      configure(database)
      this.#ensureTables(database)
      this.#refuseExchanged()
      this.#watch = this.#isFile() ? new Watch(path, this.#identity) : undefined
      const connection = new Connection(database, this.#settings, { own: true, watch: this.#watch })
      if (this.#logPages !== LOG_PAGES) connection.checkpointAt(this.#logPages)
      return connection
    } catch (error) {
      database?.close()
      // Any error may be due to an exchange of the file.
      this.#refuseExchanged()
      if (isNoAccess(error) && !isMoved(error)) refusePath(path, (error as { code: string }).code)
      throw error
    }
  }

  #refuseExchanged (): void {
    if (!this.#isFile() || isStill(this.#settings.path, this.#identity)) return
    throw driverError('SQLITE_BUSY', 'the file was exchanged while it was opened')
  }

  #noteSpoilt (file: string): void {
    const { path } = this.#settings
    this.#log.warn({ path, file }, 'cache: everybody could write the SQLite file or one beside it; all are deleted and started anew')
  }

  /** Repairs the cause of an error, if possible. Returns whether it did. */
  #repair (error: unknown): boolean {
    const lost = isStatementError(error) ? this.#connection?.lostTables() ?? [] : []
    if (lost.length > 0) this.#noteLost(lost)
    else if (this.#driver === undefined) return false
    else if (isDamage(error)) return this.#rebuild(error)
    else if (!isMoved(error)) return false
    this.#release()
    return true
  }

  /** Logs that a table was lost, at most once a minute, because a tool may drop it repeatedly. */
  #noteLost ([table]: readonly string[]): void {
    if (table === undefined || performance.now() - this.#notedAt < NOTICE_GAP_MS) return
    this.#notedAt = performance.now()
    this.#log.warn({ table }, 'cache: the SQLite table was dropped or altered by somebody else; it was created again, empty')
  }

  #rebuild (error: unknown): true {
    const { path } = this.#settings
    if (performance.now() - this.#rebuiltAt < REBUILD_GAP_MS) throw error
    if (this.#isFile() && identityOf(path) !== this.#identity) {
      this.#release()
      return true
    }
    this.#rebuiltAt = performance.now()
    this.rebuilds++
    this.#disconnect()
    if (!this.#isFile()) return true
    const aside = setAside(path)
    this.#log.warn({ err: error, path, aside },
      'cache: the SQLite file is damaged; it was moved to the path under aside, and a new one is used')
    return true
  }

  /** Closes the file. The next use opens whatever file is at the path then. */
  #release (): void {
    const { path } = this.#settings
    const watch = this.#watch
    if (watch?.isFileHere() === true && !watch.isLogHere()) this.#dropUnlogged()
    this.#disconnect()
    // The log of the old file is removed, because SQLite would apply it to the file that is there now.
    if (watch?.isFileHere() === false && watch.isLogHere()) removeLog(path)
  }

  /**
   * Removes a file whose log was removed while it was open. When SQLite closes the file, it writes the removed log into it, over changes
   * that others may have made since then with a new log, so the file's contents can't be trusted.
   */
  #dropUnlogged (): void {
    const { path } = this.#settings
    removeAll(path, this.#identity)
    this.#log.warn({ path }, 'cache: the log beside the SQLite file was removed while it was open; both are deleted and started anew')
  }

  #disconnect (): void {
    if (this.#driver !== undefined) this.#connection?.close()
    this.#connection = this.#watch = undefined
  }
}

function configure (database: Database): void {
  // This setting takes effect only before the first table is created. It has no measurable cost.
  database.pragma('auto_vacuum = INCREMENTAL')
  database.pragma('journal_mode = WAL')
  // This is safe if the process is killed. A power failure may damage the file, which is then set aside.
  database.pragma('synchronous = OFF')
  database.pragma(`journal_size_limit = ${KEPT_LOG_BYTES}`)
}
