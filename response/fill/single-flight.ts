// Single flight: one fill does the work for a key. Concurrent requests wait for its outcome for a limited time, but never for themselves.
import { AsyncLocalStorage } from 'node:async_hooks'
import { Deadline, type Wait } from '../../registry/deadline.js'
import { lruOf } from '../../registry/lru.js'
import type { Entry, ResponseHead } from '../store/entry.js'

/** The outcome of a flight: a response to share, or why there is none. */
export type FlightOutcome =
  | {
    readonly entry: Entry<ResponseHead>, readonly varyNames: readonly string[], readonly variant: string, readonly names: readonly string[]
  }
  | { readonly released: 'not-shareable' | 'failed' | 'lock-timeout' }

/** After a response that can't be shared, requests for its key are not collapsed for this long. */
const NOT_COLLAPSIBLE_MS = 10_000
const MOST_NOT_COLLAPSIBLE = 10_000

/** The work of one request for a key, while collapsed requests wait for it. */
export class Flight {
  readonly key: string
  /** The fence's mark when the work began. */
  readonly mark: number
  readonly #startedAt = performance.now()
  readonly #lockTimeoutMs: number
  #awaits: Flight[] | undefined
  #waiters: Array<(outcome: FlightOutcome) => void> | undefined
  #wait: Wait | undefined
  #outcome: FlightOutcome | undefined

  constructor (key: string, mark: number, lockTimeoutMs: number) {
    this.key = key
    this.mark = mark
    this.#lockTimeoutMs = lockTimeoutMs
  }

  get over (): boolean {
    return this.#outcome !== undefined || performance.now() - this.#startedAt >= this.#lockTimeoutMs
  }

  /** Records that this flight waits for another flight. */
  awaits (other: Flight): void {
    this.#awaits ??= []
    if (!this.#awaits.includes(other)) this.#awaits.push(other)
  }

  /** Returns whether this flight is `other`, or waits for it directly or through other flights. */
  waitsFor (other: Flight): boolean {
    return this === other || (this.#awaits ?? []).some((next) => !next.over && next.waitsFor(other))
  }

  /** Whether any request waits for this flight. */
  get awaited (): boolean {
    return this.#waiters !== undefined
  }

  /** Waits for the outcome of the flight. After the lock timeout, that outcome is `released`. Never rejects. */
  wait (): Promise<FlightOutcome> {
    return new Promise((resolve) => {
      if (this.#outcome !== undefined) return resolve(this.#outcome)
      this.#waiters ??= []
      this.#waiters.push(resolve)
      this.#wait ??= new Deadline(Math.max(this.#lockTimeoutMs - (performance.now() - this.#startedAt), 0)).wait(() =>
        this.settle({ released: 'lock-timeout' }))
    })
  }

  /** Ends the flight with an outcome. Only the first outcome counts. */
  settle (outcome: FlightOutcome): void {
    if (this.#outcome !== undefined) return
    this.#outcome = outcome
    this.#wait?.cancel()
    for (const resolve of this.#waiters ?? []) resolve(outcome)
    this.#waiters = undefined
  }
}

/** The properties of a running fill that matter to other requests. */
export interface FillUnderWay {
  readonly key: string
  /** Whether the fill may still store an entry. */
  readonly mayStore: boolean
  /** The flight that other requests may wait for. */
  readonly flight: Flight | undefined
}

/** The place of a fill among the other fills of its key. */
export interface Place {
  readonly fill: FillUnderWay
  /** A number that is smaller than that of every fill that began later. */
  readonly order: number
  /** Whether requests that the fill's handler makes with `inject()` can be told apart from other requests. */
  readonly isFollowed: boolean
  /** Whether a fill that began later has already stored or deleted an entry. */
  readonly isSuperseded: boolean
  /** All places of the same key, in the order in which their fills began. */
  readonly among: Place[]
}

/** The fills whose handlers led to the current asynchronous call, as a linked list. The innermost fill comes first. */
interface Chain { readonly fill: FillUnderWay, readonly outer: Chain | undefined }

/** The flight and the fills of one key. */
interface Work {
  /** The flight that other requests may join. */
  flight: Flight | undefined
  readonly places: Place[]
}

export class FillsUnderWay {
  /**
   * Each value is emptied before it is deleted. If a Map changes all the time, V8 leaves old tables of the Map in memory for a while, and
   * those tables must not keep fills in memory.
   */
  readonly #byKey = new Map<string, Work>()
  readonly #chain = new AsyncLocalStorage<Chain>()
  readonly #notCollapsible = lruOf<number>(MOST_NOT_COLLAPSIBLE)
  readonly #now: () => number
  readonly #lockTimeoutMs: number
  #order = 0
  #count = 0
  #follows = false

  constructor (now: () => number, lockTimeoutMs: number) {
    this.#now = now
    this.#lockTimeoutMs = lockTimeoutMs
  }

  /**
   * Joins the flight of `key` if there is one and `stillGood` accepts it. Otherwise begins a flight, unless `mayBegin` is false or the key
   * recently had a response that couldn't be shared. In those two cases, returns an empty object.
   */
  joinOrBegin (
    key: string, mark: number, mayBegin: boolean, stillGood: (flight: Flight) => boolean
  ): { readonly joined?: Flight, readonly begun?: Flight } {
    const there = this.#byKey.get(key)?.flight
    if (there !== undefined && !there.over && stillGood(there)) return { joined: there }
    if (!mayBegin || (this.#notCollapsible.size > 0 && (this.#notCollapsible.get(key) ?? 0) > this.#now())) return {}
    const begun = new Flight(key, mark, this.#lockTimeoutMs)
    this.#workOn(key).flight = begun
    return { begun }
  }

  /** Ends a flight with a response. `outcome` is called only if a request is waiting. */
  share (flight: Flight, outcome: () => FlightOutcome): void {
    this.#land(flight)
    if (flight.awaited) flight.settle(outcome())
  }

  /** Ends a flight without a response to share. */
  release (flight: Flight, released: 'not-shareable' | 'failed'): void {
    this.#land(flight)
    if (released === 'not-shareable') this.#notCollapsible.set(flight.key, this.#now() + NOT_COLLAPSIBLE_MS)
    flight.settle({ released })
  }

  /** Releases all waiting requests. */
  close (): void {
    for (const { flight } of [...this.#byKey.values()]) if (flight !== undefined) this.release(flight, 'failed')
  }

  /**
   * Adds a fill. Only with `inject()` can a handler request its own route without a connection. Once any request was made with `inject()`,
   * AsyncLocalStorage therefore follows the handlers of new fills. It is not used earlier, because on Node 20 it slows down every promise
   * of the process.
   */
  begin (fill: FillUnderWay, isInjected: boolean): Place {
    this.#follows ||= isInjected
    const among = this.#workOn(fill.key).places
    const place: Place = { fill, order: ++this.#order, isFollowed: this.#follows, isSuperseded: false, among }
    among.push(place)
    this.#count++
    return place
  }

  /** Removes a fill that is done. May be called twice. */
  end (place: Place): void {
    const { fill: { key }, among } = place
    const at = among.indexOf(place)
    if (at === -1) return
    among.splice(at, 1)
    this.#count--
    this.#letGo(key)
  }

  /**
   * Called when the fill in this place stores or deletes an entry. Marks the fills that began earlier as superseded, because their
   * responses are older.
   */
  supersede ({ among, order }: Place): void {
    for (const other of among) {
      if (other.order < order) (other as { isSuperseded: boolean }).isSuperseded = true
    }
  }

  /** Runs `handler`. Requests that it makes with `inject()` are then known to come from the fill in this place. */
  follow<T> ({ fill }: Place, handler: () => T): T {
    return this.#chain.run({ fill, outer: this.#chain.getStore() }, handler)
  }

  /**
   * Returns whether a request for `key` was, or may have been, made by the handler that is filling the same key. The response to such a
   * request isn't suitable for others. It must depend on something outside the key, or the handler would request its own route again and
   * again.
   */
  isNested (key: string, isInjected: () => boolean): boolean {
    if (this.#count === 0) return false
    for (let link = this.#chain.getStore(); link !== undefined; link = link.outer) {
      if (link.fill.key === key && link.fill.mayStore) return true
    }
    const others = this.#byKey.get(key)?.places ?? []
    return others.some(({ isFollowed, fill }) => !isFollowed && fill.mayStore) && isInjected()
  }

  /** Returns whether `flight` waits, directly or through other flights, for work that this asynchronous call chain is part of. */
  wouldWaitForItself (flight: Flight): boolean {
    for (let link = this.#chain.getStore(); link !== undefined; link = link.outer) {
      if (link.fill.flight !== undefined && flight.waitsFor(link.fill.flight)) return true
    }
    return false
  }

  /** Records that this asynchronous call chain waits for `flight`. */
  waits (flight: Flight): void {
    for (let link = this.#chain.getStore(); link !== undefined; link = link.outer) link.fill.flight?.awaits(flight)
  }

  #workOn (key: string): Work {
    const there = this.#byKey.get(key)
    if (there !== undefined) return there
    const work: Work = { flight: undefined, places: [] }
    this.#byKey.set(key, work)
    return work
  }

  #land (flight: Flight): void {
    const work = this.#byKey.get(flight.key)
    if (work?.flight !== flight) return
    work.flight = undefined
    this.#letGo(flight.key)
  }

  #letGo (key: string): void {
    const work = this.#byKey.get(key)
    if (work !== undefined && work.flight === undefined && work.places.length === 0) this.#byKey.delete(key)
  }
}
