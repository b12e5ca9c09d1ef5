// Keeps short-lived things in reusable slots. A Map or Set that changes all the time leaves old hash tables behind. Each old table keeps
// the next one, with everything in it, alive until a full garbage collection.

/** Keeps things, each in its own slot. */
export class Slots<T> {
  readonly #things: Array<T | undefined> = []
  readonly #free: number[] = []

  /** Adds a thing, and returns the number of its slot. */
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

  /** Returns all things. */
  all (): T[] {
    return this.#things.filter((thing) => thing !== undefined)
  }
}
