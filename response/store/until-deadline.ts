// Waits for the result of one call to the backend until its deadline. A result that comes later is ignored.
import { HELD_UP, NO_ANSWER, type Deadline } from '../../registry/deadline.js'

/** A call to the backend: its name, the key that it concerns, and the deadline of the request for which it is made. */
export interface Asked {
  readonly operation: string
  readonly key: string | undefined
  readonly deadline: Deadline
  /** Called with a result that comes after the deadline. Must not throw. */
  readonly late?: (value: unknown) => void
}

/** What happens when the wait for a call ends. */
export interface Ending<T, F> {
  /** Called first. */
  readonly over: () => void
  /** Returns what the wait resolves to, for the call's result. May throw. */
  readonly use: (value: unknown) => T
  /** Returns what the wait resolves to after a failure or after the deadline. */
  readonly failed: (err: unknown) => F
}

/** Resolves to what `use` returns for the value of `promise`, or to what `failed` returns. Never rejects. */
export function untilDeadline<T, F> (promise: Promise<unknown>, { deadline, late }: Asked, ending: Ending<T, F>): Promise<T | F> {
  return new Promise((resolve) => {
    const fail = (err: unknown): void => {
      ending.over()
      resolve(ending.failed(err))
    }
    const wait = deadline.wait((heldUp) => { fail(heldUp ? HELD_UP : NO_ANSWER) })
    // `Promise.resolve` is needed, because the `then` of a thenable that is not a promise may throw.
    Promise.resolve(promise).then((value) => {
      if (!wait.cancel()) return late?.(value)
      ending.over()
      try {
        resolve(ending.use(value))
      } catch (err) {
        resolve(ending.failed(err))
      }
    }, (err) => { if (wait.cancel()) fail(err) })
  })
}
