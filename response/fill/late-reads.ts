// Late reads: a lookup that finds nothing, although a response was stored under its key while the lookup was under way.
import { lruOf } from '../../registry/lru.js'

/** If more keys than this are stored during one lookup, some of them are forgotten. A request may then run the handler once more. */
const MAX_KEYS = 10_000

export class LateReads {
  /** For each key that was stored during a lookup, the number of the moment at which it was. */
  readonly #storedAt = lruOf<number>(MAX_KEYS)
  #moment = 0
  #underWay = 0

  /** Records that a lookup begins. Returns the current moment, which the caller passes to `end`. */
  begin (): number {
    this.#underWay++
    return this.#moment
  }

  /** Records that a lookup has ended. Returns whether a response was stored under `key` since it began. */
  end (key: string, began: number): boolean {
    const isLate = this.#moment > began && (this.#storedAt.get(key) ?? 0) > began
    if (--this.#underWay === 0) this.#storedAt.clear()
    return isLate
  }

  /** Records that a response was stored. While no lookup is under way, as with a backend that returns at once, nothing is kept. */
  note (key: string): void {
    if (this.#underWay > 0) this.#storedAt.set(key, ++this.#moment)
  }
}
