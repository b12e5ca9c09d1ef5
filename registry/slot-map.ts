// Things under way for a short time, in slots that are used again. A Map or Set that is added to and deleted from all the time
// leaves outgrown tables behind, each of which keeps the next one and all that was in it until the whole heap is collected.

/** Things, each in a slot of its own. */
export class Slots<T> {
  readonly #things: Array<T | undefined> = []
  readonly #free: number[] = []

  /** Takes a thing in. Answers its slot. */
  add (thing: T): number {
    const slot = this.#free.pop() ?? this.#things.length
    this.#things[slot] = thing
    return slot
  }

  at (slot: number): T | undefined {
    return this.#things[slot]
  }

  /** Puts another thing in the slot of one that is there. */
  replace (slot: number, thing: T): void {
    this.#things[slot] = thing
  }

  /** Lets go of the thing in a slot, once. */
  remove (slot: number): void {
    this.#things[slot] = undefined
    this.#free.push(slot)
  }

  /** Those that are there now. */
  all (): T[] {
    return this.#things.filter((thing) => thing !== undefined)
  }
}

/** Things by key: what a table that was left behind still keeps are keys and numbers. */
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
