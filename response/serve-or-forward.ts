// What is done with a request once its key was looked up: a stored response is served, fresh or stale, or the handler is asked. A pure
// function, which routes and explain() ask.
import type { Entry, ResponseHead } from './store/entry.js'
import { satisfies, type RequestDirectives } from './http/request-directives.js'
import type { Found } from './store/store.js'

/** A stored response is sent and the handler is not asked. It is fresh, or stale and acceptable; `name` says why. */
export interface Serve {
  readonly name: 'serve-fresh' | 'serve-while-revalidate' | 'serve-max-stale'
  readonly entry: Entry<ResponseHead>
  /** When it was looked up, in epoch milliseconds. */
  readonly at: number
}

/** The handler is asked though a response is stored: the request wants another one, or it is stale. */
export interface ForwardStored {
  readonly name: 'forward-request' | 'forward-stale'
  readonly entry: Entry<ResponseHead>
  readonly at: number
}

/** Nothing is stored, and the handler is asked. The response to a HEAD (`forward-head`) is not stored either. */
export interface ForwardMiss { readonly name: 'forward-miss' | 'forward-head' }

/** Nothing fit to be sent is stored, and the request forbids to ask the handler (`only-if-cached`): 504. */
export interface Unsatisfiable { readonly name: 'unsatisfiable' }

export type Decision = Serve | ForwardStored | ForwardMiss | Unsatisfiable

const MISS: Decision = Object.freeze({ name: 'forward-miss' })
const HEAD: Decision = Object.freeze({ name: 'forward-head' })
const UNSATISFIABLE: Decision = Object.freeze({ name: 'unsatisfiable' })

/** What a request with this method and these directives does with what was found. A refresh is never sent what is stale. */
export function decide (found: Found, method: string, directives: RequestDirectives | undefined, isRefresh: boolean): Decision {
  if (found.state === 'fresh') {
    if (mayServeFresh(found.entry.head, found.at, directives)) return { name: 'serve-fresh', entry: found.entry, at: found.at }
  } else if (found.state === 'stale' && !isRefresh) {
    const name = whyServeStale(found.entry.head, found.at, directives)
    if (name !== undefined) return { name, entry: found.entry, at: found.at }
  }
  // RFC 9111 section 5.2.1.7
  if (directives?.onlyIfCached === true) return UNSATISFIABLE
  if (found.state === 'fresh') return { name: 'forward-request', entry: found.entry, at: found.at }
  if (found.state === 'stale') return { name: 'forward-stale', entry: found.entry, at: found.at }
  return method === 'HEAD' ? HEAD : MISS
}

function mayServeFresh ({ ageMs, storedAt, freshUntil }: ResponseHead, at: number, directives: RequestDirectives | undefined): boolean {
  return directives === undefined || satisfies(directives, ageMs + at - storedAt, freshUntil - at)
}

/**
 * Why a stale response is sent (RFC 9111 section 4.2.4): it is within its stale-while-revalidate window (RFC 5861 section 3), or the
 * request's max-stale accepts it. Undefined: it may not be sent.
 */
export function whyServeStale (
  head: ResponseHead, at: number, directives: RequestDirectives | undefined
): 'serve-while-revalidate' | 'serve-max-stale' | undefined {
  if (head.mustRevalidate === true) return undefined
  const ageMs = head.ageMs + at - head.storedAt
  const isInWindow = head.staleUntil !== undefined && at < head.staleUntil
  // The window does not override what the request itself says of age and freshness (max-age, min-fresh).
  if (isInWindow && (directives === undefined || satisfies({ ...directives, maxStaleMs: Infinity }, ageMs, head.freshUntil - at, true))) {
    return 'serve-while-revalidate'
  }
  return directives !== undefined && satisfies(directives, ageMs, head.freshUntil - at, true) ? 'serve-max-stale' : undefined
}
