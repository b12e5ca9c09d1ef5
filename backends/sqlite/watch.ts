// Checks whether the open file and its log are still those at the path. Both may be removed, moved or replaced at any time.
import { driverError } from './driver.js'
import { identityOf, logOf } from './database-file.js'

// The time between two checks. Reads must notice a change within a second, but a check takes only microseconds, so it is done more often.
const LOOK_MS = 100

/** The file and log of one connection, as they were when it was opened. */
export class Watch {
  readonly #path: string
  readonly #identity: string | undefined
  readonly #logIdentity: string | undefined
  #lookedAtMs = performance.now()

  /** `identity` is the identity of the opened file. */
  constructor (path: string, identity: string | undefined) {
    this.#path = path
    this.#identity = identity
    this.#logIdentity = identityOf(logOf(path))
  }

  /** Does the same as `look`, unless that was done a moment ago. */
  glance (): void {
    if (performance.now() - this.#lookedAtMs >= LOOK_MS) this.look()
  }

  /** Throws SQLITE_READONLY_DBMOVED, SQLite's own code for this, if the open file or log is no longer at the path. */
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
