// The class of the tiered backend. It writes from far to near. It does not read a key from a tier with an unconfirmed change of that key.
import { Fence } from '../../registry/fence.js'
import type { BackendStats, CacheBackend, ClearOptions, MaybePromise, StoredEntry } from '../../registry/backend.js'
import type { BackgroundTask } from '../../registry/background.js'
import { CACHE_ERR_BACKEND_FAILED, CACHE_ERR_CLOSED } from '../../registry/errors.js'
import { isRefusal } from '../../registry/refusal.js'
import type { BackendContext } from '../../registry/registry.js'
import type { Settings } from './options.js'
import { andThen } from '../../registry/maybe-promise.js'
import { all, settle, type Settled } from './settled.js'
import { has, read, readMany, type Shared } from './read-through.js'
import { Tier } from './tier.js'

/** How often unconfirmed changes are tried again. */
const RETRY_INTERVAL_MS = 1_000

/** A backend that consists of other backends, its tiers. */
export class TieredBackend implements CacheBackend {
  // These optional methods are present only if the tiers support them.
  declare has?: (key: string) => MaybePromise<boolean>
  declare clear?: (prefix?: string, options?: ClearOptions) => MaybePromise<void>
  declare keys?: (pattern?: string) => MaybePromise<string[]>
  declare size?: () => MaybePromise<number>
  declare stats?: () => MaybePromise<BackendStats>
  declare getMany?: (keys: readonly string[]) => MaybePromise<Array<StoredEntry | undefined>>

  readonly #tiers: readonly Tier[]
  readonly #shared: Shared
  readonly #fence = new Fence()
  readonly #now: () => number
  readonly #retries: BackgroundTask
  #closing: Promise<void> | undefined

  /** Opens all tiers. If one of them can't be opened, the others are closed again. */
  static async open (settings: Settings, context: BackendContext): Promise<TieredBackend> {
    const tiers: Tier[] = []
    try {
      for (const [index, choice] of settings.tiers.entries()) {
        tiers.push(new Tier({ name: choice.backend, backend: await context.open(choice), sharing: settings.tiers.length - index }, context))
      }
    } catch (error) {
      await closeAll(tiers)
      throw error
    }
    return new TieredBackend(tiers, settings, context)
  }

  private constructor (
    tiers: readonly Tier[], { deadlineMs, nearTtlMs, stampTtlMs }: Settings, { now, background, isStamp }: BackendContext
  ) {
    this.#tiers = tiers
    this.#now = now
    const capped = (key: string, { value, expiresAt }: StoredEntry): StoredEntry => {
      const ttlMs = isStamp?.(key) === true ? stampTtlMs : nearTtlMs
      return { value, expiresAt: Math.floor(Math.min(expiresAt, now() + ttlMs)) }
    }
    this.#shared = { tiers, fence: this.#fence, deadlineMs, capped }
    this.#retries = background.every('tiered: changes that were not confirmed', RETRY_INTERVAL_MS, () => {
      for (const tier of tiers) tier.retry()
    })
    this.#addPowers()
  }

  /** Returns the entry from the nearest tier that has it. Throws CACHE_ERR_BACKEND_FAILED if all tiers are unavailable. */
  get (key: string): MaybePromise<StoredEntry | undefined> {
    this.#refuseClosed('get')
    return read(this.#shared, key)
  }

  /**
   * Resolves when the last tier has the entry and no tier has the previous one. Otherwise rejects. In both cases, the nearer tiers get a
   * copy, so the entry may be served from a nearer tier even if the last tier can't store it.
   */
  set (key: string, entry: StoredEntry): MaybePromise<void> {
    this.#refuseClosed('set')
    if (!(entry.expiresAt > this.#now())) return this.#remove('set', key)
    const mark = this.#fence.move(key)
    // The nearer tiers delete the old entry first, so that it is not left in a tier that outlives the process if the process ends in
    // between. The last tier does not wait for a slow delete in a nearer tier, where the old copy expires after nearTtl at most.
    const removed = this.#tiers.slice(0, -1).map((tier) => tier.change(key, undefined))
    const kept = this.#tiers.at(-1)!.change(key, entry)
    return andThen(all([...removed, kept]), (outcomes) => {
      const copied = this.#closing === undefined && !this.#fence.movedSince(mark, () => [key])
        ? this.#keepNear(key, entry, outcomes)
        : outcomes
      return andThen(copied, (settled) => this.#confirm('set', settled))
    })
  }

  /** Resolves when no tier has the entry any more. Rejects if a tier did not confirm this. */
  delete (key: string): MaybePromise<void> {
    this.#refuseClosed('delete')
    return this.#remove('delete', key)
  }

  /** Closes every tier, even if some of them fail to close. After that, rejects if any of them has failed. */
  close (): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  #remove (operation: string, key: string): MaybePromise<void> {
    this.#fence.move(key)
    // The tiers are called from far to near, so the results are in that order.
    const outcomes = this.#tiers.toReversed().map((tier) => tier.change(key, undefined))
    return andThen(all(outcomes), (settled) => this.#confirm(operation, settled.toReversed()))
  }

  /** Stores a copy in the nearer tiers, the farthest of them first. Waits only for a tier that did not confirm its delete. */
  #keepNear (key: string, entry: StoredEntry, outcomes: readonly Settled[]): MaybePromise<readonly Settled[]> {
    const settled: Array<MaybePromise<Settled>> = [...outcomes]
    for (let index = this.#tiers.length - 2; index >= 0; index--) {
      const copy = this.#tiers[index]!.change(key, this.#shared.capped(key, entry))
      if (outcomes[index] !== undefined) settled[index] = copy
    }
    return all(settled)
  }

  #confirm (operation: string, outcomes: readonly Settled[]): void {
    const failed = outcomes.findLastIndex((outcome) => outcome !== undefined)
    if (failed === -1) return
    const which = `tier ${failed + 1} of ${outcomes.length}, '${this.#tiers[failed]!.name}',`
    const why = operation === 'close'
      ? `${which} did not close`
      : `${which} did not confirm it; until it does, the entries that this changes are not read from it`
    const error = new CACHE_ERR_BACKEND_FAILED('tiered', operation, why, { cause: outcomes[failed]!.error })
    // If another tier works, or the error is only a refusal, the guard need not pause the whole backend.
    const isPartial = outcomes.some((outcome) => outcome === undefined || isRefusal(outcome.error))
    throw Object.assign(error, { isPartial })
  }

  async #clear (prefix: string, options: ClearOptions | undefined): Promise<void> {
    this.#refuseClosed('clear')
    this.#fence.moveAll()
    const outcomes = await Promise.all(this.#tiers.toReversed().map((tier) => tier.clear(prefix, options)))
    this.#confirm('clear', outcomes.toReversed())
  }

  #addPowers (): void {
    const last = this.#tiers.at(-1)!
    const { backend } = last
    const haveAll = (power: 'has' | 'clear'): boolean => this.#tiers.every((tier) => tier.backend[power] !== undefined)
    const open = <Args extends unknown[], T>(operation: string, act: (...args: Args) => T) => (...args: Args): T => {
      this.#refuseClosed(operation)
      return act(...args)
    }
    if (haveAll('has')) this.has = open('has', (key: string) => has(this.#shared, key))
    if (haveAll('clear')) this.clear = async (prefix = '', options) => { await this.#clear(prefix, options) }
    if (backend.getMany !== undefined) this.getMany = open('getMany', (keys: readonly string[]) => readMany(this.#shared, keys))
    if (backend.keys !== undefined) {
      this.keys = open('keys', (pattern?: string) => andThen(backend.keys!(pattern), (keys) => keys.filter((key) => !last.isInDoubt(key))))
    }
    if (backend.size !== undefined) this.size = open('size', () => backend.size!())
    if (backend.stats !== undefined) {
      this.stats = open('stats', () =>
        andThen(backend.stats!(), (stats) => ({ ...stats, unconfirmed: this.#tiers.reduce((sum, tier) => sum + tier.unconfirmed, 0) })))
    }
  }

  #refuseClosed (operation: string): void {
    if (this.#closing !== undefined) throw new CACHE_ERR_CLOSED(`tiered.${operation}`)
  }

  async #close (): Promise<void> {
    const [outcomes] = await Promise.all([closeAll(this.#tiers), this.#retries.cancel()])
    this.#confirm('close', outcomes)
  }
}

/** Closes all tiers concurrently. Never rejects. */
async function closeAll (tiers: readonly Tier[]): Promise<readonly Settled[]> {
  return await Promise.all(tiers.map((tier) => settle(() => tier.backend.close())))
}
