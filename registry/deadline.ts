// Deadlines of waits. A blocked event loop reads nothing, so a wait starts again, once, if the loop was held up.
import { setImmediate as turn, setTimeout as after } from 'node:timers'

// A loop that is not held up runs its timers within a few milliseconds.
const HELD_UP_MS = 20

const LONGEST_TIMER_MS = 2 ** 31 - 1

/** The error of a call whose deadline has passed. */
export const NO_ANSWER = new Error('no response before the deadline')

/** The same, when either the backend or this process may have been too slow. */
export const HELD_UP = new Error('no response before the deadline, while the event loop of this process was held up')

/** Whether a timer due at `dueAt`, in `performance.now()`, fires so late that the event loop was held up. */
export function isHeldUp (dueAt: number, at = performance.now()): boolean {
  return at - dueAt > HELD_UP_MS
}

/** When all waits that share it must be over. Its time starts with the first of them. */
export class Deadline {
  readonly #ms: number
  #at: number | undefined
  #renewed = false

  constructor (ms: number) {
    this.#ms = ms
  }

  /** In `performance.now()`. */
  get at (): number {
    this.#at ??= performance.now() + this.#ms
    return this.#at
  }

  /** Adds time that was spent waiting for something else. */
  extend (ms: number): void {
    if (this.#at !== undefined) this.#at += ms
  }

  /** Starts its time again, because there was progress. */
  restart (): void {
    this.#at = performance.now() + this.#ms
  }

  /** Starts its time again because the loop was held up, but only once. Returns whether it did. */
  renew (): boolean {
    if (this.#renewed) return false
    this.#renewed = true
    this.restart()
    return true
  }

  /** Calls `end` once the deadline has passed and data that had arrived was read. */
  wait (end: WaitEnd, options?: WaitOptions): Wait {
    return new Wait(this, end, options)
  }
}

/** `heldUp`: the loop was held up again, so the late response does not mean that the other side was slow. */
export type WaitEnd = (heldUp: boolean) => void

export interface WaitOptions {
  /** The wait ends after this fraction of the time that is left: 2 means half of it. @default 1 */
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
    // It passed while nothing waited, so nothing could notice that the loop was held up.
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
    // Timers run first in a turn of the loop. Data that has arrived is read later in the same turn.
    turn(() => {
      if (this.#over) return
      this.#over = true
      this.#end(heldUp)
    })
  }
}

/** What `within` returns if the promise takes longer. */
export const LATE = Symbol('late')

/** The result of `promise`, or LATE if it takes longer than `limit`: milliseconds, or a deadline that may move meanwhile. */
export async function within<T> (limit: number | Deadline, promise: Promise<T>): Promise<T | typeof LATE> {
  const deadline = typeof limit === 'number' ? new Deadline(limit) : limit
  let wait: Wait | undefined
  try {
    return await Promise.race([promise, new Promise<typeof LATE>((resolve) => { wait = deadline.wait(() => resolve(LATE)) })])
  } finally {
    wait?.cancel()
  }
}
