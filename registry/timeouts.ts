// Applies a timeout of the same length to many calls, with one timer for all of them.
import { setImmediate as turn, setTimeout as after } from 'node:timers'
import { isHeldUp } from './deadline.js'

/** One wait, in a linked list. */
export interface Wait {
  /** When the wait times out, on the clock of `performance.now()`. */
  endsAt: number
  /** Whether the wait has started again because the event loop was held up. */
  renewed: boolean
  /** The operation that the error names. */
  readonly operation: string
  readonly end: (error: Error) => void
  before: Wait
  after: Wait
}

/** Waits that all have the same length, and therefore time out in the order in which they began. */
export class Timeouts {
  readonly #forMs: number
  readonly #late: (operation: string) => Error
  /** The element of the list that precedes the first wait and follows the last one. */
  readonly #ends: Wait
  #timer: NodeJS.Timeout | undefined

  /** `late` creates the error for a wait that has timed out after `forMs`. */
  constructor (forMs: number, late: (operation: string) => Error) {
    this.#forMs = forMs
    this.#late = late
    const ends = { endsAt: Infinity, operation: '', end () {} } as unknown as Wait
    this.#ends = ends.before = ends.after = ends
  }

  /** Starts a wait, which calls `end` when it times out. Until then, the wait keeps the process alive. */
  begin (end: (error: Error) => void, operation = ''): Wait {
    const ends = this.#ends
    const wait = { endsAt: performance.now() + this.#forMs, renewed: false, operation, end, before: ends, after: ends }
    if (this.#timer === undefined) this.#arm(this.#forMs)
    else if (ends.after === ends) this.#timer.ref()
    this.#append(wait)
    return wait
  }

  /** Ends a wait without calling `end`. May be called twice. */
  over (wait: Wait): void {
    const { before, after } = wait
    before.after = after
    after.before = before
    wait.before = wait.after = wait
    if (this.#ends.after === this.#ends) this.#timer?.unref()
  }

  /** Ends all waits with an error, and stops the timer. */
  close (error: Error): void {
    clearTimeout(this.#timer)
    while (this.#ends.after !== this.#ends) this.#end(this.#ends.after, error)
  }

  #end (wait: Wait, error: Error): void {
    this.over(wait)
    wait.end(error)
  }

  #append (wait: Wait): void {
    const ends = this.#ends
    wait.before = ends.before
    wait.after = ends
    ends.before = ends.before.after = wait
  }

  #arm (waitMs: number): void {
    const dueAt = performance.now() + waitMs
    this.#timer = after(() => { this.#due(dueAt) }, waitMs)
  }

  #due (dueAt: number): void {
    const at = performance.now()
    const heldUp = isHeldUp(dueAt, at)
    // The event loop runs timers first, then reads the data that has arrived, and only then calls the function passed to `turn`.
    turn(() => { this.#endLate(at, heldUp) })
  }

  /** Ends the waits that had timed out at `at`. If the event loop was held up, starts each of these waits again instead, but only once. */
  #endLate (at: number, heldUp: boolean): void {
    this.#timer = undefined
    for (let wait = this.#ends.after; wait !== this.#ends; wait = this.#ends.after) {
      if (wait.endsAt > at) return this.#arm(Math.max(Math.ceil(wait.endsAt - performance.now()), 0))
      if (heldUp && !wait.renewed) this.#renew(wait)
      else this.#end(wait, this.#late(wait.operation))
    }
  }

  #renew (wait: Wait): void {
    this.over(wait)
    wait.renewed = true
    wait.endsAt = performance.now() + this.#forMs
    this.#append(wait)
  }
}
