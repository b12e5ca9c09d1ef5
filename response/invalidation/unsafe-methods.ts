// After an unsafe request, invalidates its URL, URLs that the response names, and targets that the route lists (RFC 9111 section 4.4).
import type { FastifyReply, FastifyRequest, RouteOptions, onSendHookHandler } from 'fastify'
import { Arrival, hasArrived, kArrival } from '../request/arrival.js'
import type { FastifyInternals } from '../fastify/fastify-internals.js'
import { around, type RouteContext } from '../fastify/fastify-internals.js'
import { deleteTarget, invalidate, type InvalidationServices } from './invalidate.js'
import { within } from '../../registry/deadline.js'
import { noop } from '../../registry/maybe-promise.js'
import { safeError } from '../observe/log.js'
import type { RoutePolicy } from '../options/route-options.js'
import { isSafe } from '../http/methods.js'
import { parseTargets, type InvalidationTarget } from '../options/invalidation-target.js'

/** The services of a registration that this file uses, including those that invalidations use. */
export interface UnsafeServices extends InvalidationServices {
  readonly deadlineMs: number
  readonly internals: FastifyInternals
}

/** Response fields with URLs that are invalidated too (RFC 9111 section 4.4). */
const NAMING_FIELDS = ['location', 'content-location'] as const

/**
 * Makes each unsafe request to this route invalidate everything that it changed, before its response is sent. Error responses invalidate
 * nothing. If a response is not sent through Fastify, the invalidation runs after it was sent. Requests with a safe method get no extra
 * hook, so they stay fast.
 */
export function invalidateAfter (services: UnsafeServices, route: RouteOptions, invalidates: RoutePolicy['invalidates']): void {
  if ([route.method].flat().every(isSafe)) return
  const { handler } = route
  /** The arrivals of requests whose invalidation has not begun, by reply. An arrival has the request target from before any hook ran. */
  const pending = new WeakMap<FastifyReply, Arrival>()
  const settle = async (request: FastifyRequest, reply: FastifyReply): Promise<void> => {
    const arrival = pending.get(reply)
    if (pending.delete(reply) && reply.statusCode < 400 && !services.guard.isClosed) {
      await changed(services, { request, reply, arrival: arrival as Arrival }, invalidates)
    }
  }
  const onSend: onSendHookHandler = (request, reply, payload, done) => {
    const send = (): void => done(null, payload)
    settle(request, reply).then(send, send)
  }
  const contexts = new WeakMap<RouteContext, RouteContext>()
  route.handler = function (request, reply) {
    const arrival = hasArrived(request) ? request[kArrival] : new Arrival(request)
    // The current and the original method are both checked, because a hook may have changed the method.
    if (isSafe(request.method) && isSafe(arrival.method)) return handler.call(this, request, reply)
    pending.set(reply, arrival)
    hook(services, request, contexts, onSend)
    const over = (): void => { settle(request, reply).catch(noop) }
    reply.raw.once('finish', over).once('close', over)
    return handler.call(this, request, reply)
  }
}

/** Adds an onSend hook that runs for this one request. If that is impossible, the invalidation runs after the response was sent. */
function hook (
  { internals }: UnsafeServices, request: FastifyRequest, contexts: WeakMap<RouteContext, RouteContext>, onSend: onSendHookHandler
): void {
  internals.rehook(request, contexts, (context) => around(context, [...context.onSend ?? [], onSend]))
}

/** A request with an unsafe method, its reply, and its arrival. */
interface Responded { readonly request: FastifyRequest, readonly reply: FastifyReply, readonly arrival: Arrival }

/** Invalidates what the request changed. Resolves when that is done, or when the deadline has passed. Never rejects. */
async function changed (
  services: UnsafeServices, { request, reply, arrival }: Responded, invalidates: RoutePolicy['invalidates']
): Promise<void> {
  const origin = `${arrival.protocol}://${arrival.host}`
  const failed = (err: unknown): void => services.log.warn('invalidates', {
    err: safeError(err), route: `${request.method} ${request.routeOptions.url}`
  }, 'cache: a response to an unsafe request was sent, and what it changes could not be invalidated')
  const named = invalidates === false ? [] : NAMING_FIELDS.map((name) => reply.getHeader(name))
  const all = [
    ...targetsOf(arrival.target, named, origin).map(async (other) => await deleteTarget(services, other, origin)),
    ...listed(request, reply, invalidates, failed).map(async (aim) => await invalidate(services, aim))
  ].map(async (work) => await work.catch(failed))
  const settled = Promise.all(all)
  services.guard.track(settled)
  if (all.length > 0) await within(services.deadlineMs, settled).catch(noop)
}

/** Returns the targets that the route lists for this response, or none if its function throws an error or returns anything but targets. */
function listed (
  request: FastifyRequest, reply: FastifyReply, invalidates: RoutePolicy['invalidates'],
  failed: (err: unknown) => void
): readonly InvalidationTarget[] {
  if (typeof invalidates !== 'function') return invalidates === false ? [] : invalidates
  try {
    return parseTargets(invalidates(request, reply), 'the result of invalidates(request, reply)')
  } catch (err) {
    failed(err)
    return []
  }
}

/** Returns the request's own target, and those of the `named` URLs that are on the same origin. */
function targetsOf (own: string, named: readonly unknown[], origin: string): string[] {
  const targets = new Set([own])
  for (const value of named) {
    const url = typeof value === 'string' && URL.canParse(value, origin + own) ? new URL(value, origin + own) : undefined
    // A response must not invalidate URLs of another origin.
    if (url !== undefined && URL.canParse(origin) && url.origin === new URL(origin).origin) targets.add(url.pathname + url.search)
  }
  return [...targets].filter((target) => target.startsWith('/') && !target.includes('#'))
}
