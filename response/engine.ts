// What the routes of one registration share: the guarded backend, the fence, the flights, and the fills under way.
import type { FastifyReply } from 'fastify'
import type { CacheBackend } from '../registry/backend.js'
import { Fence } from '../registry/fence.js'
import type { CacheLog } from '../registry/registry.js'
import type { Clock } from './clock.js'
import { Connections } from './connections.js'
import { FastifyInternals, type Routing } from './fastify-internals.js'
import { FillsUnderWay } from './fill/fills-under-way.js'
import { Flights } from './fill/flight.js'
import { Guard } from './store/guard.js'
import { Notices, safeError } from './notices.js'
import { Patterns } from './invalidation/patterns.js'
import { Refreshes, refreshOf } from './fill/refresh.js'
import type { KnownRoute } from './known-route.js'
import { Sender } from './send.js'
import { CacheStatus } from './status.js'
import { Store } from './store/store.js'
import { Tags } from './store/tags.js'
import { RecordingBudget } from './fill/tee.js'

export interface EngineOptions {
  readonly backend: CacheBackend
  readonly backendName: string
  readonly namespace: string
  readonly deadlineMs: number
  readonly lockTimeoutMs: number
  /** The name of the Cache-Status field and who signs it; undefined: not sent. */
  readonly cacheStatus: { readonly field: string, readonly signature: string } | undefined
  /** Whether the URL that a client asked for may be another one than routes see. */
  readonly rewritesUrls: boolean
  readonly routing: Routing
  readonly clock: Pick<Clock, 'now' | 'steadyNow'>
  readonly log: CacheLog
}

/** Streams that are being recorded at the same time hold this much together at most. */
const MAX_RECORDING_BYTES = 64 * 1024 * 1024
const SETTLE_MS = 800
const CLOSE_MS = 800

export class Engine {
  readonly backend: CacheBackend
  readonly backendName: string
  readonly namespace: string
  /** Epoch milliseconds: how long stored responses live. */
  readonly now: () => number
  /** Milliseconds that never jump: how long anything else lasts. */
  readonly steadyNow: () => number
  readonly deadlineMs: number
  readonly lockTimeoutMs: number
  readonly rewritesUrls: boolean
  readonly routing: Routing
  readonly notices: Notices
  readonly guard: Guard
  readonly tags: Tags
  readonly store: Store
  readonly flights: Flights
  readonly sender: Sender
  readonly status: CacheStatus
  readonly refreshes: Refreshes
  readonly fence = new Fence()
  readonly internals = new FastifyInternals()
  readonly connections = new Connections()
  readonly budget = new RecordingBudget(MAX_RECORDING_BYTES)
  readonly fills = new FillsUnderWay()
  /** Every cached route of this registration, one for each of its methods. */
  readonly routes: KnownRoute[] = []
  readonly patterns: Patterns<KnownRoute>
  #closed = false
  #closing: Promise<void> | undefined
  #date: { readonly second: number, readonly text: string } | undefined
  #follows = false

  constructor (options: EngineOptions) {
    const { backend, backendName, namespace, deadlineMs, clock: { now, steadyNow } } = options
    this.backend = backend
    this.backendName = backendName
    this.namespace = namespace
    this.deadlineMs = deadlineMs
    this.lockTimeoutMs = options.lockTimeoutMs
    this.rewritesUrls = options.rewritesUrls
    this.routing = options.routing
    this.patterns = new Patterns(this.routes, options.routing)
    this.now = now
    this.steadyNow = steadyNow
    this.notices = new Notices(options.log, steadyNow)
    this.guard = new Guard(backend, { name: backendName, deadlineMs, now, steadyNow, notices: this.notices })
    this.tags = new Tags(this.guard, namespace, now)
    this.store = new Store(this.guard, this.tags, now, this.notices)
    this.flights = new Flights(steadyNow, options.lockTimeoutMs)
    this.sender = new Sender(this.internals, options.cacheStatus?.field)
    this.status = new CacheStatus(options.cacheStatus?.signature)
    this.refreshes = new Refreshes(steadyNow, this.notices)
  }

  get closed (): boolean {
    return this.#closed
  }

  /**
   * Whether fills are followed by AsyncLocalStorage. A handler can ask its own route by `inject()` alone without a
   * connection between, and following costs every promise of the process on Node 20: so only once one was injected.
   */
  follows (reply: FastifyReply): boolean {
    this.#follows ||= this.internals.isInjected(reply) && refreshOf(reply.request) === undefined
    return this.#follows
  }

  /** IMF-fixdate of `at` (RFC 9110 section 5.6.7), written once a second. */
  httpDate (at: number): string {
    const second = Math.floor(at / 1_000)
    if (this.#date?.second !== second) this.#date = { second, text: new Date(second * 1_000).toUTCString() }
    return this.#date.text
  }

  /** Something that a developer did wrong on a route; the answer was delivered. */
  fault (route: string, reason: string, fault: unknown): void {
    this.notices.warn(`fault ${route} ${reason}`, { err: safeError(fault), route, reason }, 'cache: this answer could not be cached, it was delivered')
  }

  /** Releases who waits, lets writes settle, closes the backend. Never rejects, never takes longer than two seconds. */
  async close (): Promise<void> {
    this.#closed = true
    this.flights.close()
    this.guard.track(this.refreshes.close())
    this.#closing ??= this.guard.close(SETTLE_MS, CLOSE_MS)
    await this.#closing
  }
}
