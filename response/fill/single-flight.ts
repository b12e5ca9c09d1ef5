// Single flight: one fill does the work for each variant of a key. Concurrent requests wait for its outcome for a limited time, but never
// for themselves.
import { AsyncLocalStorage } from 'node:async_hooks'
import { lruOf } from '../../registry/lru.js'
import { Flight, type Selects } from './flight.js'
import { Uncollapsed } from './uncollapsed.js'

/** Limit on the flights of one key. While it is reached, requests for further variants run the handler uncollapsed. */
const MAX_FLIGHTS = 32

/** Limit on the keys of which it is remembered on which fields their responses vary, even if no response is stored. */
const MAX_VARIED = 10_000

/** The properties of a running fill that matter to other requests. */
export interface FillUnderWay<S extends object> {
  readonly key: string
  /** Whether the fill may still store an entry. */
  readonly mayStore: boolean
  /** The flight that other requests may wait for. */
  readonly flight: Flight<S> | undefined
  /** Returns the values of fields in the fill's request, as it was before the handler ran. */
  readonly selects: Selects
  /** Called when the cache closes. A stream that nobody reads is then ended. */
  refuse? (reason: 'closed'): void
}

/** The place of a fill among the other fills of its key. */
export interface Place<S extends object> {
  readonly fill: FillUnderWay<S>
  /** A number that is smaller than that of every fill that began later. */
  readonly order: number
  /** Whether requests that the fill's handler makes with `inject()` can be told apart from other requests. */
  readonly isFollowed: boolean
  /** Whether a fill that began later has already stored or deleted an entry. */
  readonly isSuperseded: boolean
  /** All places of the same key, in the order in which their fills began. */
  readonly among: Array<Place<S>>
}

/** The fills whose handlers led to the current asynchronous call, as a linked list. The innermost fill comes first. */
interface Chain<S extends object> { readonly fill: FillUnderWay<S>, readonly outer: Chain<S> | undefined }

/** A request that looks for a flight. */
export interface Collapsible<S extends object> {
  readonly key: string
  /** The fence's mark of the request. */
  readonly mark: number
  /** Whether a flight may begin with this request. */
  readonly mayBegin: boolean
  /** The request fields on which the responses under the key are known to vary. */
  readonly names: readonly string[]
  readonly selects: Selects
  /** Returns whether the request may share the response of this flight. */
  mayShare (flight: Flight<S>): boolean
}

/**
 * What a request does about concurrent requests: it runs the handler `alone`, or `leads` and others may wait for it, or `waits` for another
 * request, or `receives-stream`, because that other request's stream has begun.
 */
export type Concurrency = 'alone' | 'leads' | 'waits' | 'receives-stream'

/** The flights and the fills of one key. */
interface Work<S extends object> {
  /** The flights that other requests may join, one for each variant. */
  flights: Array<Flight<S>>
  /** The request fields on which the responses of these flights vary, as far as is known. */
  names: readonly string[]
  readonly places: Array<Place<S>>
}

/** `S` is what requests share. */
export class FillsUnderWay<S extends object> {
  /**
   * Each value is emptied before it is deleted. If a Map changes all the time, V8 leaves old tables of the Map in memory for a while, and
   * those tables must not keep fills in memory.
   */
  readonly #byKey = new Map<string, Work<S>>()
  readonly #chain = new AsyncLocalStorage<Chain<S>>()
  readonly uncollapsed: Uncollapsed
  /** For keys whose responses vary, the request fields on which they varied last. */
  readonly #varied = lruOf<readonly string[]>(MAX_VARIED)
  readonly #lockTimeoutMs: number
  #order = 0
  #count = 0
  #follows = false

  constructor (now: () => number, lockTimeoutMs: number) {
    this.uncollapsed = new Uncollapsed(now)
    this.#lockTimeoutMs = lockTimeoutMs
  }

  /** The number of keys that are being filled. */
  get keys (): number {
    return this.#byKey.size
  }

  /** Returns whether this key is being filled. */
  has (key: string): boolean {
    return this.#byKey.has(key)
  }

  /**
   * Joins the flight for the request's variant, if there is one and the request may share its response. Otherwise begins a flight, unless
   * it may not begin one or the variant recently had a response that couldn't be shared. In those two cases, returns an empty object.
   */
  joinOrBegin (wanted: Collapsible<S>): { readonly joined?: Flight<S>, readonly begun?: Flight<S> } {
    const { key, mark, names: known, selects } = wanted
    const there = this.#byKey.get(key)
    if (there?.flights.some(isOver) === true) there.flights = there.flights.filter((flight) => !isOver(flight))
    const joined = this.#joinable(wanted)
    if (joined !== undefined) return { joined }
    if (!this.#mayBegin(wanted)) return {}
    const work = this.#workOn(key)
    const names = together(together(known, work.names), this.#varied.size > 0 ? this.#varied.get(key) ?? NO_NAMES : NO_NAMES)
    const begun = new Flight<S>(key, mark, { names, selects, lockTimeoutMs: this.#lockTimeoutMs })
    work.flights.push(begun)
    return { begun }
  }

  /** Returns what `joinOrBegin` would do. */
  concurrency (wanted: Collapsible<S>): Concurrency {
    const joined = this.#joinable(wanted)
    if (joined !== undefined) return joined.isOffered ? 'receives-stream' : 'waits'
    return this.#mayBegin(wanted) ? 'leads' : 'alone'
  }

  #joinable ({ key, selects, mayShare }: Collapsible<S>): Flight<S> | undefined {
    return this.#byKey.get(key)?.flights.find((flight) => !flight.isOver && flight.isFor(selects) && mayShare(flight))
  }

  #mayBegin ({ key, mayBegin, selects }: Collapsible<S>): boolean {
    return mayBegin && !this.uncollapsed.has(key, selects) && (this.#byKey.get(key)?.flights.length ?? 0) < MAX_FLIGHTS
  }

  /**
   * Called when a flight's response says on which request fields it varies. `selectingOf` returns the values of fields in the request that
   * got the response.
   */
  narrow (flight: Flight<S>, varyNames: readonly string[], selectingOf: Selects): void {
    if (varyNames.every((name) => flight.names.includes(name))) return
    const names = together(flight.names, varyNames)
    const work = this.#byKey.get(flight.key)
    if (work !== undefined) work.names = together(work.names, names)
    this.#varied.set(flight.key, names)
    flight.narrow(names, selectingOf(names))
  }

  /** Ends a flight without a response to share. */
  release (flight: Flight<S>, released: 'not-shareable' | 'failed'): void {
    this.land(flight)
    if (released === 'not-shareable') this.uncollapsed.note(flight)
    flight.release(released)
  }

  /** Called when the response of a flight is stored, or will not be. From now on, requests don't join the flight, but look it up. */
  land (flight: Flight<S>): void {
    const work = this.#byKey.get(flight.key)
    const at = work?.flights.indexOf(flight) ?? -1
    if (at !== -1) work!.flights.splice(at, 1)
    this.#letGo(flight.key)
  }

  /** Releases all waiting requests, and ends all fills: their responses can't be stored any more. */
  close (): void {
    for (const { flights, places } of [...this.#byKey.values()]) {
      for (const flight of [...flights]) this.release(flight, 'failed')
      for (const { fill } of [...places]) fill.refuse?.('closed')
    }
  }

  /**
   * Adds a fill. Only with `inject()` can a handler request its own route without a connection. Once any request was made with `inject()`,
   * AsyncLocalStorage therefore follows the handlers of new fills. It is not used earlier, because on Node 20 it slows down every promise
   * of the process.
   */
  begin (fill: FillUnderWay<S>, isInjected: boolean): Place<S> {
    this.#follows ||= isInjected
    const among = this.#workOn(fill.key).places
    const place: Place<S> = { fill, order: ++this.#order, isFollowed: this.#follows, isSuperseded: false, among }
    among.push(place)
    this.#count++
    return place
  }

  /** Removes a fill that is done. May be called twice. */
  end (place: Place<S>): void {
    const { fill: { key }, among } = place
    const at = among.indexOf(place)
    if (at === -1) return
    among.splice(at, 1)
    this.#count--
    this.#letGo(key)
  }

  /**
   * Called when the fill in this place stores or deletes an entry. Marks the fills of the same variant that began earlier as superseded,
   * because their responses are older. `names` are the request fields that select the variant.
   */
  supersede ({ among, fill, order }: Place<S>, names: readonly string[]): void {
    const earlier = among.filter((other) => other.order < order)
    if (earlier.length === 0) return
    const selecting = fill.selects(names)
    for (const other of earlier) if (other.fill.selects(names) === selecting) (other as { isSuperseded: boolean }).isSuperseded = true
  }

  /** Runs `handler`. Requests that it makes with `inject()` are then known to come from the fill in this place. */
  follow<T> ({ fill }: Place<S>, handler: () => T): T {
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
  wouldWaitForItself (flight: Flight<S>): boolean {
    for (let link = this.#chain.getStore(); link !== undefined; link = link.outer) {
      if (link.fill.flight !== undefined && flight.waitsFor(link.fill.flight)) return true
    }
    return false
  }

  /** Records that this asynchronous call chain waits for `flight`. */
  waits (flight: Flight<S>): void {
    for (let link = this.#chain.getStore(); link !== undefined; link = link.outer) link.fill.flight?.awaits(flight)
  }

  #workOn (key: string): Work<S> {
    const there = this.#byKey.get(key)
    if (there !== undefined) return there
    const work: Work<S> = { flights: [], names: NO_NAMES, places: [] }
    this.#byKey.set(key, work)
    return work
  }

  #letGo (key: string): void {
    const work = this.#byKey.get(key)
    if (work !== undefined && work.flights.length === 0 && work.places.length === 0) this.#byKey.delete(key)
  }
}

const isOver = (flight: { readonly isOver: boolean }): boolean => flight.isOver

const NO_NAMES: readonly string[] = []

/** Returns the names of both lists, sorted, each of them once. If one list contains the other, returns that list itself. */
function together (some: readonly string[], others: readonly string[]): readonly string[] {
  if (others.every((name) => some.includes(name))) return some
  return [...new Set([...some, ...others])].sort()
}
