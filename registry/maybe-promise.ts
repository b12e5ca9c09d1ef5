// Now or later: what tells a value from a promise, so that what is there is used at once.
import type { MaybePromise } from './backend.js'

export function isPromise<T> (value: MaybePromise<T>): value is Promise<T> {
  return typeof (value as { then?: unknown } | null | undefined)?.then === 'function'
}

/** `next(value)` at once where the value is there, else when it comes. */
export function andThen<T, R> (value: MaybePromise<T>, next: (value: T) => MaybePromise<R>): MaybePromise<R> {
  return isPromise(value) ? value.then(next) : next(value)
}

/** Calls `act` once a handler has returned `result`, or its promise has settled; `reply` looks like one. Returns what Fastify is to be given. */
export function whenReturned (result: unknown, reply: unknown, act: () => void): unknown {
  if (result === reply || !isPromise(result)) {
    act()
    return result
  }
  // A query builder runs each time that its `then` is called: Fastify calls that of the promise.
  const promise = Promise.resolve(result)
  promise.then(act, act)
  return promise
}
