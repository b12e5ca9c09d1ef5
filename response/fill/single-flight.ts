// Single flight: the fills under way, by key. One of them does the work, and concurrent requests wait for its outcome: never for ever,
// and never for themselves.
import { AsyncLocalStorage } from 'node:async_hooks'
import { Deadline, type Wait } from '../../registry/deadline.js'
import { lruOf } from '../../registry/lru.js'
import type { Entry, ResponseHead } from '../store/entry.js'

/** What came of a flight: a response to share, or why there is none. */
export type FlightOutcome =
  | {
    readonly entry: Entry<ResponseHead>, readonly varyNames: readonly string[], readonly variant: string, readonly names: readonly string[]
  }
  | { readonly released: 'not-shareable' | 'failed' | 'lock-timeout' }

/** Keys whose responses turned out not to be shareable are not waited for during this time. */
const NOT_COLLAPSIBLE_MS = 10_000
const MOST_NOT_COLLAPSIBLE = 10_000

/** One request's work on a key. */
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

  /** Its own work waits for another flight. */
  awaits (other: Flight): void {
    this.#awaits ??= []
    if (!this.#awaits.includes(other)) this.#awaits.push(other)
  }

  /** Whether `other` must end before this one can. */
  waitsFor (other: Flight): boolean {
    return this === other || (this.#awaits ?? []).some((next) => !next.over && next.waitsFor(other))
  }

  /** Whether somebody waits. */
  get awaited (): boolean {
    return this.#waiters !== undefined
  }

  /** The outcome, or a release when the lock times out first. Never rejects. */
  wait (): Promise<FlightOutcome> {
    return new Promise((resolve) => {
      if (this.#outcome !== undefined) return resolve(this.#outcome)
      this.#waiters ??= []
      this.#waiters.push(resolve)
      this.#wait ??= new Deadline(Math.max(this.#lockTimeoutMs - (performance.now() - this.#startedAt), 0)).wait(() =>
        this.settle({ released: 'lock-timeout' }))
    })
  }

  /** The first outcome counts. */
  settle (outcome: FlightOutcome): void {
    if (this.#outcome !== undefined) return
    this.#outcome = outcome
    this.#wait?.cancel()
    for (const resolve of this.#waiters ?? []) resolve(outcome)
    this.#waiters = undefined
  }
}

/** A fill, as far as others need to know of it. */
export interface FillUnderWay {
  readonly key: string
  /** Whether an entry may yet come of it. */
  readonly mayStore: boolean
  /** What others may wait for. */
  readonly flight: Flight | undefined
}

/** A fill among the others of its key. */
export interface Place {
  readonly fill: FillUnderWay
  /** Smaller than that of every fill which began later. */
  readonly order: number
  /** Whether requests that its handler makes by `inject()` can be told from others. */
  readonly isFollowed: boolean
  /** Whether a fill that began later has stored. */
  readonly isSuperseded: boolean
  /** All places of the key, in their order. */
  readonly among: Place[]
}

/** The fills whose handlers an asynchronous chain runs in, the innermost first. */
interface Chain { readonly fill: FillUnderWay, readonly outer: Chain | undefined }

/** What is under way for one key. */
interface Work {
  /** The flight that others may join. */
  flight: Flight | undefined
  readonly places: Place[]
}

export class FillsUnderWay {
  /** A table that is added to and deleted from all the time leaves outgrown ones behind: what those keep of a key is emptied before. */
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
   * The flight of `key` to wait for, where there is one that is `stillGood`; else one that begins, for others to join, where
   * `mayBegin` and the key's responses were shareable a moment ago. Undefined: neither.
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

  /** Ends a flight with a response, which is made only if somebody waits for it. */
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

  /** Releases everybody who waits. */
  close (): void {
    for (const { flight } of [...this.#byKey.values()]) if (flight !== undefined) this.release(flight, 'failed')
  }

  /**
   * A fill begins. Fills are followed by AsyncLocalStorage from the first on that was injected: a handler can ask its own route by
   * `inject()` alone without a connection between, and following costs every promise of the process on Node 20.
   */
  begin (fill: FillUnderWay, isInjected: boolean): Place {
    this.#follows ||= isInjected
    const among = this.#workOn(fill.key).places
    const place: Place = { fill, order: ++this.#order, isFollowed: this.#follows, isSuperseded: false, among }
    among.push(place)
    this.#count++
    return place
  }

  /** It is done. May be called twice. */
  end (place: Place): void {
    const { fill: { key }, among } = place
    const at = among.indexOf(place)
    if (at === -1) return
    among.splice(at, 1)
    this.#count--
    this.#letGo(key)
  }

  /** The fill in this place stores: those that began before it and are not done yet have an older response. */
  supersede ({ among, order }: Place): void {
    for (const other of among) {
      if (other.order < order) (other as { isSuperseded: boolean }).isSuperseded = true
    }
  }

  /** Runs `handler` so that what it asks for is known to come from `fill`. */
  follow<T> ({ fill }: Place, handler: () => T): T {
    return this.#chain.run({ fill, outer: this.#chain.getStore() }, handler)
  }

  /**
   * Whether a request for `key` was made by the handler that is filling it already, or may have been. What it is sent is not what
   * others are: something that is no part of the key made the handler ask no further.
   */
  isNested (key: string, isInjected: () => boolean): boolean {
    if (this.#count === 0) return false
    for (let link = this.#chain.getStore(); link !== undefined; link = link.outer) {
      if (link.fill.key === key && link.fill.mayStore) return true
    }
    const others = this.#byKey.get(key)?.places ?? []
    return others.some(({ isFollowed, fill }) => !isFollowed && fill.mayStore) && isInjected()
  }

  /** Whether `flight` waits, by way of others, for work that this asynchronous chain is part of. */
  wouldWaitForItself (flight: Flight): boolean {
    for (let link = this.#chain.getStore(); link !== undefined; link = link.outer) {
      if (link.fill.flight !== undefined && flight.waitsFor(link.fill.flight)) return true
    }
    return false
  }

  /** This asynchronous chain is going to wait for `flight`. */
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
