// Rows that were read a moment ago: worth reading again only when another connection has written, which SQLite tells.
import { Recent, type Holder } from '../../registry/recent.js'
import type { Row } from './connection.js'

interface HeldRow extends Holder<Row> {
  readonly key: string
}

export class Near {
  readonly #rows = new Map<string, HeldRow>()
  readonly #recent = new Recent<Row, HeldRow>(({ key }) => { this.#rows.delete(key) })
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
    const holder = this.#rows.get(key)
    if (holder === undefined) return undefined
    if (this.#isCurrent()) {
      holder.wasUsed = true
      return holder.held
    }
    this.clear()
    return undefined
  }

  /** Holds a row, if there is room. One that was read after a foreign write which was not noticed yet is dropped when that is. */
  hold (key: string, row: Row): void {
    if (!this.#recent.takes()) return
    this.drop(key)
    const holder: HeldRow = { key, held: undefined, bytes: 0, wasUsed: false, slot: 0 }
    if (this.#recent.hold(holder, row, key.length * 2)) this.#rows.set(key, holder)
  }

  /** Our own connection has written this key. */
  drop (key: string): void {
    const holder = this.#rows.get(key)
    if (holder === undefined) return
    this.#recent.drop(holder)
    this.#rows.delete(key)
  }

  clear (): void {
    this.#recent.clear()
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
