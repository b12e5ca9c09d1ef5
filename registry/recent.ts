// What a store was read for a moment ago, bounded by bytes: for backends that can tell cheaply whether it is still true.

/** Bytes held at most, with their keys, and the largest key or value that is worth it. */
const MAX_BYTES = 16 * 1024 * 1024
const MAX_PART_BYTES = 1024 * 1024
const ALMOST_FULL_BYTES = MAX_BYTES * 0.9
// The objects around a value.
const OVERHEAD_BYTES = 400

// Where more is read than fits, taking each of it in costs more than it saves, and none would stay until it is read again.
const HELD_OF_FULL = 32

// However many were used: what has to go is found in these steps.
const LOOKS = 64

/** Where something that was read is held, by whoever finds it there. */
export interface Holder<T> {
  held: T | undefined
  /** What that takes, its key with it. */
  bytes: number
  /** Told by whoever used it. */
  wasUsed: boolean
  /** Where it stands among the others. */
  slot: number
}

/**
 * What was read lately. What is used is only marked, and what has to go is found by a hand that goes round, takes marks
 * away and stops where there was none (the algorithm CLOCK): an order of uses would cost each of them.
 */
export class Recent<T extends { readonly value: Uint8Array }, H extends Holder<T>> {
  readonly #holders: H[] = []
  readonly #gone: (holder: H) => void
  #hand = 0
  #bytes = 0
  #passed = 0

  /** `gone` is told of each that has to go to make room. */
  constructor (gone: (holder: H) => void = () => {}) {
    this.#gone = gone
  }

  /** Whether what is read next is to be held: all of it while there is room, one in 32 where others would have to go. */
  takes (): boolean {
    return this.#bytes <= ALMOST_FULL_BYTES || ++this.#passed % HELD_OF_FULL === 0
  }

  /** Answers whether it is held: neither it nor its key is too large. `keyBytes`: what is kept of its key for this alone. */
  hold (holder: H, read: T, keyBytes = 0): boolean {
    this.drop(holder)
    const { byteLength } = read.value
    if (Math.max(byteLength, keyBytes) > MAX_PART_BYTES) return false
    const bytes = byteLength + keyBytes + OVERHEAD_BYTES
    while (this.#bytes + bytes > MAX_BYTES) this.#makeRoom()
    holder.held = read
    holder.bytes = bytes
    holder.wasUsed = false
    holder.slot = this.#holders.push(holder) - 1
    this.#bytes += bytes
    return true
  }

  drop (holder: H): void {
    if (holder.held === undefined) return
    this.#bytes -= holder.bytes
    holder.held = undefined
    const last = this.#holders.pop() as H
    if (last === holder) return
    last.slot = holder.slot
    this.#holders[last.slot] = last
  }

  clear (): void {
    for (const holder of this.#holders) holder.held = undefined
    this.#holders.length = 0
    this.#bytes = 0
  }

  #makeRoom (): void {
    let holder = this.#next()
    for (let looks = 1; holder.wasUsed && looks < LOOKS; looks++) {
      holder.wasUsed = false
      holder = this.#next()
    }
    this.drop(holder)
    this.#gone(holder)
  }

  #next (): H {
    if (++this.#hand >= this.#holders.length) this.#hand = 0
    return this.#holders[this.#hand] as H
  }
}
