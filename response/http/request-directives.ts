// What a request asks of caches (RFC 9111 section 5.2.1), and whether an entry is what it asks for.
import { joined, type Fields } from './field-values.js'
import { deltaSeconds, parseCacheControl } from './cache-control.js'

export interface RequestDirectives {
  readonly noStore: boolean
  /** The stored response is not wanted as it is. */
  readonly noCache: boolean
  readonly onlyIfCached: boolean
  readonly maxAgeMs: number
  readonly minFreshMs: number
  /** How long after its freshness an entry will do; 0: not at all. */
  readonly maxStaleMs: number
}

const NO_DIRECTIVES: RequestDirectives = {
  noStore: false, noCache: false, onlyIfCached: false, maxAgeMs: Infinity, minFreshMs: 0, maxStaleMs: 0
}

/** The wishes in Cache-Control, or in Pragma where there is none (RFC 9111 section 5.4); undefined where there are none. */
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
    // RFC 9111 section 5.2.1.2: without a number, a response of any staleness.
    maxStaleMs: control.directives.get('max-stale') === true ? Infinity : (deltaSeconds(control, 'max-stale') ?? 0) * 1_000
  }
}

/** Whether an entry of this age, fresh for so long, is what the request asked for. `mayBeStale`: whether the entry itself allows that. */
export function satisfies (
  { noCache, maxAgeMs, minFreshMs, maxStaleMs }: RequestDirectives, ageMs: number, freshMs: number, mayBeStale = false
): boolean {
  if (noCache || ageMs >= maxAgeMs) return false
  // RFC 9111 section 5.2.1.3: min-fresh asks for a fresh one, whatever max-stale says beside it.
  if (freshMs > 0 || minFreshMs > 0) return freshMs > 0 && freshMs >= minFreshMs
  // RFC 9111 section 4.2: at the end of its freshness it is stale already.
  return mayBeStale && maxStaleMs > 0 && -freshMs <= maxStaleMs
}
