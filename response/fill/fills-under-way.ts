// Fills that are under way, by key and in the order in which they began, and which of them the present asynchronous chain runs in.
import { AsyncLocalStorage } from 'node:async_hooks'
import { SlotMap } from '../../registry/slot-map.js'
import type { Flight } from './single-flight.js'

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

export class FillsUnderWay {
  readonly #byKey = new SlotMap<Place[]>()
  readonly #chain = new AsyncLocalStorage<Chain>()
  #order = 0
  #count = 0
  #follows = false

  /**
   * A fill begins. Fills are followed by AsyncLocalStorage from the first on that was injected: a handler can ask its own route by
   * `inject()` alone without a connection between, and following costs every promise of the process on Node 20.
   */
  begin (fill: FillUnderWay, isInjected: boolean): Place {
    this.#follows ||= isInjected
    const others = this.#byKey.get(fill.key)
    const among = others ?? []
    if (others === undefined) this.#byKey.set(fill.key, among)
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
    if (among.length === 0) this.#byKey.delete(key)
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
    const others = this.#byKey.get(key)
    return others !== undefined && others.some(({ isFollowed, fill }) => !isFollowed && fill.mayStore) && isInjected()
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
}
