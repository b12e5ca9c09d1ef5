// The data cache: the application's JSON values and bytes, in the same backend as responses, under separate keys.
import { show } from '../../registry/check.js'
import { CACHE_ERR_CLOSED, CACHE_ERR_OPTION } from '../../registry/errors.js'
import { tagName } from '../known-route.js'
import { dataKey } from '../request/key.js'
import { Producers, type ProduceContext, type ProducerServices, type ValueRequest } from './producers.js'
import { getOrSetSettings, setSettings, type GetOrSetOptions, type SetOptions } from './value-options.js'
import { Values } from './values.js'

/** The services of a registration that the data cache uses. */
export interface DataServices extends ProducerServices {
  readonly namespace: string
}

export class DataCache {
  readonly #services: DataServices
  readonly #values: Values
  readonly #producers: Producers

  constructor (services: DataServices, signal: AbortSignal) {
    this.#services = services
    this.#values = new Values(services)
    this.#producers = new Producers(services, this.#values, signal)
  }

  async get (key: string): Promise<unknown> {
    const held = await this.#values.find(this.#key(key))
    return held !== undefined && this.#values.isFresh(held) ? held.value : undefined
  }

  async has (key: string): Promise<boolean> {
    return await this.get(key) !== undefined
  }

  async set (key: string, value: unknown, options: SetOptions): Promise<void> {
    const stored = this.#key(key)
    const kept = setSettings(options)
    const { fence, guard } = this.#services
    const entry = this.#values.encode(stored, value, kept, await this.#values.stamps(kept.tags))
    // A producer that began earlier may return an older value. Moving the fence keeps that value from being stored after this one.
    fence.move(stored)
    await guard.write('set', stored, entry)
    fence.move(stored)
    this.#producers.succeeded(stored)
  }

  async delete (key: string): Promise<void> {
    const stored = this.#key(key)
    this.#services.fence.move(stored)
    await this.#services.guard.write('delete', stored)
    this.#services.fence.move(stored)
  }

  async getOrSet<T> (key: string, options: GetOrSetOptions, produce: (context: ProduceContext) => Promise<T> | T): Promise<T> {
    const stored = this.#key(key)
    const kept = getOrSetSettings(options)
    if (typeof produce !== 'function') throw new CACHE_ERR_OPTION('cache.getOrSet(key, options, produce)', 'a function', show(produce))
    const { claims, fence, guard, now } = this.#services
    if (guard.isClosed) throw new CACHE_ERR_CLOSED('getOrSet')
    const since = performance.now()
    const { mark } = fence
    const held = await this.#values.findLate(stored).catch(() => undefined)
    if (held !== undefined && this.#values.isFresh(held)) return held.value as T
    const names = (): string[] => [stored, ...kept.tags.map(tagName)]
    const job: ValueRequest<T> = { stored, settings: kept, mark, names, produce, seen: held?.expiresAt, since }
    if (held !== undefined && now() < held.staleUntil) {
      this.#producers.refresh(job)
      return held.value as T
    }
    try {
      return await this.#producers.one(job)
    } catch (err) {
      // If the stale value was invalidated while the producer ran, also by another process, it must not be returned.
      const isGone = held === undefined || now() >= held.staleOnErrorUntil ||
        fence.movedSince(job.mark, () => [...job.names(), ...held.tags.map(tagName)]) ||
        (claims !== undefined && await this.#values.find(stored).catch(() => undefined) === undefined)
      if (isGone) throw err
      this.#producers.failed(err)
      return held.value as T
    }
  }

  #key (key: unknown): string {
    if (typeof key !== 'string' || key === '') throw new CACHE_ERR_OPTION('cache key', 'a non-empty string', show(key))
    return dataKey(this.#services.namespace, key)
  }
}
