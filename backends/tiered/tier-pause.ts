// Pauses a tier that fails. Unlike the CircuitBreaker of response/, admits the next probe after some time, not when the last one has
// reported: a probe of a tier may hang and never report.

const FAILURES_TO_PAUSE = 5
// Short: during a pause, reads go to the other tiers, and refused changes must be carried out later.
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

  /** Whether a call is admitted. At the end of each pause, one call is admitted, and the next pause begins, because the call may hang. */
  admits (): boolean {
    if (this.isWell) return true
    const leftMs = this.#pausedUntil - this.#now()
    // If more than a whole pause is left, the clock was set back.
    if (leftMs > 0 && leftMs <= PAUSE_MS) return false
    this.#pausedUntil = this.#now() + PAUSE_MS
    return true
  }

  succeeded (): void {
    this.#failures = 0
  }

  failed (): void {
    // Only the failure that starts the pause counts: many calls that were admitted earlier may fail at once, and must not prolong it.
    if (++this.#failures === FAILURES_TO_PAUSE) this.#pausedUntil = this.#now() + PAUSE_MS
  }
}
