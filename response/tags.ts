// Tags are version stamps, not an index: an entry keeps the stamps it was filled under, invalidating writes a new one.
import { randomBytes } from 'node:crypto'
import { LRUCache } from 'lru-cache'
import type { MaybePromise } from '../registry/backend.js'
import { UNAVAILABLE, type Guard } from './guard.js'
import { digest, namespacePrefix, part } from './key.js'
import { andThen, type Deadline } from './later.js'

// A stamp that is gone makes its entries misses, never the other way round; so this need only be long.
const STAMP_LIFE_MS = 365 * 86_400_000
const LONGEST_CLEAR_TAG_CHARACTERS = 128
const SEEDS_REMEMBERED = 1_000

export class Tags {
  readonly #guard: Guard
  readonly #prefix: string
  readonly #now: () => number
  readonly #process = randomBytes(9).toString('base64url')
  #made = 0
  /** The stamps that tags without one were given, and which of all stamps made they were. */
  readonly #seeds = new LRUCache<string, { readonly stamp: string, readonly made: number }>({ max: SEEDS_REMEMBERED })

  constructor (guard: Guard, namespace: string, now: () => number) {
    this.#guard = guard
    this.#prefix = `${namespacePrefix(namespace)}t `
    this.#now = now
  }

  /** Tag, stamp, tag, stamp ... as they are now; a tag without a stamp is given one. UNAVAILABLE when the backend can't say. */
  stamped (tags: readonly string[], deadline: Deadline): MaybePromise<readonly string[] | typeof UNAVAILABLE> {
    const madeBefore = this.#made
    return andThen(this.#stamps(tags, deadline), (stamps) => {
      if (stamps === UNAVAILABLE) return UNAVAILABLE
      return tags.flatMap((tag, index) => [tag, stamps[index] ?? this.#seed(tag, madeBefore)])
    })
  }

  /** Whether the stamps of these pairs are still the present ones. A stamp that was forgotten is not. */
  areCurrent (pairs: readonly string[], deadline: Deadline): MaybePromise<boolean | typeof UNAVAILABLE> {
    const tags = pairs.filter((_, index) => index % 2 === 0)
    return andThen(this.#stamps(tags, deadline), (stamps) =>
      stamps === UNAVAILABLE ? UNAVAILABLE : stamps.every((stamp, index) => stamp === pairs[index * 2 + 1]))
  }

  /** Makes every entry with this tag a miss; settles when no later read can see one. Rejects with CACHE_ERR_BACKEND_FAILED. */
  async invalidate (tag: string): Promise<void> {
    await this.#guard.change('set', this.#key(tag), this.#stamp())
  }

  #stamps (tags: readonly string[], deadline: Deadline): MaybePromise<Array<string | undefined> | typeof UNAVAILABLE> {
    return andThen(this.#guard.getMany(tags.map((tag) => this.#key(tag)), deadline), (reads) => {
      const stamps: Array<string | undefined> = []
      for (const read of reads) {
        if (read === UNAVAILABLE) return UNAVAILABLE
        stamps.push(read === undefined ? undefined : Buffer.from(read.value).toString('latin1'))
      }
      return stamps
    })
  }

  /**
   * Only fresh stamps are ever written, so that the last writer of several can cost a hit but never revive an entry.
   * Who read before another's seed was made, and found nothing, shares it: many first fills of a tag are one seed.
   */
  #seed (tag: string, madeBefore: number): string {
    const other = this.#seeds.get(tag)
    if (other !== undefined && other.made > madeBefore) return other.stamp
    const entry = this.#stamp()
    const stamp = entry.value.toString('latin1')
    this.#seeds.set(tag, { stamp, made: this.#made })
    this.#guard.put(this.#key(tag), entry)
    return stamp
  }

  #stamp (): { value: Buffer, expiresAt: number } {
    const at = this.#now()
    const text = `${at.toString(36)}.${this.#process}.${(++this.#made).toString(36)}`
    const value = Buffer.allocUnsafeSlow(text.length)
    value.write(text, 'latin1')
    return { value, expiresAt: at + STAMP_LIFE_MS }
  }

  #key (tag: string): string {
    return this.#prefix + (tag.length <= LONGEST_CLEAR_TAG_CHARACTERS ? part(tag) : `~${digest(tag)}`)
  }
}
