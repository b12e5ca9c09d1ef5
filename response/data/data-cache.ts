// The data cache: the application's JSON values and bytes, in the same backend as responses, under separate keys.
import { show } from '../../registry/check.js'
import type { StoredEntry } from '../../registry/backend.js'
import { CACHE_ERR_BACKEND_FAILED, CACHE_ERR_CLOSED, CACHE_ERR_OPTION } from '../../registry/errors.js'
import { Backoff } from '../../registry/backoff.js'
import type { Fence } from '../../registry/fence.js'
import type { Flight } from '../fill/flight.js'
import type { LateReads } from '../fill/late-reads.js'
import { FillsUnderWay, type Place } from '../fill/single-flight.js'
import type { Observer } from '../observe/observer.js'
import { staleFrom, type ValueHead } from '../store/entry.js'
import { tagName } from '../known-route.js'
import { UNAVAILABLE } from '../../registry/unavailable.js'
import type { BackendGuard } from '../store/backend-guard.js'
import type { Store } from '../store/store.js'
import { dataKey } from '../request/key.js'
import { safeError, type ThrottledLog } from '../observe/log.js'
import { tagsOf, type Tags } from '../store/tags.js'
import { unfitPart } from './json-value.js'
import { getOrSetSettings, setSettings, type GetOrSetOptions, type SetOptions, type Settings } from './value-options.js'

/** The services of a registration that the data cache uses. */
export interface DataServices {
  readonly backendName: string
  readonly fence: Fence
  readonly guard: BackendGuard
  readonly lateReads: LateReads
  readonly lockTimeoutMs: number
  readonly namespace: string
  /** Returns the current time, in epoch milliseconds. */
  readonly now: () => number
  readonly log: ThrottledLog
  readonly observer: Observer
  readonly steadyNow: () => number
  readonly store: Store
  readonly tags: Tags
}

/** The argument that a producer receives. */
export interface ProduceContext {
  /** A signal that is aborted when the cache closes. */
  readonly signal: AbortSignal
}

/** A stored value that was found. All times are in epoch milliseconds. */
interface StoredValue {
  readonly value: unknown
  readonly freshUntil: number
  readonly staleUntil: number
  readonly staleOnErrorUntil: number
  readonly tags: readonly string[]
}

/** One call of `getOrSet`. */
interface ValueRequest<T> {
  readonly stored: string
  readonly settings: Settings
  readonly mark: number
  /** Returns the names under which the fence knows the value: its key and its tags. */
  readonly names: () => string[]
  readonly produce: (context: ProduceContext) => Promise<T> | T
}

/** What concurrent calls share: the value that a producer returned, or the error that it threw. */
type Produced = { readonly value: unknown } | { readonly err: unknown }

/**
 * Limit on keys with a running producer. While it is reached, a call that returns a stale value doesn't start a producer. A later call may
 * do so.
 */
const MAX_PRODUCERS_BEHIND = 100

export class DataCache {
  readonly #services: DataServices
  readonly #signal: AbortSignal
  readonly #producers: FillsUnderWay<Produced>
  readonly #backoff: Backoff

  constructor (services: DataServices, signal: AbortSignal) {
    this.#services = services
    this.#signal = signal
    this.#producers = new FillsUnderWay(services.steadyNow, services.lockTimeoutMs)
    this.#backoff = new Backoff(services.steadyNow)
  }

  async get (key: string): Promise<unknown> {
    const held = await this.#find(this.#key(key))
    return held !== undefined && this.#isFresh(held) ? held.value : undefined
  }

  async has (key: string): Promise<boolean> {
    return await this.get(key) !== undefined
  }

  async set (key: string, value: unknown, options: SetOptions): Promise<void> {
    const stored = this.#key(key)
    const kept = setSettings(options)
    const { fence, guard } = this.#services
    const entry = this.#encode(stored, value, kept, await this.#stamps(kept.tags))
    // A producer that began earlier may return an older value. Moving the fence keeps that value from being stored after this one.
    fence.move(stored)
    await guard.write('set', stored, entry)
    fence.move(stored)
    this.#backoff.succeeded(stored)
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
    const { fence, guard, now } = this.#services
    if (guard.isClosed) throw new CACHE_ERR_CLOSED('getOrSet')
    const job: ValueRequest<T> = { stored, settings: kept, mark: fence.mark, names: () => [stored, ...kept.tags.map(tagName)], produce }
    const held = await this.#findLate(stored).catch(() => undefined)
    if (held !== undefined && this.#isFresh(held)) return held.value as T
    if (held !== undefined && now() < held.staleUntil) {
      this.#refresh(job)
      return held.value as T
    }
    try {
      return await this.#one(job)
    } catch (err) {
      // If the stale value was invalidated while the producer ran, it must not be returned.
      const isGone = held === undefined || now() >= held.staleOnErrorUntil ||
        fence.movedSince(job.mark, () => [...job.names(), ...held.tags.map(tagName)])
      if (isGone) throw err
      this.#failed(err)
      return held.value as T
    }
  }

  /** Produces a new value while the stale one is returned, unless a producer for its key is running or has just failed. */
  #refresh<T> (job: ValueRequest<T>): void {
    const { stored } = job
    if (this.#producers.has(stored) || this.#producers.keys >= MAX_PRODUCERS_BEHIND || this.#backoff.pauses(stored)) return
    this.#services.guard.track(this.#one(job).catch((err) => {
      this.#backoff.failed(stored)
      this.#failed(err)
    }))
  }

  #failed (err: unknown): void {
    this.#services.log.warn('producer', { err: safeError(err) }, 'cache: a producer failed, its stale value was returned')
  }

  /** Returns the produced value. Concurrent calls for a key share one run of the producer. */
  async #one<T> (job: ValueRequest<T>): Promise<T> {
    const { stored: key, mark, names } = job
    const { fence } = this.#services
    const begin = { key, mark, mayBegin: true, names: [], selects: () => '' }
    const mayShare = (other: Flight<Produced>): boolean => !fence.movedSince(other.mark, names)
    const { joined, begun } = this.#producers.joinOrBegin({ ...begin, mayShare })
    if (joined === undefined) return await this.#run(job, begun)
    const outcome = await joined.wait(begin.selects)
    if ('value' in outcome) return asRead(outcome.value) as T
    if ('err' in outcome) throw outcome.err
    // The other producer takes long. Perhaps it waits for this value itself.
    return await this.#run(job, this.#producers.joinOrBegin({ ...begin, mayShare: () => false }).begun)
  }

  /** Runs the producer. The calls that wait for `flight` receive its value or error. */
  async #run<T> (job: ValueRequest<T>, flight: Flight<Produced> | undefined): Promise<T> {
    const place = this.#producers.begin({ key: job.stored, mayStore: true, flight, selects: () => '' }, false)
    try {
      const value = await this.#produce(job, place)
      flight?.share(() => ({ value }))
      return value
    } catch (err) {
      flight?.share(() => ({ err }))
      throw err
    } finally {
      if (flight !== undefined) this.#producers.land(flight)
      this.#producers.end(place)
    }
  }

  async #produce<T> ({ stored, settings, mark, names, produce }: ValueRequest<T>, place: Place<Produced>): Promise<T> {
    const { fence, guard, lateReads, tags } = this.#services
    const stamps = settings.tags.length === 0 ? [] : await tags.stamped(settings.tags, guard.deadline())
    const value = await produce({ signal: this.#signal })
    this.#backoff.succeeded(stored)
    // The caller receives the value even if it can't be stored.
    if (stamps === UNAVAILABLE || value === undefined || place.isSuperseded || fence.movedSince(mark, names)) return value
    this.#producers.supersede(place, [])
    try {
      if (guard.writeBehind(stored, this.#encode(stored, value, settings, stamps))) lateReads.note(stored)
    } catch (fault) {
      this.#services.observer.fault('cache.getOrSet', 'value', fault)
    }
    return value
  }

  #isFresh ({ freshUntil }: StoredValue): boolean {
    return this.#services.now() < freshUntil
  }

  /** Finds a value. If one was stored meanwhile, which the lookup may have missed, looks again. */
  async #findLate (stored: string): Promise<StoredValue | undefined> {
    const { lateReads } = this.#services
    const began = lateReads.begin()
    const held = await this.#find(stored).catch(() => undefined)
    return lateReads.end(stored, began) && (held === undefined || !this.#isFresh(held)) ? await this.#find(stored) : held
  }

  async #find (stored: string): Promise<StoredValue | undefined> {
    const { guard, store } = this.#services
    const read = await guard.read(stored)
    const entry = store.believed(read, stored)
    if (read === undefined || entry === undefined || entry === UNAVAILABLE || entry.head.kind !== 'value') return undefined
    const { json, tags = [], freshUntil = read.expiresAt, staleUntil = 0, staleOnErrorUntil = 0 } = entry.head
    const currentUntil = await this.#currentUntil(tags)
    if (currentUntil === undefined) return undefined
    const lives = staleFrom({ freshUntil, staleUntil, staleOnErrorUntil }, currentUntil)
    return { value: json ? JSON.parse(entry.body.toString()) : Buffer.from(entry.body), ...lives, tags: tagsOf(tags) }
  }

  /**
   * Returns the time until which a value with these stamps is current, in epoch milliseconds. This is the time of its soft invalidation, or
   * Infinity if it was not invalidated. Returns undefined if an invalidation was not soft, if a stamp was lost, or if the backend is
   * unavailable.
   */
  async #currentUntil (stamps: readonly string[]): Promise<number | undefined> {
    if (stamps.length === 0) return Infinity
    const { guard, tags } = this.#services
    const deadline = guard.deadline()
    const current = await tags.areCurrent(stamps, deadline)
    if (current !== false) return current === true ? Infinity : undefined
    const since = await tags.staleSince(stamps, deadline)
    return since === UNAVAILABLE ? undefined : since
  }

  async #stamps (tags: readonly string[]): Promise<readonly string[]> {
    if (tags.length === 0) return []
    const { guard, backendName } = this.#services
    const stamps = await this.#services.tags.stamped(tags, guard.deadline())
    if (stamps === UNAVAILABLE) throw new CACHE_ERR_BACKEND_FAILED(backendName, 'get', 'the tags could not be read; the log says why')
    return stamps
  }

  #encode (
    stored: string, value: unknown, { ttlMs, staleWhileRevalidateMs, staleIfErrorMs }: Settings, stamps: readonly string[]
  ): StoredEntry {
    const isBytes = value instanceof Uint8Array
    const unfit = isBytes ? undefined : unfitPart(value)
    if (unfit !== undefined) {
      throw new CACHE_ERR_OPTION('cache.set(key, value)', `a JSON value or a Buffer; store ${unfit.instead}`, unfit.what)
    }
    const body = isBytes ? Buffer.from(value) : JSON.stringify(value)
    const at = this.#services.now()
    const freshUntil = at + ttlMs
    const staleMs = Math.max(staleWhileRevalidateMs, staleIfErrorMs)
    const head: ValueHead = {
      kind: 'value',
      key: stored,
      storedAt: at,
      json: !isBytes,
      ...(stamps.length > 0 && { tags: stamps }),
      ...(staleMs > 0 && { freshUntil }),
      ...(staleWhileRevalidateMs > 0 && { staleUntil: freshUntil + staleWhileRevalidateMs }),
      ...(staleIfErrorMs > 0 && { staleOnErrorUntil: freshUntil + staleIfErrorMs })
    }
    return { value: this.#services.store.codec.encode(head, body), expiresAt: freshUntil + staleMs }
  }

  #key (key: unknown): string {
    if (typeof key !== 'string' || key === '') throw new CACHE_ERR_OPTION('cache key', 'a non-empty string', show(key))
    return dataKey(this.#services.namespace, key)
  }
}

/**
 * Returns a copy of the value, equal to what a read returns once the value is stored. If the value can't be stored, returns the value
 * itself.
 */
function asRead (value: unknown): unknown {
  if (value instanceof Uint8Array) return Buffer.from(value)
  return unfitPart(value) === undefined ? JSON.parse(JSON.stringify(value)) : value
}
