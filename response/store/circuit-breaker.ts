// The circuit breaker: after several failures in a row, it lets no calls through for a while. Then one call at a time probes the backend.

import { HELD_UP, NO_ANSWER } from '../../registry/deadline.js'
import { isRefusal } from '../../registry/refusal.js'
import { WAITED } from './write-behind.js'

const FAILURES_TO_OPEN = 5
const FIRST_PAUSE_MS = 1_000
const LONGEST_PAUSE_MS = 30_000
// Varies the pauses, so that many processes don't retry at the same time.
const JITTER = 0.2
/** The calls that store a response after it was sent. They may take long although the backend is available. */
const STORING: ReadonlySet<string> = new Set(['set', 'settle'])

export class CircuitBreaker {
  /** Whether no call has failed since the last success. If so, `admits` and `succeeded` need not be called. Read only. */
  isQuiet = true
  readonly #now: () => number
  #failures = 0
  #pauseMs = 0
  #closedAgainAt = 0
  #probing = false

  constructor (now: () => number) {
    this.#now = now
  }

  /** Returns whether the backend may be called. While it recovers, one call at a time is admitted; its caller must report the outcome. */
  admits (): boolean {
    if (this.#pauseMs === 0) return true
    if (this.#probing || this.#now() < this.#closedAgainAt) return false
    this.#probing = true
    return true
  }

  /** Called when a call has ended with an error. */
  note (operation: string, err: unknown): void {
    // If only one of several tiers has failed, that counts as a success, because the other tiers respond. A refused entry (one that is too
    // large, for example) counts as a success too.
    if ((err as { isPartial?: unknown } | undefined)?.isPartial === true || isRefusal(err)) this.succeeded()
    else if (err === HELD_UP || ((err === NO_ANSWER || err === WAITED) && STORING.has(operation))) this.#late()
    else this.#failed()
  }

  succeeded (): void {
    this.isQuiet = true
    this.#failures = 0
    this.#pauseMs = 0
    this.#probing = false
  }

  /**
   * Called when a call took too long, but the cause may be this process (on a busy machine, for example). That counts as a failure only if
   * the call was a probe, because a probe needs an outcome.
   */
  #late (): void {
    if (this.#probing) this.#failed()
  }

  #failed (): void {
    this.#failures++
    this.isQuiet = false
    // Calls that were admitted before the breaker opened may fail now. They don't extend the pause.
    if (this.#failures < FAILURES_TO_OPEN || (this.#pauseMs > 0 && !this.#probing)) return
    this.#probing = false
    this.#pauseMs = Math.min(this.#pauseMs === 0 ? FIRST_PAUSE_MS : this.#pauseMs * 2, LONGEST_PAUSE_MS)
    this.#closedAgainAt = this.#now() + this.#pauseMs * (1 + JITTER * (Math.random() - 0.5))
  }
}
