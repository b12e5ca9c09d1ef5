// One tier. It is read within a deadline, and only for keys that are not in doubt. It is paused while it fails.
import type { CacheBackend, ClearOptions, MaybePromise, StoredEntry } from '../../registry/backend.js'
import { HELD_UP, NO_ANSWER, type Deadline, type Wait } from '../../registry/deadline.js'
import type { BackendContext } from '../../registry/registry.js'
import { UNAVAILABLE, type Read } from '../../registry/unavailable.js'
import { TierWriteQueue, MAX_UNCONFIRMED } from './write-queue.js'
import { andThen, isPromise } from '../../registry/maybe-promise.js'
import { all, settle, type Settled } from './settled.js'
import { TierPause } from './tier-pause.js'

/** If this many changes are under way, entries that are read from other tiers are not copied to this tier. */
const MAX_COPIES = 100

/** One read of several tiers. */
export interface Asking {
  /** The deadline of the read. Its time starts when the first asynchronous tier uses it. */
  readonly deadline: Deadline
}

export interface TierOptions {
  readonly name: string
  readonly backend: CacheBackend
  /** The number of tiers from this one to the last, which share the time that is left until a read's deadline. */
  readonly sharing: number
}

export class Tier {
  readonly backend: CacheBackend
  readonly name: string
  /** The last error of the tier. */
  error: unknown
  readonly #sharing: number
  readonly #now: () => number
  readonly #pause: TierPause
  readonly #writes: TierWriteQueue

  constructor ({ name, backend, sharing }: TierOptions, { now, log }: BackendContext) {
    this.#sharing = sharing
    this.name = name
    this.backend = backend
    this.#now = now
    this.#pause = new TierPause(now)
    this.#writes = new TierWriteQueue(backend, this.#pause, () => {
      const cure = backend.clear === undefined ? "which it can't; restart to use it again" : 'which is retried'
      log.warn({ tier: name, unconfirmed: MAX_UNCONFIRMED },
        `cache: too many changes were not confirmed by a tier, nothing is read from it until it has been cleared, ${cure}`)
    })
  }

  /** The number of changes that were not confirmed. */
  get unconfirmed (): number {
    return this.#writes.unconfirmed
  }

  /** Returns whether the tier's entry under `key` may be wrong. If so, the tier is not asked about this key. */
  isInDoubt (key: string): boolean {
    return this.#writes.find(key) !== undefined
  }

  /** Returns the entry under `key`, undefined if there is none or it has expired, or UNAVAILABLE. Never throws or rejects. */
  read (key: string, asking: Asking): MaybePromise<Read> {
    const pending = this.#writes.find(key)
    if (pending !== undefined) return this.#alive(pending.entry)
    return this.#ask(() => this.backend.get(key), asking, (result) => this.#checked(result))
  }

  /** Reads several keys, in one step if the tier supports that. */
  readMany (keys: readonly string[], asking: Asking): MaybePromise<readonly Read[]> {
    const asked = keys.filter((key) => !this.isInDoubt(key))
    if (this.backend.getMany === undefined || asked.length < 2) return all(keys.map((key) => this.read(key, asking)))
    const results = this.#ask(() => this.backend.getMany!(asked), asking, (values): ReadonlyMap<string, Read> => {
      if (!Array.isArray(values) || values.length !== asked.length) throw new TypeError('the result is not a list with a value per key')
      return new Map(asked.map((key, index) => [key, this.#checked(values[index])]))
    })
    return andThen(results, (reads) => keys.map((key) => {
      if (!asked.includes(key)) return this.#alive(this.#writes.find(key)?.entry)
      return reads === UNAVAILABLE ? UNAVAILABLE : reads.get(key)
    }))
  }

  /** Returns whether there is an entry under `key` that has not expired. */
  has (key: string, asking: Asking): MaybePromise<boolean | typeof UNAVAILABLE> {
    const pending = this.#writes.find(key)
    if (pending !== undefined) return this.#alive(pending.entry) !== undefined
    return this.#ask(() => this.backend.has!(key), asking, (result) => {
      if (typeof result !== 'boolean') throw new TypeError('the result is not true or false')
      return result
    })
  }

  /** Stores `entry` under `key`, or deletes the key if `entry` is undefined. Never throws or rejects. */
  change (key: string, entry: StoredEntry | undefined): MaybePromise<Settled> {
    return this.#noted(settle(() => this.#writes.change(key, entry)))
  }

  async clear (prefix: string, options: ClearOptions | undefined): Promise<Settled> {
    return await this.#noted(settle(() => this.#writes.clear(prefix, options)))
  }

  /** Stores a copy of another tier's entry, unless this tier is paused or busy, or has a pending change of the key. Does not wait. */
  copy (key: string, entry: StoredEntry): void {
    if (this.#pause.isWell && this.#writes.running < MAX_COPIES && !this.isInDoubt(key)) this.change(key, entry)
  }

  /** Tries unconfirmed changes again. */
  retry (): void {
    this.#writes.retry()
  }

  /** Calls the tier, and passes the result to `use`, which throws if the result is not valid. */
  #ask<T> (call: () => MaybePromise<unknown>, asking: Asking, use: (result: unknown) => T): MaybePromise<T | typeof UNAVAILABLE> {
    if (!this.#pause.admits()) return UNAVAILABLE
    try {
      const result = call()
      return isPromise(result) ? this.#awaited(result, asking, use) : this.#succeeded(use(result))
    } catch (error) {
      return this.#failed(error)
    }
  }

  async #awaited<T> (result: Promise<unknown>, { deadline }: Asking, use: (result: unknown) => T): Promise<T | typeof UNAVAILABLE> {
    try {
      // The result is wrapped in a promise, because the `then` of a thenable may throw.
      return this.#succeeded(use(await share(deadline, this.#sharing, Promise.resolve(result))))
    } catch (error) {
      return this.#failed(error)
    }
  }

  #succeeded<T> (result: T): T {
    this.#pause.succeeded()
    return result
  }

  #failed (error: unknown): typeof UNAVAILABLE {
    this.error = error
    if (error !== HELD_UP) this.#pause.failed()
    return UNAVAILABLE
  }

  #noted (outcome: MaybePromise<Settled>): MaybePromise<Settled> {
    return andThen(outcome, (failure) => {
      if (failure !== undefined) this.error = failure.error
      return failure
    })
  }

  #checked (result: unknown): StoredEntry | undefined {
    if (result === undefined) return undefined
    const { value, expiresAt } = (result ?? {}) as Partial<StoredEntry>
    if (!(value instanceof Uint8Array) || typeof expiresAt !== 'number') throw new TypeError('the result is not an entry')
    return this.#alive(result as StoredEntry)
  }

  #alive (entry: StoredEntry | undefined): StoredEntry | undefined {
    return entry !== undefined && entry.expiresAt > this.#now() ? entry : undefined
  }
}

/** Returns the result of `promise`. Rejects after this tier's share of the time until `deadline`, which is that time divided by `tiers`. */
async function share<T> (deadline: Deadline, tiers: number, promise: Promise<T>): Promise<T> {
  let wait: Wait | undefined
  const late = new Promise<never>((_resolve, reject) => {
    wait = deadline.wait((heldUp) => reject(heldUp ? HELD_UP : NO_ANSWER), { sharing: tiers })
  })
  try {
    return await Promise.race([promise, late])
  } finally {
    wait?.cancel()
  }
}
