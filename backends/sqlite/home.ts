// Where the table lives: the file, opened and opened again when another one took its place or it is damaged; or the lent database.
import type { CacheLog } from '../../registry/registry.js'
import { CACHE_ERR_CLOSED } from '../../registry/errors.js'
import { Connection } from './connection.js'
import { driverError, isDamage, isNoAccess, type Database, type Driver } from './driver.js'
import { bytesAt, identityOf, isCutShort, isStill, logOf, makePrivate, refusePath, removeAll, removeLog, setAside } from './file.js'
import { IN_MEMORY, type Settings } from './options.js'
import { ensureTable } from './schema.js'
import { KEPT_LOG_BYTES } from './write-ahead-log.js'

// A disk that damages every new file at once must not have us make files without end.
const REBUILD_GAP_MS = 1_000
const LOOK_MS = 1_000

// SQLite's own default, and the page size that it gives to new files.
const LOG_PAGES = 1_000
const PAGE_BYTES = 4_096

/** What a home needs to know. */
export interface HomeOptions {
  readonly settings: Settings
  /** Absent where the database is lent. */
  readonly driver: Driver | undefined
  readonly log: CacheLog
}

/** Holds the one connection of a backend. */
export class Home {
  readonly #settings: Settings
  readonly #driver: Driver | undefined
  readonly #log: CacheLog
  #connection: Connection | undefined
  #identity: string | undefined
  #logIdentity: string | undefined
  #rebuiltAt = -Infinity
  #lookedAt = 0
  #logPages = LOG_PAGES
  #closed = false
  /** How many damaged files were set aside. */
  rebuilds = 0

  constructor ({ settings, driver, log }: HomeOptions) {
    this.#settings = settings
    this.#driver = driver
    this.#log = log
  }

  /**
   * What `work` answers on the open database. When it finds the file damaged, the file is set aside and `work` is
   * done once more on a new one. Throws what the driver throws, CACHE_ERR_CLOSED after `close`.
   */
  use<T> (work: (connection: Connection) => T): T {
    try {
      return work(this.#connection ?? this.#open())
    } catch (error) {
      if (!isDamage(error) || this.#driver === undefined || this.#closed) throw error
      this.#rebuild(error)
      return work(this.#connection ?? this.#open())
    }
  }

  /** Lets go of a file that is no longer the one at the path; the next use opens the one that is. Looks at most once a second. */
  follow (): void {
    const at = performance.now()
    if (this.#connection === undefined || !this.#isFile() || at - this.#lookedAt < LOOK_MS) return
    this.#lookedAt = at
    if (identityOf(this.#settings.path) !== this.#identity) this.#letGo()
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
    this.#connection?.close()
    this.#connection = undefined
    removeAll(this.path, this.#identity)
  }

  /** Closes what was opened; a lent database stays open. May be called twice. */
  close (): void {
    this.#closed = true
    if (this.#driver !== undefined) this.#connection?.close()
    this.#connection = undefined
  }

  #isFile (): boolean {
    return this.#driver !== undefined && this.#settings.path !== IN_MEMORY
  }

  #open (): Connection {
    if (this.#closed) throw new CACHE_ERR_CLOSED('sqlite')
    const { database, path, table } = this.#settings
    if (this.#driver === undefined) {
      ensureTable(database as Database, table)
      this.#connection = new Connection(database as Database, table, { own: false })
    } else {
      this.#connection = this.#openOwn(this.#driver, path, table)
    }
    return this.#connection
  }

  #openOwn (Driver: Driver, path: string, table: string): Connection {
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
      ensureTable(database, table)
      this.#refuseExchanged()
      const connection = new Connection(database, table, { own: true })
      if (this.#isFile()) this.#logIdentity = identityOf(logOf(path))
      if (this.#logPages !== LOG_PAGES) connection.checkpointAt(this.#logPages)
      return connection
    } catch (error) {
      database?.close()
      if (isNoAccess(error)) refusePath(path, (error as { code: string }).code)
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

  #rebuild (error: unknown): void {
    const { path } = this.#settings
    if (performance.now() - this.#rebuiltAt < REBUILD_GAP_MS) throw error
    if (this.#isFile() && identityOf(path) !== this.#identity) return this.#letGo()
    this.#rebuiltAt = performance.now()
    this.rebuilds++
    this.#connection?.close()
    this.#connection = undefined
    if (!this.#isFile()) return
    const aside = setAside(path)
    this.#log.warn({ err: error, path, aside }, 'cache: the SQLite file is damaged; it was moved to the path under aside, and a new one is used')
  }

  #letGo (): void {
    const { path } = this.#settings
    this.#connection?.close()
    this.#connection = undefined
    const left = identityOf(logOf(path))
    if (left !== undefined && left === this.#logIdentity) removeLog(path)
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
