// What the routes of one registration share: the guarded backend, the fence, the flights, and the fills under way.
import type { CacheBackend } from '../registry/backend.js'
import { Fence } from '../registry/fence.js'
import type { CacheLog } from '../registry/registry.js'
import type { Clock } from './clock.js'
import { Connections } from './connections.js'
import { FastifyInternals, type Routing } from './fastify-internals.js'
import type { FillServices } from './fill/fill-services.js'
import { FillsUnderWay } from './fill/fills-under-way.js'
import { Flights } from './fill/flight.js'
import { Guard } from './store/guard.js'
import { Notices } from './observe/log.js'
import { Observer } from './observe/observer.js'
import { Patterns } from './invalidation/patterns.js'
import { Refreshes } from './fill/refresh.js'
import type { KnownRoute } from './known-route.js'
import { Sender } from './send.js'
import { CacheStatus } from './observe/cache-status.js'
import { Store } from './store/store.js'
import { Tags } from './store/tags.js'
import { RecordingBudget } from './fill/tee.js'

export interface ServiceOptions {
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

/** Handed in where they are needed, each room with what it names of them. */
export interface Services extends FillServices, Pick<ServiceOptions, 'backend' | 'backendName' | 'namespace' | 'deadlineMs' | 'rewritesUrls' | 'routing'> {
  /** Milliseconds that never jump: how long anything but a stored response lasts. */
  readonly steadyNow: () => number
  readonly notices: Notices
  readonly refreshes: Refreshes
  /** Every cached route of this registration, one for each of its methods. */
  readonly routes: KnownRoute[]
  readonly patterns: Patterns<KnownRoute>
}

/** Streams that are being recorded at the same time hold this much together at most. */
const MAX_RECORDING_BYTES = 64 * 1024 * 1024
const SETTLE_MS = 800
const CLOSE_MS = 800

export function servicesOf (options: ServiceOptions): Services {
  const { backend, backendName, namespace, deadlineMs, lockTimeoutMs, rewritesUrls, routing, cacheStatus, clock: { now, steadyNow } } = options
  const notices = new Notices(options.log, steadyNow)
  const guard = new Guard(backend, { name: backendName, deadlineMs, now, steadyNow, notices })
  const tags = new Tags(guard, namespace, now)
  const internals = new FastifyInternals()
  const routes: KnownRoute[] = []
  return {
    backend,
    backendName,
    namespace,
    deadlineMs,
    lockTimeoutMs,
    rewritesUrls,
    routing,
    now,
    steadyNow,
    notices,
    guard,
    tags,
    internals,
    routes,
    store: new Store(guard, tags, now, notices),
    fence: new Fence(),
    fills: new FillsUnderWay(),
    flights: new Flights(steadyNow, lockTimeoutMs),
    refreshes: new Refreshes(steadyNow, notices),
    budget: new RecordingBudget(MAX_RECORDING_BYTES),
    connections: new Connections(),
    patterns: new Patterns(routes, routing),
    sender: new Sender(internals, cacheStatus?.field),
    observer: new Observer(new CacheStatus(cacheStatus?.signature), notices, process.env.NODE_ENV === 'test')
  }
}

/** Releases who waits, lets writes settle, closes the backend. Never rejects, never takes longer than two seconds. */
export async function close ({ flights, guard, refreshes }: Services): Promise<void> {
  flights.close()
  guard.track(refreshes.close())
  await guard.close(SETTLE_MS, CLOSE_MS)
}
