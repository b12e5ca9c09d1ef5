// What an answer to an unsafe request invalidates: its own URL, those that it names, and what its route lists (RFC 9111 section 4.4).
import type { FastifyReply, FastifyRequest, RouteOptions, onSendHookHandler } from 'fastify'
import type { Engine } from '../engine.js'
import { around, type RouteContext } from '../fastify-internals.js'
import { forgetTarget, invalidate } from './invalidation.js'
import { noop, within } from '../later.js'
import { safeError } from '../notices.js'
import type { InvalidatesFunction } from '../options.js'
import { aimsOf, type InvalidationTarget } from './targets.js'

/** RFC 9110 section 9.2.1, and QUERY. What is not known to be safe isn't. */
const SAFE_METHODS: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE', 'QUERY'])

/** Whether a request with this method asks for no change. */
export const isSafe = (method: string): boolean => SAFE_METHODS.has(method)

/** RFC 9111 section 4.4: fields that name what else has changed. */
const NAMING_FIELDS = ['location', 'content-location'] as const

/**
 * Has the answers of this route's handler to unsafe methods invalidate what they change, before they are sent. An answer
 * that is an error changes nothing; one that was sent past Fastify invalidates once it was sent. Requests with a safe
 * method get no hook: what is cached beside it is sent as fast as ever.
 */
export function invalidateAfter (engine: Engine, route: RouteOptions, invalidates: readonly InvalidationTarget[] | InvalidatesFunction): void {
  if ([route.method].flat().every(isSafe)) return
  const { handler } = route
  /** The targets as they came: handlers may take a prefix out of them. */
  const pending = new WeakMap<FastifyReply, string>()
  const settle = async (request: FastifyRequest, reply: FastifyReply): Promise<void> => {
    const target = pending.get(reply)
    if (pending.delete(reply) && reply.statusCode < 400 && !engine.closed) await changed(engine, { request, reply, target: target as string }, invalidates)
  }
  const onSend: onSendHookHandler = (request, reply, payload, done) => {
    const send = (): void => done(null, payload)
    settle(request, reply).then(send, send)
  }
  const contexts = new WeakMap<RouteContext, RouteContext>()
  route.handler = function (request, reply) {
    if (isSafe(request.method)) return handler.call(this, request, reply)
    pending.set(reply, request.raw.url as string)
    hook(engine, request, contexts, onSend)
    const over = (): void => { settle(request, reply).catch(noop) }
    reply.raw.once('finish', over).once('close', over)
    return handler.call(this, request, reply)
  }
}

/** Lets this one request's answer run through one hook more. Where that can't be done, it invalidates when it was sent. */
function hook ({ internals }: Engine, request: FastifyRequest, contexts: WeakMap<RouteContext, RouteContext>, onSend: onSendHookHandler): void {
  const context = internals.contextOf(request)
  if (context === undefined) return
  let hooked = contexts.get(context)
  if (hooked === undefined) contexts.set(context, hooked = around(context, [...context.onSend ?? [], onSend]))
  internals.useContext(request, hooked)
}

/** An answer to an unsafe request, and the target that was asked for. */
interface Answered { readonly request: FastifyRequest, readonly reply: FastifyReply, readonly target: string }

/** Settles when all is forgotten, or when the answer can't wait any longer. Never rejects. */
async function changed (engine: Engine, { request, reply, target }: Answered, invalidates: readonly InvalidationTarget[] | InvalidatesFunction): Promise<void> {
  const origin = `${request.protocol}://${request.host}`
  const failed = (err: unknown): void => engine.notices.warn('invalidates', { err: safeError(err), route: `${request.method} ${request.routeOptions.url}` }, 'cache: an answer that changes something was sent, and what it invalidates could not be forgotten')
  const all = [
    ...targetsOf(target, reply, origin).map(async (other) => await forgetTarget(engine, other, origin)),
    ...listed(request, reply, invalidates, failed).map(async (aim) => await invalidate(engine, aim))
  ].map(async (work) => await work.catch(failed))
  const settled = Promise.all(all)
  engine.guard.track(settled)
  if (all.length > 0) await within(engine.deadlineMs, settled).catch(noop)
}

/** What the route says of this answer; nothing where its function is at fault. */
function listed (request: FastifyRequest, reply: FastifyReply, invalidates: readonly InvalidationTarget[] | InvalidatesFunction, failed: (err: unknown) => void): readonly InvalidationTarget[] {
  if (typeof invalidates !== 'function') return invalidates
  try {
    return aimsOf(invalidates(request, reply), 'what invalidates(request, reply) answers')
  } catch (err) {
    failed(err)
    return []
  }
}

/** The request's own target, and those of the same origin that the answer names. */
function targetsOf (own: string, reply: FastifyReply, origin: string): string[] {
  const targets = new Set([own])
  for (const name of NAMING_FIELDS) {
    const value = reply.getHeader(name) ?? reply.raw.getHeader(name)
    const url = typeof value === 'string' && URL.canParse(value, origin + own) ? new URL(value, origin + own) : undefined
    // Who names another origin's URL may not be who is asked there.
    if (url !== undefined && URL.canParse(origin) && url.origin === new URL(origin).origin) targets.add(url.pathname + url.search)
  }
  return [...targets].filter((target) => target.startsWith('/') && !target.includes('#'))
}
