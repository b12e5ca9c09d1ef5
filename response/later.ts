// Now or later: the one helper that tells a value from a promise, for the path of a hit; and later than one can wait.
import type { MaybePromise } from '../registry/backend.js'
import { Deadline, type Wait } from '../registry/deadline.js'

export { Deadline }

export function isPromise<T> (value: MaybePromise<T>): value is Promise<T> {
  return typeof (value as { then?: unknown } | null | undefined)?.then === 'function'
}

/** `next(value)` at once where the value is there, else when it comes. */
export function andThen<T, R> (value: MaybePromise<T>, next: (value: T) => MaybePromise<R>): MaybePromise<R> {
  return isPromise(value) ? value.then(next) : next(value)
}

/**
 * What an asynchronous handler must answer: Fastify sends what its promise brings, `undefined` too, so an answer that
 * is sent by other means is waited for.
 */
export function whenSent<T> (result: unknown, reply: T): unknown {
  return result === undefined ? reply : result
}

export const LATE = Symbol('late')
export const NO_ANSWER = new Error('no answer before the deadline')
export const HELD_UP = new Error('no answer before the deadline, while the event loop of this process was held up')
export const noop = (): void => {}

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

/** Keeps `work` in a set until it settles. */
export function hold (among: Set<Promise<unknown>>, work: Promise<unknown>): void {
  const over = (): void => { among.delete(work) }
  among.add(work)
  work.then(over, over)
}
