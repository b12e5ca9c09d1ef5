// The clock that measures the lifetime of stored responses. It follows the system's clock, but ignores short steps back.
import { noop } from '../registry/maybe-promise.js'

/** The minimum time between two readings of the system's clock. */
const LOOK_MS = 1_000
/** Smaller steps back are ignored, because the clocks of different machines differ by that much anyway. */
const BACK_MS = 1_000
/** How long the system's clock must stay behind before this clock follows it. A step that is corrected sooner was probably a mistake. */
const BELIEVED_AFTER_MS = 10_000

export interface ClockOptions {
  /** Returns the system's time in epoch milliseconds. It can be set, and keeps running while the machine sleeps. @default Date.now */
  readonly wall?: () => number
  /** Returns the milliseconds of a clock that never jumps, and that stops while the machine sleeps. @default performance.now */
  readonly steady?: () => number
}

/**
 * If the system's clock steps forward, because the machine slept or the clock was behind, this clock follows within a second. If the
 * system's clock steps back, this clock follows only after ten seconds. This clock has to follow, so that it agrees with the clocks of
 * other processes. After a step back, `onSetBack` must ensure that no stored response is kept longer because of the step.
 */
export class Clock {
  /** Called after this clock was set back, with the size of the step. Times in older entries may now be in the future. */
  onSetBack: (byMs: number) => void = noop
  readonly #wall: () => number
  readonly #steady: () => number
  /** The time at which `steady` was 0, in epoch milliseconds. */
  #startedAt: number
  #nextLookAt = 0
  /** When the system's clock fell behind, in milliseconds of `steady`; undefined while it is not behind. */
  #behindSince: number | undefined

  constructor ({ wall = Date.now, steady = () => performance.now() }: ClockOptions = {}) {
    this.#wall = wall
    this.#steady = steady
    this.#startedAt = wall() - steady()
  }

  /** A clock in milliseconds that never jumps. It measures everything except the lifetime of stored responses. */
  get steadyNow (): () => number {
    return this.#steady
  }

  /** Returns the current time in epoch milliseconds, as an integer. */
  readonly now = (): number => {
    const steady = this.#steady()
    if (steady >= this.#nextLookAt) this.#look()
    return Math.floor(this.#startedAt + steady)
  }

  #look (): void {
    // The process may pause between the two readings. Because `wall` is read first, the system's clock then seems to be behind, and this
    // clock doesn't follow at once. In the other order, the system's clock would seem to be ahead, and this clock would follow.
    const wall = this.#wall()
    const steady = this.#steady()
    this.#nextLookAt = steady + LOOK_MS
    const aheadMs = wall - (this.#startedAt + steady)
    if (aheadMs >= -BACK_MS) {
      this.#behindSince = undefined
      // Smaller differences are ignored: the system's clock shows whole milliseconds only, so it usually seems to be slightly behind.
      if (aheadMs >= 1) this.#startedAt += aheadMs
      return
    }
    this.#behindSince ??= steady
    if (steady - this.#behindSince < BELIEVED_AFTER_MS) return
    this.#behindSince = undefined
    this.#startedAt += aheadMs
    this.onSetBack(-aheadMs)
  }
}

/** Returns the clock of a registration. This is the application's own clock if it has one. */
export function clockOf (own: (() => number) | undefined): Pick<Clock, 'now' | 'steadyNow' | 'onSetBack'> {
  return own === undefined ? new Clock() : { now: own, steadyNow: own, onSetBack: noop }
}
