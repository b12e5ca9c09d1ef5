// The services that the routes of one registration share: the guarded backend, the fence, the running fills and more.
import type { CacheBackend } from '../registry/backend.js'
import { Fence } from '../registry/fence.js'
import type { CacheLog } from '../registry/registry.js'
import type { Clock } from './clock.js'
import { Connections } from './fastify/connections.js'
import { FastifyInternals, type Routing } from './fastify/fastify-internals.js'
import type { FillServices } from './fill/fill-services.js'
import { FillsUnderWay } from './fill/single-flight.js'
import { BackendGuard } from './store/backend-guard.js'
import { HttpDates } from './http/stored-fields.js'
import { ThrottledLog } from './observe/log.js'
import { Observer } from './observe/observer.js'
import { RoutesOfUrl } from './invalidation/routes-of-url.js'
import { Refreshes } from './fill/refresh.js'
import type { KnownRoute } from './known-route.js'
import { Sender } from './serve/send.js'
import { StoredSender } from './serve/send-stored.js'
import { Claims } from './store/claims.js'
import { Turns } from './fill/turns.js'
import { CacheStatus } from './observe/cache-status.js'
import { Store } from './store/store.js'
import { Tags } from './store/tags.js'
import { LateReads } from './fill/late-reads.js'
import { RecordingBudget } from './fill/recording-budget.js'

export interface ServiceOptions {
  readonly backend: CacheBackend
  readonly backendName: string
  readonly namespace: string
  readonly deadlineMs: number
  readonly lockTimeoutMs: number
  /** How long a claim lasts without being renewed, in milliseconds; 0 if nothing is claimed. */
  readonly leaseMs: number
  /** The name of this cache in Cache-Status. `true` means the package's name, and `false` means that the field is not sent. */
  readonly cacheStatus: boolean | string
  /** Whether the application rewrites URLs (`rewriteUrl`), so that routes may receive a URL that the client didn't request. */
  readonly rewritesUrls: boolean
  readonly routing: Routing
  readonly clock: Pick<Clock, 'now' | 'steadyNow'>
  readonly log: CacheLog
}

/** All services of a registration. The code in a folder sees only the interface that this folder declares, such as `FillServices`. */
export interface Services extends FillServices, Pick<ServiceOptions, 'backend' | 'backendName' | 'namespace'
  | 'deadlineMs' | 'rewritesUrls' | 'routing'> {
  /** A clock in milliseconds that never jumps. It measures everything except the lifetime of stored responses. */
  readonly steadyNow: () => number
  readonly log: ThrottledLog
  /** Undefined if the backend knows no claims, or the option `lease` is false. */
  readonly claims: Claims | undefined
  readonly refreshes: Refreshes
  /** Every cached route of this registration, once for each of its methods. */
  readonly routes: KnownRoute[]
  readonly routesOfUrl: RoutesOfUrl<KnownRoute>
  readonly stored: StoredSender
  /** Undefined if the backend has nothing that a fill could wait for. */
  readonly turns: Turns | undefined
}

/** The maximum number of bytes that may be held, in total, for streams that are being recorded. */
const MAX_RECORDING_BYTES = 64 * 1024 * 1024
const SETTLE_MS = 800
const CLOSE_MS = 800

export function servicesOf (options: ServiceOptions): Services {
  const { backend, backendName, namespace, deadlineMs, lockTimeoutMs, rewritesUrls, routing, cacheStatus } = options
  const { now, steadyNow } = options.clock
  const log = new ThrottledLog(options.log, steadyNow)
  const observer = new Observer(statusOf(cacheStatus), log, process.env.NODE_ENV === 'test')
  const guard = new BackendGuard(backend, { name: backendName, deadlineMs, now, steadyNow, observer })
  const coordination = coordinationOf(options, guard, log)
  const internals = new FastifyInternals()
  const connections = new Connections()
  const sender = new Sender(internals, cacheStatus === false ? undefined : 'cache-status')
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
    log,
    guard,
    ...coordination,
    internals,
    routes,
    store: new Store(guard, { ...coordination, now, observer }),
    fence: new Fence(),
    fills: new FillsUnderWay(steadyNow, lockTimeoutMs),
    lateReads: new LateReads(),
    refreshes: new Refreshes(steadyNow, log),
    budget: new RecordingBudget(MAX_RECORDING_BYTES),
    connections,
    dates: new HttpDates(),
    routesOfUrl: new RoutesOfUrl(routes, routing),
    observer,
    sender,
    stored: new StoredSender({ connections, internals, observer, sender })
  }
}

function statusOf (cacheStatus: boolean | string): CacheStatus {
  return new CacheStatus(typeof cacheStatus === 'string' ? cacheStatus : undefined)
}

/** Returns the services by which several processes on one store know of each other, as far as the backend can do that. */
function coordinationOf ({ namespace, lockTimeoutMs, leaseMs, clock: { now } }: ServiceOptions, guard: BackendGuard, log: ThrottledLog) {
  const tags = new Tags(guard, namespace, now)
  const claims = leaseMs > 0 && guard.has('claim') ? new Claims({ guard, log, leaseMs, lockTimeoutMs }) : undefined
  return { tags, claims, turns: claims !== undefined || guard.has('version') ? new Turns(claims, tags) : undefined }
}

/** Releases waiting requests, lets writes settle, and closes the backend. Never rejects, and takes two seconds at most. */
export async function close ({ claims, fills, guard, refreshes }: Services): Promise<void> {
  fills.close()
  claims?.close()
  guard.track(refreshes.close())
  await guard.close(SETTLE_MS, CLOSE_MS)
}
