// Collects the results of calls to several tiers. If the call to one tier fails, the calls to the others go on.
import type { MaybePromise } from '../../registry/backend.js'
import { isPromise } from '../../registry/maybe-promise.js'

/** The result of a call: its error, or undefined if the call succeeded. */
export type Settled = { readonly error: unknown } | undefined

/** Calls `call`, and returns its error or undefined. Never throws or rejects. */
export function settle (call: () => MaybePromise<unknown>): MaybePromise<Settled> {
  try {
    const result = call()
    // The result is wrapped in a promise, because the `then` of a thenable may throw.
    return isPromise(result) ? Promise.resolve(result).then(() => undefined, (error: unknown) => ({ error })) : undefined
  } catch (error) {
    return { error }
  }
}

/** Returns all values, synchronously if none of them is a promise. */
export function all<T> (values: ReadonlyArray<MaybePromise<T>>): MaybePromise<readonly T[]> {
  return values.some(isPromise) ? Promise.all(values) : values as readonly T[]
}
