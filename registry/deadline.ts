// Deadlines for calls. While the event loop is held up, it can't read responses, so a deadline that passes meanwhile starts again, once.
import { setImmediate as turn, setTimeout as after } from 'node:timers'

// If a timer fires this much later than it was due, the event loop was held up. Normally, timers are only a few milliseconds late.
const HELD_UP_MS = 20

const LONGEST_TIMER_MS = 2 ** 31 - 1

/** The error of a call whose deadline has passed. */
export const NO_ANSWER = timeout('no response before the deadline')

/** The error of a call whose deadline passed while the event loop was held up. Either the backend or this process was too slow. */
export const HELD_UP = timeout('no response before the deadline, while the event loop of this process was held up')

/** Returns an error without frames, because it is created once, for all calls. */
function timeout (message: string): Error {
  return Object.assign(new Error(message), { code: 'ETIMEDOUT', stack: `Error: ${message}` })
}

/** Returns whether a timer due at `dueAt` fires so late that the event loop was held up. Times are those of `performance.now()`. */
export function isHeldUp (dueAt: number, at = performance.now()): boolean {
  return at - dueAt > HELD_UP_MS
}

/** A deadline that several waits share. Its time starts to run with the first wait. */
export class Deadline {
  /** The id of the request whose deadline this is, for log lines. */
  readonly requestId: string | undefined
  readonly #ms: number
  #at: number | undefined
  #renewed = false

  constructor (ms: number, requestId?: string) {
    this.#ms = ms
    this.requestId = requestId
  }

  /** The time of the deadline, on the clock of `performance.now()`. */
  get at (): number {
    this.begin()
    return this.#at as number
  }

  /** Starts the deadline's time, unless it has started. */
  begin (): void {
    this.#at ??= performance.now() + this.#ms
  }

  /** Makes the deadline `ms` later. Called when this time was spent waiting for something else. */
  extend (ms: number): void {
    if (this.#at !== undefined) this.#at += ms
  }

  /** Starts the deadline's time again. Called when there was progress. */
  restart (): void {
    this.#at = performance.now() + this.#ms
  }

  /** Starts the deadline's time again, but only once. Called when the event loop was held up. Returns whether it started again now. */
  renew (): boolean {
    if (this.#renewed) return false
    this.#renewed = true
    this.restart()
    return true
  }

  /** Calls `end` once the deadline has passed and all data that had arrived by then has been read. */
  wait (end: WaitEnd, options?: WaitOptions): Wait {
    return new Wait(this, end, options)
  }
}

/** Called when a wait reaches its deadline. If `heldUp`, the event loop was held up again, so perhaps the other side was not slow. */
export type WaitEnd = (heldUp: boolean) => void

export interface WaitOptions {
  /** Divides the remaining time: with 2, the wait ends after half of the remaining time. @default 1 */
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
    // If the deadline passed while nothing was waiting for it, no timer could show that the event loop was held up, so this checks it.
    if (isHeldUp(deadline.at)) deadline.renew()
    this.#arm()
  }

  /** Ends the wait without calling `end`. May be called twice. Returns whether the wait had not ended before. */
  cancel (): boolean {
    if (this.#over) return false
    this.#over = true
    clearTimeout(this.#timer)
    return true
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
    // The event loop runs timers first, then reads the data that has arrived, and only then calls the function passed to `turn`.
    turn(() => {
      if (this.#over) return
      this.#over = true
      this.#end(heldUp)
    })
  }
}

/** The result of `within` if the promise takes longer than the limit. */
export const LATE = Symbol('late')

/** Returns the result of `promise`, or LATE if it takes longer than `limit`: milliseconds, or a deadline, which may move meanwhile. */
export async function within<T> (limit: number | Deadline, promise: Promise<T>): Promise<T | typeof LATE> {
  const deadline = typeof limit === 'number' ? new Deadline(limit) : limit
  let wait: Wait | undefined
  try {
    return await Promise.race([promise, new Promise<typeof LATE>((resolve) => { wait = deadline.wait(() => resolve(LATE)) })])
  } finally {
    wait?.cancel()
  }
}
