// Keeps recently read rows in memory. They are used until another connection writes, which SQLite reports.
import { READ_CACHE_BYTES, ClockCache, type Member } from '../../registry/clock-cache.js'
import type { Row } from './row.js'

// A row takes about this much memory in addition to its value.
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

  /** `foreignWrites` returns a number that changes when another connection has committed (PRAGMA data_version). */
  constructor (foreignWrites: () => unknown) {
    this.#foreignWrites = foreignWrites
    this.#heldUnder = foreignWrites()
  }

  /** Returns the row under `key`, if it is cached and nobody else has written since. Notices others' writes within a millisecond. */
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

  /** Caches a row, if there is room. When a write by another connection is noticed, all rows are dropped, even ones read after it. */
  hold (key: string, row: Row): void {
    if (!this.#clock.takes()) return
    this.drop(key)
    const held: HeldRow = { key, row, bytes: 0, wasUsed: false, slot: 0 }
    if (this.#clock.add(held, row.value.byteLength + key.length * 2 + OVERHEAD_BYTES)) this.#rows.set(key, held)
  }

  /** Drops the row of a key that our own connection writes. */
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

  /** Notices others' writes now. The next read asks again. */
  look (): void {
    this.#askedAtMs = -1
    if (!this.#isCurrent()) this.clear()
    this.#askedAtMs = -1
  }

  /** Returns whether nobody else has written. Asks once a millisecond at most: that takes locks, and more time than the rest of a hit. */
  #isCurrent (): boolean {
    const atMs = Math.floor(performance.now())
    if (atMs === this.#askedAtMs) return true
    this.#askedAtMs = atMs
    const before = this.#heldUnder
    this.#heldUnder = this.#foreignWrites()
    return this.#heldUnder === before
  }
}
