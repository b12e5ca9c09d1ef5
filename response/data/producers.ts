// Runs the producers of `getOrSet`: one at a time for a key, in all processes that share the store.
import type { MaybePromise } from '../../registry/backend.js'
import { Backoff } from '../../registry/backoff.js'
import type { Fence } from '../../registry/fence.js'
import { andThen } from '../../registry/maybe-promise.js'
import { UNAVAILABLE } from '../../registry/unavailable.js'
import type { Flight } from '../fill/flight.js'
import { FillsUnderWay, type Place } from '../fill/single-flight.js'
import { safeError, type ThrottledLog } from '../observe/log.js'
import type { Observer } from '../observe/observer.js'
import { BusyKeys } from '../store/busy-keys.js'
import type { Claims } from '../store/claims.js'
import type { HeldClaim } from '../store/held-claim.js'
import type { Stored } from '../store/response-to-store.js'
import { unfitPart } from './json-value.js'
import type { Settings } from './value-options.js'
import type { StoredValue, Values, ValueServices } from './values.js'

/** The services that producers use. */
export interface ProducerServices extends ValueServices {
  /** Undefined if the backend knows no claims. */
  readonly claims: Claims | undefined
  readonly fence: Fence
  readonly lockTimeoutMs: number
  readonly log: ThrottledLog
  readonly observer: Observer
  readonly steadyNow: () => number
}

/** The argument that a producer receives. */
export interface ProduceContext {
  /** A signal that is aborted when the cache closes. */
  readonly signal: AbortSignal
}

/** One call of `getOrSet`. */
export interface ValueRequest<T> {
  readonly stored: string
  readonly settings: Settings
  readonly mark: number
  /** Returns the names under which the fence knows the value: its key and its tags. */
  readonly names: () => string[]
  readonly produce: (context: ProduceContext) => Promise<T> | T
  /** The `expiresAt` of the stale value that was found; undefined if none was found. */
  readonly seen: number | undefined
  /** When the call began, on the clock of `performance.now()`. */
  readonly since: number
}

/** What a call obtains before its producer runs: a value that another process has stored, or the claim, or neither. */
interface ValueTurn {
  readonly found?: StoredValue
  readonly held?: HeldClaim | undefined
  /** Whether the produced value may be stored. */
  readonly mayStore: boolean
}

/** A produced value, and whether it was stored; `false` if it may have been invalidated before those who wait have called. */
interface Made<T> { readonly value: T, readonly stored: MaybePromise<Stored> }

/** What concurrent calls share: the value that a producer returned, or the error that it threw. */
type Produced = { readonly value: unknown } | { readonly err: unknown }

/** Rejects the refresh of a value that another process refreshes. */
const BUSY = new Error('another process produces this value')

/**
 * Limit on keys with a running producer. While it is reached, a call that returns a stale value doesn't start a producer. A later call may
 * do so.
 */
const MAX_PRODUCERS_BEHIND = 100

export class Producers {
  readonly #services: ProducerServices
  readonly #values: Values
  readonly #signal: AbortSignal
  readonly #underWay: FillsUnderWay<Produced>
  readonly #backoff: Backoff
  readonly #busy = new BusyKeys()

  /** `signal` is aborted when the cache closes. */
  constructor (services: ProducerServices, values: Values, signal: AbortSignal) {
    this.#services = services
    this.#values = values
    this.#signal = signal
    this.#underWay = new FillsUnderWay(services.steadyNow, services.lockTimeoutMs)
    this.#backoff = new Backoff(services.steadyNow)
  }

  /** Called when the application has stored a value itself. A producer that has failed for its key may run again at once. */
  succeeded (stored: string): void {
    this.#backoff.succeeded(stored)
  }

  /** Produces a new value while the stale one is returned, unless a producer for its key is running or has just failed. */
  refresh<T> (job: ValueRequest<T>): void {
    const { stored } = job
    if (this.#underWay.has(stored) || this.#underWay.keys >= MAX_PRODUCERS_BEHIND) return
    if (this.#backoff.pauses(stored) || this.#busy.has(stored)) return
    this.#services.guard.track(this.one(job, false).catch((err) => {
      if (err === BUSY) return
      this.#backoff.failed(stored)
      this.failed(err)
    }))
  }

  failed (err: unknown): void {
    this.#services.log.warn('producer', { err: safeError(err) }, 'cache: a producer failed, its stale value was returned')
  }

  /**
   * Returns the produced value. Concurrent calls for a key share one run of the producer. If not `waits`, and another process runs the
   * producer, rejects with BUSY.
   */
  async one<T> (job: ValueRequest<T>, waits = true): Promise<T> {
    const { stored: key, mark, names } = job
    const { fence } = this.#services
    const begin = { key, mark, mayBegin: true, names: [], selects: () => '' }
    const mayShare = (other: Flight<Produced>): boolean => !fence.movedSince(other.mark, names)
    const { joined, begun } = this.#underWay.joinOrBegin({ ...begin, mayShare })
    if (joined === undefined) return await this.#run(job, begun, waits)
    const outcome = await joined.wait(begin.selects)
    if ('value' in outcome) return asRead(outcome.value) as T
    if ('err' in outcome) throw outcome.err
    if (outcome.released === 'look-again') {
      const found = await this.#values.find(key).catch(() => undefined)
      return found !== undefined && this.#values.isFresh(found) ? found.value as T : await this.one({ ...job, mark: fence.mark }, waits)
    }
    // The other producer takes long. Perhaps it waits for this value itself.
    return await this.#run(job, this.#underWay.joinOrBegin({ ...begin, mayShare: () => false }).begun, waits)
  }

  /** Runs the producer. The calls that wait for `flight` receive its value or error. */
  async #run<T> (job: ValueRequest<T>, flight: Flight<Produced> | undefined, waits: boolean): Promise<T> {
    const place = this.#underWay.begin({ key: job.stored, mayStore: true, flight, selects: () => '' }, false)
    const end = (): void => {
      if (flight !== undefined) this.#underWay.land(flight)
      this.#underWay.end(place)
    }
    try {
      const { value, stored } = await this.#make(job, place, { isAlone: flight === undefined, waits })
      if (stored instanceof Promise) flight?.complete()
      // The value may have been invalidated by another process before a call that waits has begun.
      const over = andThen(stored, (outcome) => {
        if (outcome === false) flight?.release('look-again')
        else flight?.share(() => ({ value }))
        end()
      })
      this.#services.guard.track(over)
      return value
    } catch (err) {
      if (err === BUSY) flight?.release('failed')
      else flight?.share(() => ({ err }))
      end()
      throw err
    }
  }

  async #make<T> (job: ValueRequest<T>, place: Place<Produced>, how: { isAlone: boolean, waits: boolean }): Promise<Made<T>> {
    const { fence } = this.#services
    const { found, held, mayStore } = await this.#turn(job, how)
    if (found !== undefined) return { value: found.value as T, stored: true }
    try {
      // The producer reads what is current now.
      return await this.#produce({ ...job, mark: held === undefined ? job.mark : fence.mark }, place, { held, mayStore })
    } finally {
      held?.giveBack()
    }
  }

  /** Claims the key, or finds the value that another process has stored meanwhile. */
  async #turn<T> (
    { stored: key, seen: before, since }: ValueRequest<T>, { isAlone, waits }: { isAlone: boolean, waits: boolean }
  ): Promise<ValueTurn> {
    const { claims, guard } = this.#services
    if (claims === undefined) return { mayStore: true }
    const alone = isAlone || claims.hasLease(key)
    for (let seen = before; ;) {
      const wanted = { key, seen }
      const deadline = guard.deadline()
      const claimed = await (waits && !alone ? claims.obtain(wanted, deadline, since) : claims.claim(wanted, deadline, alone))
      if (claimed === UNAVAILABLE || claimed === 'timeout') return { mayStore: false }
      if ('held' in claimed) return { held: claimed.held, mayStore: true }
      if ('busyMs' in claimed) {
        this.#busy.note(key, claimed.busyMs)
        throw BUSY
      }
      seen = claimed.quicker.expiresAt
      const found = await this.#values.find(key).catch(() => undefined)
      if (found !== undefined && this.#values.isFresh(found)) return { found, mayStore: false }
    }
  }

  async #produce<T> (
    { stored, settings, mark, names, produce }: ValueRequest<T>, place: Place<Produced>, { held, mayStore }: ValueTurn
  ): Promise<Made<T>> {
    const { fence, guard, lateReads, tags } = this.#services
    const stamps = settings.tags.length === 0 || !mayStore ? [] : await tags.stamped(settings.tags, guard.deadline())
    const value = await produce({ signal: this.#signal })
    this.#backoff.succeeded(stored)
    const unstored = { value, stored: UNAVAILABLE } as const
    // The caller receives the value even if it can't be stored.
    if (!mayStore || stamps === UNAVAILABLE) return unstored
    if (value === undefined) {
      const isKnown = held === undefined || place.fill.flight?.isAwaited !== true
      return isKnown ? unstored : { value, stored: held.isValid().then((is) => is && this.#areCurrent(place, stamps)) }
    }
    // Only the store could have said whether another process had invalidated the value before those who wait have called.
    if (place.isSuperseded || fence.movedSince(mark, names)) return held === undefined ? unstored : { value, stored: false }
    this.#underWay.supersede(place, [])
    try {
      const entry = this.#values.encode(stored, value, settings, stamps)
      const outcome = held === undefined ? guard.writeBehind(stored, entry) || UNAVAILABLE : held.store(entry)
      const noted = andThen(outcome, (is) => {
        if (is !== true) return is
        lateReads.note(stored)
        return held === undefined || this.#areCurrent(place, stamps)
      })
      return { value, stored: noted }
    } catch (fault) {
      this.#services.observer.fault('cache.getOrSet', 'value', fault)
      return unstored
    }
  }

  /** Returns whether no tag was invalidated since it had these stamps, perhaps by another process. That matters only to calls that wait. */
  #areCurrent ({ fill: { flight } }: Place<Produced>, stamps: readonly string[]): MaybePromise<boolean> {
    const { guard, tags } = this.#services
    if (stamps.length === 0 || flight?.isAwaited !== true) return true
    return andThen(tags.areCurrent(stamps, guard.deadline()), (are) => are !== false)
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
