// The hooks around those of a route while it fills: the first takes the response up, the last judges it.
import type { FastifyReply, onErrorHookHandler, onSendHookHandler, preHandlerHookHandler } from 'fastify'
import { around, withoutLength, type FastifyInternals, type RouteContext } from '../fastify/fastify-internals.js'
import { asResponse, unpacked } from '../serve/payload.js'
import type { Fill } from './fill.js'
import type { ReplyCacheOptions } from './reply-options.js'

/** Under which a reply keeps the fill that it belongs to. */
export const kFill = Symbol('fastify-response-cache.fill')

/** What hooks in front of the handler said of the response to come. */
export const kEarlyOptions = Symbol('fastify-response-cache.early-options')

/** A reply as the plugin decorates it. */
export interface FillReply extends FastifyReply { [kFill]: Fill | null, [kEarlyOptions]: ReplyCacheOptions[] | null }

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
  return around(context, onSend === null ? [captureAndConclude] : [capture, ...onSend.map(shownNone), conclude], onError)
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
const capture: onSendHookHandler = (_request, reply, payload, done) => {
  const fill = (reply as FillReply)[kFill]
  const given = fill === null ? payload : captured(fill, reply, payload)
  done(null, given === undefined ? NONE : given)
}

/** Fastify's own hook of a HEAD route fails on a fetch Response: it is given the body. */
function captured (fill: Fill, reply: FastifyReply, payload: unknown): unknown {
  return reply.request.method === 'HEAD' ? fill.capture(payload, true) : asResponse(payload, reply, (body) => fill.capture(body, true))
}

/** After all other hooks. A fetch Response that they were given or have made says the fields of what is sent. */
const conclude: onSendHookHandler = (request, reply, payload, done) => {
  const fill = (reply as FillReply)[kFill]
  const sent = payload === NONE ? null : fill === null ? payload : unpacked(payload, reply)
  if (fill === null) withoutLength(request, reply, sent, done)
  else fill.conclude(() => withoutLength(request, reply, sent, done))
}

/** Both at once, where there are no other hooks. */
const captureAndConclude: onSendHookHandler = (_request, reply, payload, done) => {
  const fill = (reply as FillReply)[kFill]
  if (fill === null) return done(null, payload)
  const given = fill.capture(payload)
  // A stream that a part is to be cut out of is waited for.
  if (given instanceof Promise) given.then((sent) => fill.conclude(() => done(null, sent ?? null))).catch(done)
  else fill.conclude(() => done(null, given ?? null))
}

/**
 * Before the hooks of the not-found handler, when a handler calls that. What it sends is not stored: a hit would run none
 * of those hooks.
 */
const passedOn: preHandlerHookHandler = (_request, reply, done) => {
  (reply as FillReply)[kFill]?.withdraw()
  done()
}

const onError: onErrorHookHandler = (_request, reply, _error, done) => {
  (reply as FillReply)[kFill]?.fail()
  done()
}

/** Has the hooks of a reply find the fill that it belongs to, which is told what hooks in front of the handler said. */
export function attach (fill: Fill, reply: FastifyReply): void {
  (reply as FillReply)[kFill] = fill
  for (const options of (reply as FillReply)[kEarlyOptions] ?? []) fill.choose(options)
}

/** `reply.cache(options)`: for the fill, or for the one that may come. */
export function choose (reply: FastifyReply, options: ReplyCacheOptions): void {
  const { [kFill]: fill } = reply as FillReply
  if (fill === null) ((reply as FillReply)[kEarlyOptions] ??= []).push(options)
  else fill.choose(options)
}
