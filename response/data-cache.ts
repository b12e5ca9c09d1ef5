// The data cache: JSON values and bytes of the application, in the same backend, in a key space of their own.
import type { Duration } from '../registry/check.js'
import { aDuration, checkOptions, duration, expects, show } from '../registry/check.js'
import { CACHE_ERR_BACKEND_FAILED, CACHE_ERR_CLOSED, CACHE_ERR_OPTION } from '../registry/errors.js'
import type { Engine } from './engine.js'
import type { ValueHead } from './store/entry.js'
import { tagName } from './fill/filling.js'
import { UNAVAILABLE } from './store/guard.js'
import { digest, namespacePrefix } from './key.js'
import { LATE, within } from './later.js'
import { areTags, MAX_TAGS } from './options.js'

/** How a value is kept. */
export interface SetOptions {
  /** How long it is kept. Required. */
  ttl: Duration
  /** Names by which it can be invalidated. @default [] */
  tags?: readonly string[]
}

/** Lent to a producer. */
export interface ProduceContext {
  /** Aborted when the cache closes. */
  readonly signal: AbortSignal
}

const SET_CHECKS = {
  ttl: aDuration,
  tags: expects<readonly string[]>(`an array of at most ${MAX_TAGS} strings`, areTags)
}

/** The key under which the backend holds a value. A digest: an application's keys may hold what no log should show. */
export function dataKey (namespace: string, key: string): string {
  return `${namespacePrefix(namespace)}d ${digest(key)}`
}

export class DataCache {
  readonly #engine: Engine
  readonly #signal: AbortSignal
  readonly #producing = new Map<string, { readonly mark: number, readonly value: Promise<unknown> }>()

  constructor (engine: Engine, signal: AbortSignal) {
    this.#engine = engine
    this.#signal = signal
  }

  async get (key: string): Promise<unknown> {
    const found = await this.#find(this.#key(key))
    return found?.value
  }

  async has (key: string): Promise<boolean> {
    return await this.#find(this.#key(key)) !== undefined
  }

  async set (key: string, value: unknown, options: SetOptions): Promise<void> {
    const stored = this.#key(key)
    const { ttlMs, tags } = settings('cache.set', options)
    const { fence, guard } = this.#engine
    const { bytes, expiresAt } = this.#encode(stored, value, ttlMs, await this.#stamps(tags))
    // A producer that began before this knows an older value.
    fence.move(stored)
    await guard.change('set', stored, { value: bytes, expiresAt })
    fence.move(stored)
  }

  async delete (key: string): Promise<void> {
    const stored = this.#key(key)
    this.#engine.fence.move(stored)
    await this.#engine.guard.change('delete', stored)
    this.#engine.fence.move(stored)
  }

  async getOrSet<T> (key: string, options: SetOptions, produce: (context: ProduceContext) => Promise<T> | T): Promise<T> {
    const stored = this.#key(key)
    const { ttlMs, tags } = settings('cache.getOrSet', options)
    if (typeof produce !== 'function') throw new CACHE_ERR_OPTION('cache.getOrSet(key, options, produce)', 'a function', show(produce))
    const { fence } = this.#engine
    if (this.#engine.closed) throw new CACHE_ERR_CLOSED('getOrSet')
    const mark = fence.mark()
    const names = (): string[] => [stored, ...tags.map(tagName)]
    const found = await this.#find(stored).catch(() => undefined)
    if (found !== undefined) return found.value as T
    const under = this.#producing.get(stored)
    if (under !== undefined && !fence.movedSince(under.mark, names)) {
      // Not for ever: the producer that is waited for may be waiting for this very value.
      const waited = await within(this.#engine.lockTimeoutMs, under.value)
      if (waited !== LATE) return waited as T
    }
    const value = this.#produce(stored, { ttlMs, tags, mark, names }, produce)
    const entry = { mark, value }
    this.#producing.set(stored, entry)
    try {
      return await value
    } finally {
      if (this.#producing.get(stored) === entry) this.#producing.delete(stored)
    }
  }

  async #produce<T> (stored: string, { ttlMs, tags, mark, names }: { ttlMs: number, tags: readonly string[], mark: number, names: () => string[] }, produce: (context: ProduceContext) => Promise<T> | T): Promise<T> {
    const { fence, guard } = this.#engine
    const stamps = tags.length === 0 ? [] : await this.#engine.tags.stamped(tags, guard.deadline())
    const value = await produce({ signal: this.#signal })
    // What can't be stored was produced all the same: the caller has it.
    if (stamps !== UNAVAILABLE && value !== undefined && !fence.movedSince(mark, names)) {
      try {
        const { bytes, expiresAt } = this.#encode(stored, value, ttlMs, stamps)
        guard.put(stored, { value: bytes, expiresAt })
      } catch (fault) {
        this.#engine.fault('cache.getOrSet', 'value', fault)
      }
    }
    return value
  }

  async #find (stored: string): Promise<{ readonly value: unknown } | undefined> {
    const { guard, store, tags } = this.#engine
    const read = await guard.read(stored)
    const entry = store.believed(read, stored)
    if (entry === undefined || entry === UNAVAILABLE || entry.head.kind !== 'value') return undefined
    if (entry.head.tags !== undefined && await tags.areCurrent(entry.head.tags, guard.deadline()) !== true) return undefined
    return { value: entry.head.json ? JSON.parse(entry.body.toString()) : Buffer.from(entry.body) }
  }

  async #stamps (tags: readonly string[]): Promise<readonly string[]> {
    if (tags.length === 0) return []
    const { guard, backendName } = this.#engine
    const stamps = await this.#engine.tags.stamped(tags, guard.deadline())
    if (stamps === UNAVAILABLE) throw new CACHE_ERR_BACKEND_FAILED(backendName, 'get', 'no answer for the tags; the log says why')
    return stamps
  }

  #encode (stored: string, value: unknown, ttlMs: number, stamps: readonly string[]): { bytes: Buffer, expiresAt: number } {
    const isBytes = value instanceof Uint8Array
    const body = isBytes ? Buffer.from(value) : json(value)
    if (body === undefined) throw new CACHE_ERR_OPTION('cache.set(key, value)', 'a JSON value or a Buffer', show(value))
    const at = this.#engine.now()
    const head: ValueHead = { kind: 'value', key: stored, storedAt: at, json: !isBytes, ...(stamps.length > 0 && { tags: stamps }) }
    return { bytes: this.#engine.store.codec.encode(head, body), expiresAt: at + ttlMs }
  }

  #key (key: unknown): string {
    if (typeof key !== 'string' || key === '') throw new CACHE_ERR_OPTION('cache key', 'a string that is not empty', show(key))
    return dataKey(this.#engine.namespace, key)
  }
}

/** undefined for what has no JSON: a function, a BigInt, a circle. */
function json (value: unknown): string | undefined {
  try {
    return JSON.stringify(value)
  } catch {
    return undefined
  }
}

function settings (who: string, options: SetOptions): { ttlMs: number, tags: readonly string[] } {
  const { ttl, tags = [] } = checkOptions<SetOptions>(who, options, SET_CHECKS)
  return { ttlMs: duration()(ttl, `${who}.ttl`), tags }
}
