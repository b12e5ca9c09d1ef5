// Which keys were changed since when, in a fixed amount of memory: what was read before a change is not copied after it.

const STRIPES = 4096

/** A collision of two keys costs a copy, nothing else. */
export class Fence {
  readonly #movedAt = new Float64Array(STRIPES)
  #allMovedAt = 0
  #sequence = 0

  /** The present moment, to be asked about later. */
  mark (): number {
    return this.#sequence
  }

  /** `key` is being changed. Answers the moment of that. */
  move (key: string): number {
    this.#movedAt[stripeOf(key)] = ++this.#sequence
    return this.#sequence
  }

  /** Any key may be changed. */
  moveAll (): void {
    this.#allMovedAt = ++this.#sequence
  }

  /** Whether `key` was changed after `mark`. */
  movedSince (mark: number, key: string): boolean {
    return this.#allMovedAt > mark || this.#movedAt[stripeOf(key)]! > mark
  }
}

// FNV-1a over UTF-16 units.
function stripeOf (key: string): number {
  let hash = 0x811c9dc5
  for (let at = 0; at < key.length; at++) hash = Math.imul(hash ^ key.charCodeAt(at), 0x01000193)
  return (hash ^ (hash >>> 12)) & (STRIPES - 1)
}
