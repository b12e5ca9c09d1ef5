// Finds entries by key and variant, uses them only if they are intact and not invalidated, and stores them in the background.
import { randomBytes } from 'node:crypto'
import type { MaybePromise } from '../../registry/backend.js'
import type { Spelling } from '../http/selecting-fields.js'
import { EntryCodec, isOf, isOfUseStale, kKeys, staleFrom, type Entry, type Head, type ResponseHead, type VariantsHead } from './entry.js'
import { UNAVAILABLE, type Read } from '../../registry/unavailable.js'
import type { BackendGuard } from './backend-guard.js'
import { kArrival } from '../request/arrival.js'
import { digest } from '../request/key.js'
import type { RequestFields } from '../request/request-fields.js'
import { andThen } from '../../registry/maybe-promise.js'
import type { Deadline } from '../../registry/deadline.js'
import type { Observer } from '../observe/observer.js'
import type { MissReason } from '../observe/reasons.js'
import type { Tags } from './tags.js'
import { selection, variantOf } from '../request/variant.js'
import { MAX_VARY_FIELDS } from '../http/vary.js'

/** A stored response that may be used. */
export interface Present {
  readonly state: 'fresh' | 'stale'
  readonly entry: Entry<ResponseHead>
  /** The time of the lookup, in epoch milliseconds. */
  readonly at: number
  /** The list of variants under the key, if there is one. */
  readonly variants: Entry<VariantsHead> | undefined
}

/** The result if no response can be used, with the reason. `unavailable`: there may be a response, but the backend did not respond. */
export interface Absent {
  readonly state: 'absent' | 'unavailable'
  readonly entry?: undefined
  readonly missing: MissReason
  readonly variants?: Entry<VariantsHead> | undefined
}

/** The result of a lookup. */
export type Found = Present | Absent

/** A response to be stored. */
export interface ResponseToStore {
  readonly key: string
  readonly head: ResponseHead
  readonly body: Buffer | string
  readonly varyNames: readonly string[]
  /** The request's fields before the handler ran. */
  readonly asked: RequestFields
  /** How the values of these fields are compared. */
  readonly spelling: Spelling
  /** The list of variants that was found under the key before the fill began. */
  readonly variants: Entry<VariantsHead> | undefined
  /** Returns whether the response may still be stored. Called if storing has to read from the backend first. */
  readonly mayStore: () => boolean
}

/** Limit on variants under one key. The one that was stored longest ago is removed first. */
export const MAX_VARIANTS = 32
const LONGEST_SELECTING_CHARACTERS = 256
/** An entry whose `storedAt` is further in the future than this was written with a wrong clock, and is not used. */
const MAX_CLOCK_SKEW_MS = 60_000

/** A list of variants, and when it expires. */
interface KnownList { readonly list: VariantsHead, readonly expiresAt: number }

/** A list of variants to which some responses are being added: how many, and the list that was written last meanwhile. */
interface Listing { adding: number, written: KnownList | undefined }

const ABSENT: Found = Object.freeze({ state: 'absent', missing: 'absent' })
const DAMAGED: Found = Object.freeze({ state: 'absent', missing: 'damaged' })
const OTHER_VARIANT: Found = Object.freeze({ state: 'absent', missing: 'variant' })
const UNKNOWN: Found = Object.freeze({ state: 'unavailable', missing: 'unavailable' })

export class Store {
  readonly codec = new EntryCodec()
  readonly #guard: BackendGuard
  readonly #tags: Tags
  readonly #now: () => number
  readonly #observer: Observer
  /** The lists of variants that are being changed, by key. */
  readonly #listings = new Map<string, Listing>()

  constructor (guard: BackendGuard, tags: Tags, now: () => number, observer: Observer) {
    this.#guard = guard
    this.#tags = tags
    this.#now = now
    this.#observer = observer
  }

  /** Returns the stored response under `key` for a request with these fields. Never rejects. */
  find (key: string, asked: RequestFields, spelling: Spelling, deadline: Deadline): MaybePromise<Found> {
    const read = this.#guard.get(key, deadline)
    return read instanceof Promise
      ? read.then((there) => this.#found(there, key, { asked, spelling, deadline }))
      : this.#found(read, key, { asked, spelling, deadline })
  }

  #found (
    read: Read, key: string, { asked, spelling, deadline }: { asked: RequestFields, spelling: Spelling, deadline: Deadline }
  ): MaybePromise<Found> {
    const entry = this.believed(read, key)
    if (entry === UNAVAILABLE) return UNKNOWN
    if (entry === undefined) return read === undefined ? ABSENT : DAMAGED
    // A response is stored without a list of variants only if no hook changed its request's target or origin. It fits only such requests.
    if (isOf(entry, 'response')) return asked[kArrival].changes === '' ? this.#current(entry, deadline, undefined) : OTHER_VARIANT
    if (isOf(entry, 'variants')) return this.#findVariant(entry, selection(entry.head.names, asked, spelling), deadline)
    return DAMAGED
  }

  /** Decodes the entry that a read found. Returns undefined if there is none, or if it is damaged or from the future. */
  believed (read: Read, key: string): Entry | undefined | typeof UNAVAILABLE {
    if (read === undefined || read === UNAVAILABLE) return read
    const entry = this.codec.decode(read.value, key)
    if (entry === undefined) this.#observer.tellOfBackend({ name: 'damaged', key })
    return entry === undefined || entry.head.storedAt > this.#now() + MAX_CLOCK_SKEW_MS ? undefined : entry
  }

  /** Stores a response in the background. Returns false if it may no longer be stored, or if the backend does not accept it. */
  storeResponse (response: ResponseToStore, expiresAt: number): MaybePromise<boolean> {
    if (response.varyNames.length > 0 || response.variants !== undefined || response.asked[kArrival].changes !== '') {
      return this.#keepVariant(response, expiresAt)
    }
    return this.put(response.key, response.head, response.body, expiresAt)
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
  #current (entry: Entry<ResponseHead>, deadline: Deadline, variants: Found['variants']): MaybePromise<Found> {
    const at = this.#now()
    const { tags } = entry.head
    const found: Found = { state: entry.head.freshUntil > at ? 'fresh' : 'stale', entry, at, variants }
    if (tags === undefined) return found
    return andThen(this.#tags.areCurrent(tags, deadline), (current) =>
      current === UNAVAILABLE ? UNKNOWN : current ? found : this.#softened(entry, deadline, variants))
  }

  /**
   * Returns the result of a lookup that found `entry`, which has an invalidated tag. The result is stale if all invalidations were soft,
   * otherwise absent.
   */
  #softened (entry: Entry<ResponseHead>, deadline: Deadline, variants: Found['variants']): MaybePromise<Found> {
    const { head, body } = entry
    const gone: Found = { state: 'absent', missing: 'invalidated', variants }
    if (!isOfUseStale(head)) return gone
    return andThen(this.#tags.staleSince(head.tags as readonly string[], deadline), (since) =>
      since === UNAVAILABLE
        ? UNKNOWN
        : since === undefined ? gone : { state: 'stale', entry: { head: staleFrom(head, since), body }, at: this.#now(), variants })
  }

  #findVariant (variants: Entry<VariantsHead>, selecting: string, deadline: Deadline): MaybePromise<Found> {
    const none: Found = { state: 'absent', missing: 'variant', variants }
    const variant = keyIn(variants.head, selecting)
    if (variant === undefined) return none
    return andThen(this.#guard.get(variant, deadline), (read) => {
      const entry = this.believed(read, variant)
      if (entry === UNAVAILABLE) return UNKNOWN
      return isOf(entry, 'response') ? this.#current(entry, deadline, variants) : none
    })
  }

  /**
   * Stores the response as a variant. Reads the list of variants again, because others may have been added meanwhile. If one is added while
   * this is being read, its list counts, and not the one that was read.
   */
  #keepVariant (response: ResponseToStore, expiresAt: number): MaybePromise<boolean> {
    const { key } = response
    const listing: Listing = this.#listings.get(key) ?? { adding: 0, written: undefined }
    listing.adding++
    this.#listings.set(key, listing)
    return andThen(this.#guard.get(key, this.#guard.deadline()), (read) => {
      const known = listing.written ?? this.#listIn(read, key)
      if (--listing.adding === 0) this.#listings.delete(key)
      if (known === UNAVAILABLE || !response.mayStore()) return false
      listing.written = this.#addVariant(response, expiresAt, known)
      return listing.written !== undefined
    })
  }

  /** Returns the list of variants that a read found; undefined if it found none. */
  #listIn (read: Read, key: string): KnownList | undefined | typeof UNAVAILABLE {
    const there = this.believed(read, key)
    if (there === UNAVAILABLE) return UNAVAILABLE
    return isOf(there, 'variants') ? { list: there.head, expiresAt: (read as { expiresAt: number }).expiresAt } : undefined
  }

  /** Stores the response, and a list of variants with it. Returns that list; undefined if the backend does not accept them. */
  #addVariant (response: ResponseToStore, expiresAt: number, known: KnownList | undefined): KnownList | undefined {
    const { key } = response
    const all = new Set([...(known?.list.names ?? []), ...response.varyNames])
    // If each response varied on different fields, the list of fields would grow without limit. When it is full, it starts again with the
    // fields of this response.
    const names = (all.size > MAX_VARY_FIELDS ? [...response.varyNames] : [...all]).sort()
    const id = variantOf(names, response.asked, response.spelling)
    const before = known?.list.names.join() === names.join() ? known : undefined
    const ids = [...(before?.list.ids.filter((other) => other !== id) ?? []), id]
    const dropped = ids.splice(0, Math.max(ids.length - MAX_VARIANTS, 0))
    const list: VariantsHead = {
      kind: 'variants', key, storedAt: this.#now(), names, ids, list: before?.list.list ?? randomBytes(9).toString('base64url')
    }
    const variant = variantKey(list, id)
    const listedUntil = Math.max(expiresAt, before?.expiresAt ?? 0)
    // The variant is written first, so that the list never names a variant that does not exist yet.
    const isKept = this.put(variant, { ...response.head, key: variant }, response.body, expiresAt) && this.put(key, list, '', listedUntil)
    if (!isKept) return undefined
    for (const old of dropped) this.#guard.deleteBehind(variantKey(list, old))
    return { list, expiresAt: listedUntil }
  }
}

/**
 * Returns the key of the variant for `selecting` (the values of the selecting fields), or undefined if the list has no such variant.
 * Remembers the key if `selecting` is short.
 */
function keyIn (list: VariantsHead, selecting: string): string | undefined {
  const known = list[kKeys]?.get(selecting)
  if (known !== undefined) return known
  const id = digest(selecting)
  if (!list.ids.includes(id)) return undefined
  const key = variantKey(list, id)
  if (selecting.length <= LONGEST_SELECTING_CHARACTERS) {
    list[kKeys] ??= new Map()
    list[kKeys].set(selecting, key)
  }
  return key
}

function variantKey ({ key, list }: VariantsHead, id: string): string {
  return `${key} ~${list}.${id}`
}
