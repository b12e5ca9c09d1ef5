// A disk without room, or a limit on the size of files: what the cache itself has filled, only the cache can empty.
import type { CacheLog } from '../../registry/registry.js'
import { driverError, isFull } from './driver.js'
import type { Home } from './home.js'
import type { Upkeep } from './upkeep.js'
import type { WriteAheadLog } from './write-ahead-log.js'

/** What room is wanted for: it decides whether the file may be deleted for it. */
export type Need = 'invalidation' | 'store' | 'upkeep'

// The file is deleted for what is to be stored once in so long: where others fill the disk, that does not help.
const BEGIN_ANEW_GAP_MS = 5_000
const LOG_GAP_MS = 60_000

/** What a disk needs around it. */
export interface DiskOptions {
  readonly home: Home
  readonly upkeep: Upkeep
  readonly writeAheadLog: WriteAheadLog
  readonly log: CacheLog
}

/** The room of one backend. */
export class Disk {
  readonly #options: DiskOptions
  #begunAnewAt = -Infinity
  #loggedAt = -Infinity

  constructor (options: DiskOptions) {
    this.#options = options
  }

  /**
   * What `work` answers. Where it finds no room it is done again after eviction, and then on a new file: always for an
   * invalidation, seldom for what is to be stored. Throws what the driver throws.
   */
  async withRoom<T> (work: () => Promise<T>, need: () => Need): Promise<T> {
    const { home, writeAheadLog } = this.#options
    if (!home.hasFile) return await work()
    if (need() !== 'upkeep' && writeAheadLog.isOver()) {
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
      this.#options.upkeep.keepBelow(home.diskBytes())
      this.#beginAnew(error)
    }
    return await work()
  }

  async #makeRoom (): Promise<void> {
    const { home, upkeep } = this.#options
    const bytes = home.diskBytes()
    const emptyLog = (): unknown => home.use((connection) => connection.truncateLog())
    // In this order: deletes are written to the log, and the file is cut off when the log is emptied.
    for (const step of [emptyLog, async () => await upkeep.fitInto(bytes), emptyLog]) {
      try {
        await step()
      } catch (error) {
        if (!isFull(error)) throw error
      }
    }
  }

  #mayBeginAnew (need: Need): boolean {
    return need === 'invalidation' || (need === 'store' && performance.now() - this.#begunAnewAt > BEGIN_ANEW_GAP_MS)
  }

  #beginAnew (err: unknown): void {
    const { home, log } = this.#options
    home.beginAnew()
    const at = this.#begunAnewAt = performance.now()
    if (at - this.#loggedAt < LOG_GAP_MS) return
    this.#loggedAt = at
    log.warn({ err, path: home.path },
      'cache: there is no room for the SQLite file; it was deleted, with all that it held, and a new one is used')
  }
}
