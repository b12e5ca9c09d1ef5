// Random numbers that are the same in every run with the same seed.

export class Random {
  #state: number

  constructor (seed: number) {
    this.#state = seed >>> 0
  }

  /** Returns a number from 0 up to but not including 1, by the mulberry32 generator. */
  next (): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), this.#state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }

  /** Returns an integer from 0 up to but not including `count`. */
  below (count: number): number {
    return Math.floor(this.next() * count)
  }

  /** Returns `value`, changed by up to half of `share` in either direction. */
  around (value: number, share: number): number {
    return value * (1 + share * (this.next() - 0.5))
  }

  /** Returns the time until the next of several independent events, of which there are so many per second. */
  pauseMs (perSecond: number): number {
    return -Math.log(1 - this.next()) * 1_000 / perSecond
  }
}

/** Draws numbers by Zipf's law with exponent 1: the number n is drawn half as often as n / 2. */
export class Zipf {
  readonly #upTo: Float64Array

  constructor (count: number) {
    this.#upTo = new Float64Array(count)
    let sum = 0
    for (let at = 0; at < count; at++) this.#upTo[at] = sum += 1 / (at + 1)
    for (let at = 0; at < count; at++) this.#upTo[at]! /= sum
  }

  /** Returns a number from 0 on. 0 is the most frequent. */
  draw (random: Random): number {
    const wanted = random.next()
    let [low, high] = [0, this.#upTo.length - 1]
    while (low < high) {
      const middle = (low + high) >> 1
      if (this.#upTo[middle]! > wanted) high = middle
      else low = middle + 1
    }
    return low
  }
}
