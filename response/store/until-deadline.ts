// Waits for the result of one call to the backend until its deadline. A result that comes later is ignored.
import { HELD_UP, NO_ANSWER, type Deadline } from '../../registry/deadline.js'

export interface Ending<T, F> {
  /** Called when the wait has ended. */
  readonly over: () => void
  /** Returns what the wait resolves to, for the call's result. May throw. */
  readonly use: (value: unknown) => T
  /** Returns what the wait resolves to after a failure or after the deadline. */
  readonly failed: (err: unknown) => F
}

/** Resolves to what `use` returns for the value of `promise`, or to what `failed` returns. Never rejects. */
export function untilDeadline<T, F> (promise: Promise<unknown>, deadline: Deadline, { over, use, failed }: Ending<T, F>): Promise<T | F> {
  return new Promise((resolve) => {
    let open = true
    const end = (value: () => T | F): void => {
      if (!open) return
      open = false
      wait.cancel()
      over()
      try {
        resolve(value())
      } catch (err) {
        resolve(failed(err))
      }
    }
    const wait = deadline.wait((heldUp) => end(() => failed(heldUp ? HELD_UP : NO_ANSWER)))
    // `Promise.resolve` is needed, because the `then` of a thenable that is not a promise may throw.
    Promise.resolve(promise).then((value) => end(() => use(value)), (err) => end(() => failed(err)))
  })
}
