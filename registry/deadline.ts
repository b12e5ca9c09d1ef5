// When a wait must be over. An event loop that was held up has read nothing meanwhile: then the wait begins anew, once.
import { setImmediate as turn, setTimeout as after } from 'node:timers'

// A loop that is not held up comes to its timers within a few milliseconds.
const HELD_UP_MS = 20

const LONGEST_TIMER_MS = 2 ** 31 - 1

/** What a call fails with whose deadline has passed. */
export const NO_ANSWER = new Error('no answer before the deadline')

/** The same, and it can't be told whether the backend or this process was too slow. */
export const HELD_UP = new Error('no answer before the deadline, while the event loop of this process was held up')

/**
 * Whether a timer that was due at `dueAt`, in `performance.now()`, fires so late that the loop was held up, by the application or a busy
 * machine.
 */
export function isHeldUp (dueAt: number, at = performance.now()): boolean {
  return at - dueAt > HELD_UP_MS
}

/** When all waits that share it must be over. Its time begins with the first of them. */
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

  /** Waiting for somebody else is not held against it. */
  extend (ms: number): void {
    if (this.#at !== undefined) this.#at += ms
  }

  /** Its time begins anew: what is waited for has said that it goes on. */
  restart (): void {
    this.#at = performance.now() + this.#ms
  }

  /** Its time begins anew since the loop was held up; once, so that a wait has an end. Returns whether it does. */
  renew (): boolean {
    if (this.#renewed) return false
    this.#renewed = true
    this.restart()
    return true
  }

  /** Calls `end` when the deadline has passed and what has arrived by then was read. */
  wait (end: WaitEnd, options?: WaitOptions): Wait {
    return new Wait(this, end, options)
  }
}

/** `heldUp`: the loop was held up again. That there is no response then says nothing of who was to give it. */
export type WaitEnd = (heldUp: boolean) => void

export interface WaitOptions {
  /** Among how many what is left is divided: the wait ends after one equal share. @default 1 */
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
    // It passed while nothing waited, and so nothing could notice that the loop was held up.
    if (isHeldUp(deadline.at)) deadline.renew()
    this.#arm()
  }

  /** Ends the wait without a word. May be called twice. */
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
    // The loop comes to its timers first: what has arrived meanwhile is read in the same turn.
    turn(() => {
      if (this.#over) return
      this.#over = true
      this.#end(heldUp)
    })
  }
}

/** What `within` returns where the promise takes longer. */
export const LATE = Symbol('late')

/** What `promise` brings, or LATE when it takes longer than `limit`: milliseconds, or a deadline that may be moved meanwhile. */
export async function within<T> (limit: number | Deadline, promise: Promise<T>): Promise<T | typeof LATE> {
  const deadline = typeof limit === 'number' ? new Deadline(limit) : limit
  let wait: Wait | undefined
  try {
    return await Promise.race([promise, new Promise<typeof LATE>((resolve) => { wait = deadline.wait(() => resolve(LATE)) })])
  } finally {
    wait?.cancel()
  }
}
