// Makes room if the disk is full or a file reaches a size limit: evicts entries, or deletes the cache's own file.
import type { CacheLog } from '../../registry/registry.js'
import { driverError, isFull } from './driver.js'
import type { CacheDatabase } from './database.js'
import type { SqliteMaintenance } from './maintenance.js'
import type { WriteAheadLog } from './write-ahead-log.js'

/** The purpose for which room is needed. It decides whether the file may be deleted to make room. */
export type Need = 'invalidation' | 'store' | 'lease' | 'maintenance'

// The least time between two deletions of the file that make room for sets. If other programs fill the disk, more would not help.
const BEGIN_ANEW_GAP_MS = 5_000
const LOG_GAP_MS = 60_000

// For a lease, a smaller file is never deleted. It can't be what fills the disk, and its entries can still be read.
const WORTH_DELETING_BYTES = 1024 * 1024

/** Options and dependencies of `Disk`. */
export interface DiskOptions {
  readonly database: CacheDatabase
  readonly maintenance: SqliteMaintenance
  readonly writeAheadLog: WriteAheadLog
  readonly log: CacheLog
}

/** Makes room on the disk for one backend. */
export class Disk {
  readonly #options: DiskOptions
  #begunAnewAt = -Infinity
  #loggedAt = -Infinity

  constructor (options: DiskOptions) {
    this.#options = options
  }

  /**
   * Returns the result of `work`. If there is no room, evicts entries and calls `work` again. If there is still no room, deletes the file
   * and calls `work` with a new one: always for an invalidation, seldom for a store or, if the file is large, for a lease, and never for
   * maintenance. Throws the driver's errors.
   */
  async withRoom<T> (work: () => Promise<T>, need: () => Need): Promise<T> {
    const { database, writeAheadLog } = this.#options
    if (!database.hasFile) return await work()
    if (need() !== 'maintenance' && writeAheadLog.isOver()) {
      this.#beginAnew(driverError('SQLITE_FULL', 'the write-ahead log is too long and others keep it from being emptied'))
    }
    try {
      return await work()
    } catch (error) {
      if (!isFull(error)) throw error
      await this.#makeRoom()
    }
    try {
      return await work()
    } catch (error) {
      if (!isFull(error) || !this.#mayBeginAnew(need())) throw error
      this.#options.maintenance.keepBelow(database.diskBytes())
      this.#beginAnew(error)
    }
    return await work()
  }

  async #makeRoom (): Promise<void> {
    const { database, maintenance } = this.#options
    const bytes = database.diskBytes()
    const emptyLog = (): unknown => database.use((connection) => connection.truncateLog())
    // The log is emptied before the eviction, which writes to the log, and again after it, because the file shrinks only then.
    for (const step of [emptyLog, async () => await maintenance.fitInto(bytes), emptyLog]) {
      try {
        await step()
      } catch (error) {
        if (!isFull(error)) throw error
      }
    }
  }

  #mayBeginAnew (need: Need): boolean {
    if (need === 'invalidation') return true
    if (need === 'maintenance' || performance.now() - this.#begunAnewAt <= BEGIN_ANEW_GAP_MS) return false
    return need === 'store' || this.#options.database.diskBytes() >= WORTH_DELETING_BYTES
  }

  #beginAnew (err: unknown): void {
    const { database, log } = this.#options
    database.beginAnew()
    const at = this.#begunAnewAt = performance.now()
    if (at - this.#loggedAt < LOG_GAP_MS) return
    this.#loggedAt = at
    log.warn({ err, path: database.path },
      'cache: there is no room for the SQLite file; it was deleted with everything in it, and a new one is used')
  }
}
