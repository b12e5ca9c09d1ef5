// One request and its response on the way through the cache: what every stage needs to know, and none changes.
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
  /** The request target that the client asked for. */
  readonly target: string
  /** The fence's mark before the first read of the backend: what is invalidated from here on, this request doesn't store. */
  readonly mark: number
  /** Until when it waits for the backend, all calls together. */
  readonly deadline: Deadline
  /** Set where this is a refresh. */
  readonly refresh: Refresh | undefined
}

/** What a fill begins with. */
export interface FillStart {
  readonly exchange: Exchange
  readonly forward: Forward
  readonly facts: ReplyFacts
  /** Those who wait for the response. */
  readonly flight: Flight | undefined
  /** Why the response is not stored whatever it is, if that is known. */
  readonly forbidden: RefusalReason | undefined
}

/** Why a request is forwarded, and what is known before. */
export interface Forward {
  readonly reason: ForwardReason
  readonly found: Found
  /** The stored response that is not sent as it is: it may be validated, or be served on an error. */
  readonly stored: Entry<ResponseHead> | undefined
}
