// What handlers return, synchronously or not, and what Fastify does with it.
import { isPromise } from '../../registry/maybe-promise.js'

/**
 * What an asynchronous handler must return. Fastify sends what its promise resolves to, even `undefined`. If the response is sent in
 * another way, the handler returns `reply`, and Fastify waits for it.
 */
export function replyOrResult<T> (result: unknown, reply: T): unknown {
  return result === undefined ? reply : result
}

/**
 * Calls `act` once a handler has returned `result`, or once the promise in `result` has settled. Returns what Fastify must receive. `reply`
 * has a `then` method, but is not treated as a promise.
 */
export function whenReturned (result: unknown, reply: unknown, act: () => void): unknown {
  if (result === reply || !(result instanceof Promise || isPromise(result))) {
    act()
    return result
  }
  // A query builder runs its query each time `then` is called. Fastify calls `then` of this promise instead.
  const promise = Promise.resolve(result)
  promise.then(act, act)
  return promise
}
