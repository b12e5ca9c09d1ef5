// Computes the age of a received response, and its freshness lifetime, which is stated or guessed (RFC 9111 section 4.2).
import { joined, type FieldValue, type Fields } from './field-values.js'
import { deltaSeconds, MAX_DELTA_SECONDS } from './cache-control.js'
import type { ResponseDirectives } from './response-directives.js'
import { parseHttpDate } from './http-date.js'
import { isHeuristicallyCacheable } from './status-codes.js'

/** The times at which a response was requested (`askedAt`) and received (`at`), in epoch milliseconds. */
export interface Timing {
  readonly askedAt: number
  readonly at: number
  /** The time at which the handler responded, if the body was not complete at that time. */
  readonly madeAt?: number
}

/** If a lifetime is guessed, it is this fraction of the time since the response's last change (RFC 9111 section 4.2.2). */
const HEURISTIC_FRACTION = 0.1
/** The longest lifetime that may be guessed: one day. */
const LONGEST_HEURISTIC_MS = 86_400_000

/** Returns the age of a received response in milliseconds (RFC 9111 section 4.2.3), counted from `madeAt` if it has no Age and no Date. */
export function initialAgeMs (fields: Fields, { askedAt, at, madeAt = at }: Timing): number {
  const apparentMs = at - ((fields.date === undefined ? undefined : parseHttpDate(fields.date, at)) ?? madeAt)
  const ageMs = fields.age === undefined ? undefined : ageValueMs(fields.age)
  const correctedMs = ageMs === undefined ? 0 : ageMs + at - askedAt
  return Math.min(Math.max(apparentMs, correctedMs, 0), MAX_DELTA_SECONDS * 1_000)
}

/** Returns the first member of Age in milliseconds. If it is not a number, Age is ignored, so returns undefined (RFC 9111 section 5.1). */
function ageValueMs (field: FieldValue): number | undefined {
  const first = joined(field).split(',', 1)[0]!.trim()
  return /^\d+$/.test(first) ? Math.min(Number(first), MAX_DELTA_SECONDS) * 1_000 : undefined
}

/** Returns the freshness lifetime that a response states, in milliseconds (RFC 9111 section 4.2.1), or undefined if it states none. */
export function statedMs (directives: ResponseDirectives, fields: Fields, at: number): number | undefined {
  const seconds = directives.directives.size === 0 ? undefined : deltaSeconds(directives, 's-maxage') ?? deltaSeconds(directives, 'max-age')
  if (seconds !== undefined) return seconds * 1_000
  // RFC 9213 section 2.2: a targeted field replaces Expires too.
  if (directives.isTargeted || fields.expires === undefined) return undefined
  const expiresAt = parseHttpDate(fields.expires, at)
  // RFC 9111 section 5.3: an invalid date, such as "0", means a time in the past.
  if (expiresAt === undefined) return 0
  return Math.min(Math.max(expiresAt - (parseHttpDate(fields.date, at) ?? at), 0), MAX_DELTA_SECONDS * 1_000)
}

/** Returns a guessed (heuristic) lifetime in milliseconds, or undefined if there is no Last-Modified or no guess is allowed. */
export function heuristicMs (status: number, { directives }: ResponseDirectives, fields: Fields, at: number): number | undefined {
  if (!isHeuristicallyCacheable(status) && !directives.has('public')) return undefined
  const lastModifiedAt = parseHttpDate(fields['last-modified'], at)
  if (lastModifiedAt === undefined) return undefined
  const unchangedMs = (parseHttpDate(fields.date, at) ?? at) - lastModifiedAt
  return Math.min(Math.max(Math.floor(unchangedMs * HEURISTIC_FRACTION), 0), LONGEST_HEURISTIC_MS)
}
