// Marks errors of entries that a store refuses, because they are too large for example. They are not counted as failures of the store.

/** `error`, marked. */
export function refusal<E extends Error> (error: E): E {
  return Object.assign(error, { isRefusal: true })
}

/** Whether a backend's error is marked. */
export function isRefusal (error: unknown): boolean {
  return (error as { isRefusal?: unknown } | null | undefined)?.isRefusal === true
}
