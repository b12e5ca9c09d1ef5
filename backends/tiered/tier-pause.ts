// Pauses a tier that fails. This is not the CircuitBreaker of response/: a probe of a tier may hang and never report, so the next probe
// is admitted after some time, not after a report.

const FAILURES_TO_PAUSE = 5
// Short, because reads meanwhile go to the other tiers, and changes that are refused must be made up for.
const PAUSE_MS = 1_000

/** Pauses a tier that fails repeatedly, so that the others do not wait for it. */
export class TierPause {
  readonly #now: () => number
  #failures = 0
  #pausedUntil = 0

  constructor (now: () => number) {
    this.#now = now
  }

  /** Whether the tier is not paused. */
  get isWell (): boolean {
    return this.#failures < FAILURES_TO_PAUSE
  }

  /** Whether a call is admitted. While the tier is paused, one call per pause is; it may hang and never report. */
  admits (): boolean {
    if (this.isWell) return true
    const leftMs = this.#pausedUntil - this.#now()
    // If the clock was set back, more than a pause is left.
    if (leftMs > 0 && leftMs <= PAUSE_MS) return false
    this.#pausedUntil = this.#now() + PAUSE_MS
    return true
  }

  succeeded (): void {
    this.#failures = 0
  }

  failed (): void {
    // Many calls that were admitted earlier may fail at once. They don't prolong the pause.
    if (++this.#failures === FAILURES_TO_PAUSE) this.#pausedUntil = this.#now() + PAUSE_MS
  }
}
