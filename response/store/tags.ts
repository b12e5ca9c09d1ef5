// Tags are version stamps, not an index: an entry keeps the stamps it was filled under, invalidating writes new ones.
import { randomBytes } from 'node:crypto'
import { LRUCache } from 'lru-cache'
import type { MaybePromise } from '../../registry/backend.js'
import { UNAVAILABLE, type Guard } from './guard.js'
import { digest, namespacePrefix, part } from '../key.js'
import { andThen, type Deadline } from '../later.js'

// A stamp that is gone makes its entries misses, never the other way round; so this need only be long.
const STAMP_LIFE_MS = 365 * 86_400_000
const LONGEST_CLEAR_TAG_CHARACTERS = 128
const SEEDS_REMEMBERED = 1_000

const STAMP = /^([0-9a-z]{1,11})\.[\w-]{12}\.[0-9a-z]+$/

/**
 * A tag has two stamps. Whatever invalidates it changes the first, which is all that a hit reads; only what is not soft
 * changes the second. Neither is ever made out of what was read, so no writer can undo what another one did.
 */
export class Tags {
  readonly #guard: Guard
  readonly #prefix: string
  readonly #now: () => number
  readonly #process = randomBytes(9).toString('base64url')
  #made = 0
  /** The stamps that keys without one were given, and which of all stamps made they were. */
  readonly #seeds = new LRUCache<string, { readonly stamp: string, readonly made: number }>({ max: SEEDS_REMEMBERED })

  constructor (guard: Guard, namespace: string, now: () => number) {
    this.#guard = guard
    this.#prefix = `${namespacePrefix(namespace)}t `
    this.#now = now
  }

  /** Tag, both stamps, tag, both stamps ... as they are now; a tag without stamps is given some. UNAVAILABLE when the backend can't say. */
  stamped (tags: readonly string[], deadline: Deadline): MaybePromise<readonly string[] | typeof UNAVAILABLE> {
    const madeBefore = this.#made
    const keys = tags.flatMap((tag) => [this.#key(tag), this.#hardKey(tag)])
    return andThen(this.#stamps(keys, deadline), (stamps) => {
      if (stamps === UNAVAILABLE) return UNAVAILABLE
      const stamp = (at: number): string => stamps[at] ?? this.#seed(keys[at] as string, madeBefore)
      return tags.flatMap((tag, index) => [tag, `${stamp(index * 2)} ${stamp(index * 2 + 1)}`])
    })
  }

  /** Whether none of these tags was invalidated, however softly. One whose stamp was forgotten may have been. */
  areCurrent (pairs: readonly string[], deadline: Deadline): MaybePromise<boolean | typeof UNAVAILABLE> {
    const keys = tagsOf(pairs).map((tag) => this.#key(tag))
    return andThen(this.#stamps(keys, deadline), (stamps) =>
      stamps === UNAVAILABLE ? UNAVAILABLE : stamps.every((stamp, index) => stampsIn(pairs, index)[0] === stamp))
  }

  /**
   * Of tags that are not current: since when an entry with them is stale, in epoch milliseconds, if all that was done to
   * them was soft; undefined when one of them makes the entry gone.
   */
  staleSince (pairs: readonly string[], deadline: Deadline): MaybePromise<number | undefined | typeof UNAVAILABLE> {
    const keys = tagsOf(pairs).flatMap((tag) => [this.#key(tag), this.#hardKey(tag)])
    return andThen(this.#stamps(keys, deadline), (stamps) => {
      if (stamps === UNAVAILABLE) return UNAVAILABLE
      let since = this.#now()
      for (let index = 0; index * 2 < keys.length; index++) {
        const [stamp, hard] = stampsIn(pairs, index)
        const present = stamps[index * 2]
        const madeAt = present === undefined ? undefined : STAMP.exec(present)?.[1]
        if (madeAt === undefined || stamps[index * 2 + 1] !== hard) return undefined
        if (present !== stamp) since = Math.min(since, parseInt(madeAt, 36))
      }
      return since
    })
  }

  /**
   * Makes every entry with this tag a miss, or stale where that is all that is asked (`soft`); settles when no later read
   * can see one as it was. Rejects with CACHE_ERR_BACKEND_FAILED.
   */
  async invalidate (tag: string, soft = false): Promise<void> {
    const keys = soft ? [this.#key(tag)] : [this.#hardKey(tag), this.#key(tag)]
    await Promise.all(keys.map(async (key) => await this.#guard.change('set', key, this.#stamp())))
  }

  #stamps (keys: readonly string[], deadline: Deadline): MaybePromise<Array<string | undefined> | typeof UNAVAILABLE> {
    return andThen(this.#guard.getMany(keys, deadline), (reads) => {
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
  #seed (key: string, madeBefore: number): string {
    const other = this.#seeds.get(key)
    if (other !== undefined && other.made > madeBefore) return other.stamp
    const entry = this.#stamp()
    const stamp = entry.value.toString('latin1')
    this.#seeds.set(key, { stamp, made: this.#made })
    this.#guard.put(key, entry)
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

  #hardKey (tag: string): string {
    return `${this.#key(tag)} !`
  }
}

/** The tags of an entry's stamps. */
export const tagsOf = (pairs: readonly string[]): string[] => pairs.filter((_, at) => at % 2 === 0)

const stampsIn = (pairs: readonly string[], index: number): string[] => pairs[index * 2 + 1]!.split(' ')
