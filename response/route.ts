// A cached route, and the life of a request through it: key, look up, decide; then serve, forward or bypass.
import type { FastifyInstance, FastifyReply, FastifyRequest, RouteHandlerMethod } from 'fastify'
import { Deadline } from '../registry/deadline.js'
import { kArrival, NOT_NOTED, type ArrivedRequest } from './request/arrival.js'
import { decide, type ForwardStored, type Serve } from './serve-or-forward.js'
import type { RouteContext } from './fastify/fastify-internals.js'
import type { Exchange, Forward } from './fill/exchange.js'
import { Fill } from './fill/fill.js'
import { askingWhen } from './fill/when.js'
import type { FlightOutcome } from './fill/flight.js'
import type { Collapsible, Concurrency } from './fill/single-flight.js'
import type { ResponseFlight, SharedResponse, SharedStream } from './fill/shared-response.js'
import { attach, recording } from './fill/recording-hooks.js'
import { kRefresh, type PossibleRefresh } from './fill/refresh.js'
import { isConditional, mayBeWithheld } from './http/conditional.js'
import { withoutOwnEtag, type HookedHit } from './serve/hooked-hit.js'
import { hasLeft } from './serve/payload.js'
import { selectRepresentation } from './serve/representation.js'
import { selection } from './request/variant.js'
import { requestDirectivesOf, type RequestDirectives } from './http/request-directives.js'
import { keyBuilder, type Keyed } from './request/key.js'
import { KnownRoute, tagName, type RouteDescription } from './known-route.js'
import { replyOrResult } from './fastify/async-handler.js'
import type { BypassReason, RefusalReason } from './observe/reasons.js'
import { limitQuery } from './request/query.js'
import type { Services } from './services.js'
import type { Entry, ResponseHead } from './store/entry.js'
import type { Found } from './store/store.js'

/** A route with its own handler. The cache is placed in front of that handler. */
export interface HandledRoute extends RouteDescription {
  readonly handler: RouteHandlerMethod
}

export class CachedRoute extends KnownRoute {
  readonly #services: Services
  readonly #handler: RouteHandlerMethod
  readonly #keyOf: (request: ArrivedRequest) => Keyed
  /** For each context of the route, a copy with the recording hooks added. */
  readonly #recorded = new WeakMap<RouteContext, RouteContext>()

  constructor (services: Services, route: HandledRoute) {
    super(route, services.namespace, services.routes)
    this.#services = services
    this.#handler = route.handler
    this.#keyOf = keyBuilder(this.prefix, route.policy)
  }

  /** Handles a request that was not recorded when it arrived, by letting it bypass the cache. */
  handleUnnoted (instance: FastifyInstance, request: FastifyRequest, reply: FastifyReply): unknown {
    return this.#bypass(instance, request, reply, 'key', new Error(NOT_NOTED))
  }

  /** Handles a request. This is called instead of the route's own handler. */
  handle (instance: FastifyInstance, request: ArrivedRequest, reply: FastifyReply): unknown {
    const keyed = this.keyed(request)
    if ('bypass' in keyed) return this.#bypass(instance, request, reply, keyed.bypass, keyed.fault)
    const directives = this.directives(request)
    if (directives?.noStore === true) return this.#bypass(instance, request, reply, 'no-store')
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
    const found = store.find(key, request, this.policy.vary, exchange.deadline)
    return found instanceof Promise ? this.#actLater(exchange, found, directives) : this.#act(exchange, found, directives)
  }

  /** Acts when the lookup has ended. If a response was stored meanwhile, which the lookup may have missed, looks again. */
  async #actLater (exchange: Exchange, finding: Promise<Found>, directives: RequestDirectives | undefined): Promise<unknown> {
    const { fence, lateReads, store } = this.#services
    const { deadline, key, reply, request } = exchange
    const began = lateReads.begin()
    const found = await finding
    const isLate = lateReads.end(key, began) && (found.state === 'absent' || found.state === 'stale')
    if (!isLate) return replyOrResult(this.#act(exchange, found, directives), reply)
    const again = { ...exchange, mark: fence.mark }
    return replyOrResult(this.#act(again, await store.find(key, request, this.policy.vary, deadline), directives), reply)
  }

  /** Decides what to do with the request, given the result of the lookup, and does it. */
  #act (exchange: Exchange, found: Found, directives: RequestDirectives | undefined): unknown {
    const decision = decide(found, exchange.request.method, directives, exchange.refresh !== undefined)
    switch (decision.name) {
      case 'serve-fresh': return this.#serveFresh(exchange, decision)
      case 'serve-while-revalidate': case 'serve-max-stale': return this.#serveStale(exchange, decision)
      case 'unsatisfiable': return this.#unsatisfiable(exchange)
      case 'forward-head': return this.#fillHead(exchange, { reason: 'miss', found, stored: undefined })
      case 'forward-miss': return this.#forward(exchange, { reason: 'miss', found, stored: undefined })
      case 'forward-stale': case 'forward-request': return this.#forwardStored(exchange, found, decision)
    }
  }

  #serveFresh (exchange: Exchange, { entry, at }: Serve): undefined {
    exchange.refresh?.succeed()
    const status = this.#services.observer.tellSent(this, { name: 'hit', ttlMs: entry.head.freshUntil - at })
    this.#send(exchange, entry, status, at)
  }

  #serveStale (exchange: Exchange, { name, entry, at }: Serve): undefined {
    const { observer, refreshes } = this.#services
    if (name === 'serve-while-revalidate') refreshes.start(exchange.instance, exchange.request, entry.head.key)
    const status = observer.tellSent(this, { name: 'stale', ttlMs: entry.head.freshUntil - at })
    this.#send(exchange, entry, status, at)
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

  /** Runs the handler for a HEAD request, which is never collapsed. The response is not stored, but may validate the stored response. */
  #fillHead (exchange: Exchange, forward: Forward): unknown {
    this.#services.observer.tell(this, MISS)
    return this.#fill(exchange, forward, undefined, 'head')
  }

  /** Runs the handler, or waits for another request that runs it. */
  #forward (exchange: Exchange, forward: Forward): unknown {
    const { fills, internals, observer } = this.#services
    observer.tell(this, MISS)
    const isNested = exchange.refresh === undefined && fills.isNested(exchange.key, () => internals.isInjected(exchange.reply))
    if (isNested) return this.#unrecorded(exchange)
    return this.#collapse(exchange, forward)
  }

  /**
   * Waits for another request that runs the handler for the same variant, if possible. Otherwise runs the handler itself, as a new flight
   * if possible. `invalidated` is a flight whose response may not be sent to this request.
   */
  #collapse (exchange: Exchange, forward: Forward, invalidated?: ResponseFlight): unknown {
    const { fills, fence } = this.#services
    const { reply, request, deadline } = exchange
    const wanted = this.#collapsible(exchange, forward, invalidated)
    if (wanted === undefined) return this.#fill(exchange, forward)
    const { joined: flight, begun } = fills.joinOrBegin(wanted)
    if (flight === undefined) return this.#fill(exchange, forward, begun)
    const [joinedAt, began] = [fence.mark, performance.now()]
    fills.waits(flight)
    return flight.wait(wanted.selects, request.method === 'GET' && request.headers.range !== undefined).then((outcome) => {
      deadline.extend(performance.now() - began)
      return replyOrResult(this.#collapsed(exchange, forward, { flight, joinedAt }, outcome), reply)
    })
  }

  /** Returns what is needed to find the flight that the request may share; undefined if the request is not collapsed. */
  #collapsible (
    { key, mark, request, target }: Pick<Exchange, 'key' | 'mark' | 'request' | 'target'>, { found, stored }: Omit<Forward, 'reason'>,
    invalidated?: ResponseFlight
  ): Collapsible<SharedResponse | SharedStream> | undefined {
    const { fills, fence } = this.#services
    const { lock, tags, vary } = this.policy
    const { headers, method } = request
    // The handler of a response that can't be stored receives the range, so that it need not produce everything before that range.
    if (!lock || (headers.range !== undefined && fills.uncollapsed.isTooLarge(key))) return undefined
    // If a function determines the tags, they are known only after the handler has responded, and are checked in #collapsed.
    const names = (): string[] => [key, ...this.fenceNames(target), ...(typeof tags === 'function' ? [] : tags.map(tagName))]
    return {
      key,
      mark,
      mayBegin: stored !== undefined || !isConditional(headers) || (method === 'GET' && mayBeWithheld(headers)),
      names: found.variants?.head.names ?? [],
      selects: (fields) => selection(fields, request, vary),
      mayShare: (other) => other !== invalidated && !fills.wouldWaitForItself(other) && !fence.movedSince(other.mark, names)
    }
  }

  /** Returns what a request that is forwarded does about concurrent requests. For explain(). */
  concurrency (request: ArrivedRequest, key: string, found: Found): Concurrency {
    const { fills, fence } = this.#services
    const wanted = this.#collapsible({ key, mark: fence.mark, request, target: request[kArrival].target }, { found, stored: found.entry })
    return wanted === undefined || request.method === 'HEAD' ? 'alone' : fills.concurrency(wanted)
  }

  #collapsed (
    exchange: Exchange, forward: Forward, { flight, joinedAt }: { flight: ResponseFlight, joinedAt: number },
    outcome: FlightOutcome<SharedResponse | SharedStream>
  ): unknown {
    const { fence, now, observer } = this.#services
    if ('released' in outcome) {
      // Now it is known which fields select the variant. This request waits for another one for its own variant, or runs the handler.
      if (outcome.released === 'other-variant') return this.#collapse(exchange, forward)
      return this.#fill(exchange, forward, undefined, outcome.released === 'lock-timeout' ? 'lock-timeout' : undefined)
    }
    // A response made before an invalidation may be sent only to requests that came before that invalidation.
    if (joinedAt !== flight.mark && fence.movedSince(flight.mark, () => outcome.names)) {
      return this.#collapse({ ...exchange, mark: fence.mark }, forward, flight)
    }
    const isStream = 'stream' in outcome
    if (isStream && !outcome.stream.isOpen) return this.#fill(exchange, forward)
    exchange.refresh?.succeed()
    const status = observer.tellSent(this, { name: 'collapsed', forward: forward.reason, isStream })
    if (isStream) this.#sendStream(exchange, outcome, status)
    else this.#send(exchange, outcome.entry, status, now())
  }

  /** Sends the stream of another request's response from its first byte, unless the request's conditions make it unnecessary. */
  #sendStream ({ request, reply }: Exchange, { entry, stream, lengthBytes }: SharedStream, status: string): void {
    const { connections, now, sender } = this.#services
    const { headers, method } = request
    const at = now()
    const given = isConditional(headers) ? selectRepresentation(entry, headers, { method, at, wholeOnly: true }) : entry
    if (given !== entry) return sender.send(request, reply, given, { status, at })
    const payload = stream.open()
    // Fastify does not notice each client that has left, and the others would wait for it.
    connections.whenOver(reply, () => { payload.destroy() })
    sender.send(request, reply, entry, { status, at, stream: { payload, lengthBytes } })
    if (hasLeft(reply)) payload.destroy()
  }

  /** Runs the handler and records its response. `forbidden` is the reason why the response won't be stored, if that is already known. */
  #fill (exchange: Exchange, forward: Forward, flight?: ResponseFlight, forbidden?: RefusalReason): unknown {
    const { instance, request, reply } = exchange
    const { fills, internals } = this.#services
    const facts = internals.factsOf(reply)
    if (!internals.rehook(request, this.#recorded, (context) => this.#recording(context))) {
      if (flight !== undefined) fills.release(flight, 'not-shareable')
      return this.#bypass(instance, request, reply, 'unsupported', new Error('this version of fastify keeps its hooks elsewhere'))
    }
    const fill = new Fill(this.#services, this, { exchange, forward, facts, flight, forbidden })
    attach(fill, reply)
    return fill.run(() => this.#callHandler(instance, request, reply))
  }

  /** Returns the route's hooks with those that record the response. */
  #recording (context: RouteContext): RouteContext {
    const { internals, observer } = this.#services
    const { when } = this.policy
    const recorded = recording(context, internals)
    return when === undefined ? recorded : askingWhen(recorded, when, (err, { id }) => observer.fault(this.name, 'when', err, id))
  }

  /**
   * Runs the handler for a request that the handler itself made while filling the same key. Such a request is not collapsed, because the
   * handler would then wait for itself. The response is not stored, because it differs from the response that fills the key. If the
   * handler responded to both requests in the same way, it would make this request again, endlessly.
   */
  #unrecorded ({ instance, request, reply }: Exchange): unknown {
    const { observer, sender } = this.#services
    sender.setCacheStatus(reply, observer.tellSent(this, { name: 'nested' }))
    return this.#callHandler(instance, request, reply)
  }

  #bypass (instance: FastifyInstance, request: FastifyRequest, reply: FastifyReply, reason: BypassReason, fault?: unknown): unknown {
    const { observer, sender } = this.#services
    sender.setCacheStatus(reply, observer.tellSent(this, { name: 'bypass', reason, fault, requestId: request.id }))
    return this.#callHandler(instance, request, reply)
  }

  /** Runs the handler. The handler sees only those query parameters that are part of the key. */
  #callHandler (instance: FastifyInstance, request: FastifyRequest, reply: FastifyReply): unknown {
    const { key, methods } = this.policy
    if (typeof key !== 'function' && key.query !== true && methods.has(request.method)) limitQuery(request, key.query)
    return this.#handler.call(instance, request, reply)
  }

  /** Sends a stored response, after applying the request's conditions and ranges to it. */
  #send ({ request, reply }: Pick<Exchange, 'request' | 'reply'>, entry: Entry<ResponseHead>, status: string, at: number): void {
    const { internals, sender } = this.#services
    const { headers, method } = request
    // If hooks may still change the body, its own ETag and ranges have to wait for them.
    const wholeOnly = internals.isHooked(request)
    const whole = wholeOnly ? withoutOwnEtag(entry) : entry
    const given = isConditional(headers)
      ? selectRepresentation(whole, headers, {
        method, at, wholeOnly, acceptRanges: reply.getHeader('accept-ranges') as string | undefined
      })
      : whole
    const hooked = wholeOnly && given === whole ? this.#hooked(entry) : undefined
    sender.send(request, reply, given, { status, at, hooked })
  }

  /** Returns what a hit needs on its way through hooks. A hit without hooks doesn't create it. */
  #hooked (entry: Entry<ResponseHead>): Pick<HookedHit, 'entry' | 'onChanged'> {
    const { observer } = this.#services
    return { entry, onChanged: (hook, coding) => observer.tellChangedBody(this, hook, coding) }
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
