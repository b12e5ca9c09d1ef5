// `fastify.cache`: what an application may ask of its cache.
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
 * The cache of one registration. What is called here was called on purpose: it rejects with CACHE_ERR_BACKEND_FAILED
 * when the backend fails, and with CACHE_ERR_CLOSED after the application closed.
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

  /** The value under `key` in the data cache: a JSON value, or a Buffer where bytes were set; undefined when absent. */
  async get<T = unknown> (key: string): Promise<T | undefined> {
    return await this.#data.get(key) as T | undefined
  }

  /** Keeps a JSON value, or bytes, for `ttl`. Settles when it is kept. */
  async set (key: string, value: unknown, options: SetOptions): Promise<void> {
    await this.#data.set(key, value, options)
  }

  /** Forgets a value of the data cache. A producer that is under way does not bring it back. */
  async delete (key: string): Promise<void> {
    await this.#data.delete(key)
  }

  /** Whether the data cache holds a value under `key`. */
  async has (key: string): Promise<boolean> {
    return await this.#data.has(key)
  }

  /**
   * The value under `key`, or what `produce` makes; one producer at a time for a key. A backend that fails costs the
   * value nothing: it is produced and not kept. Stale values are returned as the options say. Rejects with what the producer throws.
   */
  async getOrSet<T> (key: string, options: GetOrSetOptions, produce: (context: ProduceContext) => Promise<T> | T): Promise<T> {
    return await this.#data.getOrSet(key, options, produce)
  }

  /** Settles when no later read can see what was stored for `target`. CACHE_ERR_POWER_MISSING where only `clear` could. */
  async invalidate (target: InvalidationTarget): Promise<void> {
    await invalidate(this.#services, target)
  }

  /**
   * What would be done with such a request, and why: the key's parts, the entry's life, variants, tags. It goes by the rules
   * that requests go by, and runs no handler and no hook: what hooks put on a request is not there.
   */
  async explain (request: ExplainOptions): Promise<Explanation> {
    return await explain(this.#services, this.#lookup, request)
  }

  /** Forgets everything in this namespace. Needs a backend that has `clear`. */
  async clear (): Promise<void> {
    await clear(this.#services)
  }

  /** Counters since start, and what the backend holds. Never rejects: what the backend can't say is undefined. */
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

/** Routes of one name, told apart by constraints, are one line. */
function byName (routes: readonly KnownRoute[]): Record<string, RouteStats> {
  return Object.fromEntries(routes.map(({ name }) => [
    name, sum(routes.filter((route) => route.name === name).map((route) => route.stats))
  ]))
}
