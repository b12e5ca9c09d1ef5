// When a process stops calling a store that fails: the rules of response/store/circuit-breaker.ts, and of backends/tiered/tier-pause.ts.
import type { Random } from './random.js'
import { BREAKER_JITTER, FAILURES_TO_PAUSE, FIRST_PAUSE_MS, LONGEST_PAUSE_MS } from './settings.js'

export class Pause {
  readonly #now: () => number
  readonly #random: Random
  readonly #longestMs: number
  readonly #jitter: number
  #failures = 0
  #pauseMs = 0
  #until = 0

  /** The pauses of a tier neither grow nor vary. */
  constructor (now: () => number, random: Random, isTier: boolean) {
    this.#now = now
    this.#random = random
    this.#longestMs = isTier ? FIRST_PAUSE_MS : LONGEST_PAUSE_MS
    this.#jitter = isTier ? 0 : BREAKER_JITTER
  }

  /** Whether it is not pausing. */
  get isWell (): boolean {
    return this.#pauseMs === 0
  }

  admits (): boolean {
    return this.#pauseMs === 0 || this.#now() >= this.#until
  }

  succeeded (): void {
    this.#failures = 0
    this.#pauseMs = 0
  }

  failed (): void {
    if (++this.#failures < FAILURES_TO_PAUSE) return
    this.#pauseMs = Math.min(this.#pauseMs === 0 ? FIRST_PAUSE_MS : this.#pauseMs * 2, this.#longestMs)
    this.#until = this.#now() + this.#random.around(this.#pauseMs, this.#jitter)
  }
}
