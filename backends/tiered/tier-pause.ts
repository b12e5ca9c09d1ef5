// Pauses a tier that fails. The CircuitBreaker of response/ admits another probe only after the last one has a result. Here, another probe
// is admitted after some time, because a probe of a tier may hang and never have a result.

const FAILURES_TO_PAUSE = 5
// A pause is short, because changes that are refused meanwhile must be carried out later. Reads go to the other tiers.
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

  /** Returns whether a call is admitted. At a pause's end, admits one call and begins the next pause, because that call may hang. */
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
    // Only the failure that starts the pause sets its end. Calls that were admitted earlier may fail later, but must not prolong the pause.
    if (++this.#failures === FAILURES_TO_PAUSE) this.#pausedUntil = this.#now() + PAUSE_MS
  }
}
