// Remembers which stale entries other processes refresh, so that not every stale hit asks the store again.
import { lruOf } from '../../registry/lru.js'

/** Limit on remembered keys. Beyond it, some keys are claimed too often. */
const MAX_KEYS = 10_000

export class BusyKeys {
  readonly #until = lruOf<number>(MAX_KEYS)
  readonly #now: () => number

  constructor (now: () => number) {
    this.#now = now
  }

  /** Records that another process has the lease of `key` for so many milliseconds. */
  note (key: string, busyMs: number): void {
    this.#until.set(key, this.#now() + busyMs)
  }

  /** Returns whether another process has the lease of `key`, as far as is known. */
  has (key: string): boolean {
    return this.#until.size > 0 && (this.#until.get(key) ?? 0) > this.#now()
  }
}
