// Adapts the results of synchronous and asynchronous handlers to what Fastify does with them.
import { isPromise } from '../../registry/maybe-promise.js'

/**
 * Returns the value to which the promise of an asynchronous handler must resolve. Fastify sends any value that is not `reply`, even
 * `undefined`. If the value is `reply`, Fastify waits until the response is sent in another way.
 */
export function replyOrResult<T> (result: unknown, reply: T): unknown {
  return result === undefined ? reply : result
}

/**
 * Calls `act` when a handler has finished: when its promise has settled if `result` is a promise, otherwise at once. Returns the result to
 * pass to Fastify. `reply` is not treated as a promise, although it has a `then` method.
 */
export function whenReturned (result: unknown, reply: unknown, act: () => void): unknown {
  if (result === reply || !(result instanceof Promise || isPromise(result))) {
    act()
    return result
  }
  // `result.then` is called only once, because a query builder runs its query at each call. Fastify receives `promise` instead.
  const promise = Promise.resolve(result)
  promise.then(act, act)
  return promise
}
