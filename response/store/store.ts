// Finds entries by key and variant, uses them only if they are intact and not invalidated, and stores them in the background.
import type { MaybePromise } from '../../registry/backend.js'
import { EntryCodec, isOf, isOfUseStale, staleFrom, type Entry, type Head, type ResponseHead, type VariantsHead } from './entry.js'
import { UNAVAILABLE, type Read } from '../../registry/unavailable.js'
import type { BackendGuard } from './backend-guard.js'
import type { Claims } from './claims.js'
import type { EntryIO, ResponseToStore, Stored, Under } from './response-to-store.js'
import { kArrival } from '../request/arrival.js'
import { digest } from '../request/key.js'
import type { RequestFields } from '../request/request-fields.js'
import { andThen } from '../../registry/maybe-promise.js'
import type { Deadline } from '../../registry/deadline.js'
import type { Observer } from '../observe/observer.js'
import type { MissReason } from '../observe/reasons.js'
import type { Tags } from './tags.js'
import { selection } from '../request/variant.js'
import { hasTags, limited, type RouteRules } from './route-rules.js'
import { keyIn, variantKey, VariantLists } from './variant-lists.js'

/** A stored response that may be used. */
export interface Present extends Under {
  readonly state: 'fresh' | 'stale'
  readonly entry: Entry<ResponseHead>
  /** The time of the lookup, in epoch milliseconds. */
  readonly at: number
}

/** The result if no response can be used, with the reason. `unavailable`: there may be a response, but the backend did not respond. */
export interface Absent extends Under {
  readonly state: 'absent' | 'unavailable'
  readonly entry?: undefined
  readonly missing: MissReason
}

/** The result of a lookup. */
export type Found = Present | Absent

/** An entry whose `storedAt` is further in the future than this was written with a wrong clock, and is not used. */
const MAX_CLOCK_SKEW_MS = 60_000

/** A lookup: the request's fields, the route's options, and the deadline for all of its reads. */
interface Lookup { readonly asked: RequestFields, readonly rules: RouteRules, readonly deadline: Deadline }

const ABSENT: Found = Object.freeze({ state: 'absent', missing: 'absent' })
/** The result of a lookup if the backend does not respond. */
export const UNKNOWN: Found = Object.freeze({ state: 'unavailable', missing: 'unavailable' })

export class Store implements EntryIO {
  readonly codec = new EntryCodec()
  readonly #guard: BackendGuard
  readonly #tags: Tags
  readonly #now: () => number
  readonly #observer: Observer
  readonly #variants: VariantLists

  constructor (
    guard: BackendGuard, { tags, now, observer, claims }: { tags: Tags, now: () => number, observer: Observer, claims?: Claims | undefined }
  ) {
    this.#guard = guard
    this.#variants = new VariantLists({ guard, claims, now }, this)
    this.#tags = tags
    this.#now = now
    this.#observer = observer
  }

  /** Returns the stored response under `key` for a request with these fields. Never rejects. */
  find (key: string, asked: RequestFields, rules: RouteRules, deadline: Deadline): MaybePromise<Found> {
    const read = this.#guard.get(key, deadline)
    return read instanceof Promise
      ? read.then((there) => this.#found(there, key, { asked, rules, deadline }))
      : this.#found(read, key, { asked, rules, deadline })
  }

  #found (read: Read, key: string, lookup: Lookup): MaybePromise<Found> {
    if (read === undefined) return ABSENT
    const entry = this.believed(read, key)
    if (entry === UNAVAILABLE || read === UNAVAILABLE) return UNKNOWN
    const { expiresAt } = read
    if (isOf(entry, 'response')) {
      // A response is stored without a list of variants only if no hook changed its request's target or origin. It fits only such requests.
      if (lookup.asked[kArrival].changes !== '') return { state: 'absent', missing: 'variant', expiresAt }
      return this.#current(entry, lookup, { expiresAt })
    }
    if (isOf(entry, 'variants')) return this.#findVariant(entry, lookup, expiresAt)
    return { state: 'absent', missing: 'damaged', expiresAt }
  }

  /** Decodes the entry that a read found. Returns undefined if there is none, or if it is damaged or from the future. */
  believed (read: Read, key: string): Entry | undefined | typeof UNAVAILABLE {
    if (read === undefined || read === UNAVAILABLE) return read
    const entry = this.codec.decode(read.value, key)
    if (entry === undefined) this.#observer.tellOfBackend({ name: 'damaged', key })
    return entry === undefined || entry.head.storedAt > this.#now() + MAX_CLOCK_SKEW_MS ? undefined : entry
  }

  /** Stores a response in the background. */
  storeResponse (response: ResponseToStore, expiresAt: number): MaybePromise<Stored> {
    const { key, head, body, right } = response
    if (response.varyNames.length > 0 || response.found.variants !== undefined || response.asked[kArrival].changes !== '') {
      return this.#variants.store(response, expiresAt)
    }
    return right === undefined ? this.put(key, head, body, expiresAt) : right.own.store({ value: this.codec.encode(head, body), expiresAt })
  }

  /** Deletes a response that is no longer valid, unless another one has replaced it. */
  deleteResponse ({ head: { key, storedAt }, body }: Entry<ResponseHead>): MaybePromise<void> {
    return andThen(this.#guard.get(key, this.#guard.deadline()), (read) => {
      const there = this.believed(read, key)
      if (there === UNAVAILABLE || (there?.head.storedAt === storedAt && there.body.equals(body))) this.#guard.deleteBehind(key)
    })
  }

  put (key: string, head: Head, body: Buffer | string, expiresAt: number): boolean {
    return this.#guard.writeBehind(key, { value: this.codec.encode(head, body), expiresAt })
  }

  /** Returns the result of a lookup that found `entry`. The result is fresh or stale, or absent if one of the tags was invalidated. */
  #current (stored: Entry<ResponseHead>, { rules, deadline }: Lookup, { expiresAt, variants, variant }: Under): MaybePromise<Found> {
    if (!hasTags(stored, rules)) return { state: 'absent', missing: 'untagged', expiresAt, variants, variant }
    const at = this.#now()
    const entry = limited(stored, rules)
    const { tags } = entry.head
    const found: Present = { state: entry.head.freshUntil > at ? 'fresh' : 'stale', entry, at, variants, expiresAt, variant }
    if (tags === undefined) return found
    return andThen(this.#tags.areCurrent(tags, deadline), (current) =>
      current === UNAVAILABLE ? UNKNOWN : current ? found : this.#softened(found, deadline))
  }

  /**
   * Returns the result of a lookup that found an entry which has an invalidated tag. The result is stale if all invalidations were soft,
   * otherwise absent.
   */
  #softened (found: Present, deadline: Deadline): MaybePromise<Found> {
    const { entry: { head, body }, expiresAt, variants, variant } = found
    const gone: Found = { state: 'absent', missing: 'invalidated', expiresAt, variants, variant }
    if (!isOfUseStale(head)) return gone
    return andThen(this.#tags.staleSince(head.tags as readonly string[], deadline), (since) =>
      since === UNAVAILABLE
        ? UNKNOWN
        : since === undefined ? gone : { ...found, state: 'stale', entry: { head: staleFrom(head, since), body }, at: this.#now() })
  }

  #findVariant (variants: Entry<VariantsHead>, lookup: Lookup, expiresAt: number): MaybePromise<Found> {
    const selecting = selection(variants.head.names, lookup.asked, lookup.rules.vary)
    const key = keyIn(variants.head, selecting)
    const variant = { key: key ?? variantKey(variants.head, digest(selecting)), expiresAt: undefined }
    const none: Found = { state: 'absent', missing: 'variant', expiresAt, variants, variant }
    if (key === undefined) return none
    return andThen(this.#guard.get(key, lookup.deadline), (read) => {
      const entry = this.believed(read, key)
      if (entry === UNAVAILABLE || read === UNAVAILABLE) return UNKNOWN
      if (read === undefined) return none
      const under = { expiresAt, variants, variant: { key, expiresAt: read.expiresAt } }
      return isOf(entry, 'response') ? this.#current(entry, lookup, under) : { ...none, ...under }
    })
  }
}
