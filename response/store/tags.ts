// Tags work by version stamps, without an index: an entry keeps the stamps that its tags had, and an invalidation writes new stamps.
import { randomBytes } from 'node:crypto'
import type { MaybePromise } from '../../registry/backend.js'
import { lruOf } from '../../registry/lru.js'
import { UNAVAILABLE } from '../../registry/unavailable.js'
import type { BackendGuard } from './backend-guard.js'
import { isForWantOfRoom } from './explicit-calls.js'
import { digest, namespacePrefix } from '../request/key.js'
import { lengthPrefixed } from '../request/key-parts.js'
import { FirstStamps } from './first-stamps.js'
import { andThen } from '../../registry/maybe-promise.js'
import type { Deadline } from '../../registry/deadline.js'

// When a stamp expires, entries with its tag become misses. No invalidated entry becomes valid again, so any long time is safe.
const STAMP_LIFE_MS = 365 * 86_400_000
const LONGEST_CLEAR_TAG_CHARACTERS = 128
const SEEDS_REMEMBERED = 1_000
const SOFT_REMEMBERED = 32

// The time at which the stamp was made, the process, a number within it, and, in the stamp of an invalidation, the number of `version`.
const STAMP = /^([0-9a-z]{1,11})\.[\w-]{12}\.[0-9a-z]+(?:\.([0-9a-z]{1,11}))?$/
const INSTANTS = /^[0-9a-z]{1,11}(?:,[0-9a-z]{1,11})*$/

/** Returns a function that tells whether a key belongs to a stamp of this namespace. */
export function isStampIn (namespace: string): (key: string) => boolean {
  const prefix = stampPrefix(namespace)
  return (key) => key.startsWith(prefix)
}

/** Returns the prefix of the keys of all stamps in a namespace. */
function stampPrefix (namespace: string): string {
  return `${namespacePrefix(namespace)}t `
}

/** The result for a response with a tag that was invalidated while the response was produced. */
export const INVALIDATED = Symbol('invalidated')

/**
 * A tag has two stamps. Every invalidation replaces the first one, which is the only one that a hit reads. An invalidation that isn't soft
 * replaces the second one too. A new stamp never depends on a stamp that was read, so concurrent invalidations can't undo each other. A
 * third entry holds the times of the tag's soft invalidations. It is used only to tell since when entries are stale.
 *
 * Stamps that were read before the handler ran make every later invalidation count. If the tags are known only afterwards, a number does
 * that, which each invalidation raises before it writes its stamp: the stamp of an invalidation with a higher number than the one from
 * before the handler ran is too new. It needs a backend that has `version`.
 */
export class Tags {
  readonly #guard: BackendGuard
  readonly #prefix: string
  readonly #now: () => number
  readonly #process = randomBytes(9).toString('base64url')
  readonly #version: string
  /** Undefined if the backend has no claims. */
  readonly #first: FirstStamps | undefined
  #made = 0
  /** The highest number of an invalidation that this process has heard of. */
  #lastVersion: number | undefined
  /** Stamps that this process created for keys that had none. `made` is the number of stamps that the process had created by then. */
  readonly #seeds = lruOf<{ readonly stamp: string, readonly made: number }>(SEEDS_REMEMBERED)

  constructor (guard: BackendGuard, namespace: string, now: () => number) {
    this.#guard = guard
    this.#prefix = stampPrefix(namespace)
    this.#version = `${namespacePrefix(namespace)}tags`
    this.#first = guard.has('claim') ? new FirstStamps(guard, () => this.#stamp()) : undefined
    this.#now = now
  }

  /**
   * Returns the tags, each followed by both of its current stamps. A tag without stamps gets new ones. Returns UNAVAILABLE if the backend
   * is unavailable.
   */
  stamped (tags: readonly string[], deadline: Deadline): MaybePromise<readonly string[] | typeof UNAVAILABLE> {
    return andThen(this.#read(tags, deadline), (read) => read === UNAVAILABLE ? UNAVAILABLE : read.pairs)
  }

  /**
   * Returns the number of the last invalidation. An earlier number is as right, because more counts as invalidated then; so the last one
   * that is known is returned, unless `isNeeded`. Returns undefined if the backend has no `version`.
   */
  lastInvalidation (deadline: Deadline, isNeeded: boolean): MaybePromise<number | undefined | typeof UNAVAILABLE> {
    if (!this.#guard.has('version')) return undefined
    return !isNeeded && this.#lastVersion !== undefined ? this.#lastVersion : this.#askVersion(deadline)
  }

  /**
   * Returns the tags with their stamps, as `stamped` does, for a response whose handler ran when `version` was the number of the last
   * invalidation. Returns INVALIDATED if one of the tags was invalidated since then.
   */
  stampedSince (
    version: number, tags: readonly string[], deadline: Deadline
  ): MaybePromise<readonly string[] | typeof UNAVAILABLE | typeof INVALIDATED> {
    return andThen(this.#read(tags, deadline), (read) => {
      if (read === UNAVAILABLE) return UNAVAILABLE
      const { pairs, areComplete } = read
      if (tags.some((_, index) => stampsIn(pairs, index).some((stamp) => versionOf(stamp) > version))) return INVALIDATED
      if (areComplete) return pairs
      // A stamp that is missing may have been lost, and with it the number of an invalidation.
      return andThen(this.#askVersion(deadline), (last) => last === UNAVAILABLE ? UNAVAILABLE : last > version ? INVALIDATED : pairs)
    })
  }

  /** Returns whether none of the tags in `pairs` was invalidated, not even softly. A tag whose stamp was lost counts as invalidated. */
  areCurrent (pairs: readonly string[], deadline: Deadline): MaybePromise<boolean | typeof UNAVAILABLE> {
    const keys = tagsOf(pairs).map((tag) => this.#key(tag))
    return andThen(this.#stamps(keys, deadline), (stamps) =>
      stamps === UNAVAILABLE ? UNAVAILABLE : stamps.every((stamp, index) => stampsIn(pairs, index)[0] === stamp))
  }

  /**
   * Returns the time since which an entry with invalidated tags is stale, in epoch milliseconds. Returns undefined if the entry is
   * unusable, because an invalidation was not soft or a stamp was lost.
   */
  staleSince (pairs: readonly string[], deadline: Deadline): MaybePromise<number | undefined | typeof UNAVAILABLE> {
    const keys = tagsOf(pairs).flatMap((tag) => [this.#key(tag), this.#hardKey(tag), this.#softKey(tag)])
    return andThen(this.#stamps(keys, deadline), (stamps) => {
      if (stamps === UNAVAILABLE) return UNAVAILABLE
      let since = this.#now()
      for (let index = 0; index * 3 < keys.length; index++) {
        const [stamp, hard] = stampsIn(pairs, index) as [string, string]
        const present = stamps[index * 3]
        const madeAt = madeAtOf(present)
        if (madeAt === undefined || stamps[index * 3 + 1] !== hard) return undefined
        if (present === stamp) continue
        const filledAfter = madeAtOf(stamp) ?? madeAt
        since = Math.min(since, instantsIn(stamps[index * 3 + 2]).find((at) => at > filledAfter) ?? madeAt)
      }
      return since
    })
  }

  /**
   * Makes every entry with this tag a miss, or stale if `soft`. Resolves when no later read can return such an entry as before. Rejects
   * with CACHE_ERR_BACKEND_FAILED if that fails.
   */
  async invalidate (tag: string, soft = false): Promise<void> {
    // If the store has no room for the time of a soft invalidation, it has none for a new stamp either. Entries then become misses instead
    // of stale.
    if (soft) await this.#noteSoft(this.#softKey(tag)).catch(ifFull)
    // The number is raised before the stamps are written, so that no stamp has the number from before.
    const version = this.#guard.has('version') ? await this.#raise().catch(ifFull) : undefined
    const keys = soft ? [this.#key(tag)] : [this.#hardKey(tag), this.#key(tag)]
    await Promise.all(keys.map(async (key) => await this.#renew(key, version)))
  }

  /** Writes a new stamp. If the store has no room for it, deletes the old stamp, which invalidates the same entries. */
  async #renew (key: string, version: number | undefined): Promise<void> {
    try {
      await this.#guard.write('set', key, this.#stamp(version))
    } catch (err) {
      ifFull(err)
      await this.#guard.write('delete', key)
    }
  }

  /**
   * Adds the current time to a tag's soft invalidations. The earlier times are kept, because an entry that was already stale has been stale
   * since an earlier time.
   */
  async #noteSoft (key: string): Promise<void> {
    const stamps = await this.#stamps([key], this.#guard.deadline())
    const at = this.#now()
    const instants = thinned([...instantsIn(stamps === UNAVAILABLE ? undefined : stamps[0]), at], at)
    await this.#guard.write('set', key, this.#entry(instants.map((instant) => instant.toString(36)).join(), at))
  }

  /** Reads both stamps of each tag. A tag without stamps gets new ones; the stamps are then not complete. */
  #read (tags: readonly string[], deadline: Deadline): MaybePromise<{ pairs: string[], areComplete: boolean } | typeof UNAVAILABLE> {
    const madeBefore = this.#made
    const keys = tags.flatMap((tag) => [this.#key(tag), this.#hardKey(tag)])
    return andThen(this.#stamps(keys, deadline), (stamps) => {
      if (stamps === UNAVAILABLE) return UNAVAILABLE
      const areComplete = !stamps.includes(undefined)
      const all = areComplete || this.#first === undefined
        ? stamps.map((stamp, at) => stamp ?? this.#seed(keys[at] as string, madeBefore))
        : Promise.all(stamps.map(async (stamp, at) => stamp ?? await this.#first!.of(keys[at] as string, deadline)))
      return andThen(all, (each) => {
        if (each.includes(UNAVAILABLE)) return UNAVAILABLE
        return { pairs: tags.flatMap((tag, index) => [tag, `${String(each[index * 2])} ${String(each[index * 2 + 1])}`]), areComplete }
      })
    })
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
   * Writes the first stamp of a key, and returns it, if the backend has no claims. Concurrent first fills of a tag share one stamp: a fill
   * that read the key before the stamp was created uses it too. If other processes also write a stamp of the key, the last one counts, and
   * entries with another stamp become misses. Every stamp is new, so none makes an invalidated entry valid again.
   */
  #seed (key: string, madeBefore: number): string {
    const other = this.#seeds.get(key)
    if (other !== undefined && other.made > madeBefore) return other.stamp
    const entry = this.#stamp()
    const stamp = entry.value.toString('latin1')
    this.#seeds.set(key, { stamp, made: this.#made })
    this.#guard.writeBehind(key, entry)
    return stamp
  }

  #stamp (version?: number): { value: Buffer, expiresAt: number } {
    const at = this.#now()
    const number = version === undefined ? '' : `.${version.toString(36)}`
    return this.#entry(`${at.toString(36)}.${this.#process}.${(++this.#made).toString(36)}${number}`, at)
  }

  #askVersion (deadline: Deadline): MaybePromise<number | typeof UNAVAILABLE> {
    const asked = { operation: 'version', key: undefined, deadline }
    return this.#guard.ask(asked, (backend) => backend.version!(this.#version), (version) => this.#known(version))
  }

  async #raise (): Promise<number> {
    return await this.#guard.change('version', async (backend) => this.#known(await backend.version!(this.#version, true)))
  }

  #known (version: unknown): number {
    if (!Number.isSafeInteger(version)) throw new TypeError('the result is not an integer')
    this.#lastVersion = Math.max(this.#lastVersion ?? 0, version as number)
    return version as number
  }

  #entry (text: string, at: number): { value: Buffer, expiresAt: number } {
    const value = Buffer.allocUnsafeSlow(text.length)
    value.write(text, 'latin1')
    return { value, expiresAt: at + STAMP_LIFE_MS }
  }

  #key (tag: string): string {
    return this.#prefix + (tag.length <= LONGEST_CLEAR_TAG_CHARACTERS ? lengthPrefixed(tag) : `~${digest(tag)}`)
  }

  #hardKey (tag: string): string {
    return `${this.#key(tag)} !`
  }

  #softKey (tag: string): string {
    return `${this.#key(tag)} ?`
  }
}

/** Returns the tags from an entry's list of tags and stamps. */
export const tagsOf = (pairs: readonly string[]): string[] => pairs.filter((_, at) => at % 2 === 0)

const stampsIn = (pairs: readonly string[], index: number): string[] => pairs[index * 2 + 1]!.split(' ')

const madeAtOf = (stamp: string | undefined): number | undefined => {
  const madeAt = STAMP.exec(stamp ?? '')?.[1]
  return madeAt === undefined ? undefined : parseInt(madeAt, 36)
}

/** Returns the number of the invalidation that made the stamp; 0 if no invalidation made it. */
const versionOf = (stamp: string): number => {
  const version = STAMP.exec(stamp)?.[2]
  return version === undefined ? 0 : parseInt(version, 36)
}

/** Returns the times in `text` in epoch milliseconds, in order, or none if it can't be parsed. */
const instantsIn = (text: string | undefined): number[] => INSTANTS.test(text ?? '') ? text!.split(',').map((at) => parseInt(at, 36)) : []

/**
 * Removes times until SOFT_REMEMBERED are left. Each step finds the two successive times that are closest in relation to their age, and
 * removes the earlier of them.
 */
function thinned (instants: number[], at: number): number[] {
  while (instants.length > SOFT_REMEMBERED) {
    const likeness = instants.slice(0, -1).map((instant, index) => (instants[index + 1]! - instant) / (at - instant + 1))
    instants.splice(likeness.indexOf(Math.min(...likeness)), 1)
  }
  return instants
}

/** Throws the error again, unless it says that the store is full. */
function ifFull (err: unknown): undefined {
  if (!isForWantOfRoom(err)) throw err
}
