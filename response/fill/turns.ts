// Before a handler runs, its fill waits for its turn: one process at a time fills a key, if the backend has claims.
import type { MaybePromise } from '../../registry/backend.js'
import type { Deadline } from '../../registry/deadline.js'
import { andThen } from '../../registry/maybe-promise.js'
import { UNAVAILABLE } from '../../registry/unavailable.js'
import { giveBack, type Claimed, type Claims, type Obtained, type Wanted } from '../store/claims.js'
import type { Found } from '../store/store.js'
import type { Right } from '../store/response-to-store.js'
import type { Tags } from '../store/tags.js'
import type { Attempt, Seen, TurnOutcome } from './turn.js'

/** A fill that waits for its turn. */
export interface Waiting {
  readonly key: string
  /** What was found under the key. */
  readonly found: Found
  readonly deadline: Deadline
  /** When it began to wait, on the clock of `performance.now()`. */
  readonly since: number
  /** Whether other fills don't wait for this one, and this one not for others. */
  readonly isAlone: boolean
  /** Whether the tags may be known only after the handler has run. */
  readonly hasLateTags: boolean
  /** Entries that claims have returned while it waited. They count more than what was found, which may be damaged. */
  readonly seen: Seen | undefined
  /** Whether it waits while another process has the lease. @default true */
  readonly waits?: boolean
  /** The claim that a refresh already has. */
  readonly right?: Right | undefined
}

export class Turns {
  readonly #claims: Claims | undefined
  readonly #tags: Tags

  constructor (claims: Claims | undefined, tags: Tags) {
    this.#claims = claims
    this.#tags = tags
  }

  /** Waits for the turn of a fill. Returns a promise only if there is something to wait for. Never rejects. */
  wait (waiting: Waiting): MaybePromise<TurnOutcome> {
    const { deadline, hasLateTags } = waiting
    // Asked beside the claim, not after it: an earlier number is as right.
    const asked = this.#tags.lastInvalidation(deadline, hasLateTags)
    const right = this.claim(waiting)
    return andThen(right, (attempt) => {
      if (attempt === undefined) return andThen(asked, (lastInvalidation) => ({ right: undefined, lastInvalidation }))
      if (attempt === UNAVAILABLE || attempt === 'timeout' || 'seen' in attempt) return attempt
      if ('busyMs' in attempt) return UNAVAILABLE
      return andThen(asked, (lastInvalidation) => ({ right: attempt.right, lastInvalidation }))
    })
  }

  /** Claims what a fill needs to store its response. Resolves to undefined if the backend has no claims. Never rejects. */
  claim (waiting: Omit<Waiting, 'hasLateTags'>): MaybePromise<Attempt | undefined> {
    const claims = this.#claims
    if (claims === undefined) return undefined
    const { right, key, found, deadline, since, seen, waits = true } = waiting
    if (right !== undefined) return { right }
    const { variant } = found
    const isAlone = waiting.isAlone || claims.hasLease(variant?.key ?? key)
    const obtain = (wanted: Wanted): MaybePromise<Obtained | Claimed> =>
      waits ? claims.obtain(wanted, deadline, since) : claims.claim(wanted, deadline)
    const own: Wanted = { key, seen: seen?.get(key) ?? found.expiresAt }
    if (isAlone) return andThen(claims.claim(own, deadline, true), (claimed) => attemptOf(own, claimed, seen))
    if (variant === undefined) return andThen(obtain(own), (obtained) => attemptOf(own, obtained, seen))
    const other: Wanted = { key: variant.key, seen: seen?.get(variant.key) ?? variant.expiresAt }
    return andThen(obtain(other), (first) => {
      if (first === 'timeout' || first === UNAVAILABLE || !('held' in first)) return attemptOf(other, first, seen)
      // Variants don't wait for each other, so the list is claimed without a lease.
      return andThen(claims.claim(own, deadline, true), (second) => {
        if (second === UNAVAILABLE || !('held' in second)) giveBack(first)
        return attemptOf(own, second, seen, first.held)
      })
    })
  }
}

function attemptOf (wanted: Wanted, claimed: Claimed | Obtained, seen: Seen | undefined, variant?: Right['variant']): Attempt {
  if (claimed === 'timeout' || claimed === UNAVAILABLE || 'busyMs' in claimed) return claimed
  if ('held' in claimed) return { right: { own: claimed.held, variant } }
  return { seen: new Map([...seen ?? [], [wanted.key, claimed.quicker.expiresAt]]) }
}
