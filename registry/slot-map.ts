// Things under way for a short time, in places that are used again. A Map or Set that is added to and deleted from all the time
// leaves outgrown tables behind, each of which keeps the next one and all that was in it until the whole heap is collected.

/** Things, each in a place of its own. */
export class Slots<T> {
  readonly #things: Array<T | undefined> = []
  readonly #free: number[] = []

  /** Takes a thing in. Answers its place. */
  add (thing: T): number {
    const place = this.#free.pop() ?? this.#things.length
    this.#things[place] = thing
    return place
  }

  at (place: number): T | undefined {
    return this.#things[place]
  }

  /** Puts another thing in the place of one that is there. */
  replace (place: number, thing: T): void {
    this.#things[place] = thing
  }

  /** Lets go of the thing in a place, once. */
  remove (place: number): void {
    this.#things[place] = undefined
    this.#free.push(place)
  }

  /** Those that are there now. */
  all (): T[] {
    return this.#things.filter((thing) => thing !== undefined)
  }
}

/** Things by key: what a table that was left behind still keeps are keys and numbers. */
export class SlotMap<T> {
  readonly #places = new Map<string, number>()
  readonly #slots = new Slots<T>()

  get size (): number {
    return this.#places.size
  }

  get (key: string): T | undefined {
    const place = this.#places.get(key)
    return place === undefined ? undefined : this.#slots.at(place)
  }

  set (key: string, thing: T): void {
    const place = this.#places.get(key)
    if (place === undefined) this.#places.set(key, this.#slots.add(thing))
    else this.#slots.replace(place, thing)
  }

  delete (key: string): void {
    const place = this.#places.get(key)
    if (place === undefined) return
    this.#places.delete(key)
    this.#slots.remove(place)
  }

  all (): T[] {
    return this.#slots.all()
  }
}
