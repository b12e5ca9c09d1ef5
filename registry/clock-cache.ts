// A cache bounded by bytes with CLOCK eviction. In the read caches' place lru-cache takes a quarter more time for a hit and a tenth more
// for a set that evicts; it would save some 30 bytes an entry.

/** What two backends keep of the values that they read, at most. */
export const READ_CACHE_BYTES = 16 * 1024 * 1024

// What would take the room of this many is not worth it.
const FEWEST = 16

const ALMOST_FULL = 0.9

// Where more is read than fits, taking each of it in costs more than it saves, and none would stay until it is read again.
const TAKEN_OF_FULL = 32

// However many were used: what has to go is found in these steps.
const LOOKS = 64

/** One of what is kept. */
export interface Member {
  /** What it takes; 0 while it is not kept. */
  bytes: number
  /** Told by whoever used it. */
  wasUsed: boolean
  /** Where it stands among the others. */
  slot: number
}

/**
 * What was used lately. What is used is only marked, and what has to go is found by a hand that goes round, takes marks
 * away and stops where there was none (the algorithm CLOCK): an order of uses would cost each of them.
 */
export class ClockCache<M extends Member> {
  readonly #maxBytes: number
  readonly #gone: (member: M) => void
  readonly #members: M[] = []
  #hand = -1
  #bytes = 0
  #passed = 0

  /** `gone` is told of each that has to go to make room. */
  constructor (maxBytes: number, gone: (member: M) => void) {
    this.#maxBytes = maxBytes
    this.#gone = gone
  }

  /** Whether what is read next is to be kept: all of it while there is room, one in 32 where others would have to go. */
  takes (): boolean {
    return this.#bytes <= this.#maxBytes * ALMOST_FULL || ++this.#passed % TAKEN_OF_FULL === 0
  }

  /** Keeps one that is not kept. Answers whether it does: it is not too large. */
  add (member: M, bytes: number): boolean {
    if (bytes > this.#maxBytes / FEWEST) return false
    while (this.#bytes + bytes > this.#maxBytes) this.#makeRoom()
    member.bytes = bytes
    member.wasUsed = false
    member.slot = this.#members.push(member) - 1
    this.#bytes += bytes
    return true
  }

  remove (member: M): void {
    if (member.bytes === 0) return
    this.#bytes -= member.bytes
    member.bytes = 0
    const last = this.#members.pop() as M
    if (last === member) return
    last.slot = member.slot
    this.#members[last.slot] = last
  }

  clear (): void {
    for (const member of this.#members) member.bytes = 0
    this.#members.length = 0
    this.#bytes = 0
  }

  #makeRoom (): void {
    let member = this.#next()
    for (let looks = 1; member.wasUsed && looks < LOOKS; looks++) {
      member.wasUsed = false
      member = this.#next()
    }
    this.remove(member)
    this.#gone(member)
  }

  #next (): M {
    if (++this.#hand >= this.#members.length) this.#hand = 0
    return this.#members[this.#hand] as M
  }
}
