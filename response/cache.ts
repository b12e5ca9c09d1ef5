// `fastify.cache`: the methods that applications call.
import type { Power } from '../registry/backend.js'
import { powersOf } from '../registry/backend.js'
import { DataCache } from './data/data-cache.js'
import type { ProduceContext } from './data/producers.js'
import type { Services } from './services.js'
import { explain, type ExplainOptions } from './explain/explain.js'
import type { Explanation } from './explain/explanation.js'
import { clear, invalidate } from './invalidation/invalidate.js'
import type { RouteLookup } from './explain/route-lookup.js'
import type { KnownRoute } from './known-route.js'
import { noClaims, sum, type CacheStats, type RouteStats } from './observe/observer.js'
import type { GetOrSetOptions, SetOptions } from './data/value-options.js'
import type { InvalidationTarget } from './options/invalidation-target.js'

/**
 * The cache of one registration. Unless stated otherwise, its methods reject with CACHE_ERR_BACKEND_FAILED if the backend fails, and with
 * CACHE_ERR_CLOSED after the application has closed.
 */
export class ResponseCache {
  /** The backend's name and the optional methods that it has. */
  readonly backend: {
    /** The name by which the backend was chosen. */
    readonly name: string
    /** The names of the backend's optional methods. */
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

  /** Returns the value under `key` in the data cache (a Buffer if bytes were stored, else a JSON value), or undefined if there is none. */
  async get<T = unknown> (key: string): Promise<T | undefined> {
    return await this.#data.get(key) as T | undefined
  }

  /** Stores a JSON value or bytes under `key` in the data cache, for the duration `ttl`. Resolves once the value is stored. */
  async set (key: string, value: unknown, options: SetOptions): Promise<void> {
    await this.#data.set(key, value, options)
  }

  /** Deletes a value from the data cache. If a producer of that value is already running, its result is not stored. */
  async delete (key: string): Promise<void> {
    await this.#data.delete(key)
  }

  /** Returns whether the data cache holds a value under `key`. */
  async has (key: string): Promise<boolean> {
    return await this.#data.has(key)
  }

  /**
   * Returns the value under `key`. If there is none, runs the producer (`produce`), stores its result and returns it; only one producer
   * runs for a key at a time. If the backend fails, the producer's result is returned without being stored. The options say when a stale
   * value may be returned. If the producer throws an error, rejects with that error.
   */
  async getOrSet<T> (key: string, options: GetOrSetOptions, produce: (context: ProduceContext) => Promise<T> | T): Promise<T> {
    return await this.#data.getOrSet(key, options, produce)
  }

  /**
   * Invalidates everything stored for `target`. Resolves once the invalidation applies to every later read. Rejects with
   * CACHE_ERR_POWER_MISSING if the target requires the optional method `clear` and the backend doesn't have it.
   */
  async invalidate (target: InvalidationTarget): Promise<void> {
    await invalidate(this.#services, target)
  }

  /**
   * Explains what the cache would do with a request, and why. Shows the parts of the key, and the lifetime, tags and variants of the stored
   * response. The rules are the same as for a real request, but no hooks and no handler run, so anything that hooks add is missing.
   */
  async explain (request: ExplainOptions): Promise<Explanation> {
    return await explain(this.#services, this.#lookup, request)
  }

  /** Deletes everything in this registration's namespace. Requires a backend that has the optional method `clear`. */
  async clear (): Promise<void> {
    await clear(this.#services)
  }

  /** Returns the counters since the start, and the size of the backend's contents (undefined if the backend can't tell). Never rejects. */
  async stats (): Promise<CacheStats> {
    const { backend, claims, guard, observer, routes } = this.#services
    const held = backend.stats === undefined ? undefined : await guard.call('stats', () => backend.stats!()).catch(() => undefined)
    return {
      ...sum(routes.map((route) => route.stats)),
      errors: { ...observer.errors },
      damaged: observer.damaged,
      claims: { ...claims?.stats ?? noClaims() },
      entries: held?.entries,
      bytes: held?.bytes,
      routes: byName(routes)
    }
  }
}

/** Returns the counters by route name. Routes that differ only in their constraints share a name, so their counters are added up. */
function byName (routes: readonly KnownRoute[]): Record<string, RouteStats> {
  return Object.fromEntries(routes.map(({ name }) => [
    name, sum(routes.filter((route) => route.name === name).map((route) => route.stats))
  ]))
}
