// A cached route, and the life of a request through it: key, look up, decide; then serve, forward or bypass.
import type { FastifyInstance, FastifyReply, FastifyRequest, RouteHandlerMethod } from 'fastify'
import { Deadline } from '../registry/deadline.js'
import { kArrival, NOT_NOTED, type ArrivedRequest } from './request/arrival.js'
import { decide, type ForwardStored, type Serve } from './serve-or-forward.js'
import { Forwarding } from './forwarding.js'
import type { Exchange, Forward } from './fill/exchange.js'
import type { Concurrency } from './fill/single-flight.js'
import { kRefresh, type PossibleRefresh } from './fill/refresh.js'
import { requestDirectivesOf, type RequestDirectives } from './http/request-directives.js'
import { keyBuilder, type Keyed } from './request/key.js'
import { KnownRoute, type RouteDescription } from './known-route.js'
import { replyOrResult } from './fastify/async-handler.js'
import type { BypassReason } from './observe/reasons.js'
import { limitQuery } from './request/query.js'
import type { Services } from './services.js'
import type { Found } from './store/store.js'

/** A route with its own handler. The cache is placed in front of that handler. */
export interface HandledRoute extends RouteDescription {
  readonly handler: RouteHandlerMethod
}

export class CachedRoute extends KnownRoute {
  readonly #services: Services
  readonly #handler: RouteHandlerMethod
  readonly #keyOf: (request: ArrivedRequest) => Keyed
  readonly #forwarding: Forwarding

  constructor (services: Services, route: HandledRoute) {
    super(route, services.namespace, services.routes)
    this.#services = services
    this.#handler = route.handler
    this.#keyOf = keyBuilder(this.prefix, route.policy)
    this.#forwarding = new Forwarding(services, this)
  }

  /** Handles a request that was not recorded when it arrived, by letting it bypass the cache. */
  handleUnnoted (instance: FastifyInstance, request: FastifyRequest, reply: FastifyReply): unknown {
    return this.bypass(instance, request, reply, 'key', new Error(NOT_NOTED))
  }

  /** Handles a request. This is called instead of the route's own handler. */
  handle (instance: FastifyInstance, request: ArrivedRequest, reply: FastifyReply): unknown {
    const keyed = this.keyed(request)
    if ('bypass' in keyed) return this.bypass(instance, request, reply, keyed.bypass, keyed.fault)
    const directives = this.directives(request)
    if (directives?.noStore === true) return this.bypass(instance, request, reply, 'no-store')
    const { deadlineMs, fence, store } = this.#services
    const { key } = keyed
    const exchange: Exchange = {
      instance,
      request,
      reply,
      key,
      target: request[kArrival].target,
      mark: fence.mark,
      deadline: new Deadline(deadlineMs, request.id),
      refresh: (request.raw as PossibleRefresh)[kRefresh]
    }
    const found = store.find(key, request, this.policy, exchange.deadline)
    return found instanceof Promise ? this.#actLater(exchange, found, directives) : this.act(exchange, found, directives)
  }

  /** Acts when the lookup has ended. If a response was stored meanwhile, which the lookup may have missed, looks again. */
  async #actLater (exchange: Exchange, finding: Promise<Found>, directives: RequestDirectives | undefined): Promise<unknown> {
    const { fence, lateReads, store } = this.#services
    const { deadline, key, reply, request } = exchange
    const began = lateReads.begin()
    const found = await finding
    const isLate = lateReads.end(key, began) && (found.state === 'absent' || found.state === 'stale')
    if (!isLate) return replyOrResult(this.act(exchange, found, directives), reply)
    const again = { ...exchange, mark: fence.mark }
    return replyOrResult(this.act(again, await store.find(key, request, this.policy, deadline), directives), reply)
  }

  /** Decides what to do with the request, given the result of the lookup, and does it. */
  act (exchange: Exchange, found: Found, directives: RequestDirectives | undefined): unknown {
    const decision = decide(found, exchange.request.method, directives, exchange.refresh !== undefined)
    switch (decision.name) {
      case 'serve-fresh': return this.#serveFresh(exchange, decision)
      case 'serve-while-revalidate': case 'serve-max-stale': return this.#serveStale(exchange, found, decision)
      case 'unsatisfiable': return this.#unsatisfiable(exchange)
      case 'forward-head': return this.#fillHead(exchange, { reason: 'miss', found, stored: undefined })
      case 'forward-miss': return this.#forward(exchange, { reason: 'miss', found, stored: undefined })
      case 'forward-stale': case 'forward-request': return this.#forwardStored(exchange, found, decision)
    }
  }

  #serveFresh (exchange: Exchange, { entry, at }: Serve): undefined {
    exchange.refresh?.succeed()
    const status = this.#services.observer.tellSent(this, { name: 'hit', ttlMs: entry.head.freshUntil - at })
    this.#services.stored.send(this, exchange, entry, status, at)
  }

  #serveStale (exchange: Exchange, found: Found, { name, entry, at }: Serve): undefined {
    const { observer } = this.#services
    if (name === 'serve-while-revalidate') this.#refresh(exchange, found, entry.head.key)
    const status = observer.tellSent(this, { name: 'stale', ttlMs: entry.head.freshUntil - at })
    this.#services.stored.send(this, exchange, entry, status, at)
  }

  #refresh ({ instance, request, key }: Exchange, found: Found, stored: string): void {
    const { guard, refreshes, turns } = this.#services
    refreshes.start(instance, request, stored, () => turns?.claim({
      key, found, deadline: guard.deadline(), since: performance.now(), isAlone: false, seen: undefined, waits: false
    }))
  }

  /** Responds with 504, as RFC 9111 section 5.2.1.7 requires. */
  #unsatisfiable ({ reply }: Exchange): unknown {
    const { observer, sender } = this.#services
    observer.tell(this, MISS)
    sender.setCacheStatus(reply, observer.tellSent(this, { name: 'unsatisfiable' }))
    return reply.code(504).send()
  }

  #forwardStored (exchange: Exchange, found: Found, { name, entry: stored }: ForwardStored): unknown {
    const reason = name === 'forward-stale' ? 'stale' : 'request'
    if (exchange.request.method === 'HEAD') return this.#fillHead(exchange, { reason, found, stored })
    return this.#forward(exchange, { reason, found, stored })
  }

  /** Returns what a request that is forwarded does about concurrent requests. For explain(). */
  concurrency (request: ArrivedRequest, key: string, found: Found): Concurrency {
    return this.#forwarding.concurrency(request, key, found)
  }

  /** Runs the handler for a HEAD request, which is never collapsed. The response is not stored, but may validate the stored response. */
  #fillHead (exchange: Exchange, forward: Forward): unknown {
    this.#services.observer.tell(this, MISS)
    return this.#forwarding.head(exchange, forward)
  }

  /** Runs the handler, or waits for another request that runs it. */
  #forward (exchange: Exchange, forward: Forward): unknown {
    const { fills, internals, observer } = this.#services
    observer.tell(this, MISS)
    const isNested = exchange.refresh === undefined && fills.isNested(exchange.key, () => internals.isInjected(exchange.reply))
    if (isNested) return this.#unrecorded(exchange)
    return this.#forwarding.collapse(exchange, forward)
  }

  /**
   * Runs the handler for a request that the handler itself made while filling the same key. Such a request is not collapsed, because the
   * handler would then wait for itself. The response is not stored, because it differs from the response that fills the key. If the
   * handler responded to both requests in the same way, it would make this request again, endlessly.
   */
  #unrecorded ({ instance, request, reply }: Exchange): unknown {
    const { observer, sender } = this.#services
    sender.setCacheStatus(reply, observer.tellSent(this, { name: 'nested' }))
    return this.callHandler(instance, request, reply)
  }

  bypass (instance: FastifyInstance, request: FastifyRequest, reply: FastifyReply, reason: BypassReason, fault?: unknown): unknown {
    const { observer, sender } = this.#services
    sender.setCacheStatus(reply, observer.tellSent(this, { name: 'bypass', reason, fault, requestId: request.id }))
    return this.callHandler(instance, request, reply)
  }

  /** Runs the handler. The handler sees only those query parameters that are part of the key. */
  callHandler (instance: FastifyInstance, request: FastifyRequest, reply: FastifyReply): unknown {
    const { key, methods } = this.policy
    if (typeof key !== 'function' && key.query !== true && methods.has(request.method)) limitQuery(request, key.query)
    return this.#handler.call(instance, request, reply)
  }

  /** Returns the request directives (RFC 9111 section 5.2.1), or undefined if there are none or if the route ignores them. */
  directives ({ headers }: Pick<FastifyRequest, 'headers'>): RequestDirectives | undefined {
    const isAsked = headers['cache-control'] !== undefined || headers.pragma !== undefined
    return isAsked && this.policy.clientCacheControl === 'honour' ? requestDirectivesOf(headers) : undefined
  }

  /** Returns the key under which this request is looked up, or the reason why the request bypasses the cache. Never throws. */
  keyed (request: ArrivedRequest): Keyed {
    if (this.#services.guard.isClosed) return { bypass: 'closed' }
    // A hook may have changed the method. A response to one method must not be served for another.
    if (!this.policy.methods.has(request.method) || request.method !== request[kArrival].method) return { bypass: 'method' }
    try {
      return this.#keyOf(request)
    } catch (fault) {
      return { bypass: 'key', fault }
    }
  }
}

const MISS = { name: 'miss' } as const
