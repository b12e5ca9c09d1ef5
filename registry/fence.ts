// Records when names were invalidated or changed, in fixed memory. A collision only prevents one response from being stored.

const STRIPES = 4096

/**
 * Code that stores what it reads takes a mark before the read. Invalidations and changes move the names that they affect. What was read
 * is not stored if one of its names has moved since the mark.
 */
export class Fence {
  readonly #movedAt = new Float64Array(STRIPES)
  #allMovedAt = 0
  /** The current moment, to be passed to `movedSince` later. Read only. */
  mark = 0

  /** Moves a name. Returns the mark right after that. */
  move (name: string): number {
    this.#movedAt[stripeOf(name)] = ++this.mark
    return this.mark
  }

  moveAll (): void {
    this.#allMovedAt = ++this.mark
  }

  /** Whether one of the names has moved since `mark`. `names` is called only if any name has. */
  movedSince (mark: number, names: () => readonly string[]): boolean {
    if (this.mark === mark) return false
    return this.#allMovedAt > mark || names().some((name) => this.#movedAt[stripeOf(name)]! > mark)
  }
}

// FNV-1a over UTF-16 units.
function stripeOf (name: string): number {
  let hash = 0x811c9dc5
  for (let at = 0; at < name.length; at++) hash = Math.imul(hash ^ name.charCodeAt(at), 0x01000193)
  return (hash ^ (hash >>> 12)) & (STRIPES - 1)
}
