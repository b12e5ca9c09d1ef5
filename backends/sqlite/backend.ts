// The class of the SQLite backend. It reads synchronously, gathers writes into batches, and does long work in steps.
import { keepAliveDuring } from '../../registry/alive.js'
import type { BackendStats, CacheBackend, Claim, ClaimOptions, MaybePromise, Settlement, StoredEntry } from '../../registry/backend.js'
import type { BackgroundTask } from '../../registry/background.js'
import { CACHE_ERR_BACKEND_FAILED, CACHE_ERR_CLOSED } from '../../registry/errors.js'
import { refusal } from '../../registry/refusal.js'
import type { BackendContext } from '../../registry/registry.js'
import { SqliteClaims } from './claims.js'
import type { Connection } from './connection.js'
import { Disk } from './disk.js'
import { isBusy, type Driver } from './driver.js'
import { CacheDatabase } from './database.js'
import { storedText } from './codec.js'
import { SqliteScan } from './scan.js'
import type { Settings } from './options.js'
import { TimeSlices } from './time-slices.js'
import { SqliteMaintenance } from './maintenance.js'
import { WriteAheadLog } from './write-ahead-log.js'
import { SqliteWriteQueue } from './write-queue.js'

/** How long `close` waits for another process's lock before it drops the pending writes. */
const CLOSE_PATIENCE_MS = 1_000

// SQLite's limit on the size of a row.
const MAX_ROW_BYTES = 1_000_000_000

// The size of a file with an empty table, and the share of a page that a long value can use.
const TABLE_BYTES = 32_768
const PAGE_USE = 4092 / 4096

/** A backend that stores its entries in one table of a SQLite database. */
export class SqliteBackend implements CacheBackend {
  readonly #now: () => number
  readonly #settings: Settings
  readonly #slices = new TimeSlices()
  readonly #database: CacheDatabase
  readonly #writes: SqliteWriteQueue
  readonly #maintenance: SqliteMaintenance
  readonly #disk: Disk
  readonly #scan: SqliteScan
  readonly #claims: SqliteClaims
  readonly #cleanup: BackgroundTask
  #closing: Promise<void> | undefined

  /** Opens the backend. Throws CACHE_ERR_OPTION if the path or the table can't be used, or the driver's error. */
  static async open (settings: Settings, driver: Driver | undefined, context: BackendContext): Promise<SqliteBackend> {
    const database = new CacheDatabase({ settings, driver, log: context.log })
    const backend = new SqliteBackend(database, settings, context)
    try {
      await backend.#disk.withRoom(async () => await backend.#slices.retry(() => database.use(() => {})), () => 'invalidation')
      return backend
    } catch (error) {
      await backend.close()
      throw error
    }
  }

  private constructor (database: CacheDatabase, settings: Settings, context: BackendContext) {
    const slices = this.#slices
    this.#now = context.now
    this.#settings = settings
    this.#database = database
    const writeAheadLog = new WriteAheadLog(database, settings.maxBytes)
    const maintenance = this.#maintenance = new SqliteMaintenance({ database, slices, now: context.now, settings, writeAheadLog })
    const disk = this.#disk = new Disk({ database, maintenance, writeAheadLog, log: context.log })
    const afterBatch = (): Promise<void> => maintenance.makeRoom()
    const clocks = { now: context.now, leaseNow: settings.leaseNow }
    this.#writes = new SqliteWriteQueue({ ...clocks, slices, database, disk, writeAheadLog, afterBatch })
    this.#scan = new SqliteScan({ database, slices, now: context.now, writes: this.#writes, disk })
    const find = (connection: Connection, key: string): StoredEntry | undefined => this.#find(connection, key)
    this.#claims = new SqliteClaims({ ...clocks, slices, database, disk, writeAheadLog, writes: this.#writes, find })
    const cleanup = async (): Promise<void> => { await disk.withRoom(async () => await maintenance.cleanup(), () => 'maintenance') }
    this.#cleanup = context.background.every('sqlite cleanup', settings.cleanupIntervalMs, cleanup)
  }

  get (key: string): MaybePromise<StoredEntry | undefined> {
    return this.#read('get', (connection) => this.#find(connection, key))
  }

  getMany (keys: readonly string[]): MaybePromise<Array<StoredEntry | undefined>> {
    return this.#read('getMany', (connection) => keys.map((key) => this.#find(connection, key)))
  }

  has (key: string): MaybePromise<boolean> {
    return this.#read('has', (connection) => {
      const waiting = this.#writes.find(key)
      if (waiting !== undefined) return (waiting.entry?.expiresAt ?? 0) > this.#now()
      return connection.sql.has.get(storedText(key), this.#now()) !== undefined
    })
  }

  set (key: string, { value, expiresAt }: StoredEntry): Promise<void> {
    if (this.#closing !== undefined) return Promise.reject(new CACHE_ERR_CLOSED('sqlite.set'))
    if (!(expiresAt > this.#now())) return this.#writes.put(key, undefined)
    if (!this.#fits(key, value)) {
      // The new entry is refused, but the old one is out of date and must be deleted.
      this.#writes.put(key, undefined)
      return Promise.reject(tooLarge('set'))
    }
    return this.#writes.put(key, storable({ value, expiresAt }))
  }

  delete (key: string): Promise<void> {
    if (this.#closing !== undefined) return Promise.reject(new CACHE_ERR_CLOSED('sqlite.delete'))
    return this.#writes.put(key, undefined)
  }

  claim (key: string, options: ClaimOptions): MaybePromise<Claim> {
    this.#refuseClosed('claim')
    return this.#claims.claim(key, options)
  }

  settle (key: string, token: string, settlement: Settlement): MaybePromise<boolean> {
    if (this.#closing !== undefined) return Promise.reject(new CACHE_ERR_CLOSED('sqlite.settle'))
    const { entry } = settlement
    if (entry === undefined) return this.#writes.settle(key, token, settlement)
    // An entry that can't be stored is left out, so that the lease is given back.
    if (!(entry.expiresAt > this.#now())) return this.#writes.settle(key, token, {})
    if (!this.#fits(key, entry.value)) return this.#writes.settle(key, token, {}).then(() => { throw tooLarge('settle') })
    return this.#writes.settle(key, token, { ...settlement, entry: storable(entry) })
  }

  version (name: string, raise = false): MaybePromise<number> {
    this.#refuseClosed('version')
    return this.#claims.version(name, raise)
  }

  async clear (prefix = ''): Promise<void> {
    this.#refuseClosed('clear')
    await this.#scan.clear(prefix)
    this.#maintenance.sweep()
  }

  async keys (pattern = '*'): Promise<string[]> {
    this.#refuseClosed('keys')
    return await this.#scan.keys(pattern)
  }

  async size (): Promise<number> {
    this.#refuseClosed('size')
    await this.#writes.flush()
    return await this.#read('size', ({ sql }) => sql.count.get() as number)
  }

  async stats (): Promise<BackendStats> {
    this.#refuseClosed('stats')
    const waitingWrites = this.#writes.waiting
    await this.#writes.flush()
    const { maxBytes, maxEntries } = this.#settings
    return await this.#read('stats', (connection) => {
      const entries = connection.sql.count.get() as number
      const activeEntries = connection.sql.countLive.get(this.#now()) as number
      return {
        entries,
        activeEntries,
        expiredEntries: entries - activeEntries,
        bytes: connection.fileBytes(),
        usedBytes: connection.usedBytes(),
        ...(maxEntries !== Infinity && { maxEntries }),
        ...(maxBytes !== Infinity && { maxBytes }),
        evictions: this.#maintenance.evictions,
        rebuilds: this.#database.rebuilds,
        waitingWrites
      }
    })
  }

  close (): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close (): Promise<void> {
    this.#slices.endWithin(CLOSE_PATIENCE_MS)
    this.#maintenance.stop()
    await keepAliveDuring(async () => await this.#cleanup.cancel(), CLOSE_PATIENCE_MS)
    // A failure is ignored here, because it also rejects the promises of the writes.
    await this.#writes.flush().catch(() => {})
    this.#database.close()
  }

  #fits (key: string, value: Uint8Array): boolean {
    // A file with this entry needs at most this. It has the key twice, in the table and in an index, with up to 3 bytes per character.
    const bytes = value.byteLength / PAGE_USE + key.length * 6 + TABLE_BYTES
    return bytes <= this.#maintenance.maxBytes && bytes <= MAX_ROW_BYTES
  }

  #refuseClosed (operation: string): void {
    if (this.#closing !== undefined) throw new CACHE_ERR_CLOSED(`sqlite.${operation}`)
  }

  /** Returns the result of `work`, synchronously unless another process locks readers out while it repairs or closes the file. */
  #read<T> (operation: string, work: (connection: Connection) => T): MaybePromise<T> {
    if (this.#closing !== undefined) throw new CACHE_ERR_CLOSED(`sqlite.${operation}`)
    try {
      return this.#database.use(work)
    } catch (error) {
      if (!isBusy(error)) throw error
      return this.#slices.retry(() => this.#database.use(work))
    }
  }

  #find (connection: Connection, key: string): StoredEntry | undefined {
    const at = this.#now()
    const waiting = this.#writes.find(key)
    if (waiting !== undefined) {
      return waiting.entry !== undefined && waiting.entry.expiresAt > at ? waiting.entry : undefined
    }
    const stored = storedText(key)
    const row = connection.find(stored, at)
    if (row === undefined) return undefined
    connection.touch(row, at)
    return { value: row.value, expiresAt: row.expiresAt }
  }
}

function storable ({ value, expiresAt }: StoredEntry): StoredEntry {
  return { value, expiresAt: Math.min(Math.floor(expiresAt), Number.MAX_SAFE_INTEGER) }
}

function tooLarge (operation: string): Error {
  return refusal(
    new CACHE_ERR_BACKEND_FAILED('sqlite', operation, 'the entry is larger than sqlite.maxBytes, or the disk, allows'))
}
