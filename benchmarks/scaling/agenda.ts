// What will happen, in the order of its time: a binary heap. Of two things at one time, the one that was entered first happens first.

interface Item { readonly at: number, readonly order: number, readonly act: () => void }

export class Agenda {
  /** The time now, in milliseconds. */
  now = 0
  readonly #heap: Item[] = []
  #order = 0

  /** Enters what happens `ms` from now. */
  after (ms: number, act: () => void): void {
    const item = { at: this.now + ms, order: ++this.#order, act }
    let at = this.#heap.length
    while (at > 0) {
      const above = (at - 1) >> 1
      if (!isBefore(item, this.#heap[above]!)) break
      this.#heap[at] = this.#heap[above]!
      at = above
    }
    this.#heap[at] = item
  }

  /** Lets everything happen until this time. What happens may enter more. */
  until (time: number): void {
    while (this.#heap.length > 0 && this.#heap[0]!.at <= time) {
      const { at, act } = this.#take()
      this.now = at
      act()
    }
    this.now = time
  }

  #take (): Item {
    const first = this.#heap[0]!
    const last = this.#heap.pop()!
    const count = this.#heap.length
    if (count === 0) return first
    let at = 0
    for (;;) {
      let below = at * 2 + 1
      if (below >= count) break
      if (below + 1 < count && isBefore(this.#heap[below + 1]!, this.#heap[below]!)) below++
      if (!isBefore(this.#heap[below]!, last)) break
      this.#heap[at] = this.#heap[below]!
      at = below
    }
    this.#heap[at] = last
    return first
  }
}

function isBefore (one: Item, other: Item): boolean {
  return one.at < other.at || (one.at === other.at && one.order < other.order)
}
