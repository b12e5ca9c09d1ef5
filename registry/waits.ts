// Those who wait for an answer, all equally long: one timer for all of them, so that a call makes none.
import { setTimeout as after } from 'node:timers'

/** Somebody who waits, tied to who came before and who came after. */
export interface Wait {
  /** In `performance.now()`. */
  readonly endsAt: number
  /** What is waited for, for the error. */
  readonly operation: string
  readonly end: (error: Error) => void
  before: Wait
  after: Wait
}

/** Waits of one length. The one that began first is the first to end. */
export class Waits {
  readonly #forMs: number
  readonly #late: (operation: string) => Error
  /** Stands before the first and after the last. */
  readonly #ends: Wait
  #timer: NodeJS.Timeout | undefined

  /** `late` makes the error with which a wait of `forMs` ends. */
  constructor (forMs: number, late: (operation: string) => Error) {
    this.#forMs = forMs
    this.#late = late
    const ends = { endsAt: Infinity, operation: '', end () {} } as unknown as Wait
    this.#ends = ends.before = ends.after = ends
  }

  /** Begins a wait, which calls `end` unless it is over in time. It keeps the process alive. */
  begin (end: (error: Error) => void, operation = ''): Wait {
    const ends = this.#ends
    const wait = { endsAt: performance.now() + this.#forMs, operation, end, before: ends.before, after: ends }
    if (this.#timer === undefined) this.#arm(this.#forMs)
    else if (ends.after === ends) this.#timer.ref()
    ends.before = ends.before.after = wait
    return wait
  }

  /** Ends a wait without a word. May be called twice. */
  over (wait: Wait): void {
    const { before, after } = wait
    before.after = after
    after.before = before
    wait.before = wait.after = wait
    if (this.#ends.after === this.#ends) this.#timer?.unref()
  }

  /** Ends all of them with an error, and the timer with them. */
  close (error: Error): void {
    clearTimeout(this.#timer)
    while (this.#ends.after !== this.#ends) this.#end(this.#ends.after, error)
  }

  #end (wait: Wait, error: Error): void {
    this.over(wait)
    wait.end(error)
  }

  #arm (waitMs: number): void {
    this.#timer = after(() => this.#endLate(), waitMs)
  }

  #endLate (): void {
    this.#timer = undefined
    const at = performance.now()
    for (let wait = this.#ends.after; wait !== this.#ends; wait = this.#ends.after) {
      if (wait.endsAt > at) return this.#arm(Math.ceil(wait.endsAt - at))
      this.#end(wait, this.#late(wait.operation))
    }
  }
}
