// A fill: one forwarded request. It follows the handler's response on its way to the client and into the cache.
import { without } from '../http/stored-fields.js'
import type { Storable } from '../http/storability.js'
import type { KnownRoute } from '../known-route.js'
import type { ForwardReason, RefusalReason } from '../observe/reasons.js'
import { discard, unpacked } from '../serve/payload.js'
import { replyOrResult, whenReturned } from '../fastify/async-handler.js'
import type { PassedBody } from '../serve/passed-body.js'
import type { Marked } from '../serve/send.js'
import { tagsOf } from '../store/tags.js'
import { announceRanges } from '../serve/conditional-reply.js'
import type { HandlerResponse } from './capture.js'
import type { ConditionedFill } from './client-conditions.js'
import type { Exchange, FillStart } from './exchange.js'
import { FillParts } from './fill-parts.js'
import { NEXT_STATES, type FillState } from './fill-state.js'
import type { FillServices } from './fill-services.js'
import type { Selects } from './flight.js'
import type { Judgement } from './judgement.js'
import { refusalFor, type ReplyCacheOptions } from './reply-options.js'
import type { ResponseFill, ResponseFlight, ResponsePlace } from './shared-response.js'
import type { Ready } from './storing.js'
import type { StreamedFill } from './stream-progress.js'
import type { Validation } from './validation.js'

export class Fill implements ResponseFill, StreamedFill, ConditionedFill {
  readonly key: string
  readonly flight: ResponseFlight | undefined
  readonly judgement: Judgement
  /** Returns the values of fields in the request, as it was before the handler ran. */
  readonly selects: Selects
  readonly #services: FillServices
  readonly #route: KnownRoute
  readonly #exchange: Exchange
  readonly #reason: ForwardReason
  readonly #parts: FillParts
  readonly #place: ResponsePlace
  #state: FillState = { name: 'running' }
  /** The handler's response; undefined until it is captured. Only this class changes it. */
  response: HandlerResponse | undefined
  #tags: readonly string[] | undefined
  #marked: Marked | undefined
  #patience: NodeJS.Timeout | undefined

  constructor (services: FillServices, route: KnownRoute, start: FillStart) {
    const { exchange, forward, facts, flight } = start
    this.#services = services
    this.#route = route
    this.#exchange = exchange
    this.#reason = forward.reason
    this.key = exchange.key
    this.flight = flight
    this.#parts = new FillParts(this, services, route, start)
    this.judgement = this.#parts.judgement
    this.selects = this.#parts.storing.selects
    exchange.refresh?.begin()
    this.#place = services.fills.begin(this, facts.isInjected && exchange.refresh === undefined)
  }

  /** Whether this fill may still store an entry. The fill of a HEAD request may store one only if it has validated the stored response. */
  get mayStore (): boolean {
    return !this.isOver && this.judgement.forbidden !== 'head'
  }

  /** Reads the stamps of the route's tags, if it has any, then runs the handler. Returns the handler's result, or a promise of it. */
  run (handler: () => unknown): unknown {
    const prepared = this.#parts.storing.needsStamps ? this.#parts.storing.prepare() : undefined
    return prepared === undefined ? this.#run(handler) : prepared.then(() => replyOrResult(this.#run(handler), this.#exchange.reply))
  }

  #run (handler: () => unknown): unknown {
    const { connections, fills } = this.#services
    const { reply } = this.#exchange
    this.#parts.validation?.ask()
    // Other requests may share the response, so the handler receives no conditions that concern only this client.
    if (this.flight !== undefined) this.#parts.asked?.withhold()
    connections.whenOver(reply, () => this.#closed())
    const result = this.#place.isFollowed ? fills.follow(this.#place, handler) : handler()
    return whenReturned(result, reply, () => { if (reply.sent && this.response === undefined) this.refuse('hijacked') })
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
    this.#parts.asked?.giveBack()
    this.#parts.validation?.withdraw()
  }

  /** Called when the handler has thrown an error. The stored response may still be sent instead of the error handler's response. */
  fail (): void {
    this.#parts.asked?.putBack()
    if (this.#parts.validation === undefined || this.response !== undefined) this.refuse('handler-error')
    else if (this.#state.name === 'running') this.#become({ name: 'failed' })
  }

  /** Captures the response before other hooks run. `mayChange` says whether they may change it. Returns the payload, or a promise of it. */
  capture (payload: unknown, mayChange = false): unknown {
    const given = this.#captured(payload, mayChange)
    return mayChange ? this.#parts.conditions.passing(given) : given
  }

  /** The body on its way through onSend hooks; undefined if there are none. */
  get passed (): PassedBody | undefined {
    return this.#parts.conditions.passed
  }

  /** Called when the hooks have run. Returns the payload to send, or a promise of it. */
  complete (payload: unknown): unknown {
    return this.#parts.conditions.afterHooks(payload)
  }

  #captured (payload: unknown, mayChange: boolean): unknown {
    const { reply } = this.#exchange
    const validation = this.#parts.validation
    this.#parts.asked?.putBack()
    if (validation === undefined) {
      if (this.isOver) return this.#parts.conditions.beforeHooks(payload, mayChange)
      const made = typeof payload === 'object' ? unpacked(payload, reply) : payload
      return this.#parts.conditions.beforeHooks(this.#taken(made, mayChange), mayChange)
    }
    // If sending fails, Fastify runs the hooks again. By then the validation has its outcome, and keeps it. One case differs: a stream that
    // failed before it was sent counts as a failure of the handler, so the stored response may be served.
    const isBroken = this.#refusedFor === 'stream-failed' && validation.mayServeOnError(reply.statusCode, this.#services.now())
    if (validation.outcome !== undefined && !isBroken) return this.isOver ? payload : this.#taken(payload, mayChange)
    const settled = this.#settled(validation, typeof payload === 'object' ? unpacked(payload, reply) : payload)
    return this.#parts.conditions.beforeHooks(this.isOver ? settled : this.#taken(settled, mayChange), mayChange)
  }

  /** Decides whether the response is going to be stored, and sets Cache-Status. */
  #conclude (): void {
    const { internals, observer, sender } = this.#services
    const { reply } = this.#exchange
    const isStorable = this.#judge()
    const refused = this.#refusedFor
    if (isStorable) this.#tags = this.#parts.storing.tags(this.judgement.chosen.tags, this.#parts.validation?.keptTags)
    const detail = refused ?? this.#parts.storing.obstacle(this.#place, this.#tags)
    const status = observer.tellSent(this.#route, {
      name: 'forwarded',
      forward: this.#reason,
      isStored: isStorable && detail === undefined && this.response?.body !== undefined,
      detail,
      status: this.#parts.validation?.handlerStatus
    })
    // If the response to a GET would be stored, it announces ranges, so the response to a HEAD does too.
    const isLikeGet = refused === 'head' && this.response !== undefined && this.judgement.ofGet(this.response)
    const isCached = isStorable || this.#parts.validation?.handlerStatus !== undefined || isLikeGet
    if (isCached && this.#parts.conditions.isBodyFinal) announceRanges(reply)
    // If sending fails, Fastify runs the hooks again. This Cache-Status member is then replaced.
    this.#marked = sender.setCacheStatus(reply, status, this.#marked)
    // RFC 9110 section 15.4.5: a 304 ends with its header section, so it has no trailers.
    if (reply.statusCode === 304) internals.dropTrailers(reply)
  }

  /** Called when all hooks have run. Judges the response, sends it, then stores it if it is complete. */
  conclude (send: () => void): void {
    this.#conclude()
    send()
    if (this.#parts.capture.stream === undefined) this.commit()
    else this.#parts.stream.sent(this.#parts.capture)
  }

  /** Returns the response as it is stored or shared now, with this body. If it may not be stored any more, refuses it. */
  ready (body: Buffer | string): Ready | undefined {
    const response = this.response as HandlerResponse
    const { terms: before } = this.#state as { readonly terms: Storable }
    const isSetPast = this.#exchange.reply.raw.getHeaderNames().length > 0
    const terms = isSetPast ? this.judgement.last(response) : before
    if ('refused' in terms) {
      this.refuse(terms.refused)
      return undefined
    }
    // RFC 9111 sections 5.2.2.4 and 5.2.2.7: fields that `no-cache` and `private` name are not stored.
    if (terms.withheld.length > 0) response.fields = without(response.fields, terms.withheld)
    // The handler may have set tags while its stream was being sent.
    return this.#parts.storing.ready(response, body, terms, { chosen: this.judgement.chosen, tags: this.#tags })
  }

  /** Stores the response that was sent, if it is complete. */
  commit (): void {
    const body = this.response?.body
    if (this.#state.name !== 'storable' || body === undefined) return
    const ready = this.ready(body)
    if (ready === undefined) return
    this.#become({ name: 'storing' })
    clearTimeout(this.#patience)
    this.#parts.sharing.share(ready)
    const stored = this.#parts.storing.store(this.#place, ready)
    if (stored instanceof Promise) this.#services.guard.track(stored.then((refused) => this.#stored(refused)))
    else this.#stored(stored)
  }

  refuse (reason: RefusalReason, fault?: unknown): void {
    if (this.isOver) return
    const { fills, observer } = this.#services
    this.#become({ name: 'refused', reason })
    clearTimeout(this.#patience)
    fills.end(this.#place)
    this.#parts.asked?.putBack()
    if (this.#parts.validation?.endsStored(reason) === true) this.#endStored()
    else this.#exchange.refresh?.fail(reason)
    if (this.#parts.validation?.outcome === 'served-on-error') this.#services.guard.track(this.#parts.sharing.landUnstored())
    else this.#parts.sharing.release(reason, this.response)
    this.#parts.capture.release()
    if (reason === 'csp-nonce') fault = new Error('Content-Security-Policy contains a nonce, which is for one response only')
    observer.tell(this.#route, { name: 'refused', reason, fault, requestId: this.#exchange.request.id })
  }

  /** Whether all hooks have run, and the response may be stored once it is complete. */
  get isStorable (): boolean {
    return this.#state.name === 'storable'
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
    const { before } = this.#parts.capture
    const settled = validation.settle({ reply, before, at: now(), hasFailed: this.#state.name === 'failed' }, payload)
    if (validation.outcome === 'served-on-error') {
      const { head, body } = validation.entry
      observer.tell(this.#route, { name: 'served-on-error' })
      this.#parts.sharing.share({ head, body, varyNames: [], tags: tagsOf(head.tags ?? []) })
    }
    if (validation.outcome === 'validated') this.judgement.allowHead()
    if (settled.refused !== undefined) this.refuse(settled.refused)
    if (typeof payload === 'object' && settled.payload !== payload) discard(payload)
    return settled.payload
  }

  #taken (payload: unknown, mayChange: boolean): unknown {
    const taken = this.#parts.capture.take(payload, mayChange, this.#parts.validation?.hasOwnEtag(this.#exchange.reply) === true)
    if (taken.response !== undefined) this.response = taken.response
    if ('refused' in taken) return this.#refusing(taken.refused, payload)
    // If the stream failed immediately, the response has already been refused.
    if (!this.isOver) this.#become({ name: 'responded' })
    return taken.payload
  }

  /** Judges the response. Returns whether it is going to be stored once it is complete. */
  #judge (): boolean {
    if (this.isOver) return false
    const response = this.response
    if (response === undefined) return this.#refusing('hijacked', false)
    const terms = this.judgement.of(response)
    if ('refused' in terms) return this.#refusing(terms.refused, false)
    this.#become({ name: 'storable', terms })
    this.#parts.sharing.narrow(terms.varyNames)
    if (this.#route.policy.etag) response.addEtag(this.#exchange.reply, true)
    return true
  }

  #stored (refused: RefusalReason | undefined): void {
    const { fills, observer } = this.#services
    // The fill ends only now: until its response is stored, a fill that began later can supersede it.
    fills.end(this.#place)
    this.#parts.sharing.land(refused)
    const outcome = refused === undefined ? { name: 'stored' } as const : { name: 'refused', reason: refused } as const
    this.#become(outcome)
    observer.tell(this.#route, outcome)
    if (refused !== undefined) return
    this.#services.lateReads.note(this.key)
    fills.uncollapsed.noteFits(this.key)
    this.#exchange.refresh?.succeed()
  }

  /** Called when the response was sent or its connection closed. The status of a response sent through `reply.raw` is known only now. */
  #closed (): void {
    const { raw } = this.#exchange.reply
    const isPastFastify = this.response === undefined && raw.writableEnded
    if (isPastFastify) this.#parts.validation?.settlePast(raw.statusCode)
    if (this.isOver) return isPastFastify && this.#parts.validation?.isOver === true ? this.#endStored() : undefined
    if (isPastFastify) return this.refuse('hijacked')
    if (this.#parts.capture.stream !== undefined) {
      this.#parts.stream.closed(this.#parts.capture)
      // If the client has received a whole response, although the stream has not ended, a hook has replaced the stream.
      if (this.isOver || (raw.writableEnded && !this.#parts.conditions.isReplaced)) return this.refuse('stream-failed')
    }
    // The client has left. A handler that is still running has until the lock timeout to respond, and a stream as long to end.
    const patienceMs = this.#services.guard.isClosed ? 0 : this.#services.lockTimeoutMs
    this.#patience = setTimeout(() => this.refuse('client-gone'), patienceMs).unref()
  }

  /** Deletes the stored response, because it is no longer valid. If this request is a refresh, that counts as its success. */
  #endStored (): void {
    const { fills, guard, store } = this.#services
    fills.supersede(this.#place, this.#parts.storing.selectedBy([]))
    guard.track(store.deleteResponse((this.#parts.validation as Validation).entry))
    this.#exchange.refresh?.succeed()
  }
}
