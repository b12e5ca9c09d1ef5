// The safe request methods: those that ask for no change (RFC 9110 section 9).

/** The safe methods of RFC 9110 section 9.2.1, and QUERY. Unknown methods count as unsafe. */
const SAFE_METHODS: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE', 'QUERY'])

/** Returns whether a method is safe, meaning that it asks for no change. */
export const isSafe = (method: string): boolean => SAFE_METHODS.has(method)
