// Decides how long to wait before something is tried again. After each failure of the same key, the pause is longer.
import { lruOf } from './lru.js'

const FIRST_PAUSE_MS = 1_000
const LONGEST_PAUSE_MS = 60_000
const FAILURES_REMEMBERED = 10_000

export class Backoff {
  readonly #failures = lruOf<{ readonly pauseMs: number, readonly until: number }>(FAILURES_REMEMBERED)
  readonly #now: () => number

  constructor (now: () => number) {
    this.#now = now
  }

  /** Returns whether `key` failed so recently that it must not be tried again yet. */
  pauses (key: string): boolean {
    const failed = this.#failures.get(key)
    return failed !== undefined && this.#now() < failed.until
  }

  failed (key: string): void {
    const pauseMs = Math.min((this.#failures.get(key)?.pauseMs ?? FIRST_PAUSE_MS / 2) * 2, LONGEST_PAUSE_MS)
    this.#failures.set(key, { pauseMs, until: this.#now() + pauseMs })
  }

  succeeded (key: string): void {
    this.#failures.delete(key)
  }
}
