// What is done with what was found: when an entry is served, fresh or stale (RFC 9111 section 4.2.4, RFC 5861), and what is done instead.
import type { ResponseHead } from '../store/entry.js'
import type { Found } from '../store/store.js'
import { satisfies, type Wishes } from './wishes.js'

/** Whether a fresh entry is what the client asks for. `at`: the present, in epoch milliseconds. */
export function servedFresh ({ ageMs, storedAt, freshUntil }: ResponseHead, at: number, wishes: Wishes | undefined): boolean {
  return wishes === undefined || satisfies(wishes, ageMs + at - storedAt, freshUntil - at)
}

/** Why a stale entry is served: a refresh is to run, or the client said that it will do; undefined where it is not. `at`: the present, in epoch milliseconds. */
export function servedStale (head: ResponseHead, at: number, wishes: Wishes | undefined): 'while-revalidate' | 'max-stale' | undefined {
  if (head.mustRevalidate === true) return undefined
  const ageMs = head.ageMs + at - head.storedAt
  const isInWindow = head.staleUntil !== undefined && at < head.staleUntil
  // A client that says how old or how fresh it wants it is not given less for the sake of a window.
  if (isInWindow && (wishes === undefined || satisfies({ ...wishes, maxStaleMs: Infinity }, ageMs, head.freshUntil - at, true))) return 'while-revalidate'
  return wishes !== undefined && satisfies(wishes, ageMs, head.freshUntil - at, true) ? 'max-stale' : undefined
}

/**
 * What is done: an entry is served (`fresh`, `while-revalidate`, `max-stale`), nothing is (`only-if-cached`), the handler
 * alone is asked (`head`), or it fills, and that is why (`request`, `stale`, `miss`).
 */
export type Use = 'fresh' | 'while-revalidate' | 'max-stale' | 'only-if-cached' | 'head' | 'request' | 'stale' | 'miss'

/** What a request of this method does with what was found. A refresh (`refreshes`) is not served what is stale. */
export function useOf ({ entry, stale, at }: Found, method: string, wishes: Wishes | undefined, refreshes: boolean): Use {
  if (entry !== undefined) {
    if (servedFresh(entry.head, at as number, wishes)) return 'fresh'
  } else if (stale !== undefined && !refreshes) {
    const why = servedStale(stale.head, at as number, wishes)
    if (why !== undefined) return why
  }
  // RFC 9111 section 5.2.1.7
  if (wishes?.onlyIfCached === true) return 'only-if-cached'
  if (entry !== undefined) return 'request'
  if (stale !== undefined) return 'stale'
  // A HEAD without an entry is the handler's business alone: its answer has no content that could be stored.
  return method === 'HEAD' ? 'head' : 'miss'
}
