// One request on its way through the cache: the facts that every stage needs and none changes.
import type { FastifyInstance, FastifyReply } from 'fastify'
import type { ArrivedRequest } from '../request/arrival.js'
import type { Deadline } from '../../registry/deadline.js'
import type { ForwardReason, RefusalReason } from '../observe/reasons.js'
import type { ReplyFacts } from '../fastify/fastify-internals.js'
import type { Entry, ResponseHead } from '../store/entry.js'
import type { Found } from '../store/store.js'
import type { Flight } from './single-flight.js'
import type { Refresh } from './refresh.js'

export interface Exchange {
  readonly instance: FastifyInstance
  readonly request: ArrivedRequest
  readonly reply: FastifyReply
  readonly key: string
  /** The request target that the router saw, before hooks could change it. */
  readonly target: string
  /** The fence's mark before the first read of the backend. If the response is invalidated after this mark, it is not stored. */
  readonly mark: number
  /** The deadline that all waits of this request for the backend share. */
  readonly deadline: Deadline
  /** Set if this request is a refresh. */
  readonly refresh: Refresh | undefined
}

/** The inputs of a fill. */
export interface FillStart {
  readonly exchange: Exchange
  readonly forward: Forward
  readonly facts: ReplyFacts
  /** The flight that ends when this response is ready; undefined if other requests can't wait for the response. */
  readonly flight: Flight | undefined
  /** The reason why the response must not be stored, if there is one before the handler runs. */
  readonly forbidden: RefusalReason | undefined
}

/** Why a request is forwarded, and what the lookup found. */
export interface Forward {
  readonly reason: ForwardReason
  readonly found: Found
  /** The stored response that was found, if any. It can't be served as it is, but it may be validated, or served if the handler fails. */
  readonly stored: Entry<ResponseHead> | undefined
}
