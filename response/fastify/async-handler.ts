// What handlers return, now or later, and what Fastify makes of that.
import { isPromise } from '../../registry/maybe-promise.js'

/**
 * What an asynchronous handler must return: Fastify sends what its promise brings, `undefined` too, so a response that
 * is sent by other means is waited for.
 */
export function replyOrResult<T> (result: unknown, reply: T): unknown {
  return result === undefined ? reply : result
}

/**
 * Calls `act` once a handler has returned `result`, or its promise has settled; `reply` looks like one. Returns what Fastify is to be
 * given.
 */
export function whenReturned (result: unknown, reply: unknown, act: () => void): unknown {
  if (result === reply || !(result instanceof Promise || isPromise(result))) {
    act()
    return result
  }
  // A query builder runs each time that its `then` is called: Fastify calls that of the promise.
  const promise = Promise.resolve(result)
  promise.then(act, act)
  return promise
}
