// Finds the least recently used items among very many, and sorts them by last use. Uses limited memory and works in short steps.

// How many added items are sorted and merged in one go. That takes less than a millisecond.
const BATCH = 500

/** Of all items that are added, this keeps at most `most`: those that were least recently used. */
export class EvictionCandidates<T extends { readonly usedAt: number }> {
  readonly #most: number
  #kept: readonly T[] = []
  #added: T[] = []

  constructor (most: number) {
    this.#most = most
  }

  add (one: T): void {
    if (this.#kept.length >= this.#most && one.usedAt >= this.#kept.at(-1)!.usedAt) return
    if (this.#added.push(one) >= BATCH) this.#merge()
  }

  /** The items that were kept. The least recently used one comes first. */
  get inOrder (): readonly T[] {
    this.#merge()
    return this.#kept
  }

  #merge (): void {
    const added = this.#added.sort((one, other) => one.usedAt - other.usedAt)
    const kept = this.#kept
    const merged: T[] = []
    const length = Math.min(this.#most, added.length + kept.length)
    for (let nextAdded = 0, nextKept = 0; merged.length < length;) {
      const [one, other] = [added[nextAdded], kept[nextKept]]
      const isAdded = one !== undefined && (other === undefined || one.usedAt < other.usedAt)
      merged.push((isAdded ? added[nextAdded++] : kept[nextKept++]) as T)
    }
    this.#kept = merged
    this.#added = []
  }
}
