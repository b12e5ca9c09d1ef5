// Fills that are under way, by key and in the order in which they began, and which of them the present asynchronous chain runs in.
import { AsyncLocalStorage } from 'node:async_hooks'
import { KeyedSlots } from '../../registry/slots.js'
import type { Flight } from './flight.js'

/** A fill, as far as others need to know of it. */
export interface FillUnderWay {
  readonly key: string
  /** Smaller than that of every fill which began later. */
  readonly order: number
  /** Whether requests that its handler makes by `inject()` can be told from others. */
  readonly followed: boolean
  /** Whether an entry may yet come of it. */
  readonly mayStore: boolean
  /** What others may wait for. */
  readonly flight: Flight | undefined
}

/** The fills whose handlers an asynchronous chain runs in, the innermost first. */
interface Chain { readonly fill: FillUnderWay, readonly outer: Chain | undefined }

export class FillsUnderWay {
  readonly #byKey = new KeyedSlots<FillUnderWay[]>()
  readonly #chain = new AsyncLocalStorage<Chain>()
  readonly #superseded = new WeakSet<FillUnderWay>()
  #order = 0
  #follows = false

  nextOrder (): number {
    return ++this.#order
  }

  began (fill: FillUnderWay): void {
    const others = this.#byKey.get(fill.key)
    if (others === undefined) this.#byKey.set(fill.key, [fill])
    else others.push(fill)
  }

  ended (fill: FillUnderWay): void {
    const left = this.#byKey.get(fill.key)?.filter((other) => other !== fill)
    if (left === undefined || left.length === 0) this.#byKey.delete(fill.key)
    else this.#byKey.set(fill.key, left)
  }

  /** `fill` stores: those that began before it and are not done yet have an older response. */
  supersede (fill: FillUnderWay): void {
    for (const other of this.#byKey.get(fill.key) ?? []) {
      if (other.order < fill.order) this.#superseded.add(other)
    }
  }

  /** Whether a fill of the same key that began later has stored. */
  isSuperseded (fill: FillUnderWay): boolean {
    return this.#superseded.has(fill)
  }

  /**
   * Whether fills are followed by AsyncLocalStorage. A handler can ask its own route by `inject()` alone without a
   * connection between, and following costs every promise of the process on Node 20: so only once one was injected.
   */
  follows (isInjected: boolean): boolean {
    this.#follows ||= isInjected
    return this.#follows
  }

  /** Runs `handler` so that what it asks for is known to come from `fill`. */
  follow<T> (fill: FillUnderWay, handler: () => T): T {
    return this.#chain.run({ fill, outer: this.#chain.getStore() }, handler)
  }

  /**
   * Whether a request for `key` was made by the handler that is filling it already, or may have been. What it is sent is not what
   * others are: something that is no part of the key made the handler ask no further.
   */
  isNested (key: string, isInjected: boolean): boolean {
    for (let link = this.#chain.getStore(); link !== undefined; link = link.outer) {
      if (link.fill.key === key && link.fill.mayStore) return true
    }
    return isInjected && (this.#byKey.get(key) ?? []).some((fill) => !fill.followed && fill.mayStore)
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
