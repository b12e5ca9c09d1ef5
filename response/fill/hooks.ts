// The hooks around those of a route while it fills: the first takes the response up, the last judges it.
import type { FastifyReply, onErrorHookHandler, onSendHookHandler, preHandlerHookHandler } from 'fastify'
import { around, withoutLength, type FastifyInternals, type RouteContext } from '../fastify-internals.js'
import { asResponse, unpacked } from '../payload.js'
import type { Filling } from './filling.js'
import type { ReplyCacheOptions } from './reply-cache.js'

/** Under which a reply keeps the filling that it belongs to. */
export const kFilling = Symbol('fastify-response-cache.filling')

/** What hooks in front of the handler said of the answer to come. */
export const kToldBefore = Symbol('fastify-response-cache.told-before')

/** A reply as the plugin decorates it. */
export interface FillingReply extends FastifyReply { [kFilling]: Filling | null, [kToldBefore]: ReplyCacheOptions[] | null }

/** The hooks of a route with the recording ones around them, also for what it sends by `reply.callNotFound()`. */
export function recording (context: RouteContext, internals: FastifyInternals): RouteContext {
  const copy = recorded(context)
  internals.replaceNotFound(copy, (notFound) => {
    return Object.assign(recorded(notFound), { preHandler: [passedOn, ...(notFound.preHandler ?? [])] })
  })
  return copy
}

function recorded (context: RouteContext): RouteContext {
  const { onSend } = context
  return around(context, onSend === null ? [whole] : [first, ...onSend.map(shownNone), last], onError)
}

/**
 * What stands for a payload in place of which nothing is to be sent. Fastify keeps the payload that it has where a hook
 * hands on `undefined`, and other hooks are not to be shown `null`: Fastify's own for HEAD fails on it.
 */
const NONE = Symbol('fastify-response-cache.none')

/** Somebody else's hook, which is shown no payload as `reply.send()` shows it. */
function shownNone (hook: onSendHookHandler): onSendHookHandler {
  return function (request, reply, payload, done) {
    return hook.call(this, request, reply, payload === NONE ? undefined : payload, done)
  }
}

/** Before all other hooks. They may change a buffer in place: what is recorded is a copy. */
const first: onSendHookHandler = (_request, reply, payload, done) => {
  const filling = (reply as FillingReply)[kFilling]
  const given = filling === null ? payload : takenUp(filling, reply, payload)
  done(null, given === undefined ? NONE : given)
}

/** Fastify's own hook of a HEAD route fails on a fetch Response: it is given the body. */
function takenUp ({ fill }: Filling, reply: FastifyReply, payload: unknown): unknown {
  return reply.request.method === 'HEAD' ? fill.take(payload, true) : asResponse(payload, reply, (body) => fill.take(body, true))
}

/** After all other hooks. A fetch Response that they were given or have made says the fields of what is sent. */
const last: onSendHookHandler = (request, reply, payload, done) => {
  const filling = (reply as FillingReply)[kFilling]
  const sent = payload === NONE ? null : filling === null ? payload : unpacked(payload, reply)
  conclude(filling, () => withoutLength(request, reply, sent, done))
}

/** Both at once, where there are no other hooks. */
const whole: onSendHookHandler = (_request, reply, payload, done) => {
  const filling = (reply as FillingReply)[kFilling]
  const given = filling === null ? payload : filling.fill.take(payload)
  // A stream that a part is to be cut out of is waited for.
  if (given instanceof Promise) given.then((sent) => conclude(filling, () => done(null, sent ?? null))).catch(done)
  else conclude(filling, () => done(null, given ?? null))
}

/** What is stored is stored behind the reply. */
function conclude (filling: Filling | null, send: () => void): void {
  filling?.judge()
  send()
  filling?.fill.commit()
}

/**
 * Before the hooks of the not-found handler, when a handler calls that. What it sends is not stored: a hit would run none
 * of those hooks.
 */
const passedOn: preHandlerHookHandler = (_request, reply, done) => {
  const fill = (reply as FillingReply)[kFilling]?.fill
  if (fill !== undefined) {
    fill.forbidden ??= 'hijacked'
    fill.validation?.withdraw()
  }
  done()
}

const onError: onErrorHookHandler = (_request, reply, _error, done) => {
  (reply as FillingReply)[kFilling]?.fill.fail()
  done()
}
