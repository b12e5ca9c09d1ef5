// Invalidation: by tag, URL, route or key. The fence is moved before and after, so that no fill under way undoes it.
import { show } from '../../registry/check.js'
import { CACHE_ERR_CLOSED, CACHE_ERR_OPTION, CACHE_ERR_POWER_MISSING } from '../../registry/errors.js'
import type { Engine } from '../engine.js'
import { dataKey } from '../data-cache.js'
import { safeError } from '../notices.js'
import { customKey, namespacePrefix, originPart } from '../key.js'
import { pathOf } from '../query.js'
import { routeName, tagName, type KnownRoute } from '../known-route.js'
import { aimOf, partsOf, type InvalidationTarget } from './targets.js'

/** Settles when no later read can see what was stored for `target`. Rejects when that could not be confirmed. */
export async function invalidate (engine: Engine, target: InvalidationTarget): Promise<void> {
  const aim = aimOf(target, 'invalidate(target)')
  // Said here too: a URL that no route answers needs nothing of the backend.
  if (engine.closed) throw new CACHE_ERR_CLOSED('invalidate')
  if ('tags' in aim) return await invalidateTags(engine, aim.tags, aim.soft === true)
  if ('url' in aim) return await invalidateUrl(engine, aim.url, aim.method ?? 'GET')
  if ('route' in aim) return await invalidateRoute(engine, aim.route)
  await invalidateKey(engine, aim.key)
}

/** Forgets everything in this namespace. */
export async function clear (engine: Engine): Promise<void> {
  await fenced(() => engine.fence.moveAll(), async () => await clearPrefix(engine, 'clear()', namespacePrefix(engine.namespace)))
}

/**
 * After the clock was set back: what was stored before has instants of the future, and nobody could tell any more how old it
 * is. Fills under way are not stored either.
 */
export function dropEverything (engine: Engine, byMs: number): void {
  const { backendName: backend, notices, guard } = engine
  notices.warn('clock', { byMs, backend }, 'cache: the system\'s clock was set back, so everything that was stored before is dropped')
  guard.track(clear(engine).catch((err: unknown) => {
    notices.warn('clock clear', { err: safeError(err), byMs, backend }, 'cache: what was stored before the clock was set back could not be dropped, and may be served for that much too long')
  }))
}

async function invalidateTags (engine: Engine, tags: readonly string[], soft: boolean): Promise<void> {
  await fenced(() => tags.forEach((tag) => engine.fence.move(tagName(tag))), async () => {
    await Promise.all(tags.map(async (tag) => await engine.tags.invalidate(tag, soft)))
  })
}

async function invalidateUrl (engine: Engine, url: string, method: string): Promise<void> {
  const { origin, target } = partsOf(url)
  const stored = method.toUpperCase() === 'HEAD' ? 'GET' : method.toUpperCase()
  const meant = engine.patterns.routesOf(pathOf(target)).filter((route) => typeof route.policy.key !== 'function' && route.method === stored)
  await Promise.all(meant.map(async (route) => {
    const exact = engine.rewritesUrls ? undefined : exactKey(route, target, origin)
    if (exact !== undefined) return await forget(engine, route.targetPrefix(target), exact)
    // Hosts, users, header fields, URLs before they were rewritten: they stand behind the target in the key, after a blank.
    const prefix = exactKey(route, target, origin) ?? `${route.targetPrefix(target)} `
    await fenced(() => engine.fence.move(route.targetPrefix(target)), async () => await clearPrefix(engine, 'invalidate({ url })', prefix))
  }))
}

/** Forgets one answer with all its variants. `name`: under which the fence knows its target. */
async function forget (engine: Engine, name: string, key: string): Promise<void> {
  await fenced(() => engine.fence.move(name), async () => await engine.guard.change('delete', key))
}

/**
 * Forgets what GET stored for a request target, where a key says which entry that is: one delete. Other keys would need
 * to be looked for, which is too much for every answer to an unsafe method.
 */
export async function forgetTarget (engine: Engine, target: string, origin: string): Promise<void> {
  await Promise.all(engine.patterns.routesOf(pathOf(target)).map(async (route) => {
    const key = exactKey(route, target, origin)
    if (key !== undefined) await forget(engine, route.targetPrefix(target), key)
  }))
}

/** The one key that the URL means, where the target and the origin are all that keys are made of. */
function exactKey (route: KnownRoute, target: string, origin: string | undefined): string | undefined {
  const { method, policy: { key } } = route
  const plain = typeof key !== 'function' && method === 'GET' && !key.body && key.by === undefined && key.query === true && key.headers.length === 0 && key.cookies.length === 0
  if (!plain) return undefined
  const prefix = route.targetPrefix(target)
  return !key.host ? prefix : origin === undefined ? undefined : prefix + originPart(origin)
}

async function invalidateRoute (engine: Engine, route: string): Promise<void> {
  const [, method, pattern] = /^(?:([A-Z-]+) )?(.*)$/s.exec(route) as unknown as [string, string | undefined, string]
  const meant = engine.routes.filter((one) => one.url === pattern && (method === undefined || one.method === method))
  if (meant.length === 0) throw new CACHE_ERR_OPTION('invalidate({ route })', `a cached route's pattern, one of ${engine.routes.map((one) => one.name).join(', ')}`, show(route))
  for (const { prefix } of meant) {
    await fenced(() => engine.fence.move(routeName(prefix)), async () => await clearPrefix(engine, 'invalidate({ route })', prefix))
  }
}

async function invalidateKey (engine: Engine, key: string): Promise<void> {
  const custom = engine.routes.filter((route) => typeof route.policy.key === 'function').map((route) => customKey(route.prefix, key))
  const keys = [dataKey(engine.namespace, key), ...new Set(custom)]
  await fenced(() => keys.forEach((one) => engine.fence.move(one)), async () => {
    await Promise.all(keys.map(async (one) => await engine.guard.change('delete', one)))
  })
}

async function clearPrefix (engine: Engine, operation: string, prefix: string): Promise<void> {
  if (engine.backend.clear === undefined) throw new CACHE_ERR_POWER_MISSING(operation, engine.backendName, 'clear', 'give the routes a tag and invalidate the tag')
  await engine.guard.clear(prefix)
}

/** Before: fills under way are not stored. After: nor are those that read while it went on. */
async function fenced (move: () => void, act: () => Promise<void>): Promise<void> {
  move()
  try {
    await act()
  } finally {
    move()
  }
}
