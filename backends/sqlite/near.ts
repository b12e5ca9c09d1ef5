// Rows that were read a moment ago: worth reading again only when another connection has written, which SQLite tells.
import { LRUCache } from 'lru-cache'
import type { Row } from './connection.js'

/** Bytes of values held at most, and the largest value that is worth it. */
const MAX_BYTES = 16 * 1024 * 1024
const MAX_VALUE_BYTES = 1024 * 1024
const ALMOST_FULL_BYTES = MAX_BYTES * 0.9
const ROW_OVERHEAD_BYTES = 400

// Where rows are read that don't all fit, taking each of them in costs more than it saves, and none would stay until it is read again.
const HELD_OF_FULL = 8

export class Near {
  readonly #rows = new LRUCache<string, Row>({
    maxSize: MAX_BYTES,
    maxEntrySize: MAX_VALUE_BYTES,
    sizeCalculation: (row, key) => row.value.byteLength + key.length * 2 + ROW_OVERHEAD_BYTES
  })

  readonly #foreignWrites: () => unknown
  #heldUnder: unknown
  #askedAtMs = -1
  #passed = 0

  /** `foreignWrites` answers another number whenever another connection has committed (PRAGMA data_version). */
  constructor (foreignWrites: () => unknown) {
    this.#foreignWrites = foreignWrites
    this.#heldUnder = foreignWrites()
  }

  /** The row under `key`, if it was read and nobody has written since: nobody else up to the millisecond before. */
  get (key: string): Row | undefined {
    const row = this.#rows.get(key)
    if (row === undefined || this.#isCurrent()) return row
    this.clear()
    return undefined
  }

  /**
   * Holds a row, or each eighth where others would have to go for it. One that was read after a foreign write which was
   * not noticed yet is dropped when that is.
   */
  hold (key: string, row: Row): void {
    if (this.#rows.calculatedSize > ALMOST_FULL_BYTES && ++this.#passed % HELD_OF_FULL !== 0) return
    this.#rows.set(key, row)
  }

  /** Our own connection has written this key. */
  drop (key: string): void {
    this.#rows.delete(key)
  }

  clear (): void {
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
