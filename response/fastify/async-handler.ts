// The results of synchronous and asynchronous handlers, and how Fastify treats them.
import { isPromise } from '../../registry/maybe-promise.js'

/**
 * Returns the value to which the promise of an asynchronous handler must resolve. Fastify sends this value, even `undefined`, except
 * `reply`: that means that the response is sent in another way, and Fastify waits for it.
 */
export function replyOrResult<T> (result: unknown, reply: T): unknown {
  return result === undefined ? reply : result
}

/**
 * Calls `act` when a handler has finished: at once, or if `result` is a promise, when that has settled. Returns the result to pass to
 * Fastify. `reply` has a `then` method, but is not treated as a promise.
 */
export function whenReturned (result: unknown, reply: unknown, act: () => void): unknown {
  if (result === reply || !(result instanceof Promise || isPromise(result))) {
    act()
    return result
  }
  // `result.then` is called only once, here, because a query builder runs its query at each call. Fastify receives this promise instead.
  const promise = Promise.resolve(result)
  promise.then(act, act)
  return promise
}
