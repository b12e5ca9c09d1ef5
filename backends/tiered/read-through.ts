// Reads the tiers from near to far until one has the entry, and then copies it to the nearer tiers.
import type { MaybePromise, StoredEntry } from '../../registry/backend.js'
import { Deadline } from '../../registry/deadline.js'
import { CACHE_ERR_BACKEND_FAILED } from '../../registry/errors.js'
import type { Fence } from '../../registry/fence.js'
import { andThen } from '../../registry/maybe-promise.js'
import { UNAVAILABLE, type Read } from '../../registry/unavailable.js'
import type { Asking, Tier } from './tier.js'

/** The state that the methods of the backend share. */
export interface Shared {
  /** The tiers, from near to far. */
  readonly tiers: readonly Tier[]
  readonly fence: Fence
  readonly deadlineMs: number
  /** Returns the copy of an entry for a tier before the last one, with a limited lifetime. */
  readonly capped: (key: string, entry: StoredEntry) => StoredEntry
}

/** One read. All tiers share one deadline, which starts running at the first asynchronous tier. */
class TieredRead implements Asking {
  #deadline: Deadline | undefined
  readonly #deadlineMs: number

  constructor ({ deadlineMs }: Shared) {
    this.#deadlineMs = deadlineMs
  }

  get deadline (): Deadline {
    this.#deadline ??= new Deadline(this.#deadlineMs)
    return this.#deadline
  }
}

/** Returns the error of a read for which all tiers are unavailable. If even one responds that it has no entry, the read is a miss. */
function failure ({ tiers }: Shared, operation: string): Error {
  return new CACHE_ERR_BACKEND_FAILED('tiered', operation, 'no tier could tell', {
    cause: tiers.findLast(({ error }) => error !== undefined)?.error
  })
}

/** Returns the entry from the nearest tier that has it. Throws CACHE_ERR_BACKEND_FAILED if all tiers are unavailable. */
export function read (shared: Shared, key: string): MaybePromise<StoredEntry | undefined> {
  const mark = shared.fence.mark
  const asking = new TieredRead(shared)
  const next = (index: number, isAvailable: boolean): MaybePromise<StoredEntry | undefined> => {
    const tier = shared.tiers[index]
    if (tier === undefined) {
      if (!isAvailable) throw failure(shared, 'get')
      return undefined
    }
    return andThen(tier.read(key, asking), (found) => {
      if (found === UNAVAILABLE) return next(index + 1, isAvailable)
      if (found === undefined) return next(index + 1, true)
      return index === 0 ? found : copied(shared, { key, mark, index, found })
    })
  }
  return next(0, false)
}

/** Does the same as `read`, but for several keys, with one step per tier. */
export function readMany (shared: Shared, keys: readonly string[]): MaybePromise<Array<StoredEntry | undefined>> {
  const mark = shared.fence.mark
  const asking = new TieredRead(shared)
  const found = new Map<string, StoredEntry>()
  const available = new Set<string>()
  const next = (index: number): MaybePromise<Array<StoredEntry | undefined>> => {
    const tier = shared.tiers[index]
    const left = [...new Set(keys)].filter((key) => !found.has(key))
    if (tier === undefined || left.length === 0) {
      if (left.some((key) => !available.has(key))) throw failure(shared, 'getMany')
      return keys.map((key) => found.get(key))
    }
    return andThen(tier.readMany(left, asking), (reads: readonly Read[]) => {
      for (const [at, one] of reads.entries()) {
        const key = left[at] as string
        if (one === UNAVAILABLE) continue
        available.add(key)
        if (one !== undefined) found.set(key, index === 0 ? one : copied(shared, { key, mark, index, found: one }))
      }
      return next(index + 1)
    })
  }
  return next(0)
}

/** Returns whether any tier has an entry under `key`. */
export function has (shared: Shared, key: string): MaybePromise<boolean> {
  const asking = new TieredRead(shared)
  const next = (index: number, isAvailable: boolean): MaybePromise<boolean> => {
    const tier = shared.tiers[index]
    if (tier === undefined) {
      if (!isAvailable) throw failure(shared, 'has')
      return false
    }
    return andThen(tier.has(key, asking), (found) => found === true || next(index + 1, isAvailable || found === false))
  }
  return next(0, false)
}

/** Returns `found`. Also stores a copy in the nearer tiers, unless the key was changed during the read. */
function copied (
  { tiers, fence, capped }: Shared, { key, mark, index, found }: { key: string, mark: number, index: number, found: StoredEntry }
): StoredEntry {
  if (fence.movedSince(mark, () => [key])) return found
  const entry = owning(found)
  for (const tier of tiers.slice(0, index)) tier.copy(key, capped(key, entry))
  return entry
}

/** Returns `entry`. If its bytes would keep a much larger buffer alive, copies them first. */
function owning (entry: StoredEntry): StoredEntry {
  const { value, expiresAt } = entry
  if (value.buffer.byteLength <= value.byteLength * 2) return entry
  const bytes = Buffer.allocUnsafeSlow(value.byteLength)
  bytes.set(value)
  return { value: bytes, expiresAt }
}
