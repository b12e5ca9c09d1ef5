// Counters since start, kept per route pattern; the whole is their sum.
import type { BypassReason, RefusalReason } from './reasons.js'

/** What happened on one route, or on all of them. */
export interface RouteStats {
  /** Responses from the cache that were fresh. */
  hits: number
  /** Responses from the cache that were stale, and served on conditions (RFC 9111 section 4.2.4). */
  staleHits: number
  /** Requests for which there was nothing to serve. */
  misses: number
  /** Misses that waited for another request's response and were given it. */
  coalesced: number
  /** Responses that were stored. */
  stores: number
  /** Requests that were not looked up, by reason. */
  bypasses: Partial<Record<BypassReason, number>>
  /** Responses that were not stored, by reason. */
  refusals: Partial<Record<RefusalReason, number>>
}

/** What `fastify.cache.stats()` returns. */
export interface CacheStats extends RouteStats {
  /** Failed calls of the backend, by its method. */
  errors: Record<string, number>
  /** Entries that were read and could not be believed: damaged, foreign, or another key's. */
  damaged: number
  /** Entries that the backend holds; undefined where it doesn't know. */
  entries: number | undefined
  /** Bytes that they take; undefined where it doesn't know. */
  bytes: number | undefined
  /** The same counters by route: `GET /products/:id`. */
  routes: Record<string, RouteStats>
}

export function emptyStats (): RouteStats {
  return { hits: 0, staleHits: 0, misses: 0, coalesced: 0, stores: 0, bypasses: {}, refusals: {} }
}

/** Adds one to a counter that may not be there yet. */
export function count<K extends string> (counters: Partial<Record<K, number>>, name: K): void {
  counters[name] = (counters[name] ?? 0) + 1
}

/** The sum of several routes. */
export function sum (all: Iterable<RouteStats>): RouteStats {
  const total = emptyStats()
  for (const one of all) {
    for (const name of ['hits', 'staleHits', 'misses', 'coalesced', 'stores'] as const) total[name] += one[name]
    for (const name of ['bypasses', 'refusals'] as const) {
      const counters: Record<string, number> = total[name]
      for (const [reason, times] of Object.entries(one[name])) counters[reason] = (counters[reason] ?? 0) + times
    }
  }
  return total
}
