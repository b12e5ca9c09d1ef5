// The observer receives every outcome: it counts and logs it, hands it to subscribers (metrics, for example), and writes Cache-Status.
import type { CacheStatus } from './cache-status.js'
import { ChangedBodies } from './changed-bodies.js'
import { safeError, type ThrottledLog } from './log.js'
import { NeverStored } from './never-stored.js'
import type { BackendOutcome, Outcome, RouteOutcome, SentOutcome } from './outcome.js'
import { readableKey } from './readable-key.js'
import type { BypassReason, RefusalReason } from './reasons.js'

/** The counters of one route, or of all routes together. */
export interface RouteStats {
  /** Fresh responses that were served from the cache. */
  hits: number
  /** Stale responses that were served from the cache (RFC 9111 section 4.2.4). */
  staleHits: number
  /** Requests for which no stored response could be served. */
  misses: number
  /** Misses that received the response to another request. They waited for it, unless it was a stream that had begun. */
  coalesced: number
  /** How many of these received a stream before it had ended. */
  coalescedStreams: number
  /** Clients that were disconnected, because they took nothing of a stream for 5 seconds while other clients waited for the rest. */
  stalled: number
  /** Responses that were stored. */
  stores: number
  /** Requests that were not looked up, by reason. */
  bypasses: Partial<Record<BypassReason, number>>
  /** Responses that were not stored, by reason. */
  refusals: Partial<Record<RefusalReason, number>>
}

/** Counters of claims: a process claims an entry before it creates it, so that no other process does the same. */
export interface ClaimStats {
  /** Entries that this process has claimed. */
  granted: number
  /** Entries for which this process has waited, because another process was creating them. */
  busy: number
  /** How often it waited in vain until `lockTimeout`. */
  timeouts: number
}

/** The result of `fastify.cache.stats()`. */
export interface CacheStats extends RouteStats {
  /** The number of failed calls to the backend, by method. */
  errors: Record<string, number>
  /** Entries that were read but could not be used: they were damaged, not written by this cache, or belonged to another key. */
  damaged: number
  /** How this process has shared the work with other processes on the same store. All zero if the backend has no `claim`. */
  claims: ClaimStats
  /** The number of entries in the backend; undefined if the backend doesn't know it. */
  entries: number | undefined
  /** The number of bytes that the entries take; undefined if the backend doesn't know it. */
  bytes: number | undefined
  /** The same counters for each route, by its name, such as `GET /products/:id`. */
  routes: Record<string, RouteStats>
}

/** The route to which an outcome belongs. */
export interface ObservedRoute {
  /** The name in logs and statistics, such as `GET /products/:id`. */
  readonly name: string
  readonly stats: RouteStats
}

/** Called synchronously with every outcome, so it must be quick and must not throw. `route` is undefined for outcomes of the backend. */
export type Subscriber = (outcome: Outcome, route: ObservedRoute | undefined) => void

export class Observer {
  readonly status: CacheStatus
  readonly log: ThrottledLog
  /** The number of failed calls to the backend, by method. */
  readonly errors: Record<string, number> = Object.create(null)
  /** Entries that were read but could not be used. */
  damaged = 0
  readonly #throwsImpossible: boolean
  readonly #neverStored: NeverStored
  readonly #changedBodies: ChangedBodies
  #subscribers: readonly Subscriber[] = []

  /** `throwsImpossible` says whether an impossible state throws an error, as in tests. Otherwise, such a state is logged. */
  constructor (status: CacheStatus, log: ThrottledLog, throwsImpossible = false) {
    this.status = status
    this.log = log
    this.#throwsImpossible = throwsImpossible
    this.#neverStored = new NeverStored(log)
    this.#changedBodies = new ChangedBodies(log)
  }

  tell (route: ObservedRoute, outcome: RouteOutcome): void {
    const { stats } = route
    switch (outcome.name) {
      case 'hit': stats.hits++; break
      case 'stale': case 'served-on-error': stats.staleHits++; break
      case 'miss': stats.misses++; break
      case 'collapsed':
        stats.coalesced++
        if (outcome.isStream) stats.coalescedStreams++
        break
      case 'stalled': stats.stalled++; break
      case 'stored':
        stats.stores++
        this.#neverStored.noteStored(route)
        break
      case 'nested': count(stats.bypasses, 'nested'); break
      case 'bypass':
        count(stats.bypasses, outcome.reason)
        // The client asked for this one. The refusal of the same name is the response's own.
        if (outcome.reason !== 'no-store') this.#neverStored.note(route, outcome.reason)
        break
      case 'refused':
        count(stats.refusals, outcome.reason)
        this.#neverStored.note(route, outcome.reason)
        break
      default:
    }
    if ('fault' in outcome && outcome.fault !== undefined) this.fault(route.name, outcome.reason, outcome.fault, outcome.requestId)
    if (this.#subscribers.length > 0) this.#handOn(outcome, route)
  }

  /** Does the same as `tell`, for a response that is about to be sent. Returns this cache's member of Cache-Status. */
  tellSent (route: ObservedRoute, outcome: SentOutcome): string {
    this.tell(route, outcome)
    return this.status.of(outcome)
  }

  tellOfBackend (outcome: BackendOutcome): void {
    if (outcome.name === 'damaged') {
      this.damaged++
      this.log.warn('damaged', readableKey(outcome.key),
        'cache: an entry is damaged or was not written by this cache, it is treated as a miss')
    } else {
      const { backend, operation, err, key, requestId: reqId } = outcome
      const { code, name } = err as { code?: unknown, name?: unknown }
      this.errors[operation] = (this.errors[operation] ?? 0) + 1
      const details = { err, backend, operation, ...(key !== undefined && readableKey(key)), ...(reqId !== undefined && { reqId }) }
      this.log.warn(`${operation} ${code ?? name}`, details,
        `cache: ${operation} failed, continuing without the backend`)
    }
    this.#handOn(outcome, undefined)
  }

  /** Called when an onSend hook has changed a body, so that a response has no ETag of the cache's, or is not cut. */
  tellChangedBody (route: ObservedRoute, hook: { readonly name: string } | undefined, coding: unknown): void {
    this.#changedBodies.note(route, hook, coding)
  }

  /** Calls `subscriber` with every later outcome. Returns a function that ends the subscription. */
  subscribe (subscriber: Subscriber): () => void {
    this.#subscribers = [...this.#subscribers, subscriber]
    return () => { this.#subscribers = this.#subscribers.filter((other) => other !== subscriber) }
  }

  /** Logs a developer's mistake that prevented caching, but not the delivery of the response. */
  fault (route: string, reason: string, fault: unknown, reqId?: string): void {
    this.log.warn(`fault ${route} ${reason}`, { err: safeError(fault), route, reason, ...(reqId !== undefined && { reqId }) },
      'cache: this response could not be cached, it was delivered')
  }

  /** Reports a bug in this package: something happened that should be impossible. */
  impossible (what: string): void {
    const err = new Error(`cache: impossible, please report it: ${what}`)
    if (this.#throwsImpossible) throw err
    this.log.warn('impossible', { err }, err.message)
  }

  #handOn (outcome: Outcome, route: ObservedRoute | undefined): void {
    for (const subscriber of this.#subscribers) subscriber(outcome, route)
  }
}

export function emptyStats (): RouteStats {
  return { hits: 0, staleHits: 0, misses: 0, coalesced: 0, coalescedStreams: 0, stalled: 0, stores: 0, bypasses: {}, refusals: {} }
}

export function noClaims (): ClaimStats {
  return { granted: 0, busy: 0, timeouts: 0 }
}

const COUNTERS = ['hits', 'staleHits', 'misses', 'coalesced', 'coalescedStreams', 'stalled', 'stores'] as const

/** Adds one to a counter that may not exist yet. */
function count<K extends string> (counters: Partial<Record<K, number>>, name: K): void {
  counters[name] = (counters[name] ?? 0) + 1
}

/** Adds up the counters of several routes. */
export function sum (all: Iterable<RouteStats>): RouteStats {
  const total = emptyStats()
  for (const one of all) {
    for (const name of COUNTERS) total[name] += one[name]
    for (const name of ['bypasses', 'refusals'] as const) {
      const counters: Record<string, number> = total[name]
      for (const [reason, times] of Object.entries(one[name])) counters[reason] = (counters[reason] ?? 0) + times
    }
  }
  return total
}
