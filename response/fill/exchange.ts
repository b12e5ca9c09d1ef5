// The facts about a request that all steps of its handling share. No step changes them.
import type { FastifyInstance, FastifyReply } from 'fastify'
import type { ArrivedRequest } from '../request/arrival.js'
import type { Deadline } from '../../registry/deadline.js'
import type { ForwardReason, RefusalReason } from '../observe/reasons.js'
import type { ReplyFacts } from '../fastify/fastify-internals.js'
import type { Entry, ResponseHead } from '../store/entry.js'
import type { Found } from '../store/store.js'
import type { Refresh } from './refresh.js'
import type { ResponseFlight } from './shared-response.js'
import type { Turn } from './turn.js'

export interface Exchange {
  readonly instance: FastifyInstance
  readonly request: ArrivedRequest
  readonly reply: FastifyReply
  readonly key: string
  /** The request target that the router saw, before hooks could change it. */
  readonly target: string
  /** The fence's mark, taken before the first read of the backend. If the response is invalidated after this mark, it is not stored. */
  readonly mark: number
  /** The deadline that all of this request's reads from the backend share. */
  readonly deadline: Deadline
  /** The refresh that this request carries out; undefined if it is not a refresh. */
  readonly refresh: Refresh | undefined
}

/** What is known about a request when its fill is created. */
export interface FillStart {
  readonly exchange: Exchange
  readonly forward: Forward
  readonly facts: ReplyFacts
  /** The flight that other requests can wait for; undefined if they can't wait for this response. */
  readonly flight: ResponseFlight | undefined
  /** The reason why the response must not be stored, if there is one before the handler runs. */
  readonly forbidden: RefusalReason | undefined
  /** What was obtained from the backend before the handler runs; undefined if nothing was asked for. */
  readonly turn?: Turn | undefined
}

/** The reason why a request is forwarded, and the result of its lookup. */
export interface Forward {
  readonly reason: ForwardReason
  readonly found: Found
  /** The stored response that was found, if any. It can't be served as it is, but it may be validated, or served if the handler fails. */
  readonly stored: Entry<ResponseHead> | undefined
}
