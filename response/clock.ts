// The clock: the system's, followed with care. It decides how long stored responses live.
import { noop } from '../registry/maybe-promise.js'

/** How often the system's clock is looked at. */
const LOOK_MS = 1_000
/** A clock that was set back by less is let be: other machines' clocks differ by as much. */
const BACK_MS = 1_000
/** How long the system's clock stays behind before it is believed: whoever set it may have been wrong. */
const BELIEVED_AFTER_MS = 10_000

export interface ClockOptions {
  /** What the operating system says: epoch milliseconds. Somebody can set it, and it goes on while a machine sleeps. @default Date.now */
  readonly wall?: () => number
  /** Milliseconds that never jump, and stand still while a machine sleeps. @default performance.now */
  readonly steady?: () => number
}

/**
 * A step forward of the system's clock is followed within a second: the machine has slept, or its clock was behind. A step
 * back is not, unless it lasts: after ten seconds the clock is set back too, so that processes agree again, and
 * `onSetBack` has to see to it that no stored response lives longer for it.
 */
export class Clock {
  /** Called when the clock was set back, by so many milliseconds: what was stored before has instants of the future. */
  onSetBack: (byMs: number) => void = noop
  readonly #wall: () => number
  readonly #steady: () => number
  /** The epoch milliseconds at which `steady` was 0. */
  #startedAt: number
  #nextLookAt = 0
  /** In `steady`; undefined while the system's clock is not behind. */
  #behindSince: number | undefined

  constructor ({ wall = Date.now, steady = () => performance.now() }: ClockOptions = {}) {
    this.#wall = wall
    this.#steady = steady
    this.#startedAt = wall() - steady()
  }

  /** Milliseconds that never jump: how long anything lasts that is not stored. */
  get steadyNow (): () => number {
    return this.#steady
  }

  /** Epoch milliseconds, whole ones. */
  readonly now = (): number => {
    const steady = this.#steady()
    if (steady >= this.#nextLookAt) this.#look()
    return Math.floor(this.#startedAt + steady)
  }

  #look (): void {
    // In this order: a process that is held up in between takes the system's clock to be behind, which it doesn't follow at once.
    const wall = this.#wall()
    const steady = this.#steady()
    this.#nextLookAt = steady + LOOK_MS
    const aheadMs = wall - (this.#startedAt + steady)
    if (aheadMs >= -BACK_MS) {
      this.#behindSince = undefined
      // The system's clock is told in whole milliseconds, so mostly it seems to be a little behind.
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

/** The clock of a registration: the application's own, where it has one. */
export function clockOf (own: (() => number) | undefined): Pick<Clock, 'now' | 'steadyNow' | 'onSetBack'> {
  return own === undefined ? new Clock() : { now: own, steadyNow: own, onSetBack: noop }
}
