// Keeps short-lived things in reusable slots. A Map or Set that changes all the time leaves old tables behind. Each of them keeps the next
// table, with everything in it, alive until a full garbage collection.

/** Things, each in its own slot. */
export class Slots<T> {
  readonly #things: Array<T | undefined> = []
  readonly #free: number[] = []

  /** Adds a thing. Returns its slot. */
  add (thing: T): number {
    const slot = this.#free.pop() ?? this.#things.length
    this.#things[slot] = thing
    return slot
  }

  at (slot: number): T | undefined {
    return this.#things[slot]
  }

  /** Frees a slot. Must be called only once for each thing. */
  remove (slot: number): void {
    this.#things[slot] = undefined
    this.#free.push(slot)
  }

  /** All things. */
  all (): T[] {
    return this.#things.filter((thing) => thing !== undefined)
  }
}
