// A cached route: the handler with the cache in front of it. Sends what is stored, else lets one request fill.
import type { FastifyInstance, FastifyReply, FastifyRequest, RouteHandlerMethod } from 'fastify'
import { hasArrived, kArrival, NOT_NOTED, type ArrivedRequest } from './arrival.js'
import type { Engine } from './engine.js'
import { isConditional } from './http/conditional.js'
import type { Entry, ResponseHead } from './store/entry.js'
import type { RouteContext } from './fastify-internals.js'
import { Filling } from './fill/filling.js'
import type { Flight, Outcome } from './fill/flight.js'
import { kFilling, kToldBefore, recording, type FillingReply } from './fill/hooks.js'
import type { UNAVAILABLE } from './store/guard.js'
import { keyBuilder, type Keyed } from './key.js'
import { KnownRoute, tagName, type RouteDescription } from './known-route.js'
import { isPromise } from '../registry/maybe-promise.js'
import { whenSent } from './later.js'
import { limitQuery } from './query.js'
import { selected } from './http/partial.js'
import { refreshOf } from './fill/refresh.js'
import type { Visit } from './fill/visit.js'
import { useOf } from './http/stale.js'
import { count } from './stats.js'
import type { BypassReason, RefusalReason } from './status.js'
import type { Found } from './store/store.js'
import { variantOf } from './http/vary.js'
import { wishesOf, type Wishes } from './http/wishes.js'

/** A route, with the handler that the cache stands before. */
export interface HandledRoute extends RouteDescription {
  readonly handler: RouteHandlerMethod
}

export class CachedRoute extends KnownRoute {
  readonly #engine: Engine
  readonly #handler: RouteHandlerMethod
  readonly #keyOf: (request: ArrivedRequest) => Keyed
  #recording: { readonly of: RouteContext, readonly context: RouteContext } | undefined

  constructor (engine: Engine, route: HandledRoute) {
    super(route, engine.namespace, engine.routes)
    this.#engine = engine
    this.#handler = route.handler
    this.#keyOf = keyBuilder(this.prefix, route.policy)
  }

  /** Stands in for the route's handler. */
  handle (instance: FastifyInstance, request: FastifyRequest, reply: FastifyReply): unknown {
    if (!hasArrived(request)) return this.#bypass(instance, request, reply, 'key', new Error(NOT_NOTED))
    const keyed = this.keyed(request)
    if ('bypass' in keyed) return this.#bypass(instance, request, reply, keyed.bypass, keyed.fault)
    const wishes = this.wishes(request)
    if (wishes?.noStore === true) return this.#bypass(instance, request, reply, 'no-store')
    const { fence, guard, store } = this.#engine
    // The mark comes before the first read of the backend: what is invalidated from here on, this request doesn't store.
    const visit: Visit = { instance, request, reply, key: keyed.key, target: request[kArrival].target, mark: fence.mark(), deadline: guard.deadline(), why: 'miss', refresh: refreshOf(request) }
    const found = store.find(keyed.key, request, this.policy.vary, visit.deadline)
    return isPromise(found)
      ? found.then((there) => whenSent(this.#answer(visit, there, wishes), reply))
      : this.#answer(visit, found, wishes)
  }

  /** What the client asks of the cache, where that counts. */
  wishes ({ headers }: Pick<FastifyRequest, 'headers'>): Wishes | undefined {
    return this.policy.clientCacheControl === 'honour' ? wishesOf(headers) : undefined
  }

  /** The key under which this request is looked up, or why it isn't. Never throws. */
  keyed (request: ArrivedRequest): Keyed {
    if (this.#engine.closed) return { bypass: 'closed' }
    // A hook may have made another method of the one that came: no response to that is one to this.
    if (!this.policy.methods.has(request.method) || request.method !== request[kArrival].method) return { bypass: 'method' }
    try {
      return this.#keyOf(request)
    } catch (fault) {
      return { bypass: 'key', fault }
    }
  }

  #bypass (instance: FastifyInstance, request: FastifyRequest, reply: FastifyReply, reason: BypassReason, fault?: unknown): unknown {
    const { sender, status } = this.#engine
    count(this.stats.bypasses, reason)
    sender.mark(reply, status.bypass(reason))
    if (fault !== undefined) this.#engine.fault(this.name, reason, fault)
    return this.#callHandler(instance, request, reply)
  }

  #answer (visit: Visit, found: Found, wishes: Wishes | undefined): unknown {
    const { request, reply, refresh } = visit
    const at = found.at as number
    const use = useOf(found, request.method, wishes, refresh !== undefined)
    if (use === 'fresh') {
      const entry = found.entry as Entry<ResponseHead>
      this.stats.hits++
      refresh?.succeed()
      return this.#serve(visit, entry, this.#engine.status.hit(entry.head.freshUntil - at), at)
    }
    if (use === 'while-revalidate' || use === 'max-stale') return this.#serveStale(visit, found.stale as Entry<ResponseHead>, use, at)
    this.stats.misses++
    if (use === 'only-if-cached') {
      this.#engine.sender.mark(reply, this.#engine.status.unsatisfied())
      return reply.code(504).send()
    }
    if (use === 'head') return this.#fill(visit, found, undefined, use)
    const behind = found.entry ?? found.stale
    if (behind !== undefined) visit = { ...visit, why: use, behind }
    if (request.method === 'HEAD') return this.#fill(visit, found, undefined, 'head')
    if (refresh === undefined && this.#engine.fills.isNested(visit.key, this.#engine.internals.isInjected(reply))) return this.#unrecorded(visit, 'nested')
    return this.policy.lock ? this.#locked(visit, found) : this.#fill(visit, found)
  }

  /** Sends a stored answer, or what of it the request's conditions ask for. */
  #serve ({ request, reply }: Visit, entry: Entry<ResponseHead>, status: string, at: number): undefined {
    const { internals, sender } = this.#engine
    const { headers, method } = request
    const given = isConditional(headers) ? selected(entry, headers, { method, at, wholeOnly: internals.contextOf(request)?.onSend !== null, acceptRanges: reply.getHeader('accept-ranges') as string | undefined }) : entry
    sender.send(request, reply, given, status, at)
    return undefined
  }

  #serveStale (visit: Visit, entry: Entry<ResponseHead>, why: 'while-revalidate' | 'max-stale', at: number): undefined {
    const { refreshes, status } = this.#engine
    this.stats.staleHits++
    if (why === 'while-revalidate') refreshes.start(visit.instance, visit.request, entry.head.key)
    return this.#serve(visit, entry, status.hit(entry.head.freshUntil - at), at)
  }

  /** Joins the flight of this key, or begins it. */
  #locked (visit: Visit, found: Found): unknown {
    const { fills, flights, fence } = this.#engine
    const { tags } = this.policy
    // Tags that the handler has yet to name are looked at when its answer is there.
    const names = (): string[] => [visit.key, ...this.fenceNames(visit.target), ...(typeof tags === 'function' ? [] : tags.map(tagName))]
    const flight = flights.toJoin(visit.key, (other) => !fills.wouldWaitForItself(other) && !fence.movedSince(other.mark, names))
    // What is asked for a part, or on a condition, is answered with that: it is nobody else's.
    if (flight === undefined) return this.#fill(visit, found, visit.behind === undefined && isConditional(visit.request.headers) ? undefined : flights.begin(visit.key, visit.mark))
    const joinedAt = fence.mark()
    const began = performance.now()
    fills.waits(flight)
    return flight.wait().then((outcome) => {
      visit.deadline.extend(performance.now() - began)
      return whenSent(this.#follow(visit, found, { flight, joinedAt }, outcome), visit.reply)
    })
  }

  #follow (visit: Visit, found: Found, { flight, joinedAt }: { flight: Flight, joinedAt: number }, outcome: Outcome): unknown {
    const { fence, now, status } = this.#engine
    if ('released' in outcome) return this.#fill(visit, found, undefined, outcome.released === 'lock-timeout' ? 'lock-timeout' : undefined)
    // What was made before an invalidation is for those who asked before it.
    if (joinedAt !== flight.mark && fence.movedSince(flight.mark, () => outcome.names)) return this.#locked({ ...visit, mark: fence.mark() }, found)
    if (variantOf(outcome.varyNames, visit.request, this.policy.vary) !== outcome.variant) return this.#fill(visit, found)
    this.stats.coalesced++
    visit.refresh?.succeed()
    return this.#serve(visit, outcome.entry, status.collapsed(visit.why), now())
  }

  /** Lets the handler run, and records what it makes. */
  #fill (visit: Visit, found: Found, flight?: Flight, forbidden?: RefusalReason): unknown {
    const context = this.#recordingFor(visit.request)
    if (context === undefined) {
      if (flight !== undefined) this.#engine.flights.release(flight, 'not-shareable')
      return this.#bypass(visit.instance, visit.request, visit.reply, 'unsupported', new Error('this version of fastify keeps its hooks elsewhere'))
    }
    const filling = new Filling(this.#engine, this, visit, found, flight)
    filling.fill.forbidden = forbidden
    const { tags } = this.policy
    if (typeof tags === 'function' || tags.length === 0 || found.unavailable === true) return this.#run(visit, filling, context)
    const stamps = this.#engine.tags.stamped(tags, visit.deadline)
    if (!isPromise(stamps)) return this.#run(visit, filling, context, stamps)
    return stamps.then((there) => whenSent(this.#run(visit, filling, context, there), visit.reply))
  }

  #run ({ instance, request, reply }: Visit, filling: Filling, context: RouteContext, stamps?: readonly string[] | typeof UNAVAILABLE): unknown {
    const { connections, fills, internals } = this.#engine
    const { fill } = filling
    filling.stamps = stamps
    fill.validation?.ask()
    ;(reply as FillingReply)[kFilling] = filling
    for (const options of (reply as FillingReply)[kToldBefore] ?? []) fill.tell(options)
    internals.useContext(request, context)
    connections.whenOver(reply, () => filling.closed())
    const result: unknown = filling.followed
      ? fills.follow(filling, () => this.#callHandler(instance, request, reply))
      : this.#callHandler(instance, request, reply)
    const noticeHijack = (): void => { if (reply.sent && !fill.taken) fill.refuse('hijacked') }
    if (result === reply || !isPromise(result)) {
      noticeHijack()
      return result
    }
    // A query builder runs each time that its `then` is called: Fastify calls that of the promise.
    const promise = Promise.resolve(result)
    promise.then(noticeHijack, noticeHijack)
    return promise
  }

  /** Lets the handler run, with what it may see of the query. */
  #callHandler (instance: FastifyInstance, request: FastifyRequest, reply: FastifyReply): unknown {
    const { key, methods } = this.policy
    if (typeof key !== 'function' && methods.has(request.method)) limitQuery(request, key.query)
    return this.#handler.call(instance, request, reply)
  }

  /** The route's hooks with the recording ones around them, made once. */
  #recordingFor (request: ArrivedRequest): RouteContext | undefined {
    const { internals } = this.#engine
    const of = internals.contextOf(request)
    if (of === undefined) return undefined
    if (this.#recording?.of !== of) this.#recording = { of, context: recording(of, internals) }
    return this.#recording.context
  }

  /** Lets the handler run without recording. */
  #unrecorded ({ instance, request, reply }: Visit, detail: 'head' | 'nested'): unknown {
    const { sender, status } = this.#engine
    if (detail === 'head') count(this.stats.refusals, detail)
    else count(this.stats.bypasses, detail)
    sender.mark(reply, status.forwarded('miss', { detail }))
    return this.#callHandler(instance, request, reply)
  }
}
