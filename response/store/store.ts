// Entries in the backend: found by key and variant, believed only when whole and not invalidated, written behind the reply.
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

/** A stored response that no tag makes gone, and when it was found to be so: now, but for what its tags took to be read. */
export interface Present {
  readonly state: 'fresh' | 'stale'
  readonly entry: Entry<ResponseHead>
  /** Epoch milliseconds. */
  readonly at: number
  /** The list of variants that stands under the key, if one does. */
  readonly variants: Entry<VariantsHead> | undefined
}

/** Nothing that could be used, and why; of a backend that does not respond nobody knows. */
export interface Absent {
  readonly state: 'absent' | 'unavailable'
  readonly entry?: undefined
  readonly missing: MissReason
  readonly variants?: Entry<VariantsHead> | undefined
}

/** What a look under a key came to. */
export type Found = Present | Absent

/** A response to be kept. */
export interface ResponseToStore {
  readonly key: string
  readonly head: ResponseHead
  readonly body: Buffer | string
  readonly varyNames: readonly string[]
  /** The request's fields before the handler ran. */
  readonly asked: RequestFields
  /** How far spellings of those fields are one. */
  readonly spelling: Spelling
  /** The list of variants that was seen under the key when the fill began. */
  readonly variants: Entry<VariantsHead> | undefined
  /** Asked again where writing has to wait for a read. */
  readonly mayStore: () => boolean
}

/** Responses that vary are kept in so many variants under one key; the one stored longest ago goes first. */
export const MAX_VARIANTS = 32
const LONGEST_SELECTING_CHARACTERS = 256
/** An entry from further in the future was written under another clock. */
const MAX_CLOCK_SKEW_MS = 60_000

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

  constructor (guard: BackendGuard, tags: Tags, now: () => number, observer: Observer) {
    this.#guard = guard
    this.#tags = tags
    this.#now = now
    this.#observer = observer
  }

  /** The response under `key` for a request with these fields. Never rejects. */
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
    // One that was stored alone is of a request that no hook had rewritten.
    if (isOf(entry, 'response')) return asked[kArrival].changes === '' ? this.#current(entry, deadline, undefined) : OTHER_VARIANT
    if (isOf(entry, 'variants')) return this.#findVariant(entry, selection(entry.head.names, asked, spelling), deadline)
    return DAMAGED
  }

  /** The entry in what was read; undefined when there is none, or none to be believed. */
  believed (read: Read, key: string): Entry | undefined | typeof UNAVAILABLE {
    if (read === undefined || read === UNAVAILABLE) return read
    const entry = this.codec.decode(read.value, key)
    if (entry === undefined) this.#observer.tellOfBackend({ name: 'damaged', key })
    return entry === undefined || entry.head.storedAt > this.#now() + MAX_CLOCK_SKEW_MS ? undefined : entry
  }

  /** Keeps a response, behind the reply. Returns false when it may not be stored any more, or the backend could not be asked. */
  storeResponse (answer: ResponseToStore, expiresAt: number): MaybePromise<boolean> {
    if (answer.varyNames.length > 0 || answer.variants !== undefined || answer.asked[kArrival].changes !== '') {
      return this.#keepVariant(answer, expiresAt)
    }
    return this.put(answer.key, answer.head, answer.body, expiresAt)
  }

  /** Forgets a response that holds no more, if it is still the one that is there. */
  deleteResponse ({ head: { key, storedAt }, body }: Entry<ResponseHead>): MaybePromise<void> {
    return andThen(this.#guard.get(key, this.#guard.deadline()), (read) => {
      const there = this.believed(read, key)
      if (there === UNAVAILABLE || (there?.head.storedAt === storedAt && there.body.equals(body))) this.#guard.deleteBehind(key)
    })
  }

  put (key: string, head: Head, body: Buffer | string, expiresAt: number): boolean {
    return this.#guard.writeBehind(key, { value: this.codec.encode(head, body), expiresAt })
  }

  /** `entry`, fresh or stale, where no tag of it makes it gone. */
  #current (entry: Entry<ResponseHead>, deadline: Deadline, variants: Found['variants']): MaybePromise<Found> {
    const at = this.#now()
    const { tags } = entry.head
    const found: Found = { state: entry.head.freshUntil > at ? 'fresh' : 'stale', entry, at, variants }
    if (tags === undefined) return found
    return andThen(this.#tags.areCurrent(tags, deadline), (current) =>
      current === UNAVAILABLE ? UNKNOWN : current ? found : this.#softened(entry, deadline, variants))
  }

  /** `entry` with a tag that was invalidated: stale since then, where that was done softly. */
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

  /** Adds the response to the list of variants, which it reads anew: others may have been added meanwhile. */
  #keepVariant (answer: ResponseToStore, expiresAt: number): MaybePromise<boolean> {
    const { key } = answer
    return andThen(this.#guard.get(key, this.#guard.deadline()), (read) => {
      const there = this.believed(read, key)
      if (there === UNAVAILABLE || !answer.mayStore()) return false
      const known = isOf(there, 'variants') ? there : undefined
      const all = new Set([...(known?.head.names ?? []), ...answer.varyNames])
      // A handler that varies now on this, now on that, would make the list longer and longer: it begins anew.
      const names = (all.size > MAX_VARY_FIELDS ? [...answer.varyNames] : [...all]).sort()
      const id = variantOf(names, answer.asked, answer.spelling)
      const listed = known?.head.names.join() === names.join()
      const ids = [...(listed ? known!.head.ids.filter((other) => other !== id) : []), id]
      const dropped = ids.splice(0, Math.max(ids.length - MAX_VARIANTS, 0))
      const list: VariantsHead = {
        kind: 'variants', key, storedAt: this.#now(), names, ids, list: listed ? known!.head.list : randomBytes(9).toString('base64url')
      }
      const variant = variantKey(list, id)
      // The variant first: a list never names what is not there yet.
      const kept = this.put(variant, { ...answer.head, key: variant }, answer.body, expiresAt) &&
        this.put(key, list, '', Math.max(expiresAt, listed ? (read as { expiresAt: number }).expiresAt : 0))
      if (kept) for (const old of dropped) this.#guard.deleteBehind(variantKey(list, old))
      return kept
    })
  }
}

/** The key of the variant that these fields select; undefined where the list has none. Only what is short and in the list is remembered. */
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
