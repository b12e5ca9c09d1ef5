// Records when each name was last invalidated or changed, in fixed memory. A collision of names only keeps a response from being stored.

const STRIPES = 4096

/**
 * Prevents a response or value from being stored if it was invalidated while it was produced. Names stand for keys, tags, routes and URLs.
 * The code takes a mark before its first read. Each invalidation or change moves the names that it affects. If one of a response's names
 * has moved since the mark was taken, the response is not stored.
 */
export class Fence {
  readonly #movedAt = new Float64Array(STRIPES)
  #allMovedAt = 0
  /** The current moment, which callers copy and pass to `movedSince` later. Callers must not change it. */
  mark = 0

  /** Records that a name was invalidated or that its entry changed. Returns the mark of the moment after that. */
  move (name: string): number {
    this.#movedAt[stripeOf(name)] = ++this.mark
    return this.mark
  }

  moveAll (): void {
    this.#allMovedAt = ++this.mark
  }

  /** Returns whether one of the names has moved since `mark`. Calls `names` only if any name has moved since then. */
  movedSince (mark: number, names: () => readonly string[]): boolean {
    if (this.mark === mark) return false
    return this.#allMovedAt > mark || names().some((name) => this.#movedAt[stripeOf(name)]! > mark)
  }
}

// The hash is FNV-1a over UTF-16 code units.
function stripeOf (name: string): number {
  let hash = 0x811c9dc5
  for (let at = 0; at < name.length; at++) hash = Math.imul(hash ^ name.charCodeAt(at), 0x01000193)
  return (hash ^ (hash >>> 12)) & (STRIPES - 1)
}
