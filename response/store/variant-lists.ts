// Variants: the responses of one key that differ by request fields. A list under the key names them, and each has a key of its own.
import { randomBytes } from 'node:crypto'
import type { MaybePromise } from '../../registry/backend.js'
import { andThen } from '../../registry/maybe-promise.js'
import { UNAVAILABLE, type Read } from '../../registry/unavailable.js'
import { MAX_VARY_FIELDS } from '../http/vary.js'
import { digest } from '../request/key.js'
import { variantOf } from '../request/variant.js'
import type { BackendGuard } from './backend-guard.js'
import type { Claims } from './claims.js'
import { isOf, kKeys, type VariantsHead } from './entry.js'
import type { HeldClaim } from './held-claim.js'
import type { EntryIO, ResponseToStore, Right, Stored } from './response-to-store.js'

/** Limit on variants under one key. The one that was stored longest ago is removed first. */
export const MAX_VARIANTS = 32
const LONGEST_SELECTING_CHARACTERS = 256
/** How often a list is written again because another process has changed it meanwhile. */
const MOST_ATTEMPTS = 8

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

export interface VariantServices {
  readonly guard: BackendGuard
  /** Undefined if the backend knows no claims. */
  readonly claims: Claims | undefined
  readonly now: () => number
}

/** Stores variants. */
export class VariantLists {
  readonly #services: VariantServices
  readonly #entries: EntryIO
  /** The lists of variants that are being changed, by key. */
  readonly #listings = new Map<string, Listing>()

  constructor (services: VariantServices, entries: EntryIO) {
    this.#services = services
    this.#entries = entries
  }

  /** Stores the response as a variant. */
  store (response: ResponseToStore, expiresAt: number): MaybePromise<Stored> {
    return response.right === undefined ? this.#merge(response, expiresAt) : this.#settle(response, response.right, expiresAt)
  }

  /**
   * Reads the list of variants again, because others may have been added meanwhile. If one is added while this is being read, its list
   * counts, and not the one that was read.
   */
  #merge (response: ResponseToStore, expiresAt: number): MaybePromise<Stored> {
    const { guard } = this.#services
    const { key } = response
    const listing: Listing = this.#listings.get(key) ?? { adding: 0, written: undefined }
    listing.adding++
    this.#listings.set(key, listing)
    return andThen(guard.get(key, guard.deadline()), (read) => {
      const known = listing.written ?? this.#listIn(read, key)
      if (--listing.adding === 0) this.#listings.delete(key)
      if (known === UNAVAILABLE || !response.mayStore()) return known === UNAVAILABLE ? UNAVAILABLE : false
      const next = this.#listWith(response, expiresAt, known)
      const isKept = this.#put(response, next)
      listing.written = isKept ? next : undefined
      if (isKept) this.#deleteDropped(next)
      return isKept
    })
  }

  /** Returns the list of variants that a read found; undefined if it found none. */
  #listIn (read: Read, key: string): KnownList | undefined | typeof UNAVAILABLE {
    const there = this.#entries.believed(read, key)
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
      kind: 'variants', key, storedAt: this.#services.now(), names, ids, list: before?.list.list ?? randomBytes(9).toString('base64url')
    }
    // Each list expires later than the one before, which tells them apart.
    const listedUntil = Math.max(expiresAt, (known?.expiresAt ?? 0) + 1)
    return { list, expiresAt: listedUntil, dropped, variant: variantKey(list, id), variantExpiresAt: expiresAt }
  }

  /** The variant is written first, so that the list never names a variant that does not exist yet. */
  #put ({ key, head, body }: ResponseToStore, { list, expiresAt, variant, variantExpiresAt }: NextList): boolean {
    return this.#entries.put(variant, { ...head, key: variant }, body, variantExpiresAt) && this.#entries.put(key, list, '', expiresAt)
  }

  /**
   * Stores the list first: if the response was invalidated, the list is gone, and this is refused. The variant itself is claimed until it
   * is stored, so that no other process creates it, although the list names it already.
   */
  async #settle (response: ResponseToStore, right: Right, expiresAt: number): Promise<Stored> {
    const { guard } = this.#services
    const { key, head, body, mayStore } = response
    for (let attempt = 0; attempt < MOST_ATTEMPTS; attempt++) {
      const read = await guard.get(key, guard.deadline())
      const known = this.#listIn(read, key)
      if (known === UNAVAILABLE || read === UNAVAILABLE) return UNAVAILABLE
      const next = this.#listWith(response, expiresAt, known)
      const variant = await this.#claimVariant(response, right, next)
      if (variant === UNAVAILABLE) return UNAVAILABLE
      if (variant === undefined || !mayStore()) {
        variant?.giveBack()
        return false
      }
      const list = { value: this.#entries.codec.encode(next.list, ''), expiresAt: next.expiresAt }
      // What is there may also be a response that was stored when nothing was known to vary.
      const isListed = await right.own.replace(read?.expiresAt ?? 0, list)
      if (isListed === true) {
        this.#deleteDropped(next)
        return await variant.store({ value: this.#entries.codec.encode({ ...head, key: next.variant }, body), expiresAt })
      }
      if (variant !== right.variant) variant.giveBack()
      // Another variant was added meanwhile, or the response was invalidated.
      if (isListed === UNAVAILABLE || !await right.own.isValid()) return isListed
    }
    return false
  }

  /** Claims the variant, unless that was done before the handler ran. Returns undefined if another process is creating it. */
  async #claimVariant (
    { found }: ResponseToStore, right: Right, { variant: key }: NextList
  ): Promise<HeldClaim | typeof UNAVAILABLE | undefined> {
    const { claims, guard } = this.#services
    if (right.variant?.key === key) return right.variant
    right.variant?.giveBack()
    const seen = found.variant?.key === key ? found.variant.expiresAt : undefined
    let claimed = await claims!.claim({ key, seen }, guard.deadline())
    // Meanwhile, somebody has stored this variant. Nothing has been invalidated, so the last one counts.
    if (claimed !== UNAVAILABLE && 'quicker' in claimed) {
      claimed = await claims!.claim({ key, seen: claimed.quicker.expiresAt }, guard.deadline(), true)
    }
    if (claimed === UNAVAILABLE) return UNAVAILABLE
    return 'held' in claimed ? claimed.held : undefined
  }

  #deleteDropped ({ list, dropped }: NextList): void {
    for (const old of dropped) this.#services.guard.deleteBehind(variantKey(list, old))
  }
}

/**
 * Returns the key of the variant for `selecting` (the values of the selecting fields), or undefined if the list has no such variant.
 * Remembers the key if `selecting` is short.
 */
export function keyIn (list: VariantsHead, selecting: string): string | undefined {
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

export function variantKey ({ key, list }: VariantsHead, id: string): string {
  return `${key} ~${list}.${id}`
}
