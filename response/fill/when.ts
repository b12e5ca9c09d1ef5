// Asks a route's option `when` whether a response is stored, with the payload that the handler returned, before it is serialised.
import type { FastifyRequest, onSendHookHandler, preSerializationHookHandler } from 'fastify'
import { show } from '../../registry/check.js'
import { noop } from '../../registry/maybe-promise.js'
import { around, type RouteContext } from '../fastify/fastify-internals.js'
import { CONDITIONAL_STATUSES } from '../http/status-codes.js'
import type { WhenFunction } from '../options/route-options.js'
import { kFill, type FillReply } from './recording-hooks.js'

type OnWrong = (err: unknown, request: FastifyRequest) => void

/** The property of a reply that holds the payload before it is serialised. */
const kPayload = Symbol('fastify-response-cache.payload')

/** Returns a copy of the route's hooks with those that ask `when`. `onWrong` receives its errors; the response is then not stored. */
export function askingWhen (context: RouteContext, when: WhenFunction, onWrong: OnWrong): RouteContext {
  // Only payloads that Fastify serialises have this hook. Others reach the onSend hooks as the handler sent them.
  const note: preSerializationHookHandler = (_request, reply, payload, done) => {
    (reply as unknown as { [kPayload]: unknown })[kPayload] = payload
    done(null, payload)
  }
  const ask: onSendHookHandler = (request, reply, payload, done) => {
    const fill = (reply as FillReply)[kFill]
    // A 304, for example, has no payload of its own.
    if (fill !== null && !CONDITIONAL_STATUSES.includes(reply.statusCode)) {
      const { [kPayload]: returned = payload } = reply as unknown as { [kPayload]?: unknown }
      // An error's payload has another shape, which `when` need not expect.
      const wrong = reply.statusCode < 400 ? onWrong : noop
      if (!isWanted(when, [request, reply, returned], wrong)) fill.judgement.forbid('when')
    }
    done(null, payload)
  }
  return Object.assign(around(context, [ask, ...context.onSend ?? []]), { preSerialization: [note, ...context.preSerialization ?? []] })
}

function isWanted (when: WhenFunction, args: Parameters<WhenFunction>, onWrong: OnWrong): boolean {
  try {
    const wanted: unknown = when(...args)
    if (typeof wanted === 'boolean') return wanted
    onWrong(new TypeError(`when(request, reply, payload) must return true or false, got ${show(wanted)}`), args[0])
  } catch (err) {
    onWrong(err, args[0])
  }
  return false
}
