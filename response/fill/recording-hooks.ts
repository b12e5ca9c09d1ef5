// The hooks around a route's own hooks during a fill: the first captures the handler's response, the last ones complete and judge it.
import type { FastifyReply, onErrorHookHandler, onSendHookHandler, preHandlerHookHandler } from 'fastify'
import { afterHooks, around, withoutLength, type FastifyInternals, type RouteContext } from '../fastify/fastify-internals.js'
import { noticed } from '../serve/passed-body.js'
import { asResponse, unpacked } from '../serve/payload.js'
import type { Fill } from './fill.js'
import type { ReplyCacheOptions } from './reply-options.js'

/** The property of a reply that holds its fill. */
export const kFill = Symbol('fastify-response-cache.fill')

/** The property of a reply that holds the options passed to `reply.cache()` before its fill began. */
export const kEarlyOptions = Symbol('fastify-response-cache.early-options')

/** A reply as the plugin decorates it. */
export interface FillReply extends FastifyReply { [kFill]: Fill | null, [kEarlyOptions]: ReplyCacheOptions[] | null }

/**
 * Returns the route's hooks with the recording hooks around them. If the handler calls `reply.callNotFound()`, the hooks of the not-found
 * handler are surrounded in the same way.
 */
export function recording (context: RouteContext, internals: FastifyInternals): RouteContext {
  const copy = recorded(context)
  internals.replaceNotFound(copy, (notFound) => {
    return Object.assign(recorded(notFound), { preHandler: [passedOn, ...(notFound.preHandler ?? [])] })
  })
  return copy
}

function recorded (context: RouteContext): RouteContext {
  const { onSend } = context
  if (onSend === null) return around(context, [captureAndConclude], onError)
  const hooks = afterHooks(onSend, complete).map((hook) => hook === complete ? hook : passing(hook))
  return around(context, [capture, ...hooks, conclude], onError)
}

/**
 * Stands for "no payload to send" between two hooks. `undefined` and `null` can't: if a hook passes on `undefined`, Fastify keeps the
 * previous payload, and if it passes on `null`, Fastify's own hook for HEAD fails.
 */
const NONE = Symbol('fastify-response-cache.none')

/** Wraps another hook, so that it receives `undefined` instead of NONE, as it would after `reply.send()`, and the fill knows of it. */
function passing (hook: onSendHookHandler): onSendHookHandler {
  const noticing = noticed(hook, (reply) => (reply as FillReply)[kFill]?.passed)
  return function (request, reply, payload, done) {
    return noticing.call(this, request, reply, payload === NONE ? undefined : payload, done)
  }
}

/** The first hook. Records a copy of a buffer, because later hooks may change the buffer in place. */
const capture: onSendHookHandler = (_request, reply, payload, done) => {
  const fill = (reply as FillReply)[kFill]
  const given = fill === null ? payload : captured(fill, reply, payload)
  done(null, given === undefined ? NONE : given)
}

/**
 * Captures the payload. If it is a fetch Response, hooks still receive a Response. For a HEAD request, however, hooks receive the body of
 * the Response, because Fastify's own hook fails on a Response.
 */
function captured (fill: Fill, reply: FastifyReply, payload: unknown): unknown {
  return reply.request.method === 'HEAD' ? fill.capture(payload, true) : asResponse(payload, reply, (body) => fill.capture(body, true))
}

/**
 * Runs after the route's hooks, but before Fastify's own hook for HEAD. If they leave a fetch Response as the payload, its status and
 * fields are applied to the reply.
 */
const complete: onSendHookHandler = (_request, reply, payload, done) => {
  const fill = (reply as FillReply)[kFill]
  if (fill === null) return done(null, payload)
  const given = fill.complete(payload === NONE ? undefined : unpacked(payload, reply))
  const passOn = (sent: unknown): void => done(null, sent ?? NONE)
  // A promise means that a stream is held back so that a part can be cut out of it.
  if (given instanceof Promise) given.then(passOn).catch(done)
  else passOn(given)
}

/** The last hook. */
const conclude: onSendHookHandler = (request, reply, payload, done) => {
  const fill = (reply as FillReply)[kFill]
  const sent = payload === NONE ? null : payload
  if (fill === null) withoutLength(request, reply, sent, done)
  else fill.conclude(() => withoutLength(request, reply, sent, done))
}

/** Used if the route has no other onSend hooks. Captures the response, and concludes the fill at once. */
const captureAndConclude: onSendHookHandler = (_request, reply, payload, done) => {
  const fill = (reply as FillReply)[kFill]
  if (fill === null) return done(null, payload)
  const given = fill.capture(payload)
  // A promise means that a stream is held back so that a part can be cut out of it.
  if (given instanceof Promise) given.then((sent) => fill.conclude(() => done(null, sent ?? null))).catch(done)
  else fill.conclude(() => done(null, given ?? null))
}

/**
 * Runs before the hooks of the not-found handler, if the route's handler calls `reply.callNotFound()`. The response is then not stored,
 * because a hit would run none of those hooks.
 */
const passedOn: preHandlerHookHandler = (_request, reply, done) => {
  (reply as FillReply)[kFill]?.withdraw()
  done()
}

const onError: onErrorHookHandler = (_request, reply, _error, done) => {
  (reply as FillReply)[kFill]?.fail()
  done()
}

/** Attaches the fill to the reply, where its hooks find it. Then applies the options that hooks gave to `reply.cache()` earlier. */
export function attach (fill: Fill, reply: FastifyReply): void {
  (reply as FillReply)[kFill] = fill
  for (const options of (reply as FillReply)[kEarlyOptions] ?? []) fill.choose(options)
}

/** Implements `reply.cache(options)`: passes the options to the fill, or keeps them for a fill that may begin later. */
export function choose (reply: FastifyReply, options: ReplyCacheOptions): void {
  const { [kFill]: fill } = reply as FillReply
  if (fill === null) ((reply as FillReply)[kEarlyOptions] ??= []).push(options)
  else fill.choose(options)
}
