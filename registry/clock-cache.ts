// A cache with CLOCK eviction and a limit in bytes. With lru-cache, hits would be 25 % slower, and evicting sets 10 %.

/** The size of the read caches of the backends `file` and `sqlite`. */
export const READ_CACHE_BYTES = 16 * 1024 * 1024

// A member is not added if it is larger than the cache's limit divided by this number.
const FEWEST = 16

const ALMOST_FULL = 0.9

// Once the cache is almost full, it adds only one in this many of the entries that are read. If it added all of them, and more entries were
// read than fit, each would be evicted before its next read, so adding it would only cost time.
const TAKEN_OF_FULL = 32

// The most members that are examined to find one to evict.
const LOOKS = 64

/** A member of the cache. */
export interface Member {
  /** The member's size, or 0 while it is not in the cache. */
  bytes: number
  /** The code that uses the member sets this to true. The cache sets it to false. */
  wasUsed: boolean
  /** The member's index in the cache's list of members. */
  slot: number
}

/**
 * Keeps recently used members, with the CLOCK algorithm. Using a member only marks it. To evict one, the cache goes round all members and
 * clears their marks, until it finds one without a mark. Marking a member is cheaper than keeping all members in order of use.
 */
export class ClockCache<M extends Member> {
  readonly #maxBytes: number
  readonly #gone: (member: M) => void
  readonly #members: M[] = []
  #hand = -1
  #bytes = 0
  #passed = 0

  /** `gone` is called with each member that is evicted. */
  constructor (maxBytes: number, gone: (member: M) => void) {
    this.#maxBytes = maxBytes
    this.#gone = gone
  }

  /** Returns whether to add the next entry that is read: always while there is room, and otherwise once in 32 calls. */
  takes (): boolean {
    return this.#bytes <= this.#maxBytes * ALMOST_FULL || ++this.#passed % TAKEN_OF_FULL === 0
  }

  /** Adds a new member, and evicts others if there is no room. Returns false if the member is too large. */
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
