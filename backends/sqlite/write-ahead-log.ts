// How long the write-ahead log may become. SQLite can't begin it again while another process keeps a read transaction open.
import { KEPT_LOG_BYTES, type CacheDatabase } from './database.js'

// A log that can't be emptied now can't be a moment later, most likely.
const RETRY_MS = 50

/** The log of one backend, as the file system has it. */
export class WriteAheadLog {
  readonly #database: CacheDatabase
  readonly #maxBytes: number
  #triedAt = -Infinity

  constructor (database: CacheDatabase, maxBytes: number) {
    this.#database = database
    this.#maxBytes = Math.max(maxBytes, KEPT_LOG_BYTES)
  }

  /** Whether the log is longer than may be and can't be emptied. Nothing may be stored then; deletes go on. */
  isFull (): boolean {
    return this.#bytesLeft() > this.#maxBytes
  }

  /** Whether even the deletes have made it too long. */
  isOver (): boolean {
    return this.#bytesLeft() > this.#maxBytes * 2
  }

  /** Its size, after it was emptied where that is worth trying. */
  #bytesLeft (): number {
    const bytes = this.#database.logBytes()
    if (bytes <= KEPT_LOG_BYTES || performance.now() - this.#triedAt < RETRY_MS) return bytes
    this.#triedAt = performance.now()
    this.#database.use((connection) => connection.truncateLog())
    return this.#database.logBytes()
  }
}
