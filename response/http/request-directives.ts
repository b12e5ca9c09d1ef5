// Parses request directives (RFC 9111 section 5.2.1), and checks whether a stored response satisfies them.
import { joined, type Fields } from './field-values.js'
import { deltaSeconds, parseCacheControl } from './cache-control.js'

export interface RequestDirectives {
  readonly noStore: boolean
  /** Whether the stored response must be validated before it is served. */
  readonly noCache: boolean
  readonly onlyIfCached: boolean
  readonly maxAgeMs: number
  readonly minFreshMs: number
  /** How long ago the stored response may have become stale. If this is 0, the response must be fresh. */
  readonly maxStaleMs: number
}

const NO_DIRECTIVES: RequestDirectives = {
  noStore: false, noCache: false, onlyIfCached: false, maxAgeMs: Infinity, minFreshMs: 0, maxStaleMs: 0
}

/**
 * Returns the directives in Cache-Control. If there is no Cache-Control, `Pragma: no-cache` counts as the directive `no-cache` (RFC 9111
 * section 5.4). Returns undefined if the request has neither.
 */
export function requestDirectivesOf (fields: Fields): RequestDirectives | undefined {
  const line = fields['cache-control']
  if (line === undefined) {
    return fields.pragma !== undefined && /\bno-cache\b/i.test(joined(fields.pragma)) ? { ...NO_DIRECTIVES, noCache: true } : undefined
  }
  const control = parseCacheControl(line)
  const maxAge = deltaSeconds(control, 'max-age')
  return {
    noStore: control.directives.has('no-store'),
    noCache: control.directives.has('no-cache'),
    onlyIfCached: control.directives.has('only-if-cached'),
    maxAgeMs: maxAge === undefined ? Infinity : maxAge * 1_000,
    minFreshMs: (deltaSeconds(control, 'min-fresh') ?? 0) * 1_000,
    // RFC 9111 section 5.2.1.2: max-stale without a number accepts any staleness.
    maxStaleMs: control.directives.get('max-stale') === true ? Infinity : (deltaSeconds(control, 'max-stale') ?? 0) * 1_000
  }
}

/**
 * Returns whether a stored response with this age and remaining freshness satisfies the request. `mayBeStale` says whether the response
 * itself permits the cache to serve it stale.
 */
export function satisfies (
  { noCache, maxAgeMs, minFreshMs, maxStaleMs }: RequestDirectives, ageMs: number, freshMs: number, mayBeStale = false
): boolean {
  if (noCache || ageMs >= maxAgeMs) return false
  // RFC 9111 section 5.2.1.3: min-fresh requires a fresh response, whatever max-stale says.
  if (freshMs > 0 || minFreshMs > 0) return freshMs > 0 && freshMs >= minFreshMs
  // RFC 9111 section 4.2: a response is stale from the moment at which its freshness ends.
  return mayBeStale && maxStaleMs > 0 && -freshMs <= maxStaleMs
}
