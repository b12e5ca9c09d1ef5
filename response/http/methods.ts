// What request methods mean to a cache (RFC 9110 section 9).

/** RFC 9110 section 9.2.1, and QUERY. What is not known to be safe isn't. */
const SAFE_METHODS: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE', 'QUERY'])

/** Whether a request with this method asks for no change. */
export const isSafe = (method: string): boolean => SAFE_METHODS.has(method)
