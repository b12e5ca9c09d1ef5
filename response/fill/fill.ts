// A fill: one forwarded request. It follows the handler's response on its way to the client and into the cache.
import { without } from '../http/stored-fields.js'
import type { KnownRoute } from '../known-route.js'
import { TRANSIENT, type ForwardReason, type RefusalReason } from '../observe/reasons.js'
import { discard, unpacked } from '../serve/payload.js'
import { replyOrResult, whenReturned } from '../fastify/async-handler.js'
import type { PassedBody } from '../serve/passed-body.js'
import type { Marked } from '../serve/send.js'
import { tagsOf } from '../store/tags.js'
import { announceRanges } from '../serve/conditional-reply.js'
import { Capture, type HandlerResponse, type StreamEnd } from './capture.js'
import { ClientConditions, type ConditionedFill } from './client-conditions.js'
import type { Exchange, FillStart } from './exchange.js'
import { NEXT_STATES, type FillState } from './fill-state.js'
import type { FillServices } from './fill-services.js'
import type { FillUnderWay, Flight, Place } from './single-flight.js'
import { Judgement } from './judgement.js'
import { refusalFor, type ReplyCacheOptions } from './reply-options.js'
import { Storing, type Shareable } from './storing.js'
import { Validation } from './validation.js'

export class Fill implements FillUnderWay, StreamEnd, ConditionedFill {
  readonly key: string
  readonly flight: Flight | undefined
  readonly judgement: Judgement
  readonly #services: FillServices
  readonly #route: KnownRoute
  readonly #exchange: Exchange
  readonly #reason: ForwardReason
  readonly #storing: Storing
  readonly #validation: Validation | undefined
  readonly #capture: Capture
  readonly #conditions: ClientConditions
  readonly #place: Place
  #state: FillState = { name: 'running' }
  #response: HandlerResponse | undefined
  #tags: readonly string[] | undefined
  #marked: Marked | undefined
  #patience: NodeJS.Timeout | undefined

  constructor (services: FillServices, route: KnownRoute, { exchange, forward, facts, flight, forbidden }: FillStart) {
    const { fills, now } = services
    const { reason, found, stored } = forward
    const { request, refresh } = exchange
    this.#services = services
    this.#route = route
    this.#exchange = exchange
    this.#reason = reason
    this.key = exchange.key
    this.flight = flight
    this.judgement = new Judgement(exchange, route.policy, now, forbidden)
    this.#storing = new Storing(services, route, exchange, found)
    this.#capture = new Capture(exchange, { services, policy: route.policy, facts, judgement: this.judgement, end: this })
    if (stored !== undefined) this.#validation = new Validation(request, stored, now())
    this.#conditions = new ClientConditions(this, {
      exchange, route, services, judgement: this.judgement, capture: this.#capture, validation: this.#validation
    })
    refresh?.begin()
    this.#place = fills.begin(this, facts.isInjected && refresh === undefined)
  }

  /** Whether this fill may still store an entry. The fill of a HEAD request may store one only if it has validated the stored response. */
  get mayStore (): boolean {
    return !this.isOver && this.judgement.forbidden !== 'head'
  }

  /** Reads the stamps of the route's tags, if it has any, then runs the handler. Returns the handler's result, or a promise of it. */
  run (handler: () => unknown): unknown {
    const prepared = this.#storing.needsStamps ? this.#storing.prepare() : undefined
    return prepared === undefined ? this.#run(handler) : prepared.then(() => replyOrResult(this.#run(handler), this.#exchange.reply))
  }

  #run (handler: () => unknown): unknown {
    const { connections, fills } = this.#services
    const { reply } = this.#exchange
    this.#validation?.ask()
    connections.whenOver(reply, () => this.#closed())
    const result = this.#place.isFollowed ? fills.follow(this.#place, handler) : handler()
    return whenReturned(result, reply, () => { if (reply.sent && this.#response === undefined) this.refuse('hijacked') })
  }

  /** Applies the options of `reply.cache(options)`. If one is wrong, the response is still sent, but not stored. */
  choose (options: ReplyCacheOptions): void {
    try {
      this.judgement.choose(options)
    } catch (err) {
      this.refuse(refusalFor(err), err)
    }
  }

  /** Called when the handler calls the not-found handler. The response is not stored, because a hit would skip that handler's hooks. */
  withdraw (): void {
    this.judgement.forbid('hijacked')
    this.#validation?.withdraw()
  }

  /** Called when the handler has thrown an error. The stored response may still be sent instead of the error handler's response. */
  fail (): void {
    this.#validation?.putBack()
    if (this.#validation === undefined || this.#response !== undefined) this.refuse('handler-error')
    else if (this.#state.name === 'running') this.#become({ name: 'failed' })
  }

  /** Captures the response before other hooks run. `mayChange` says whether they may change it. Returns the payload, or a promise of it. */
  capture (payload: unknown, mayChange = false): unknown {
    const given = this.#captured(payload, mayChange)
    return mayChange ? this.#conditions.passing(given) : given
  }

  /** The body on its way through onSend hooks; undefined if there are none. */
  get passed (): PassedBody | undefined {
    return this.#conditions.passed
  }

  /** Called when the hooks have run. Returns the payload to send, or a promise of it. */
  complete (payload: unknown): unknown {
    return this.#conditions.afterHooks(payload)
  }

  #captured (payload: unknown, mayChange: boolean): unknown {
    const { reply } = this.#exchange
    const validation = this.#validation
    if (validation === undefined) {
      if (this.isOver) return payload
      const made = typeof payload === 'object' ? unpacked(payload, reply) : payload
      return this.#conditions.beforeHooks(this.#taken(made, mayChange), mayChange)
    }
    // If sending fails, Fastify runs the hooks again. By then the validation has its outcome, and keeps it. One case differs: a stream that
    // failed before it was sent counts as a failure of the handler, so the stored response may be served.
    const isBroken = this.#refusedFor === 'stream-failed' && validation.mayServeOnError(reply.statusCode, this.#services.now())
    if (validation.outcome !== undefined && !isBroken) return this.isOver ? payload : this.#taken(payload, mayChange)
    const settled = this.#settled(validation, typeof payload === 'object' ? unpacked(payload, reply) : payload)
    return this.#conditions.beforeHooks(this.isOver ? settled : this.#taken(settled, mayChange), mayChange)
  }

  /** Decides whether the response is going to be stored, and sets Cache-Status. */
  #conclude (): void {
    const { internals, observer, sender } = this.#services
    const { reply } = this.#exchange
    const isStorable = this.#judge()
    const refused = this.#refusedFor
    if (isStorable) this.#tags = this.#storing.tags(this.judgement.chosen.tags, this.#validation?.keptTags)
    const detail = refused ?? this.#storing.obstacle(this.#place, this.#tags)
    const status = observer.tellSent(this.#route, {
      name: 'forwarded',
      forward: this.#reason,
      isStored: isStorable && detail === undefined && this.#response?.body !== undefined,
      detail,
      status: this.#validation?.handlerStatus
    })
    const isCached = isStorable || this.#validation?.handlerStatus !== undefined || this.#isLikeGet
    if (isCached && this.#conditions.isBodyFinal) announceRanges(reply)
    // If sending fails, Fastify runs the hooks again. This Cache-Status member is then replaced.
    this.#marked = sender.setCacheStatus(reply, status, this.#marked)
    // RFC 9110 section 15.4.5: a 304 ends with its header section, so it has no trailers.
    if (reply.statusCode === 304) internals.dropTrailers(reply)
  }

  /** Called when all hooks have run. Judges the response, sends it, then stores it if it is complete. */
  conclude (send: () => void): void {
    this.#conclude()
    send()
    this.#commit()
  }

  /** Called when the stream was recorded to its end while it was sent, so the response is complete. */
  streamed (response: HandlerResponse): void {
    if (this.#route.policy.etag) response.addEtag(this.#exchange.reply, false)
    this.#commit()
  }

  /** Stores the response that was sent, if it is complete. */
  #commit (): void {
    const response = this.#response
    if (this.#state.name !== 'storable' || response?.body === undefined) return
    const isSetPast = this.#exchange.reply.raw.getHeaderNames().length > 0
    const terms = isSetPast ? this.judgement.last(response) : this.#state.terms
    if ('refused' in terms) return this.refuse(terms.refused)
    // RFC 9111 sections 5.2.2.4 and 5.2.2.7: fields that `no-cache` and `private` name are not stored.
    if (terms.withheld.length > 0) response.fields = without(response.fields, terms.withheld)
    this.#become({ name: 'storing' })
    clearTimeout(this.#patience)
    // The handler may have set tags while its stream was being sent.
    const ready = this.#storing.ready(response, response.body, terms, this.judgement.chosen.tags ?? this.#tags)
    this.#share(ready)
    const stored = this.#storing.store(this.#place, ready)
    if (stored instanceof Promise) this.#services.guard.track(stored.then((refused) => this.#stored(refused)))
    else this.#stored(stored)
  }

  refuse (reason: RefusalReason, fault?: unknown): void {
    if (this.isOver) return
    const { fills, observer } = this.#services
    this.#become({ name: 'refused', reason })
    clearTimeout(this.#patience)
    fills.end(this.#place)
    this.#validation?.putBack()
    if (this.#validation?.endsStored(reason) === true) this.#endStored()
    else this.#exchange.refresh?.fail(reason)
    const isShared = this.#validation?.outcome === 'served-on-error'
    if (this.flight !== undefined && !isShared) fills.release(this.flight, TRANSIENT.has(reason) ? 'failed' : 'not-shareable')
    if (reason === 'csp-nonce') fault = new Error('Content-Security-Policy contains a nonce, which is for one response only')
    observer.tell(this.#route, { name: 'refused', reason, fault, requestId: this.#exchange.request.id })
  }

  /** The handler's response; undefined until it is captured. */
  get response (): HandlerResponse | undefined {
    return this.#response
  }

  /** Whether the response has been stored or refused. */
  get isOver (): boolean {
    const { name } = this.#state
    return name === 'storing' || name === 'stored' || name === 'refused'
  }

  get #refusedFor (): RefusalReason | undefined {
    return this.#state.name === 'refused' ? this.#state.reason : undefined
  }

  #become (next: FillState): void {
    const { name } = this.#state
    if (NEXT_STATES[name].includes(next.name)) this.#state = next
    else this.#services.observer.impossible(`a fill that is ${name} becomes ${next.name}`)
  }

  #refusing<T> (reason: RefusalReason, payload: T): T {
    this.refuse(reason)
    return payload
  }

  /** Determines what becomes of the stored response, and returns the payload to pass on. */
  #settled (validation: Validation, payload: unknown): unknown {
    const { now, observer } = this.#services
    const { reply } = this.#exchange
    const settled = validation.settle({ reply, before: this.#capture.before, at: now(), hasFailed: this.#state.name === 'failed' }, payload)
    if (validation.outcome === 'served-on-error') {
      const { head, body } = validation.entry
      observer.tell(this.#route, { name: 'served-on-error' })
      this.#share({ head, body, varyNames: [], tags: tagsOf(head.tags ?? []) })
    }
    if (validation.outcome === 'validated') this.judgement.allowHead()
    if (settled.refused !== undefined) this.refuse(settled.refused)
    if (typeof payload === 'object' && settled.payload !== payload) discard(payload)
    return settled.payload
  }

  #taken (payload: unknown, mayChange: boolean): unknown {
    const taken = this.#capture.take(payload, mayChange, this.#validation?.hasOwnEtag(this.#exchange.reply) === true)
    if (taken.response !== undefined) this.#response = taken.response
    if ('refused' in taken) return this.#refusing(taken.refused, payload)
    // If the stream failed immediately, the response has already been refused.
    if (!this.isOver) this.#become({ name: 'responded' })
    return taken.payload
  }

  /** Whether this is a HEAD request, and the response to a GET would be stored. That response announces ranges, so this one does too. */
  get #isLikeGet (): boolean {
    return this.#refusedFor === 'head' && this.#response !== undefined && this.judgement.ofGet(this.#response)
  }

  /** Judges the response. Returns whether it is going to be stored once it is complete. */
  #judge (): boolean {
    if (this.isOver) return false
    const response = this.#response
    if (response === undefined) return this.#refusing('hijacked', false)
    const terms = this.judgement.of(response)
    if ('refused' in terms) return this.#refusing(terms.refused, false)
    this.#become({ name: 'storable', terms })
    if (this.#route.policy.etag) response.addEtag(this.#exchange.reply, true)
    return true
  }

  #share (response: Shareable): void {
    if (this.flight !== undefined) this.#services.fills.share(this.flight, () => this.#storing.shared(response))
  }

  #stored (refused: RefusalReason | undefined): void {
    const { fills, observer } = this.#services
    // The fill ends only now: until its response is stored, a fill that began later can supersede it.
    fills.end(this.#place)
    if (refused !== undefined) {
      this.#become({ name: 'refused', reason: refused })
      observer.tell(this.#route, { name: 'refused', reason: refused })
      return
    }
    this.#become({ name: 'stored' })
    observer.tell(this.#route, { name: 'stored' })
    this.#exchange.refresh?.succeed()
  }

  /** Called when the response was sent or its connection closed. The status of a response sent through `reply.raw` is known only now. */
  #closed (): void {
    const { raw } = this.#exchange.reply
    const isPastFastify = this.#response === undefined && raw.writableEnded
    if (isPastFastify) this.#validation?.settlePast(raw.statusCode)
    if (this.isOver) return isPastFastify && this.#validation?.isOver === true ? this.#endStored() : undefined
    // The stream has not ended and never will, because the client left or another hook replaced the stream.
    if (this.#response !== undefined && this.#response.body === undefined) return this.#capture.abandon()
    if (isPastFastify) return this.refuse('hijacked')
    // A handler that is still running has until the lock timeout to respond.
    this.#patience = setTimeout(() => this.refuse('client-gone'), this.#services.lockTimeoutMs).unref()
  }

  /** Deletes the stored response, because it is no longer valid. If this request is a refresh, that counts as its success. */
  #endStored (): void {
    const { fills, guard, store } = this.#services
    fills.supersede(this.#place)
    guard.track(store.deleteResponse((this.#validation as Validation).entry))
    this.#exchange.refresh?.succeed()
  }
}
