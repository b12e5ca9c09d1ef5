// Helpers for a value that may be a promise. A value that is not a promise is used at once.
import type { MaybePromise } from './backend.js'

export function isPromise<T> (value: MaybePromise<T>): value is Promise<T> {
  return typeof (value as { then?: unknown } | null | undefined)?.then === 'function'
}

/** Calls `next` with the value: at once if it is not a promise, otherwise when the promise has resolved. */
export function andThen<T, R> (value: MaybePromise<T>, next: (value: T) => MaybePromise<R>): MaybePromise<R> {
  return isPromise(value) ? value.then(next) : next(value)
}

export const noop = (): void => {}

/** Adds `work` to the set `among`, and removes it when it settles. */
export function hold (among: Set<Promise<unknown>>, work: Promise<unknown>): void {
  const over = (): void => { among.delete(work) }
  among.add(work)
  work.then(over, over)
}

/** A promise that other code settles, with `resolve` or `reject`. */
export class Deferred {
  resolve!: () => void
  reject!: (error: unknown) => void
  readonly promise = new Promise<void>((resolve, reject) => { Object.assign(this, { resolve, reject }) })
}
