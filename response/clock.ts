// The clock that decides how long stored responses live. It follows the system's clock, but not every step of it.
import { noop } from '../registry/maybe-promise.js'

/** How often the system's clock is read. */
const LOOK_MS = 1_000
/** A smaller step back is ignored, because clocks of different machines differ by as much. */
const BACK_MS = 1_000
/** How long the system's clock must be behind before a step back is followed. A shorter step was probably a mistake. */
const BELIEVED_AFTER_MS = 10_000

export interface ClockOptions {
  /** The system's clock, in epoch milliseconds. It can be set, and it keeps running while the machine sleeps. @default Date.now */
  readonly wall?: () => number
  /** Milliseconds that never jump. They stand still while the machine sleeps. @default performance.now */
  readonly steady?: () => number
}

/**
 * A step forward of the system's clock is followed within a second: the machine slept, or its clock was behind. A step back is followed
 * only if it lasts for ten seconds, so that processes agree again. `onSetBack` must then ensure that no stored response lives longer
 * because of the step.
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

  /** Milliseconds that never jump. They measure everything except the life of stored responses. */
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
    // `wall` is read first. If the process pauses between the two reads, the system's clock seems to be behind, which is not followed at
    // once.
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
