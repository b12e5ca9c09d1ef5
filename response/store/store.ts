// Finds entries by key and variant, uses them only if they are intact and not invalidated, and stores them in the background.
import { randomBytes } from 'node:crypto'
import type { MaybePromise } from '../../registry/backend.js'
import type { Spelling } from '../http/selecting-fields.js'
import { EntryCodec, isOf, isOfUseStale, kKeys, staleFrom, type Entry, type Head, type ResponseHead, type VariantsHead } from './entry.js'
import { UNAVAILABLE, type Read } from '../../registry/unavailable.js'
import type { BackendGuard } from './backend-guard.js'
import type { Claims } from './claims.js'
import type { HeldClaim } from './held-claim.js'
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

/** A variant that a request selects: the key under which it is stored, and when that entry expires; undefined if there is none. */
export interface SelectedVariant { readonly key: string, readonly expiresAt: number | undefined }

/** What lies under a key, whether it can be used or not. */
interface Under {
  /** When the entry under the key expires; absent if there is none. */
  readonly expiresAt?: number | undefined
  /** The list of variants under the key, if there is one. */
  readonly variants?: Entry<VariantsHead> | undefined
  /** The variant that the request selects, if there is a list of variants. */
  readonly variant?: SelectedVariant | undefined
}

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
  /** What was found before the fill began. */
  readonly found: Pick<Found, 'variants' | 'variant'>
  /** The right to store it; undefined if the backend knows no claims. */
  readonly right: Right | undefined
  /** Returns whether the response may still be stored. Called if storing has to read from the backend first. */
  readonly mayStore: () => boolean
}

/** The right to store a response: the claim of its key, and that of its variant, if it is known. */
export interface Right { readonly own: HeldClaim, readonly variant: HeldClaim | undefined }

/** Whether a response was stored. `false`: it was invalidated, or is not accepted. UNAVAILABLE: the backend did not say. */
export type Stored = boolean | typeof UNAVAILABLE

/** Limit on variants under one key. The one that was stored longest ago is removed first. */
export const MAX_VARIANTS = 32
const LONGEST_SELECTING_CHARACTERS = 256
/** An entry whose `storedAt` is further in the future than this was written with a wrong clock, and is not used. */
const MAX_CLOCK_SKEW_MS = 60_000

/** A list of variants, and when it expires. */
interface KnownList { readonly list: VariantsHead, readonly expiresAt: number }

/** A list of variants to be written, with one of them: its key, and when it expires. */
interface NextList extends KnownList {
  /** The ids of variants for which the list has no room any more. */
  readonly dropped: readonly string[]
  readonly variant: string
  readonly variantExpiresAt: number
}

/** A list of variants to which some responses are being added: how many, and the list that was written last meanwhile. */
interface Listing { adding: number, written: KnownList | undefined }

const ABSENT: Found = Object.freeze({ state: 'absent', missing: 'absent' })
/** The result of a lookup if the backend does not respond. */
export const UNKNOWN: Found = Object.freeze({ state: 'unavailable', missing: 'unavailable' })

export class Store {
  readonly codec = new EntryCodec()
  readonly #guard: BackendGuard
  readonly #tags: Tags
  readonly #now: () => number
  readonly #observer: Observer
  /** Undefined if the backend knows no claims. */
  readonly #claims: Claims | undefined
  /** The lists of variants that are being changed, by key. */
  readonly #listings = new Map<string, Listing>()

  constructor (
    guard: BackendGuard, { tags, now, observer, claims }: { tags: Tags, now: () => number, observer: Observer, claims?: Claims | undefined }
  ) {
    this.#guard = guard
    this.#claims = claims
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
    if (read === undefined) return ABSENT
    const entry = this.believed(read, key)
    if (entry === UNAVAILABLE || read === UNAVAILABLE) return UNKNOWN
    const { expiresAt } = read
    if (isOf(entry, 'response')) {
      // A response is stored without a list of variants only if no hook changed its request's target or origin. It fits only such requests.
      return asked[kArrival].changes === '' ? this.#current(entry, deadline, { expiresAt }) : { state: 'absent', missing: 'variant', expiresAt }
    }
    if (isOf(entry, 'variants')) {
      return this.#findVariant(entry, { selecting: selection(entry.head.names, asked, spelling), expiresAt, deadline })
    }
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
      return this.#keepVariant(response, expiresAt)
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
  #current (entry: Entry<ResponseHead>, deadline: Deadline, { expiresAt, variants, variant }: Under): MaybePromise<Found> {
    const at = this.#now()
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

  #findVariant (
    variants: Entry<VariantsHead>, { selecting, expiresAt, deadline }: { selecting: string, expiresAt: number, deadline: Deadline }
  ): MaybePromise<Found> {
    const key = keyIn(variants.head, selecting)
    const variant = { key: key ?? variantKey(variants.head, digest(selecting)), expiresAt: undefined }
    const none: Found = { state: 'absent', missing: 'variant', expiresAt, variants, variant }
    if (key === undefined) return none
    return andThen(this.#guard.get(key, deadline), (read) => {
      const entry = this.believed(read, key)
      if (entry === UNAVAILABLE || read === UNAVAILABLE) return UNKNOWN
      if (read === undefined) return none
      const under = { expiresAt, variants, variant: { key, expiresAt: read.expiresAt } }
      return isOf(entry, 'response') ? this.#current(entry, deadline, under) : { ...none, ...under }
    })
  }

  /**
   * Stores the response as a variant. Reads the list of variants again, because others may have been added meanwhile. If one is added while
   * this is being read, its list counts, and not the one that was read.
   */
  #keepVariant (response: ResponseToStore, expiresAt: number): MaybePromise<Stored> {
    const { key } = response
    const listing: Listing = this.#listings.get(key) ?? { adding: 0, written: undefined }
    listing.adding++
    this.#listings.set(key, listing)
    const over = (): void => { if (--listing.adding === 0) this.#listings.delete(key) }
    return andThen(this.#guard.get(key, this.#guard.deadline()), (read) => {
      const known = listing.written ?? this.#listIn(read, key)
      if (known === UNAVAILABLE || !response.mayStore()) {
        over()
        return known === UNAVAILABLE ? UNAVAILABLE : false
      }
      const next = this.#listWith(response, expiresAt, known)
      listing.written = next
      return andThen(response.right === undefined ? this.#putVariant(response, next) : this.#settleVariant(response, response.right, next),
        (stored) => {
          if (stored !== true && listing.written === next) listing.written = undefined
          over()
          for (const old of stored === true ? next.dropped : []) this.#guard.deleteBehind(variantKey(next.list, old))
          return stored
        })
    })
  }

  /** Returns the list of variants that a read found; undefined if it found none. */
  #listIn (read: Read, key: string): KnownList | undefined | typeof UNAVAILABLE {
    const there = this.believed(read, key)
    if (there === UNAVAILABLE) return UNAVAILABLE
    return isOf(there, 'variants') ? { list: there.head, expiresAt: (read as { expiresAt: number }).expiresAt } : undefined
  }

  /** Returns the list of variants with this response added. */
  #listWith (response: ResponseToStore, expiresAt: number, known: KnownList | undefined): NextList {
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
    return { list, expiresAt: Math.max(expiresAt, before?.expiresAt ?? 0), dropped, variant: variantKey(list, id), variantExpiresAt: expiresAt }
  }

  /** The variant is written first, so that the list never names a variant that does not exist yet. */
  #putVariant ({ key, head, body }: ResponseToStore, { list, expiresAt, variant, variantExpiresAt }: NextList): boolean {
    return this.put(variant, { ...head, key: variant }, body, variantExpiresAt) && this.put(key, list, '', expiresAt)
  }

  /**
   * Stores the list first: if the response was invalidated, the list is gone, and this is refused. The variant itself is claimed until it is
   * stored, so that no other process creates it, although the list names it already.
   */
  async #settleVariant ({ key, head, body, found }: ResponseToStore, right: Right, next: NextList): Promise<Stored> {
    const { list, expiresAt, variant, variantExpiresAt } = next
    const isClaimed = right.variant?.key === variant
    if (!isClaimed) right.variant?.giveBack()
    const seen = found.variant?.key === variant ? found.variant.expiresAt : undefined
    const claimed = isClaimed ? { held: right.variant! } : await this.#claims!.claim({ key: variant, seen }, this.#guard.deadline())
    if (claimed === UNAVAILABLE) return UNAVAILABLE
    // Another process has just created this variant, or is creating it.
    if (!('held' in claimed)) return false
    const isListed = await right.own.store({ value: this.codec.encode(list, ''), expiresAt }, true)
    if (isListed === true) {
      return await claimed.held.store({ value: this.codec.encode({ ...head, key: variant }, body), expiresAt: variantExpiresAt })
    }
    claimed.held.giveBack()
    return isListed
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
