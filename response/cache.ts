// `fastify.cache`: the methods that applications call.
import type { Power } from '../registry/backend.js'
import { powersOf } from '../registry/backend.js'
import { DataCache, type ProduceContext } from './data/data-cache.js'
import type { Services } from './services.js'
import { explain, type ExplainOptions } from './explain/explain.js'
import type { Explanation } from './explain/explanation.js'
import { clear, invalidate } from './invalidation/invalidate.js'
import type { RouteLookup } from './explain/route-lookup.js'
import type { KnownRoute } from './known-route.js'
import { sum, type CacheStats, type RouteStats } from './observe/observer.js'
import type { GetOrSetOptions, SetOptions } from './data/value-options.js'
import type { InvalidationTarget } from './options/invalidation-target.js'

/**
 * The cache of one registration. Unless a method says otherwise, it rejects with CACHE_ERR_BACKEND_FAILED if the backend fails, and with
 * CACHE_ERR_CLOSED after the application closed.
 */
export class ResponseCache {
  /** The backend's name and the optional methods that it has. */
  readonly backend: {
    /** The name by which it was chosen. */
    readonly name: string
    /** The optional methods that it has. */
    readonly powers: readonly Power[]
  }

  readonly #services: Services
  readonly #data: DataCache
  readonly #lookup: RouteLookup

  /** @internal */
  constructor (services: Services, lookup: RouteLookup, signal: AbortSignal) {
    this.#services = services
    this.#lookup = lookup
    this.#data = new DataCache(services, signal)
    this.backend = Object.freeze({ name: services.backendName, powers: Object.freeze(powersOf(services.backend)) })
  }

  /** Returns the value under `key` in the data cache: a JSON value, or a Buffer if bytes were set. Undefined if absent. */
  async get<T = unknown> (key: string): Promise<T | undefined> {
    return await this.#data.get(key) as T | undefined
  }

  /** Stores a JSON value, or bytes, for `ttl`. Resolves once it is stored. */
  async set (key: string, value: unknown, options: SetOptions): Promise<void> {
    await this.#data.set(key, value, options)
  }

  /** Deletes a value from the data cache. A producer that is already running does not restore it. */
  async delete (key: string): Promise<void> {
    await this.#data.delete(key)
  }

  /** Whether the data cache holds a value under `key`. */
  async has (key: string): Promise<boolean> {
    return await this.#data.has(key)
  }

  /**
   * Returns the value under `key`, or what `produce` returns; only one producer runs at a time for a key. If the backend fails, the value
   * is produced and not stored. Stale values are returned as the options say. Rejects with what the producer throws.
   */
  async getOrSet<T> (key: string, options: GetOrSetOptions, produce: (context: ProduceContext) => Promise<T> | T): Promise<T> {
    return await this.#data.getOrSet(key, options, produce)
  }

  /**
   * Resolves when no later read can see what was stored for `target`. Rejects with CACHE_ERR_POWER_MISSING if that needs `clear` and the
   * backend has none.
   */
  async invalidate (target: InvalidationTarget): Promise<void> {
    await invalidate(this.#services, target)
  }

  /**
   * Explains what the cache would do with a request, and why: the parts of its key, the entry's life, variants, tags. It applies the same
   * rules as to real requests, but runs no handler and no hooks, so what hooks add to a request is missing.
   */
  async explain (request: ExplainOptions): Promise<Explanation> {
    return await explain(this.#services, this.#lookup, request)
  }

  /** Deletes everything in this namespace. Needs a backend that has `clear`. */
  async clear (): Promise<void> {
    await clear(this.#services)
  }

  /** Returns the counters since start, and how much the backend holds. Never rejects; a figure that the backend can't give is undefined. */
  async stats (): Promise<CacheStats> {
    const { backend, guard, observer, routes } = this.#services
    const held = backend.stats === undefined ? undefined : await guard.call('stats', () => backend.stats!()).catch(() => undefined)
    return {
      ...sum(routes.map((route) => route.stats)),
      errors: { ...observer.errors },
      damaged: observer.damaged,
      entries: held?.entries,
      bytes: held?.bytes,
      routes: byName(routes)
    }
  }
}

/** Counters by route name. Routes that differ only in their constraints share a name, so their counters are added up. */
function byName (routes: readonly KnownRoute[]): Record<string, RouteStats> {
  return Object.fromEntries(routes.map(({ name }) => [
    name, sum(routes.filter((route) => route.name === name).map((route) => route.stats))
  ]))
}
