// A visit: one request on its way through the cache.
import type { FastifyInstance, FastifyReply } from 'fastify'
import type { ArrivedRequest } from '../arrival.js'
import type { Entry, ResponseHead } from '../store/entry.js'
import type { Deadline } from '../../registry/deadline.js'
import type { Refresh } from './refresh.js'
import type { Forwarding } from '../status.js'

/** One request on its way through the cache. */
export interface Visit {
  readonly instance: FastifyInstance
  readonly request: ArrivedRequest
  readonly reply: FastifyReply
  readonly key: string
  /** The request target that the client asked for. */
  readonly target: string
  /** The fence's mark before the first read of the backend. */
  readonly mark: number
  /** Until when it waits for the backend, all calls together. */
  readonly deadline: Deadline
  /** Why the handler is asked (RFC 9211 section 2.2). */
  readonly why: Forwarding
  /** The stored answer that was not to be served as it is: it may be validated, or stand in for an error. */
  readonly behind?: Entry<ResponseHead>
  /** Set where this is a refresh. */
  readonly refresh?: Refresh | undefined
}
