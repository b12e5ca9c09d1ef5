// Whether the open file, and the log beside it, are still those at the path: both may be removed, moved or replaced at any time.
import { driverError } from './driver.js'
import { identityOf, logOf } from './database-file.js'

// A read notices within a second what became of the file. To look takes some microseconds, so the look is this much sooner.
const LOOK_MS = 100

/** The file of one connection, as it was when that was opened. */
export class Watch {
  readonly #path: string
  readonly #identity: string | undefined
  readonly #logIdentity: string | undefined
  #lookedAtMs = performance.now()

  /** `identity` is that of the file that was opened. */
  constructor (path: string, identity: string | undefined) {
    this.#path = path
    this.#identity = identity
    this.#logIdentity = identityOf(logOf(path))
  }

  /** As `look`, unless that was done a moment ago. */
  glance (): void {
    if (performance.now() - this.#lookedAtMs >= LOOK_MS) this.look()
  }

  /** Throws SQLITE_READONLY_DBMOVED, SQLite's own word for it, when nobody else will open what this connection has open. */
  look (): void {
    this.#lookedAtMs = performance.now()
    if (this.isFileHere() && this.isLogHere()) return
    throw driverError('SQLITE_READONLY_DBMOVED', 'the file, or the log beside it, was removed, moved or replaced')
  }

  isFileHere (): boolean {
    return identityOf(this.#path) === this.#identity
  }

  isLogHere (): boolean {
    return identityOf(logOf(this.#path)) === this.#logIdentity
  }
}
