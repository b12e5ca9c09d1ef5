// What keeps the table within its bounds: expired entries go first, then the least recently used, a few milliseconds at a time.
import type { Connection } from './connection.js'
import type { Home } from './home.js'
import type { Settings } from './options.js'
import type { Pace, Step } from './pace.js'

// Rows that are deleted between two looks at the clock.
const ROWS_AT_ONCE = 16

// A little more is evicted than must be, or every flush of a full cache would evict again.
const KEPT_SHARE = 0.99

// Free pages are used again by later writes. Only where they are many are they given back.
const MAX_FREE_SHARE = 0.25

/** What the upkeep needs around it. */
export interface UpkeepOptions {
  readonly home: Home
  readonly pace: Pace
  readonly now: () => number
  readonly settings: Settings
}

/** Eviction and cleanup of one backend. */
export class Upkeep {
  readonly #home: Home
  readonly #pace: Pace
  readonly #now: () => number
  readonly #maxEntries: number
  readonly #maxBytes: number
  #stopped = false
  /** How many entries were deleted to make room. */
  evictions = 0

  constructor ({ home, pace, now, settings }: UpkeepOptions) {
    this.#home = home
    this.#pace = pace
    this.#now = now
    this.#maxEntries = settings.maxEntries
    this.#maxBytes = settings.maxBytes
  }

  /** Ends a cleanup that is under way at its next step. */
  stop (): void {
    this.#stopped = true
  }

  /** Evicts until the table is within its bounds, where it is not. */
  async makeRoom (): Promise<void> {
    const isFull = this.#home.use((connection) => this.#excess(connection, this.#maxBytes) > 0)
    if (!isFull) return
    await this.#pace.steps((hasTime) => this.#write((connection) => this.#evict(connection, hasTime)))
  }

  /** Drops what has expired, notes what was used, gives back what is free. The background task. */
  async cleanup (): Promise<void> {
    await this.#unhurried((connection, hasTime) => connection.writeTouches(hasTime))
    await this.#unhurried((connection, hasTime) => this.#dropExpired(connection, hasTime))
    await this.makeRoom()
    await this.#unhurried((connection, hasTime) => this.#shrink(connection, hasTime))
  }

  #write<T> (work: (connection: Connection) => T): T {
    return this.#home.use((connection) => connection.transact(() => work(connection)))
  }

  async #unhurried (work: (connection: Connection, hasTime: () => boolean) => boolean): Promise<void> {
    const step: Step = (hasTime) => this.#stopped || this.#write((connection) => work(connection, hasTime))
    await this.#pace.steps(step, { ref: false })
  }

  #dropExpired (connection: Connection, hasTime: () => boolean): boolean {
    const at = this.#now()
    while (connection.dropExpired(at, ROWS_AT_ONCE) > 0) {
      if (!hasTime()) return false
    }
    return true
  }

  #evict (connection: Connection, hasTime: () => boolean): boolean {
    const at = this.#now()
    for (;;) {
      const excess = this.#excess(connection, this.#maxBytes * KEPT_SHARE)
      if (excess === 0) return true
      const max = Math.min(excess, ROWS_AT_ONCE)
      const dropped = connection.dropExpired(at, max) || connection.dropUnused(max)
      // Nothing of ours is left: what fills the file is somebody else's.
      if (dropped === 0) return true
      this.evictions += dropped
      if (!hasTime()) return false
    }
  }

  /** How many entries must go, as far as that is known: with too many bytes it is not. */
  #excess (connection: Connection, maxBytes: number): number {
    if (connection.usedBytes() > maxBytes) return ROWS_AT_ONCE
    return this.#maxEntries === Infinity ? 0 : Math.max(connection.entries() - this.#maxEntries, 0)
  }

  #shrink (connection: Connection, hasTime: () => boolean): boolean {
    while (connection.freeShare() > MAX_FREE_SHARE) {
      const before = connection.fileBytes()
      connection.shrink()
      // A file that was made without auto_vacuum keeps its pages.
      if (connection.fileBytes() === before) return true
      if (!hasTime()) return false
    }
    return true
  }
}
