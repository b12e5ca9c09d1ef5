// Invalidates by tag, URL, route or key. The fence is moved before and after, so that no running fill can undo the invalidation.
import { show } from '../../registry/check.js'
import { intention } from '../../registry/intention.js'
import { CACHE_ERR_CLOSED, CACHE_ERR_OPTION, CACHE_ERR_POWER_MISSING } from '../../registry/errors.js'
import type { CacheBackend } from '../../registry/backend.js'
import type { Fence } from '../../registry/fence.js'
import { safeError, type ThrottledLog } from '../observe/log.js'
import type { BackendGuard } from '../store/backend-guard.js'
import type { Tags } from '../store/tags.js'
import type { RoutesOfUrl } from './routes-of-url.js'
import { customKey, namespacePrefix, originPart, dataKey } from '../request/key.js'
import { pathOf } from '../request/query.js'
import { routeName, tagName, type KnownRoute } from '../known-route.js'
import { parseTarget, partsOf, type InvalidationTarget } from '../options/invalidation-target.js'

/** The services of a registration that invalidations use. */
export interface InvalidationServices {
  readonly backend: CacheBackend
  readonly backendName: string
  readonly fence: Fence
  readonly guard: BackendGuard
  readonly log: ThrottledLog
  readonly namespace: string
  /** Whether the application rewrites URLs (`rewriteUrl`), so that routes may receive a URL that the client didn't request. */
  readonly rewritesUrls: boolean
  /** Every cached route of this registration, once for each of its methods. */
  readonly routes: readonly KnownRoute[]
  readonly routesOfUrl: RoutesOfUrl<KnownRoute>
  readonly tags: Tags
}

/**
 * Invalidates everything stored for `target`. Resolves once the invalidation applies to every later read. Rejects if that can't be
 * confirmed.
 */
export async function invalidate (services: InvalidationServices, target: InvalidationTarget): Promise<void> {
  const aim = parseTarget(target, 'invalidate(target)')
  // The guard checks this too, but an invalidation of a URL that no route serves never reaches the guard.
  if (services.guard.isClosed) throw new CACHE_ERR_CLOSED('invalidate')
  if ('tags' in aim) return await invalidateTags(services, aim.tags, aim.soft === true)
  if ('url' in aim) return await invalidateUrl(services, aim.url, aim.method ?? 'GET')
  if ('route' in aim) return await invalidateRoute(services, aim.route)
  await invalidateKey(services, aim.key)
}

/** Deletes everything in the registration's namespace. */
export async function clear (services: InvalidationServices): Promise<void> {
  await fenced(() => services.fence.moveAll(), async () => await clearPrefix(services, 'clear()', namespacePrefix(services.namespace)))
}

/**
 * Deletes everything, because the clock was set back. Times in older entries may now be in the future, so the age of those entries is
 * unknown. The responses of fills that are running are not stored.
 */
export function dropEverything (services: InvalidationServices, byMs: number): void {
  const { backendName: backend, log, guard } = services
  log.warn('clock', { byMs, backend }, 'cache: the system\'s clock was set back, so everything that was stored before is dropped')
  guard.track(clear(services).catch((err: unknown) => {
    log.warn('clock clear', { err: safeError(err), byMs, backend },
      'cache: entries stored before the clock was set back could not be dropped, and may be served too long by that much')
  }))
}

async function invalidateTags (services: InvalidationServices, tags: readonly string[], soft: boolean): Promise<void> {
  await fenced(() => tags.forEach((tag) => services.fence.move(tagName(tag))), async () => {
    await Promise.all(tags.map(async (tag) => await services.tags.invalidate(tag, soft)))
  })
}

async function invalidateUrl (services: InvalidationServices, url: string, method: string): Promise<void> {
  const { origin, target } = partsOf(url)
  const stored = method.toUpperCase() === 'HEAD' ? 'GET' : method.toUpperCase()
  const meant = services.routesOfUrl.routesOf(pathOf(target))
    .filter((route) => typeof route.policy.key !== 'function' && route.method === stored)
  await Promise.all(meant.map(async (route) => {
    const exact = services.rewritesUrls ? undefined : exactKey(route, target, origin)
    if (exact !== undefined) return await deleteResponse(services, route.targetPrefix(target), exact)
    // In each key, a space and the other parts follow the target: host, user, header fields, the URL before it was rewritten.
    const prefix = exactKey(route, target, origin) ?? `${route.targetPrefix(target)} `
    await fenced(() => services.fence.move(route.targetPrefix(target)), async () =>
      await clearPrefix(services, 'invalidate({ url })', prefix))
  }))
}

/** Deletes one response with all its variants. `name` is the name of the response's target in the fence. */
async function deleteResponse (services: InvalidationServices, name: string, key: string): Promise<void> {
  await fenced(() => services.fence.move(name), async () => await services.guard.write('delete', key))
}

/**
 * Deletes the stored responses to GET for a request target, but only on routes whose keys consist of target and origin. There, one deletion
 * is enough. Other keys would have to be searched for, which is too slow to do for every response to an unsafe method.
 */
export async function deleteTarget (services: InvalidationServices, target: string, origin: string): Promise<void> {
  await Promise.all(services.routesOfUrl.routesOf(pathOf(target)).map(async (route) => {
    const key = exactKey(route, target, origin)
    if (key !== undefined) await deleteResponse(services, route.targetPrefix(target), key)
  }))
}

/** Returns a route's only key for a URL, or undefined if its keys have parts besides target and origin, or if the origin is unknown. */
function exactKey (route: KnownRoute, target: string, origin: string | undefined): string | undefined {
  const { method, policy: { key } } = route
  const plain = typeof key !== 'function' && method === 'GET' && !key.body && key.by === undefined && key.query === true &&
    key.headers.length === 0 && key.cookies.length === 0
  if (!plain) return undefined
  const prefix = route.targetPrefix(target)
  return !key.host ? prefix : origin === undefined ? undefined : prefix + originPart(origin)
}

async function invalidateRoute (services: InvalidationServices, route: string): Promise<void> {
  const [, method, pattern] = /^(?:([A-Z-]+) )?(.*)$/s.exec(route) as unknown as [string, string | undefined, string]
  const meant = services.routes.filter((one) => one.url === pattern && (method === undefined || one.method === method))
  if (meant.length === 0) {
    const known = services.routes.map(({ name }) => name)
    throw new CACHE_ERR_OPTION(
      'invalidate({ route })', `a cached route's pattern, ${known.length === 0 ? 'of which there is none' : `one of ${known.join(', ')}`}`,
      show(route) + intention(pattern, services.routes.map(({ url }) => url)))
  }
  for (const { prefix } of meant) {
    await fenced(() => services.fence.move(routeName(prefix)), async () => await clearPrefix(services, 'invalidate({ route })', prefix))
  }
}

async function invalidateKey (services: InvalidationServices, key: string): Promise<void> {
  const custom = services.routes.filter((route) => typeof route.policy.key === 'function').map((route) => customKey(route.prefix, key))
  const keys = [dataKey(services.namespace, key), ...new Set(custom)]
  await fenced(() => keys.forEach((one) => services.fence.move(one)), async () => {
    await Promise.all(keys.map(async (one) => await services.guard.write('delete', one)))
  })
}

async function clearPrefix (services: InvalidationServices, operation: string, prefix: string): Promise<void> {
  if (services.backend.clear === undefined) {
    throw new CACHE_ERR_POWER_MISSING(operation, services.backendName, 'clear', 'give the routes a tag and invalidate the tag')
  }
  await services.guard.clear(prefix)
}

/**
 * Moves the fence before `act`, so that fills that are already running are not stored. Moves it again afterwards, so that fills that read
 * from the backend while `act` ran are not stored either.
 */
async function fenced (move: () => void, act: () => Promise<void>): Promise<void> {
  move()
  try {
    await act()
  } finally {
    move()
  }
}
