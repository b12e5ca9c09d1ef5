// The database of one backend: the file, opened and opened again when another one took its place or it is damaged; or the lent database.
import type { CacheLog } from '../../registry/registry.js'
import { CACHE_ERR_CLOSED } from '../../registry/errors.js'
import { Connection } from './connection.js'
import { driverError, isDamage, isMoved, isNoAccess, isStatementError, type Database, type Driver } from './driver.js'
import {
  bytesAt, identityOf, isCutShort, isStill, logOf, makePrivate, refusePath, removeAll, removeLog, setAside
} from './database-file.js'
import { IN_MEMORY, type Settings } from './options.js'
import { ensureTable } from './schema.js'
import { Watch } from './watch.js'

// A disk that damages every new file at once must not have us make files without end.
const REBUILD_GAP_MS = 1_000

const NOTICE_GAP_MS = 60_000

/** A write-ahead log up to this size is left as it is: what a burst leaves. */
export const KEPT_LOG_BYTES = 16 * 1024 * 1024

// SQLite's own default, and the page size that it gives to new files.
const LOG_PAGES = 1_000
const PAGE_BYTES = 4_096

/** What a database needs to know. */
export interface CacheDatabaseOptions {
  readonly settings: Settings
  /** Absent where the database is lent. */
  readonly driver: Driver | undefined
  readonly log: CacheLog
}

/** Holds the one connection of a backend. */
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
   * What `work` returns on the open database. When it finds that the file is no longer the one at the path, or damaged, `work` is
   * done once more on the one that is, or on a new one. Throws what the driver throws, CACHE_ERR_CLOSED after `close`.
   */
  use<T> (work: (connection: Connection) => T): T {
    try {
      return work(this.#connection ?? this.#open())
    } catch (error) {
      if (this.#closed || !this.#mend(error)) throw error
      return work(this.#connection ?? this.#open())
    }
  }

  get path (): string {
    return this.#settings.path
  }

  /** Whether there is a file of the cache's own. */
  get hasFile (): boolean {
    return this.#isFile()
  }

  /** Bytes that the write-ahead log of the open file takes of the disk. */
  logBytes (): number {
    return this.#isFile() && this.#connection !== undefined ? bytesAt(logOf(this.path)) : 0
  }

  /** Bytes of the file or of its log, whichever is larger: a limit may be one on each file. */
  diskBytes (): number {
    return this.#isFile() ? Math.max(bytesAt(this.path), bytesAt(logOf(this.path))) : 0
  }

  /** From now on the log is written into the file when it has so many bytes, where that is less than what SQLite does. */
  keepLogBelow (bytes: number): void {
    this.#logPages = Math.max(Math.min(Math.floor(bytes / PAGE_BYTES), LOG_PAGES), 1)
    if (this.#isFile()) this.#connection?.checkpointAt(this.#logPages)
  }

  /** Deletes the file with all that it holds; the next use makes a new one. A rename would free nothing. */
  beginAnew (): void {
    this.#disconnect()
    removeAll(this.path, this.#identity)
  }

  /** Closes what was opened; a lent database stays open. May be called twice. */
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
      this.#ensureTable(database as Database)
      this.#connection = new Connection(database as Database, this.#settings, { own: false })
    } else {
      this.#connection = this.#openOwn(this.#driver, path)
    }
    return this.#connection
  }

  #ensureTable (database: Database): void {
    if (ensureTable(database, this.#settings) === 'altered') this.#noteLost()
  }

  #openOwn (Driver: Driver, path: string): Connection {
    if (this.#isFile()) {
      makePrivate(path, (file) => this.#noteSpoilt(file))
      this.#identity = identityOf(path)
      if (isCutShort(path)) throw driverError('SQLITE_CORRUPT', 'the file is shorter than its header says')
    }
    let database: Database | undefined
    try {
      // Nothing may ever wait for a lock on the event loop.
      database = new Driver(path, { timeout: 0 })
      // Before anything is written to it, and when what lies beside it is open too.
      this.#refuseExchanged()
      configure(database)
      this.#ensureTable(database)
      this.#refuseExchanged()
      this.#watch = this.#isFile() ? new Watch(path, this.#identity) : undefined
      const connection = new Connection(database, this.#settings, { own: true, watch: this.#watch })
      if (this.#logPages !== LOG_PAGES) connection.checkpointAt(this.#logPages)
      return connection
    } catch (error) {
      database?.close()
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
    this.#log.warn({ path, file }, 'cache: everybody could write the SQLite file or one beside it; all are deleted and begun anew')
  }

  /** Does away with what is behind an error, as far as that can be done. Returns whether it was. */
  #mend (error: unknown): boolean {
    if (isStatementError(error) && this.#connection?.hasTable() === false) this.#noteLost()
    else if (this.#driver === undefined) return false
    else if (isDamage(error)) return this.#rebuild(error)
    else if (!isMoved(error)) return false
    this.#letGo()
    return true
  }

  /** Once a minute at most: a tool may drop the table again and again. */
  #noteLost (): void {
    const { table } = this.#settings
    if (performance.now() - this.#notedAt < NOTICE_GAP_MS) return
    this.#notedAt = performance.now()
    this.#log.warn({ table }, 'cache: the SQLite table was dropped or altered by somebody else; it is made again, empty')
  }

  #rebuild (error: unknown): true {
    const { path } = this.#settings
    if (performance.now() - this.#rebuiltAt < REBUILD_GAP_MS) throw error
    if (this.#isFile() && identityOf(path) !== this.#identity) {
      this.#letGo()
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

  /** The next use opens the file that is at the path by then. */
  #letGo (): void {
    const { path } = this.#settings
    const watch = this.#watch
    if (watch?.isFileHere() === true && !watch.isLogHere()) this.#dropUnlogged()
    this.#disconnect()
    // SQLite would play the log of a file that is gone into the one that is there now.
    if (watch?.isFileHere() === false && watch.isLogHere()) removeLog(path)
  }

  /**
   * The file without the log that was open with it. Others may have begun a log of their own since, and to close the file would write
   * the one into it that was removed, over what they have changed. So nothing in it can be believed.
   */
  #dropUnlogged (): void {
    const { path } = this.#settings
    removeAll(path, this.#identity)
    this.#log.warn({ path }, 'cache: the log beside the SQLite file was removed while it was open; both are deleted and begun anew')
  }

  #disconnect (): void {
    if (this.#driver !== undefined) this.#connection?.close()
    this.#connection = this.#watch = undefined
  }
}

function configure (database: Database): void {
  // Only works before the first table is made. Costs nothing that could be measured.
  database.pragma('auto_vacuum = INCREMENTAL')
  database.pragma('journal_mode = WAL')
  // Survives the end of the process at any instant. After a loss of power the file may be damaged, and is set aside then.
  database.pragma('synchronous = OFF')
  database.pragma(`journal_size_limit = ${KEPT_LOG_BYTES}`)
}
