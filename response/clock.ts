// The clock that measures the lifetime of stored responses. It follows the system's clock, but ignores short steps back.
import { noop } from '../registry/maybe-promise.js'

/** The system's clock is read again only after this time. */
const LOOK_MS = 1_000
/** Smaller steps back are ignored, because the clocks of different machines differ by that much anyway. */
const BACK_MS = 1_000
/** How long the system's clock must stay behind before a step back is followed. If it is corrected sooner, it was probably a mistake. */
const BELIEVED_AFTER_MS = 10_000

export interface ClockOptions {
  /** The system's clock, in epoch milliseconds. It can be set, and it keeps running while the machine sleeps. @default Date.now */
  readonly wall?: () => number
  /** A clock in milliseconds that never jumps, and stands still while the machine sleeps. @default performance.now */
  readonly steady?: () => number
}

/**
 * If the system's clock steps forward, this clock follows within a second: the machine slept, or its clock was behind. If the system's
 * clock steps back, this clock follows only after ten seconds, so that it agrees with the clocks of other processes again. `onSetBack` must
 * then ensure that no stored response is kept longer because of the step.
 */
export class Clock {
  /** Called after the clock was set back, with the size of the step. Instants in older entries may now be in the future. */
  onSetBack: (byMs: number) => void = noop
  readonly #wall: () => number
  readonly #steady: () => number
  /** The epoch milliseconds at which `steady` was 0. */
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

  /** Epoch milliseconds, an integer. */
  readonly now = (): number => {
    const steady = this.#steady()
    if (steady >= this.#nextLookAt) this.#look()
    return Math.floor(this.#startedAt + steady)
  }

  #look (): void {
    // `wall` is read before `steady`. If the process pauses in between, the system's clock then seems to be behind, which is not followed
    // at once. In the other order it would seem to be ahead.
    const wall = this.#wall()
    const steady = this.#steady()
    this.#nextLookAt = steady + LOOK_MS
    const aheadMs = wall - (this.#startedAt + steady)
    if (aheadMs >= -BACK_MS) {
      this.#behindSince = undefined
      // The system's clock has whole milliseconds only, so it usually seems to be slightly behind.
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

/** The clock of a registration: the application's own if it has one. */
export function clockOf (own: (() => number) | undefined): Pick<Clock, 'now' | 'steadyNow' | 'onSetBack'> {
  return own === undefined ? new Clock() : { now: own, steadyNow: own, onSetBack: noop }
}
