// Limits the write-ahead log, which keeps growing while another process has a read transaction open.
import { KEPT_LOG_BYTES, type CacheDatabase } from './database.js'

// The least time between two attempts to empty the log. If one fails, another one a moment later would probably fail too.
const RETRY_MS = 50

/** The write-ahead log of one backend. */
export class WriteAheadLog {
  readonly #database: CacheDatabase
  readonly #maxBytes: number
  #triedAt = -Infinity

  constructor (database: CacheDatabase, maxBytes: number) {
    this.#database = database
    this.#maxBytes = Math.max(maxBytes, KEPT_LOG_BYTES)
  }

  /** Returns whether the log is too long and can't be emptied. If so, sets are refused, but deletes are still carried out. */
  isFull (): boolean {
    return this.#bytesLeft() > this.#maxBytes
  }

  /** Returns whether the log has become too long even for deletes. */
  isOver (): boolean {
    return this.#bytesLeft() > this.#maxBytes * 2
  }

  /** Returns the size of the log. Tries to empty it first if it is large. */
  #bytesLeft (): number {
    const bytes = this.#database.logBytes()
    if (bytes <= KEPT_LOG_BYTES || performance.now() - this.#triedAt < RETRY_MS) return bytes
    this.#triedAt = performance.now()
    this.#database.use((connection) => connection.truncateLog())
    return this.#database.logBytes()
  }
}
