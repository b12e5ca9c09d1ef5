// A hit on its way through onSend hooks. If they leave the body alone, the cache adds its own ETag and serves ranges after them.
import type { FastifyReply, onSendHookHandler } from 'fastify'
import { afterHooks, around, withoutLength, type RouteContext } from '../fastify/fastify-internals.js'
import type { Conditions } from '../http/conditional.js'
import { fieldIn } from '../http/field-values.js'
import { without } from '../http/stored-fields.js'
import type { Entry, ResponseHead } from '../store/entry.js'
import { announceRanges, applyConditions } from './conditional-reply.js'
import { noticed, type PassedBody } from './passed-body.js'
import { discard, streamKind } from './payload.js'

/** The property of a reply that holds its hit, if the hit goes through hooks. */
export const kHit = Symbol('fastify-response-cache.hit')

/** A hit that goes through hooks. */
export interface HookedHit {
  /** The stored response, with the ETag that the cache computed, if any. */
  readonly entry: Entry<ResponseHead>
  readonly passed: PassedBody
  readonly conditions: Conditions
  /** When the response was looked up, in epoch milliseconds. */
  readonly at: number
  /** Called if a hook has changed the body, so that the client gets no ETag of the cache's, or no part. `hook` is undefined if unknown. */
  readonly onChanged: (hook: onSendHookHandler | undefined, coding: unknown) => void
}

/** Returns the entry without the ETag that the cache computed from the body, because hooks may still change the body. */
export function withoutOwnEtag (entry: Entry<ResponseHead>): Entry<ResponseHead> {
  const { head, body } = entry
  if (head.ownEtag !== true) return entry
  entry.untagged ??= { head: { ...head, fields: without(head.fields, ['etag']) }, body }
  return entry.untagged
}

/** Returns the route's hooks, and after them the hook that completes the hit. */
export function completingHits (context: RouteContext): RouteContext {
  const noticing = (hook: onSendHookHandler): onSendHookHandler => hook === complete ? hook : noticed(hook, (reply) => hitOf(reply)?.passed)
  const hooks = afterHooks(context.onSend ?? [], complete).map(noticing)
  return around(context, [...hooks, withoutLength])
}

/** If the hooks have left the body alone, adds the ETag, announces ranges, and applies the client's conditions and ranges. */
const complete: onSendHookHandler = (request, reply, payload, done) => {
  const hit = hitOf(reply)
  done(null, hit === undefined ? payload : completed(hit, request.method, reply, payload))
}

function hitOf (reply: FastifyReply): HookedHit | undefined {
  return (reply as FastifyReply & { [kHit]?: HookedHit | null })[kHit] ?? undefined
}

function completed (hit: HookedHit, method: string, reply: FastifyReply, payload: unknown): unknown {
  const { entry: { head, body }, passed, conditions, at, onChanged } = hit
  const isExact = head.ownEtag === true || conditions.range !== undefined
  if (!(isExact ? passed.isUnchanged(reply, payload, body) : passed.isPassedOn(reply, payload))) {
    const isMissed = isExact && method === 'GET' && reply.statusCode === 200
    if (isMissed) onChanged(passed.changedBy(payload), reply.getHeader('content-encoding'))
    return payload
  }
  if (head.ownEtag === true && !reply.hasHeader('etag')) reply.header('etag', fieldIn(head.fields, 'etag'))
  announceRanges(reply)
  if (!isExact) return payload
  // A response without Content-Type is passed to hooks as a stream; see `payloadOf`.
  const whole = streamKind(payload) === undefined ? payload : body
  const given = applyConditions(reply, whole, { conditions, method, at, wholeOnly: false })
  if (given === whole) return payload
  discard(payload)
  // Fastify keeps the previous payload if a hook passes on `undefined`, and its own hook for HEAD fails on `null`.
  return given ?? (method === 'HEAD' ? '' : null)
}
