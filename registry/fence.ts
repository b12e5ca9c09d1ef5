// Records when each name was last invalidated or its entry changed, in fixed memory. If names collide, only one response isn't stored.

const STRIPES = 4096

/**
 * Keeps code from storing a response or value that was invalidated while it was made. Names stand for keys, tags, routes and URLs. The code
 * takes a mark before its first read. Each invalidation or change moves the names that it affects. If one of the names of a response has
 * moved since the mark, the response is not stored.
 */
export class Fence {
  readonly #movedAt = new Float64Array(STRIPES)
  #allMovedAt = 0
  /** The current moment, to be passed to `movedSince` later. Read only. */
  mark = 0

  /** Records that a name was invalidated or its entry changed. Returns the mark right after that. */
  move (name: string): number {
    this.#movedAt[stripeOf(name)] = ++this.mark
    return this.mark
  }

  moveAll (): void {
    this.#allMovedAt = ++this.mark
  }

  /** Whether one of the names has moved since `mark`. `names` is called only if any name at all has moved. */
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
