// Results of calls to several tiers. A failed call to one tier does not end the calls to the others.
import type { MaybePromise } from '../../registry/backend.js'
import { isPromise } from '../../registry/maybe-promise.js'

/** The error of a call; undefined if it succeeded. */
export type Settled = { readonly error: unknown } | undefined

/** Calls `call`, and returns its error or undefined. Never throws or rejects. */
export function settle (call: () => MaybePromise<unknown>): MaybePromise<Settled> {
  try {
    const result = call()
    // Wrapped, because the `then` of a thenable may throw.
    return isPromise(result) ? Promise.resolve(result).then(() => undefined, (error: unknown) => ({ error })) : undefined
  } catch (error) {
    return { error }
  }
}

/** All values, synchronously if none is a promise. */
export function all<T> (values: ReadonlyArray<MaybePromise<T>>): MaybePromise<readonly T[]> {
  return values.some(isPromise) ? Promise.all(values) : values as readonly T[]
}
