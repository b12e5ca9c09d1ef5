// Which names were invalidated or changed since when, in a fixed amount of memory. A collision only skips a store.

const STRIPES = 4096

/**
 * Who is going to store what it reads takes a mark before it reads; an invalidation or a change moves the names it speaks
 * of. What was read under a mark since which one of its names has moved is not stored.
 */
export class Fence {
  readonly #movedAt = new Float64Array(STRIPES)
  #allMovedAt = 0
  /** The present moment, to be asked about later. Read only. */
  mark = 0

  /** Moves a name. Answers the mark of the moment right after. */
  move (name: string): number {
    this.#movedAt[stripeOf(name)] = ++this.mark
    return this.mark
  }

  moveAll (): void {
    this.#allMovedAt = ++this.mark
  }

  /** Whether one of the names was invalidated after `mark` was taken. They are asked for only when anything was. */
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
