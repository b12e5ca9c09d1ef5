// Decides after the lookup whether to serve the stored response or forward the request. This is a pure function, which explain() calls too.
import type { Entry, ResponseHead } from './store/entry.js'
import { satisfies, type RequestDirectives } from './http/request-directives.js'
import type { Found } from './store/store.js'

/** The stored response is served. `name` says whether it is fresh, or why it may be served although it is stale. */
export interface Serve {
  readonly name: 'serve-fresh' | 'serve-while-revalidate' | 'serve-max-stale'
  readonly entry: Entry<ResponseHead>
  /** When the stored response was looked up, in epoch milliseconds. */
  readonly at: number
}

/** The request is forwarded although a response is stored: that response is stale, or the request does not accept it. */
export interface ForwardStored {
  readonly name: 'forward-request' | 'forward-stale'
  readonly entry: Entry<ResponseHead>
  readonly at: number
}

/** Nothing is stored, so the request is forwarded. The response to a HEAD request (`forward-head`) is not stored. */
export interface ForwardMiss { readonly name: 'forward-miss' | 'forward-head' }

/** The response is a 504, because no stored response may be served and the request forbids forwarding (`only-if-cached`). */
export interface Unsatisfiable { readonly name: 'unsatisfiable' }

export type Decision = Serve | ForwardStored | ForwardMiss | Unsatisfiable

const MISS: Decision = Object.freeze({ name: 'forward-miss' })
const HEAD: Decision = Object.freeze({ name: 'forward-head' })
const UNSATISFIABLE: Decision = Object.freeze({ name: 'unsatisfiable' })

/** Decides from the result of the lookup, the method and the request directives. For a refresh, no stale response is served. */
export function decide (found: Found, method: string, directives: RequestDirectives | undefined, isRefresh: boolean): Decision {
  if (found.state === 'fresh') {
    if (mayServeFresh(found.entry.head, found.at, directives)) return { name: 'serve-fresh', entry: found.entry, at: found.at }
  } else if (found.state === 'stale' && !isRefresh) {
    const name = whyServeStale(found.entry.head, found.at, directives)
    if (name !== undefined) return { name, entry: found.entry, at: found.at }
  }
  // RFC 9111 section 5.2.1.7: `only-if-cached` forbids forwarding.
  if (directives?.onlyIfCached === true) return UNSATISFIABLE
  if (found.state === 'fresh') return { name: 'forward-request', entry: found.entry, at: found.at }
  if (found.state === 'stale') return { name: 'forward-stale', entry: found.entry, at: found.at }
  return method === 'HEAD' ? HEAD : MISS
}

function mayServeFresh ({ ageMs, storedAt, freshUntil }: ResponseHead, at: number, directives: RequestDirectives | undefined): boolean {
  return directives === undefined || satisfies(directives, ageMs + at - storedAt, freshUntil - at)
}

/**
 * Returns why a stale response may be served (RFC 9111 section 4.2.4): it is within its stale-while-revalidate window (RFC 5861 section 3),
 * or the request's max-stale accepts it. Returns undefined if the response may not be served.
 */
export function whyServeStale (
  head: ResponseHead, at: number, directives: RequestDirectives | undefined
): 'serve-while-revalidate' | 'serve-max-stale' | undefined {
  if (head.mustRevalidate === true) return undefined
  const ageMs = head.ageMs + at - head.storedAt
  const isInWindow = head.staleUntil !== undefined && at < head.staleUntil
  // The window does not override the request's own limits on age and freshness (max-age, min-fresh).
  if (isInWindow && (directives === undefined || satisfies({ ...directives, maxStaleMs: Infinity }, ageMs, head.freshUntil - at, true))) {
    return 'serve-while-revalidate'
  }
  return directives !== undefined && satisfies(directives, ageMs, head.freshUntil - at, true) ? 'serve-max-stale' : undefined
}
