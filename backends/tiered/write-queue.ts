// A tier's changes: in call order for each key, and remembered until they are confirmed, so that nobody reads around them.
import type { CacheBackend, ClearOptions, MaybePromise, StoredEntry } from '../../registry/backend.js'
import { isRefusal } from '../../registry/refusal.js'
import { Deferred, isPromise, noop } from '../../registry/maybe-promise.js'
import { settle, type Settled } from './settled.js'
import type { TierPause } from './tier-pause.js'

/** What a tier is to hold under a key that has a change under way, or one that it did not confirm. */
interface KeyState {
  /** The entry of the last change; undefined when nothing is to be there. */
  entry: StoredEntry | undefined
  running: boolean
  /** The change that waits for the one under way. A later one takes its place, and settles it. */
  next: Deferred | undefined
}

/**
 * Changes under way at most, beside which the next set fails at once. Deletes are asked for on purpose: as many more of them are let
 * through.
 */
const MAX_RUNNING = 1_000
const MAX_RUNNING_BESIDE_DELETE = 2 * MAX_RUNNING
/** Unconfirmed changes of single keys at most: beyond, the tier as a whole is not believed until it was cleared. */
export const MAX_UNCONFIRMED = 10_000
const MAX_UNCONFIRMED_PREFIXES = 100
/** Deletes tried again in one go. */
const RETRIES = 256

export class TierWriteQueue {
  readonly #backend: CacheBackend
  readonly #pause: TierPause
  readonly #overflowed: () => void
  readonly #byKey = new Map<string, KeyState>()
  /** Keys whose last change failed; the one that was tried longest ago comes first. */
  readonly #failed = new Set<string>()
  /** Prefixes whose clear is under way or failed. */
  readonly #prefixes = new Map<string, { failed: boolean }>()
  #running = 0

  constructor (backend: CacheBackend, pause: TierPause, overflowed: () => void) {
    this.#backend = backend
    this.#pause = pause
    this.#overflowed = overflowed
  }

  /** What a read must take the tier to hold in place of asking it; undefined when it may be asked. */
  standing (key: string): { readonly entry: StoredEntry | undefined } | undefined {
    if (this.#byKey.size === 0 && this.#prefixes.size === 0) return undefined
    return this.#byKey.get(key) ?? (this.#isBelowPrefix(key) ? NOTHING : undefined)
  }

  /** Keys and prefixes that the tier did not confirm to have forgotten. */
  get unconfirmed (): number {
    return this.#failed.size + [...this.#prefixes.values()].filter(({ failed }) => failed).length
  }

  /** Changes under way. */
  get running (): number {
    return this.#running
  }

  /** Puts `entry` under `key`, or forgets the key. Until the tier confirms, it is not asked about the key. */
  change (key: string, entry: StoredEntry | undefined): MaybePromise<void> {
    const state = this.#byKey.get(key)
    if (state === undefined || !state.running) return this.#run(key, state, entry)
    state.entry = entry
    state.next ??= new Deferred()
    return state.next.promise
  }

  /** Forgets what begins with `prefix`, after changes under way there. */
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

  /** Tries again what was not confirmed, without waiting for it: the last change of a key decides, and it is a delete. */
  retry (): void {
    if (this.unconfirmed === 0 || !this.#pause.admits()) return
    for (const [prefix, { failed }] of this.#prefixes) {
      if (failed && this.#backend.clear !== undefined) this.clear(prefix).catch(noop)
    }
    const tries = this.#pause.isWell ? RETRIES : 1
    for (const key of [...this.#failed].slice(0, tries)) {
      // Never rejects: a failure is remembered where the key is.
      settle(() => this.#run(key, this.#byKey.get(key), undefined))
    }
  }

  #run (key: string, known: KeyState | undefined, entry: StoredEntry | undefined): MaybePromise<void> {
    let answer: MaybePromise<void>
    try {
      if (this.#running >= (entry === undefined ? MAX_RUNNING_BESIDE_DELETE : MAX_RUNNING)) {
        throw new Error('too many changes are under way')
      }
      // To forget is always tried: it is asked for on purpose, and what can't be forgotten must be known.
      if (entry !== undefined && !this.#pause.admits()) throw new Error('it fails, and is left alone for a moment')
      answer = entry === undefined ? this.#backend.delete(key) : this.#backend.set(key, entry)
    } catch (error) {
      this.#over(key, known ?? this.#open(key), { error })
      throw error
    }
    if (!isPromise(answer)) {
      this.#pause.succeeded()
      if (known !== undefined) this.#over(key, known, undefined)
      return undefined
    }
    const state = known ?? this.#open(key)
    state.entry = entry
    state.running = true
    this.#failed.delete(key)
    this.#running++
    return this.#settled(key, state, answer)
  }

  async #settled (key: string, state: KeyState, answer: Promise<void>): Promise<void> {
    // What only looks like a promise may throw in its `then`: so it is adopted, not called.
    const outcome = await settle(() => answer)
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

  /** A call has ended: the next one begins, or the key is as it should be, or it is remembered as unconfirmed. */
  #over (key: string, state: KeyState, failure: Settled): void {
    const { next } = state
    state.running = false
    if (failure !== undefined && isRefusal(failure.error)) this.#pause.succeeded()
    else if (failure !== undefined) this.#pause.failed()
    if (next !== undefined) {
      state.next = undefined
      // In this very turn: nothing gets in between.
      const outcome = settle(() => this.#run(key, state, state.entry))
      Promise.resolve(outcome).then((later) => later === undefined ? next.resolve() : next.reject(later.error))
      return
    }
    this.#failed.delete(key)
    if (failure === undefined) {
      this.#byKey.delete(key)
      return
    }
    // It may hold what was there before, or what it was given all the same.
    state.entry = undefined
    this.#failed.add(key)
    if (this.#failed.size > MAX_UNCONFIRMED) this.#forgetKeys()
  }

  #clearFailed (record: { failed: boolean }): void {
    record.failed = true
    if (this.#prefixes.size > MAX_UNCONFIRMED_PREFIXES) this.#forgetKeys()
  }

  /** Too much to remember one by one: now everything in the tier is in doubt, until a clear was confirmed. */
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
