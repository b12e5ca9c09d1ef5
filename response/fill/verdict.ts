// The verdict on what a handler made, with the fields of all hooks; what the handler set decides what is stored.
import type { FastifyReply } from 'fastify'
import { kArrival, type ArrivedRequest } from '../arrival.js'
import { isForOneOrigin } from '../http/fields.js'
import type { RoutePolicy } from '../options.js'
import type { Fields } from '../http/field-values.js'
import { decide, type Answer, type Verdict } from '../http/policy.js'
import type { Taken } from './recorded.js'
import { CONDITIONAL_STATUSES } from '../http/statuses.js'
import { canBeValidated, handlersValidators } from '../http/validators.js'

/** The response as it stands, beside what was taken of it. */
export interface Standing extends Pick<Answer, 'fields' | 'askedAt' | 'at' | 'decision'> {
  readonly request: ArrivedRequest
  readonly reply: FastifyReply
  readonly policy: RoutePolicy
  /** Its fields before a condition or a range of the client took some out. */
  readonly whole: Fields | undefined
}

export function verdictOn (taken: Taken, { request, reply, policy, whole, fields, askedAt, at, decision }: Standing): Verdict {
  // A hook may answer a condition or cut out a part of what the handler made: the whole remains true.
  const cut = CONDITIONAL_STATUSES.includes(reply.statusCode)
  if (reply.statusCode !== taken.status && !cut) return { refused: 'status' }
  const verdict = decide({
    status: taken.status,
    fields: whole === undefined ? fields : { ...whole, ...fields },
    vary: taken.vary,
    hasValidator: (request.method === 'GET' || request.method === 'HEAD') && canBeValidated(handlersValidators(taken, at)),
    authorized: policy.credentials === 'ignore' && (request[kArrival].hasAuthorization || request.headers.authorization !== undefined),
    askedAt,
    at,
    madeAt: taken.madeAt,
    decision
  }, policy)
  return 'varyNames' in verdict && isForOneOrigin(taken.fields, verdict.varyNames) ? { refused: 'cors' } : verdict
}
