// Waiting: for a reply that is sent, for a promise within a deadline, for all that is under way.
import { Deadline, type Wait } from '../registry/deadline.js'

/**
 * What an asynchronous handler must answer: Fastify sends what its promise brings, `undefined` too, so an answer that
 * is sent by other means is waited for.
 */
export function whenSent<T> (result: unknown, reply: T): unknown {
  return result === undefined ? reply : result
}

export const LATE = Symbol('late')
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
