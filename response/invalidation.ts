// Invalidation: by tag, URL, route or key. The fence is moved before and after, so that no fill under way undoes it.
import { isRecord, isTextList, show } from '../registry/check.js'
import { CACHE_ERR_CLOSED, CACHE_ERR_OPTION, CACHE_ERR_POWER_MISSING } from '../registry/errors.js'
import type { Engine } from './engine.js'
import { dataKey } from './data-cache.js'
import { tagName } from './filling.js'
import { customKey, namespacePrefix, originPart } from './key.js'
import { areTags, MAX_TAG_CHARACTERS, MAX_TAGS } from './options.js'
import { matchesPattern } from './patterns.js'
import { pathOf } from './query.js'
import { routeName, type CachedRoute } from './route.js'

/** What to invalidate: a tag, or one of these. */
export type InvalidationTarget =
  | string
  | {
    /** All answers and values with one of these tags. */
    readonly tags: readonly string[]
  }
  | {
    /** A path with its query, on every host; or an absolute URL, on its host alone. */
    readonly url: string
    /** Of which method. @default 'GET' */
    readonly method?: string
  }
  | {
    /** A route's pattern as it was registered, with its prefix; every method, or the one before it: `GET /products/:id`. */
    readonly route: string
  }
  | {
    /** What a route's key function answered, and the data cache's entry of that name. */
    readonly key: string
  }

const EXPECTED = 'a tag, { tags: [...] }, { url, method? }, { route } or { key }'

/** Settles when no later read can see what was stored for `target`. Rejects when that could not be confirmed. */
export async function invalidate (engine: Engine, target: InvalidationTarget): Promise<void> {
  // Said here too: a URL that no route answers needs nothing of the backend.
  if (engine.closed) throw new CACHE_ERR_CLOSED('invalidate')
  if (typeof target === 'string') return await invalidateTags(engine, [target])
  const kinds = isRecord(target) ? Object.keys(target).filter((name) => name !== 'method') : []
  const value = kinds.length === 1 ? (target as Record<string, unknown>)[kinds[0] as string] : undefined
  if (kinds[0] === 'tags' && isTextList(value)) return await invalidateTags(engine, value as string[])
  if (typeof value === 'string' && value !== '') {
    if (kinds[0] === 'url') return await invalidateUrl(engine, value, (target as { method?: string }).method ?? 'GET')
    if (kinds[0] === 'route') return await invalidateRoute(engine, value)
    if (kinds[0] === 'key') return await invalidateKey(engine, value)
  }
  throw new CACHE_ERR_OPTION('invalidate(target)', EXPECTED, show(target))
}

/** Forgets everything in this namespace. */
export async function clear (engine: Engine): Promise<void> {
  await fenced(() => engine.fence.moveAll(), async () => await clearPrefix(engine, 'clear()', namespacePrefix(engine.namespace)))
}

async function invalidateTags (engine: Engine, tags: readonly string[]): Promise<void> {
  for (const tag of tags) {
    if (!areTags([tag])) throw new CACHE_ERR_OPTION('invalidate(tag)', `a string of 1 to ${MAX_TAG_CHARACTERS} characters (an answer has at most ${MAX_TAGS} of them)`, show(tag))
  }
  await fenced(() => tags.forEach((tag) => engine.fence.move(tagName(tag))), async () => {
    await Promise.all(tags.map(async (tag) => await engine.tags.invalidate(tag)))
  })
}

async function invalidateUrl (engine: Engine, url: string, method: string): Promise<void> {
  const [, origin, rest] = /^(https?:\/\/[^/?#]+)(\/.*)?$/is.exec(url) ?? []
  const target = origin === undefined ? url : rest ?? '/'
  if (!target.startsWith('/') || target.includes('#')) throw new CACHE_ERR_OPTION('invalidate({ url })', 'a path that begins with / and may have a query, or an absolute http URL, without a fragment', show(url))
  const stored = method.toUpperCase() === 'HEAD' ? 'GET' : method.toUpperCase()
  const meant = engine.routes.filter((route) => typeof route.policy.key !== 'function' && route.method === stored && matchesPattern(route, pathOf(target)))
  await Promise.all(meant.map(async (route) => {
    const prefix = route.targetPrefix(target)
    const exact = exactKey(route, prefix, origin)
    await fenced(() => engine.fence.move(prefix), async () => {
      if (exact !== undefined && !engine.rewritesUrls) await engine.guard.change('delete', exact)
      // Hosts, users, header fields, URLs before they were rewritten: they stand behind the target in the key, after a blank.
      else await clearPrefix(engine, 'invalidate({ url })', exact ?? `${prefix} `)
    })
  }))
}

/** The one key that the URL means, where the target and the origin are all that keys are made of. */
function exactKey ({ method, policy: { key } }: CachedRoute, prefix: string, origin: string | undefined): string | undefined {
  const plain = typeof key !== 'function' && method === 'GET' && !key.body && key.by === undefined && key.query === true && key.headers.length === 0 && key.cookies.length === 0
  if (!plain) return undefined
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
