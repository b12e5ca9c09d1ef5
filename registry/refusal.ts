// Marks errors for entries that a store refuses (too large ones, for example). Such errors are not counted as failures of the store.

/** Marks an error as a refusal, and returns it. */
export function refusal<E extends Error> (error: E): E {
  return Object.assign(error, { isRefusal: true })
}

/** Returns whether an error is marked as a refusal. */
export function isRefusal (error: unknown): boolean {
  return (error as { isRefusal?: unknown } | null | undefined)?.isRefusal === true
}
