// When a tier that fails is left alone. Not a CircuitBreaker: a call that is let through may hang and never report, so time alone lets the
// next one through.

const FAILURES_TO_PAUSE = 5
// Short, since what is asked meanwhile is asked of the other tiers, and a change that is refused has to be made up for.
const PAUSE_MS = 1_000

/** Leaves a tier alone that fails again and again, so that the others need not wait for it. */
export class TierPause {
  readonly #now: () => number
  #failures = 0
  #pausedUntil = 0

  constructor (now: () => number) {
    this.#now = now
  }

  /** Whether the tier is not being left alone. */
  get isWell (): boolean {
    return this.#failures < FAILURES_TO_PAUSE
  }

  /** Whether it may be asked. While it recovers, one call in a pause may; that one may hang, and never say how it went. */
  admits (): boolean {
    if (this.isWell) return true
    const leftMs = this.#pausedUntil - this.#now()
    // More than a pause is left where the clock was set back.
    if (leftMs > 0 && leftMs <= PAUSE_MS) return false
    this.#pausedUntil = this.#now() + PAUSE_MS
    return true
  }

  succeeded (): void {
    this.#failures = 0
  }

  failed (): void {
    // Of those that were admitted before, many may fail at once: they say nothing new.
    if (++this.#failures === FAILURES_TO_PAUSE) this.#pausedUntil = this.#now() + PAUSE_MS
  }
}
