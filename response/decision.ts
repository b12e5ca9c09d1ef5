// What is done with a request once its key was looked up: a pure function, which routes and explain() ask.
import type { Entry, ResponseHead } from './store/entry.js'
import { satisfies, type RequestDirectives } from './http/request-directives.js'
import type { Found } from './store/store.js'

/** A stored response is sent without the handler: it is fresh, or stale and why that will do. */
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

/** The handler is asked because nothing is stored; by a HEAD, whose response can't be stored either; or nobody may be asked (504). */
export interface ForwardMiss { readonly name: 'forward-miss' | 'forward-head' | 'unsatisfiable' }

export type Decision = Serve | ForwardStored | ForwardMiss

const MISS: Decision = Object.freeze({ name: 'forward-miss' })
const HEAD: Decision = Object.freeze({ name: 'forward-head' })
const UNSATISFIABLE: Decision = Object.freeze({ name: 'unsatisfiable' })

/** What a request with this method and these directives does with what was found. A refresh is never sent what is stale. */
export function decide (found: Found, method: string, directives: RequestDirectives | undefined, isRefresh: boolean): Decision {
  if (found.state === 'fresh') {
    if (mayServeFresh(found.entry.head, found.at, directives)) return { name: 'serve-fresh', entry: found.entry, at: found.at }
  } else if (found.state === 'stale' && !isRefresh) {
    const name = mayServeStale(found.entry.head, found.at, directives)
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
 * RFC 9111 section 4.2.4, RFC 5861 section 3: a refresh is to run, or the client said that it will do; undefined where it may not be sent.
 */
export function mayServeStale (
  head: ResponseHead, at: number, directives: RequestDirectives | undefined
): 'serve-while-revalidate' | 'serve-max-stale' | undefined {
  if (head.mustRevalidate === true) return undefined
  const ageMs = head.ageMs + at - head.storedAt
  const isInWindow = head.staleUntil !== undefined && at < head.staleUntil
  // A client that says how old or how fresh it wants it is not given less for the sake of a window.
  if (isInWindow && (directives === undefined || satisfies({ ...directives, maxStaleMs: Infinity }, ageMs, head.freshUntil - at, true))) {
    return 'serve-while-revalidate'
  }
  return directives !== undefined && satisfies(directives, ageMs, head.freshUntil - at, true) ? 'serve-max-stale' : undefined
}
