// What a handler's answer makes of the stored one behind it: upheld, outdated, or sent in place of an error.
import type { FastifyReply } from 'fastify'
import type { Fields } from '../http/field-values.js'
import { isGone } from '../http/statuses.js'
import type { RefusalReason } from '../status.js'
import type { Validation } from './validation.js'

/** The answer as it is when the cache takes it up. */
export interface Answered {
  readonly reply: FastifyReply
  /** The reply's fields as they were before the handler ran. */
  readonly before: Fields
  /** The present, in epoch milliseconds. */
  readonly at: number
  /** Whether the handler threw. */
  readonly hasFailed: boolean
}

/** What comes of it. */
export interface Settled {
  /** What the reply goes on with. */
  readonly payload: unknown
  /** The status that the handler answered with, where the stored answer is sent. */
  readonly answered?: number
  /** Why this is not stored, where that is known. */
  readonly refused?: RefusalReason
  /** The stored answer is sent in place of an error. */
  readonly isStandIn?: true
  /** The stored answer holds no more. */
  readonly isOutdated?: boolean
  /** It still holds, and what is sent is to be stored anew. */
  readonly isUpheld?: true
}

/** Settles it. The reply becomes the stored answer where that is what is to be sent. */
export function settle (validation: Validation, { reply, before, at, hasFailed }: Answered, payload: unknown): Settled {
  const answered = reply.statusCode
  if (validation.mayStandIn(answered, at)) {
    return { payload: validation.revive(reply, before, { isFreshened: false, at }), answered, refused: hasFailed ? 'handler-error' : 'status', isStandIn: true }
  }
  if (hasFailed) return { payload, refused: 'handler-error', isOutdated: isGone(answered) }
  const outcome = validation.outcome(reply, before, at)
  if (outcome === undefined) return { payload, isOutdated: validation.isOutdated(reply, before) }
  if (outcome === 'theirs') return { payload, isOutdated: true }
  const isUpheld = outcome === 'upheld'
  const revived = validation.revive(reply, before, { isFreshened: isUpheld, at })
  return isUpheld ? { payload: revived, answered, isUpheld } : { payload: revived, answered, refused: 'condition', isOutdated: outcome === 'other' }
}
