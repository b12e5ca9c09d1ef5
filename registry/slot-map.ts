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

  /** Replaces the thing in a slot. */
  replace (slot: number, thing: T): void {
    this.#things[slot] = thing
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

/** Things by key. Old tables of the Map keep only keys and numbers alive, but no things. */
export class SlotMap<T> {
  readonly #slotOf = new Map<string, number>()
  readonly #slots = new Slots<T>()

  get size (): number {
    return this.#slotOf.size
  }

  get (key: string): T | undefined {
    const slot = this.#slotOf.get(key)
    return slot === undefined ? undefined : this.#slots.at(slot)
  }

  set (key: string, thing: T): void {
    const slot = this.#slotOf.get(key)
    if (slot === undefined) this.#slotOf.set(key, this.#slots.add(thing))
    else this.#slots.replace(slot, thing)
  }

  delete (key: string): void {
    const slot = this.#slotOf.get(key)
    if (slot === undefined) return
    this.#slotOf.delete(key)
    this.#slots.remove(slot)
  }

  all (): T[] {
    return this.#slots.all()
  }
}
