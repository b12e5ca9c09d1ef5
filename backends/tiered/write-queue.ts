// Carries out a tier's changes, in order for each key. Remembers unconfirmed ones, so that reads don't return the entries they replace.
// This does not use registry/write-queue.ts, because a tier in memory changes synchronously, and failed changes are retried as deletes.
import type { CacheBackend, ClearOptions, MaybePromise, StoredEntry } from '../../registry/backend.js'
import { isRefusal } from '../../registry/refusal.js'
import { Deferred, isPromise, noop } from '../../registry/maybe-promise.js'
import { settle, type Settled } from './settled.js'
import type { TierPause } from './tier-pause.js'

/** A key with a change that is under way or unconfirmed. */
interface KeyState {
  /** The entry of the last change, or undefined if that is a delete. */
  entry: StoredEntry | undefined
  running: boolean
  /** The promise of the change that waits for the running one. If a later change replaces that change, it settles this promise. */
  next: Deferred | undefined
}

/** If this many changes are under way, another set fails at once. A delete fails only at twice this, because its caller waits for it. */
const MAX_RUNNING = 1_000
const MAX_RUNNING_BESIDE_DELETE = 2 * MAX_RUNNING
/** The most keys with an unconfirmed change. If there are more, nothing is read from the tier until it has been cleared. */
export const MAX_UNCONFIRMED = 10_000
const MAX_UNCONFIRMED_PREFIXES = 100
/** The most deletes that are tried again at the same time. */
const RETRIES = 256

export class TierWriteQueue {
  readonly #backend: CacheBackend
  readonly #pause: TierPause
  readonly #overflowed: () => void
  readonly #byKey = new Map<string, KeyState>()
  /** The keys whose last change failed. Those that were tried least recently come first. */
  readonly #failed = new Set<string>()
  /** The prefixes whose clear is under way or has failed. */
  readonly #prefixes = new Map<string, { failed: boolean }>()
  #running = 0

  constructor (backend: CacheBackend, pause: TierPause, overflowed: () => void) {
    this.#backend = backend
    this.#pause = pause
    this.#overflowed = overflowed
  }

  /** Returns the pending or unconfirmed change of `key`, with the entry for reads to return. Returns undefined if the tier may be asked. */
  find (key: string): { readonly entry: StoredEntry | undefined } | undefined {
    if (this.#byKey.size === 0 && this.#prefixes.size === 0) return undefined
    return this.#byKey.get(key) ?? (this.#isBelowPrefix(key) ? NOTHING : undefined)
  }

  /** The number of keys and prefixes whose change is unconfirmed. */
  get unconfirmed (): number {
    return this.#failed.size + [...this.#prefixes.values()].filter(({ failed }) => failed).length
  }

  /** The number of changes that are under way. */
  get running (): number {
    return this.#running
  }

  /** Stores `entry`, or deletes the key if `entry` is undefined. Until the tier confirms this, it is not asked about the key. */
  change (key: string, entry: StoredEntry | undefined): MaybePromise<void> {
    const state = this.#byKey.get(key)
    if (state === undefined || !state.running) return this.#run(key, state, entry)
    state.entry = entry
    state.next ??= new Deferred()
    return state.next.promise
  }

  /** Deletes the keys that begin with `prefix`. If a change to such a key is under way, deletes the key again after that change. */
  async clear (prefix: string, options?: ClearOptions): Promise<void> {
    const before = [...this.#byKey]
      .filter(([key, { running }]) => running && key.startsWith(prefix))
      .map(([key]) => this.change(key, undefined))
    const record = { failed: false }
    this.#prefixes.set(prefix, record)
    const cleared = settle(() => this.#backend.clear?.(prefix, options))
    const [outcome, ...others] = await Promise.all([cleared, ...before.map(async (change) => await settle(() => change))])
    if (outcome === undefined) this.#pause.succeeded()
    else this.#pause.failed()
    if (this.#prefixes.get(prefix) === record) {
      if (outcome === undefined) this.#prefixes.delete(prefix)
      else this.#clearFailed(record)
    }
    const failure = outcome ?? others.find((other) => other !== undefined)
    if (failure !== undefined) throw failure.error
  }

  /** Tries unconfirmed changes again, as deletes, without waiting for them. */
  retry (): void {
    if (this.unconfirmed === 0 || !this.#pause.admits()) return
    for (const [prefix, { failed }] of this.#prefixes) {
      if (failed && this.#backend.clear !== undefined) this.clear(prefix).catch(noop)
    }
    const tries = this.#pause.isWell ? RETRIES : 1
    for (const key of [...this.#failed].slice(0, tries)) {
      // This promise never rejects. If the delete fails again, the key is still remembered.
      settle(() => this.#run(key, this.#byKey.get(key), undefined))
    }
  }

  #run (key: string, known: KeyState | undefined, entry: StoredEntry | undefined): MaybePromise<void> {
    let result: MaybePromise<void>
    try {
      if (this.#running >= (entry === undefined ? MAX_RUNNING_BESIDE_DELETE : MAX_RUNNING)) {
        throw new Error('too many changes are under way')
      }
      // While the tier is paused, only deletes are tried, because the caller of a delete waits for it and must learn if it fails.
      if (entry !== undefined && !this.#pause.admits()) throw new Error('it is failing and is left alone for a moment')
      result = entry === undefined ? this.#backend.delete(key) : this.#backend.set(key, entry)
    } catch (error) {
      this.#over(key, known ?? this.#open(key), { error })
      throw error
    }
    if (!isPromise(result)) {
      this.#pause.succeeded()
      if (known !== undefined) this.#over(key, known, undefined)
      return undefined
    }
    const state = known ?? this.#open(key)
    state.entry = entry
    state.running = true
    this.#failed.delete(key)
    this.#running++
    return this.#settled(key, state, result)
  }

  async #settled (key: string, state: KeyState, result: Promise<void>): Promise<void> {
    // `settle` also handles a thenable whose `then` throws.
    const outcome = await settle(() => result)
    this.#running--
    this.#over(key, state, outcome)
    if (outcome !== undefined) throw outcome.error
    this.#pause.succeeded()
  }

  #open (key: string): KeyState {
    const state: KeyState = { entry: undefined, running: false, next: undefined }
    this.#byKey.set(key, state)
    return state
  }

  /** Called when a change has ended. Begins the key's next change, if any. Otherwise remembers the key if the change failed. */
  #over (key: string, state: KeyState, failure: Settled): void {
    const { next } = state
    state.running = false
    if (failure !== undefined && isRefusal(failure.error)) this.#pause.succeeded()
    else if (failure !== undefined) this.#pause.failed()
    if (next !== undefined) {
      state.next = undefined
      // The next change begins in the same turn, so that no other change of the key can begin in between.
      const outcome = settle(() => this.#run(key, state, state.entry))
      Promise.resolve(outcome).then((later) => later === undefined ? next.resolve() : next.reject(later.error))
      return
    }
    this.#failed.delete(key)
    if (failure === undefined) {
      this.#byKey.delete(key)
      return
    }
    // Reads must return no entry, because the tier may have the old one, or the new one in spite of the failure.
    state.entry = undefined
    this.#failed.add(key)
    if (this.#failed.size > MAX_UNCONFIRMED) this.#forgetKeys()
  }

  #clearFailed (record: { failed: boolean }): void {
    record.failed = true
    if (this.#prefixes.size > MAX_UNCONFIRMED_PREFIXES) this.#forgetKeys()
  }

  /** Called when there are too many keys to remember. Everything in the tier is then in doubt until a clear is confirmed. */
  #forgetKeys (): void {
    for (const key of this.#failed) this.#byKey.delete(key)
    this.#failed.clear()
    for (const [prefix, { failed }] of this.#prefixes) if (failed) this.#prefixes.delete(prefix)
    this.#prefixes.set('', { failed: true })
    this.#overflowed()
  }

  #isBelowPrefix (key: string): boolean {
    for (const prefix of this.#prefixes.keys()) if (key.startsWith(prefix)) return true
    return false
  }
}

const NOTHING = { entry: undefined }
