// Single flight: one request does the work of a key, the others wait for its outcome, and never for ever.
import { Deadline, type Wait } from '../../registry/deadline.js'
import { lruOf } from '../../registry/lru.js'
import { SlotMap } from '../../registry/slot-map.js'
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

/** The flights under way. */
export class Flights {
  readonly #flights = new SlotMap<Flight>()
  readonly #notCollapsible = lruOf<number>(MOST_NOT_COLLAPSIBLE)
  readonly #now: () => number
  readonly #lockTimeoutMs: number

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
    const there = this.#flights.get(key)
    if (there !== undefined && !there.over && stillGood(there)) return { joined: there }
    if (!mayBegin || (this.#notCollapsible.size > 0 && (this.#notCollapsible.get(key) ?? 0) > this.#now())) return {}
    const begun = new Flight(key, mark, this.#lockTimeoutMs)
    this.#flights.set(key, begun)
    return { begun }
  }

  /** Ends a flight with a response, which is made only if somebody waits for it. */
  share (flight: Flight, outcome: () => FlightOutcome): void {
    this.#remove(flight)
    if (flight.awaited) flight.settle(outcome())
  }

  /** Ends a flight without a response to share. */
  release (flight: Flight, released: 'not-shareable' | 'failed'): void {
    this.#remove(flight)
    if (released === 'not-shareable') this.#notCollapsible.set(flight.key, this.#now() + NOT_COLLAPSIBLE_MS)
    flight.settle({ released })
  }

  get size (): number {
    return this.#flights.size
  }

  /** Releases everybody who waits. */
  close (): void {
    for (const flight of this.#flights.all()) this.release(flight, 'failed')
  }

  #remove (flight: Flight): void {
    if (this.#flights.get(flight.key) === flight) this.#flights.delete(flight.key)
  }
}
