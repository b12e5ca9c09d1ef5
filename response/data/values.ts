// Values of the data cache in the backend: how they are found, checked and encoded.
import type { StoredEntry } from '../../registry/backend.js'
import { CACHE_ERR_BACKEND_FAILED, CACHE_ERR_OPTION } from '../../registry/errors.js'
import { UNAVAILABLE } from '../../registry/unavailable.js'
import type { LateReads } from '../fill/late-reads.js'
import type { BackendGuard } from '../store/backend-guard.js'
import { staleFrom, type ValueHead } from '../store/entry.js'
import type { Store } from '../store/store.js'
import { tagsOf, type Tags } from '../store/tags.js'
import { unfitPart } from './json-value.js'
import type { Settings } from './value-options.js'

/** The services that values use. */
export interface ValueServices {
  readonly backendName: string
  readonly guard: BackendGuard
  readonly lateReads: LateReads
  /** Returns the current time, in epoch milliseconds. */
  readonly now: () => number
  readonly store: Store
  readonly tags: Tags
}

/** A stored value that was found. All times are in epoch milliseconds. */
export interface StoredValue {
  readonly value: unknown
  readonly freshUntil: number
  readonly staleUntil: number
  readonly staleOnErrorUntil: number
  readonly tags: readonly string[]
  /** When the entry expires. */
  readonly expiresAt: number
}

export class Values {
  readonly #services: ValueServices

  constructor (services: ValueServices) {
    this.#services = services
  }

  /** Returns whether a value is fresh now. */
  isFresh ({ freshUntil }: StoredValue): boolean {
    return this.#services.now() < freshUntil
  }

  /** Finds a value. If one was stored meanwhile, which the lookup may have missed, looks again. */
  async findLate (stored: string): Promise<StoredValue | undefined> {
    const { lateReads } = this.#services
    const began = lateReads.begin()
    const held = await this.find(stored).catch(() => undefined)
    return lateReads.end(stored, began) && (held === undefined || !this.isFresh(held)) ? await this.find(stored) : held
  }

  /** Finds the value under a stored key. Rejects if the backend is unavailable. */
  async find (stored: string): Promise<StoredValue | undefined> {
    const { guard, store } = this.#services
    const read = await guard.read(stored)
    const entry = store.believed(read, stored)
    if (read === undefined || entry === undefined || entry === UNAVAILABLE || entry.head.kind !== 'value') return undefined
    const { json, tags = [], freshUntil = read.expiresAt, staleUntil = 0, staleOnErrorUntil = 0 } = entry.head
    const currentUntil = await this.#currentUntil(tags)
    if (currentUntil === undefined) return undefined
    const lives = staleFrom({ freshUntil, staleUntil, staleOnErrorUntil }, currentUntil)
    const value: unknown = json ? JSON.parse(entry.body.toString()) : Buffer.from(entry.body)
    return { value, ...lives, tags: tagsOf(tags), expiresAt: read.expiresAt }
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

  /** Returns the tags with their stamps. Rejects if the backend is unavailable. */
  async stamps (tags: readonly string[]): Promise<readonly string[]> {
    if (tags.length === 0) return []
    const { guard, backendName } = this.#services
    const stamps = await this.#services.tags.stamped(tags, guard.deadline())
    if (stamps === UNAVAILABLE) throw new CACHE_ERR_BACKEND_FAILED(backendName, 'get', 'the tags could not be read; the log says why')
    return stamps
  }

  /** Encodes a value. Throws CACHE_ERR_OPTION if it can't be stored. */
  encode (
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
}
