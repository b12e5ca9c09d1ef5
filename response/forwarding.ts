// Forwards the requests of a route: each waits for a concurrent request, or for its turn among processes, or runs the handler.
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { UNAVAILABLE } from '../registry/unavailable.js'
import { replyOrResult } from './fastify/async-handler.js'
import type { RouteContext } from './fastify/fastify-internals.js'
import type { Exchange, Forward } from './fill/exchange.js'
import { Fill } from './fill/fill.js'
import type { FlightOutcome } from './fill/flight.js'
import { attach, recording } from './fill/recording-hooks.js'
import type { ResponseFlight, SharedResponse, SharedStream } from './fill/shared-response.js'
import type { Collapsible, Concurrency } from './fill/single-flight.js'
import { giveBackRight, type Seen, type Turn, type TurnOutcome } from './fill/turn.js'
import { askingWhen } from './fill/when.js'
import { isConditional, mayBeWithheld } from './http/conditional.js'
import type { RequestDirectives } from './http/request-directives.js'
import { tagName, type KnownRoute } from './known-route.js'
import type { BypassReason, RefusalReason } from './observe/reasons.js'
import { kArrival, type ArrivedRequest } from './request/arrival.js'
import { selection } from './request/variant.js'
import { decide } from './serve-or-forward.js'
import type { Services } from './services.js'
import type { Entry, ResponseHead } from './store/entry.js'
import { UNKNOWN, type Found } from './store/store.js'
import { tagsOf } from './store/tags.js'

/** The route whose requests are forwarded. */
export interface ForwardedRoute extends KnownRoute {
  directives (request: Pick<FastifyRequest, 'headers'>): RequestDirectives | undefined
  act (exchange: Exchange, found: Found, directives: RequestDirectives | undefined): unknown
  callHandler (instance: FastifyInstance, request: FastifyRequest, reply: FastifyReply): unknown
  bypass (instance: FastifyInstance, request: FastifyRequest, reply: FastifyReply, reason: BypassReason, fault?: unknown): unknown
}

/** What is known about a fill before it begins. */
interface Lead {
  /** The flight that other requests of this process can wait for; undefined if they can't. */
  readonly flight?: ResponseFlight | undefined
  /** The reason why the response won't be stored, if that is already known. */
  readonly forbidden?: RefusalReason | undefined
  readonly turn?: Turn | undefined
  /** Entries that were seen, and can't be used, while the fill waited for its turn. */
  readonly seen?: Seen | undefined
  /** When it began to wait for its turn, on the clock of `performance.now()`. */
  readonly since?: number | undefined
}

export class Forwarding {
  readonly #services: Services
  readonly #route: ForwardedRoute
  /** For each context of the route, a copy with the recording hooks added. */
  readonly #recorded = new WeakMap<RouteContext, RouteContext>()

  constructor (services: Services, route: ForwardedRoute) {
    this.#services = services
    this.#route = route
  }

  /** Runs the handler for a HEAD request. Only a response that validates the stored one may be stored. */
  head (exchange: Exchange, forward: Forward): unknown {
    const lead = { forbidden: 'head' } as const
    return forward.stored === undefined ? this.#fill(exchange, forward, lead) : this.#lead(exchange, forward, lead)
  }

  /**
   * Waits for another request that runs the handler for the same variant, if possible. Otherwise runs the handler itself, as a new flight
   * if possible. `invalidated` is a flight whose response may not be sent to this request.
   */
  collapse (exchange: Exchange, forward: Forward, invalidated?: ResponseFlight): unknown {
    const { fills, fence } = this.#services
    const { reply, request, deadline } = exchange
    const wanted = this.#collapsible(exchange, forward, invalidated)
    if (wanted === undefined) return this.#lead(exchange, forward)
    const { joined: flight, begun } = fills.joinOrBegin(wanted)
    if (flight === undefined) return this.#lead(exchange, forward, { flight: begun })
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
    const { lock, tags, vary } = this.#route.policy
    const { headers, method } = request
    // The handler of a response that can't be stored receives the range, so that it need not produce everything before that range.
    if (!lock || (headers.range !== undefined && fills.uncollapsed.isTooLarge(key))) return undefined
    // If a function determines the tags, they are known only after the handler has responded, and are checked in #collapsed.
    const names = (): string[] => [key, ...this.#route.fenceNames(target), ...(typeof tags === 'function' ? [] : tags.map(tagName))]
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
    const { fence } = this.#services
    if ('released' in outcome) {
      const { released } = outcome
      // Now it is known which fields select the variant. This request waits for another one for its own variant, or runs the handler.
      if (released === 'other-variant') return this.collapse(exchange, forward)
      if (released === 'look-again') return this.#lookAgain(exchange, forward)
      return released === 'lock-timeout' ? this.#fill(exchange, forward, { forbidden: released }) : this.#lead(exchange, forward)
    }
    // A response made before an invalidation may be sent only to requests that came before that invalidation.
    if (joinedAt !== flight.mark && fence.movedSince(flight.mark, () => outcome.names)) {
      return this.collapse({ ...exchange, mark: fence.mark }, forward, flight)
    }
    if ('stream' in outcome) return this.#joinStream(exchange, forward, flight, outcome)
    exchange.refresh?.succeed()
    this.#sendCollapsed(exchange, forward, outcome.entry)
  }

  /** Sends the stream of another request's response, unless that response was invalidated meanwhile, perhaps by another process. */
  #joinStream (exchange: Exchange, forward: Forward, flight: ResponseFlight, shared: SharedStream): unknown {
    const { now, observer, stored } = this.#services
    const join = (isCurrent: boolean): unknown => {
      if (!isCurrent) return this.#lookAgain(exchange, forward, undefined, flight)
      if (!shared.stream.isOpen) return this.#lead(exchange, forward)
      exchange.refresh?.succeed()
      const status = observer.tellSent(this.#route, { name: 'collapsed', forward: forward.reason, isStream: true })
      stored.sendStream(exchange, shared, status, now())
    }
    const isCurrent = shared.isCurrent?.()
    return isCurrent === undefined ? join(true) : isCurrent.then((is) => replyOrResult(join(is), exchange.reply))
  }

  #sendCollapsed (exchange: Exchange, { reason }: Forward, entry: Entry<ResponseHead>): undefined {
    const { now, observer, stored } = this.#services
    const status = observer.tellSent(this.#route, { name: 'collapsed', forward: reason, isStream: false })
    stored.send(this.#route, exchange, entry, status, now())
  }

  /** Runs the handler, in its turn if other processes may fill the same key. */
  #lead (exchange: Exchange, forward: Forward, lead: Lead = {}): unknown {
    const { turns } = this.#services
    const { deadline, key, refresh, reply } = exchange
    const { found } = forward
    if (turns === undefined || found.state === 'unavailable') return this.#fill(exchange, forward, lead)
    const { flight, forbidden, seen, since = performance.now() } = lead
    const right = refresh?.takeRight(found.variant?.key ?? key)
    const outcome = turns.wait({ key, found, deadline, since, isAlone: flight === undefined, hasLateTags: this.#hasLateTags, seen, right })
    const began: Lead = { flight, forbidden, since }
    return outcome instanceof Promise
      ? outcome.then((came) => replyOrResult(this.#led(exchange, forward, began, came), reply))
      : this.#led(exchange, forward, began, outcome)
  }

  #led (exchange: Exchange, forward: Forward, lead: Lead, outcome: TurnOutcome): unknown {
    const { fence: { mark }, lockTimeoutMs } = this.#services
    const { flight, forbidden, since } = lead
    const isLate = typeof outcome === 'object' && 'seen' in outcome && performance.now() - (since as number) >= lockTimeoutMs
    if (outcome === 'timeout' || isLate) return this.#fill(exchange, forward, { flight, forbidden: 'lock-timeout' })
    if (outcome === UNAVAILABLE) return this.#fill(exchange, { ...forward, found: UNKNOWN }, lead)
    if ('seen' in outcome) return this.#lookAgain(exchange, forward, { flight, forbidden, since, seen: outcome.seen })
    return this.#fill(exchange.mark === mark ? exchange : { ...exchange, mark }, forward, { flight, forbidden, turn: outcome })
  }

  /**
   * Looks the request up again, because a response was invalidated, or another process has stored one, since the last lookup. `invalidated`
   * is a flight whose response may not be sent to this request.
   */
  async #lookAgain (before: Exchange, forward: Forward, lead?: Lead, invalidated?: ResponseFlight): Promise<unknown> {
    const { fence, store } = this.#services
    const { key, deadline, request, reply, refresh } = before
    const exchange = { ...before, mark: fence.mark }
    const directives = this.#route.directives(request)
    const found = await store.find(key, request, this.#route.policy, deadline)
    const decision = decide(found, request.method, directives, refresh !== undefined)
    if (decision.name.startsWith('forward')) {
      const next = 'entry' in decision
        ? { reason: decision.name === 'forward-stale' ? 'stale' as const : 'request' as const, found, stored: decision.entry }
        : { reason: 'miss' as const, found, stored: undefined }
      return replyOrResult(lead === undefined ? this.collapse(exchange, next, invalidated) : this.#lead(exchange, next, lead), reply)
    }
    if (lead?.flight !== undefined) this.#shareFound(exchange, lead.flight, found)
    if (decision.name !== 'serve-fresh') return replyOrResult(this.#route.act(exchange, found, directives), reply)
    refresh?.succeed()
    return replyOrResult(this.#sendCollapsed(exchange, forward, decision.entry), reply)
  }

  /** Gives a response that another process has stored to the requests that wait in this process. */
  #shareFound ({ target, request }: Exchange, flight: ResponseFlight, { state, entry, variants }: Found): void {
    const { fills } = this.#services
    const { key } = flight
    if (variants !== undefined) fills.narrow(flight, variants.head.names, (fields) => selection(fields, request, this.#route.policy.vary))
    if (state === 'fresh') {
      flight.share(() => ({ entry, names: [key, ...this.#route.fenceNames(target), ...tagsOf(entry.head.tags ?? []).map(tagName)] }))
    } else flight.release('look-again')
    fills.land(flight)
  }

  /** Whether tags of a response may be known only after the handler has run: a function determines them, or `reply.cache()` did so once. */
  get #hasLateTags (): boolean {
    return typeof this.#route.policy.tags === 'function' || this.#route.choosesTags
  }

  /** Runs the handler and records its response. */
  #fill (exchange: Exchange, forward: Forward, { flight, forbidden, turn }: Lead = {}): unknown {
    const { instance, request, reply } = exchange
    const { fills, internals } = this.#services
    const facts = internals.factsOf(reply)
    if (!internals.rehook(request, this.#recorded, (context) => this.#recording(context))) {
      if (flight !== undefined) fills.release(flight, 'not-shareable')
      giveBackRight(turn?.right)
      return this.#route.bypass(instance, request, reply, 'unsupported', new Error('this version of fastify keeps its hooks elsewhere'))
    }
    const fill = new Fill(this.#services, this.#route, { exchange, forward, facts, flight, forbidden, turn })
    attach(fill, reply)
    return fill.run(() => this.#route.callHandler(instance, request, reply))
  }

  /** Returns the route's hooks with those that record the response. */
  #recording (context: RouteContext): RouteContext {
    const { internals, observer } = this.#services
    const { when } = this.#route.policy
    const recorded = recording(context, internals)
    return when === undefined ? recorded : askingWhen(recorded, when, (err, { id }) => observer.fault(this.#route.name, 'when', err, id))
  }
}
