// How long a tier is waited for, and when one that fails is left alone.
import { setImmediate as turn, setTimeout as after } from 'node:timers'

const FAILURES_TO_PAUSE = 5
// Short, since what is asked meanwhile is asked of the other tiers, and a change that is refused has to be made up for.
const PAUSE_MS = 1_000

/** Leaves a tier alone that fails again and again, so that the others need not wait for it. */
export class Breaker {
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

/** When a read must be over, in `performance.now()`: shared by the tiers that are still to be asked. */
export class Deadline {
  readonly #endsAt: number

  constructor (ms: number) {
    this.#endsAt = performance.now() + ms
  }

  /** What `promise` brings; rejects when it takes longer than an equal share of what is left for `tiers` tiers. */
  async share<T> (tiers: number, promise: Promise<T>): Promise<T> {
    const waitMs = Math.max(this.#endsAt - performance.now(), 0) / tiers
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<never>((_resolve, reject) => {
      // After a turn in which the loop was kept, the answer may be there and not have been read.
      timer = after(() => { turn(() => reject(new Error('no answer before the deadline'))) }, waitMs)
    })
    try {
      return await Promise.race([promise, late])
    } finally {
      clearTimeout(timer)
    }
  }
}
