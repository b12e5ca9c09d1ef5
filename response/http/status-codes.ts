// The meaning of status codes to a cache (RFC 9110 section 15).

/** Statuses of responses that depend on the range or condition of one request (RFC 9110 sections 13 and 14). */
export const CONDITIONAL_STATUSES: readonly number[] = [206, 304, 412, 416]

/** The heuristically cacheable statuses of RFC 9110 section 15.1, except 206, because partial responses are not stored. */
const HEURISTICALLY_CACHEABLE: ReadonlySet<number> = new Set([200, 203, 204, 300, 301, 308, 404, 405, 410, 414, 501])

/** Final statuses that RFC 9110 section 15 defines. */
const UNDERSTOOD: ReadonlySet<number> = new Set([
  200, 201, 202, 203, 204, 205, 300, 301, 302, 303, 304, 305, 307, 308,
  400, 401, 402, 403, 404, 405, 406, 407, 408, 409, 410, 411, 413, 414, 415, 417, 421, 422, 426, 500, 501, 502, 503, 504, 505
])

const GONE: ReadonlySet<number> = new Set([404, 410, 451])

/** The statuses that count as errors for stale-if-error (RFC 5861 section 4). */
const ERRORS: ReadonlySet<number> = new Set([500, 502, 503, 504])

/** Returns whether the freshness of a response with this status may be guessed if the response states none. */
export function isHeuristicallyCacheable (status: number): boolean {
  return HEURISTICALLY_CACHEABLE.has(status)
}

/** Returns whether this cache knows what the status requires of caches (RFC 9111 section 5.2.2.3). */
export function isUnderstood (status: number): boolean {
  return UNDERSTOOD.has(status)
}

/** Returns whether a stale response may be served instead of a response with this status (RFC 5861 section 4). */
export function isError (status: number): boolean {
  return ERRORS.has(status)
}

/** Returns whether the status says that the resource itself is no longer available. */
export function isGone (status: number): boolean {
  return GONE.has(status)
}

/** Returns whether a response with this status shows that an older one is outdated. Most errors don't: they may concern only one client. */
export function isReplacing (status: number): boolean {
  return status < 400 ? !CONDITIONAL_STATUSES.includes(status) : isGone(status)
}

/** Returns whether a response with this status never has content, so that a Content-Length of 0 would be wrong (RFC 9110 section 8.6). */
export function hasNoContent (status: number): boolean {
  return status === 204 || status === 304
}
