// What calls of several tiers came to, now or later: no tier's failure ends the work on the others.
import type { MaybePromise } from '../../registry/backend.js'
import { isPromise } from '../../registry/maybe-promise.js'

/** What a call failed with; undefined when it was confirmed. */
export type Settled = { readonly error: unknown } | undefined

/** What `call` comes to. Never throws, never rejects. */
export function settle (call: () => MaybePromise<unknown>): MaybePromise<Settled> {
  try {
    const answer = call()
    // What only looks like a promise may throw in its `then`.
    return isPromise(answer) ? Promise.resolve(answer).then(() => undefined, (error: unknown) => ({ error })) : undefined
  } catch (error) {
    return { error }
  }
}

/** All of them, at once where all are there. */
export function all<T> (values: ReadonlyArray<MaybePromise<T>>): MaybePromise<readonly T[]> {
  return values.some(isPromise) ? Promise.all(values) : values as readonly T[]
}
