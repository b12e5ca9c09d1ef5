// Rows that were read a moment ago: worth reading again only when another connection has written, which SQLite tells.
import { READ_CACHE_BYTES, ClockCache, type Member } from '../../registry/clock-cache.js'
import type { Row } from './row.js'

// The objects around a value.
const OVERHEAD_BYTES = 400

interface HeldRow extends Member {
  readonly key: string
  readonly row: Row
}

export class SqliteReadCache {
  readonly #rows = new Map<string, HeldRow>()
  readonly #clock = new ClockCache<HeldRow>(READ_CACHE_BYTES, ({ key }) => { this.#rows.delete(key) })
  readonly #foreignWrites: () => unknown
  #heldUnder: unknown
  #askedAtMs = -1

  /** `foreignWrites` answers another number whenever another connection has committed (PRAGMA data_version). */
  constructor (foreignWrites: () => unknown) {
    this.#foreignWrites = foreignWrites
    this.#heldUnder = foreignWrites()
  }

  /** The row under `key`, if it was read and nobody has written since: nobody else up to the millisecond before. */
  get (key: string): Row | undefined {
    const held = this.#rows.get(key)
    if (held === undefined) return undefined
    if (this.#isCurrent()) {
      held.wasUsed = true
      return held.row
    }
    this.clear()
    return undefined
  }

  /** Holds a row, if there is room. One that was read after a foreign write which was not noticed yet is dropped when that is. */
  hold (key: string, row: Row): void {
    if (!this.#clock.takes()) return
    this.drop(key)
    const held: HeldRow = { key, row, bytes: 0, wasUsed: false, slot: 0 }
    if (this.#clock.add(held, row.value.byteLength + key.length * 2 + OVERHEAD_BYTES)) this.#rows.set(key, held)
  }

  /** Our own connection has written this key. */
  drop (key: string): void {
    const held = this.#rows.get(key)
    if (held === undefined) return
    this.#clock.remove(held)
    this.#rows.delete(key)
  }

  clear (): void {
    this.#clock.clear()
    this.#rows.clear()
  }

  /** SQLite is asked once a millisecond at most: the question takes locks, and costs more than the rest of a hit. */
  #isCurrent (): boolean {
    const atMs = Math.floor(performance.now())
    if (atMs === this.#askedAtMs) return true
    this.#askedAtMs = atMs
    const before = this.#heldUnder
    this.#heldUnder = this.#foreignWrites()
    return this.#heldUnder === before
  }
}
