// The breaker: after a few failures a backend is left alone for a while, then one probe at a time tries again.

const FAILURES_TO_OPEN = 5
const FIRST_PAUSE_MS = 1_000
const LONGEST_PAUSE_MS = 30_000
// So that many processes don't come back at the same instant.
const JITTER = 0.2

export class CircuitBreaker {
  /** Whether there is nothing to be asked or told, as long as nothing fails. Read only. */
  isQuiet = true
  readonly #now: () => number
  #failures = 0
  #pauseMs = 0
  #closedAgainAt = 0
  #probing = false

  constructor (now: () => number) {
    this.#now = now
  }

  /** Whether the backend may be asked. While it recovers, one caller at a time is told yes, and must report. */
  admits (): boolean {
    if (this.#pauseMs === 0) return true
    if (this.#probing || this.#now() < this.#closedAgainAt) return false
    this.#probing = true
    return true
  }

  succeeded (): void {
    this.isQuiet = true
    this.#failures = 0
    this.#pauseMs = 0
    this.#probing = false
  }

  /** A write that nobody waits for takes long: on a busy machine that is no failure, but a probe has to end. */
  late (): void {
    if (this.#probing) this.failed()
  }

  failed (): void {
    this.#failures++
    this.isQuiet = false
    // Of those who were admitted before it opened, many may fail at once: they say nothing new.
    if (this.#failures < FAILURES_TO_OPEN || (this.#pauseMs > 0 && !this.#probing)) return
    this.#probing = false
    this.#pauseMs = Math.min(this.#pauseMs === 0 ? FIRST_PAUSE_MS : this.#pauseMs * 2, LONGEST_PAUSE_MS)
    this.#closedAgainAt = this.#now() + this.#pauseMs * (1 + JITTER * (Math.random() - 0.5))
  }
}
