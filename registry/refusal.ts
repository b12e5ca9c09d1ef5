// An entry that is refused for what it is, too large for one: the store is well, and whoever counts its failures doesn't count that.

/** `error`, which says that. */
export function refusal<E extends Error> (error: E): E {
  return Object.assign(error, { isRefusal: true })
}

/** Whether a backend's error says that. */
export function isRefusal (error: unknown): boolean {
  return (error as { isRefusal?: unknown } | null | undefined)?.isRefusal === true
}
