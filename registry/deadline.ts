// Deadlines of waits. While the event loop is held up, it reads no responses. A wait then starts again, but only once.
import { setImmediate as turn, setTimeout as after } from 'node:timers'

// A timer that fires later than this was held up. Otherwise the event loop runs timers within a few milliseconds.
const HELD_UP_MS = 20

const LONGEST_TIMER_MS = 2 ** 31 - 1

/** The error of a call whose deadline has passed. */
export const NO_ANSWER = new Error('no response before the deadline')

/** The error of such a call if the event loop was held up, so that either the backend or this process may have been too slow. */
export const HELD_UP = new Error('no response before the deadline, while the event loop of this process was held up')

/** Whether a timer that was due at `dueAt` fires so late that the event loop was held up. Times are those of `performance.now()`. */
export function isHeldUp (dueAt: number, at = performance.now()): boolean {
  return at - dueAt > HELD_UP_MS
}

/** A deadline that several waits share. Its time starts with the first wait. */
export class Deadline {
  readonly #ms: number
  #at: number | undefined
  #renewed = false

  constructor (ms: number) {
    this.#ms = ms
  }

  /** The time of the deadline, as `performance.now()` counts it. */
  get at (): number {
    this.#at ??= performance.now() + this.#ms
    return this.#at
  }

  /** Moves the deadline by `ms`, the time that was spent waiting for something else. */
  extend (ms: number): void {
    if (this.#at !== undefined) this.#at += ms
  }

  /** Starts the deadline's time again, because there was progress. */
  restart (): void {
    this.#at = performance.now() + this.#ms
  }

  /** Starts the deadline's time again because the event loop was held up, but only once. Returns whether it did so now. */
  renew (): boolean {
    if (this.#renewed) return false
    this.#renewed = true
    this.restart()
    return true
  }

  /** Calls `end` once the deadline has passed and the data that had arrived by then was read. */
  wait (end: WaitEnd, options?: WaitOptions): Wait {
    return new Wait(this, end, options)
  }
}

/** Called when a wait ends at its deadline. `heldUp`: the event loop was held up again, so the other side may not have been slow. */
export type WaitEnd = (heldUp: boolean) => void

export interface WaitOptions {
  /** Divides the time that is left: with 2, the wait ends after half of it. @default 1 */
  readonly sharing?: number
  /** Whether the wait keeps the process alive. @default true */
  readonly ref?: boolean
}

/** One wait for a deadline. */
export class Wait {
  readonly #deadline: Deadline
  readonly #end: WaitEnd
  readonly #options: WaitOptions
  #timer: NodeJS.Timeout | undefined
  #over = false

  constructor (deadline: Deadline, end: WaitEnd, options: WaitOptions = {}) {
    this.#deadline = deadline
    this.#end = end
    this.#options = options
    // The deadline passed while nothing waited for it, so nothing could notice that the event loop was held up.
    if (isHeldUp(deadline.at)) deadline.renew()
    this.#arm()
  }

  /** Ends the wait without calling `end`. May be called twice. */
  cancel (): void {
    this.#over = true
    clearTimeout(this.#timer)
  }

  #arm (): void {
    const { sharing = 1, ref = true } = this.#options
    const began = performance.now()
    const endsAt = this.#deadline.at
    const waitMs = Math.min(Math.max(endsAt - began, 0) / sharing, LONGEST_TIMER_MS)
    this.#timer = after(() => this.#due(endsAt, began + waitMs), waitMs)
    if (!ref) this.#timer.unref()
  }

  #due (endsAt: number, dueAt: number): void {
    const heldUp = isHeldUp(dueAt)
    // Another wait may have moved the deadline.
    if (this.#deadline.at !== endsAt || (heldUp && this.#deadline.renew())) return this.#arm()
    // In each turn, the event loop runs timers, then reads data that has arrived, then runs what `turn` was given.
    turn(() => {
      if (this.#over) return
      this.#over = true
      this.#end(heldUp)
    })
  }
}

/** The result of `within` if the promise takes longer than the limit. */
export const LATE = Symbol('late')

/**
 * Returns the result of `promise`, or LATE if it takes longer than `limit`. The limit is a number of milliseconds, or a deadline, which may
 * move meanwhile.
 */
export async function within<T> (limit: number | Deadline, promise: Promise<T>): Promise<T | typeof LATE> {
  const deadline = typeof limit === 'number' ? new Deadline(limit) : limit
  let wait: Wait | undefined
  try {
    return await Promise.race([promise, new Promise<typeof LATE>((resolve) => { wait = deadline.wait(() => resolve(LATE)) })])
  } finally {
    wait?.cancel()
  }
}
