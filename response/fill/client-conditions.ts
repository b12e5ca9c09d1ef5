// Applies the client's conditions and range to the handler's response. What depends on the body waits until the onSend hooks have run.
import { andThen } from '../../registry/maybe-promise.js'
import { isConditional, type Conditions } from '../http/conditional.js'
import type { KnownRoute } from '../known-route.js'
import type { Observer } from '../observe/observer.js'
import { applyConditions } from '../serve/conditional-reply.js'
import { PassedBody } from '../serve/passed-body.js'
import { discard, streamKind } from '../serve/payload.js'
import type { Capture, HandlerResponse } from './capture.js'
import type { Exchange } from './exchange.js'
import type { Judgement } from './judgement.js'
import type { RequestConditions } from './request-conditions.js'
import type { Validation } from './validation.js'

/** The parts of a fill on which its conditions depend. */
export interface ConditionsOptions {
  readonly exchange: Exchange
  readonly route: KnownRoute
  readonly capture: Capture
  readonly judgement: Judgement
  /** The client's conditions and range; undefined if there are none. */
  readonly asked: RequestConditions | undefined
  readonly validation: Validation | undefined
  readonly services: { readonly now: () => number, readonly observer: Pick<Observer, 'tellChangedBody'> }
}

/** The fill, as its conditions see it. */
export interface ConditionedFill {
  /** Whether the response has been stored or refused. */
  readonly isOver: boolean
  readonly response: HandlerResponse | undefined
}

export class ClientConditions {
  readonly #options: ConditionsOptions
  readonly #fill: ConditionedFill
  /** The body on its way through onSend hooks; undefined if there are none. */
  passed: PassedBody | undefined
  #withheldEtag: string | undefined
  #isUnchanged = false
  /** Whether the client's conditions have turned the response into another one, such as a 304. Only this class changes it. */
  isReplaced = false

  constructor (fill: ConditionedFill, options: ConditionsOptions) {
    this.#fill = fill
    this.#options = options
  }

  /** Whether no hook can change the body any more, and none has changed it. */
  get isBodyFinal (): boolean {
    return this.passed === undefined || this.#isUnchanged
  }

  /** Called before the hooks run. `mayChange` says whether they may change the body. Returns the payload, or a promise of it. */
  beforeHooks (payload: unknown, mayChange: boolean): unknown {
    const { exchange: { reply }, validation } = this.#options
    if (mayChange && validation?.hasOwnEtag(reply) === true) {
      this.#withheldEtag = reply.getHeader('etag') as string
      reply.removeHeader('etag')
    }
    return this.#applied(payload, mayChange)
  }

  /** Notes the payload that the first hook receives. Returns it. */
  passing (payload: unknown): unknown {
    this.#isUnchanged = false
    this.passed = new PassedBody(this.#options.exchange.reply, payload)
    return payload
  }

  /** Called when the hooks have run. If they left the body alone, applies what had to wait. Returns the payload, or a promise of it. */
  afterHooks (payload: unknown): unknown {
    if (this.isReplaced) return payload
    const { capture, exchange: { reply }, validation } = this.#options
    const { response } = this.#fill
    this.#isUnchanged = this.passed?.isUnchanged(reply, payload, response?.body ?? validation?.entry.body) === true
    if (!this.#isUnchanged) {
      this.#tellChanged(payload)
      return payload
    }
    if (this.#withheldEtag !== undefined && !reply.hasHeader('etag')) reply.header('etag', this.#withheldEtag)
    if (response === undefined) return this.#applied(payload, false)
    response.mayChange = false
    if (!this.#fill.isOver) capture.hold(payload, response)
    return this.#applied(payload, false)
  }

  /** If the response would have had an ETag of the cache's, or been cut, reports which hook changed its body. */
  #tellChanged (payload: unknown): void {
    const { capture, exchange: { reply, request }, judgement, route, services } = this.#options
    const { isOver, response } = this.#fill
    if (isOver || response === undefined || request.method !== 'GET' || reply.statusCode !== 200) return
    const isMissed = capture.ranged !== undefined || (route.policy.etag && !reply.hasHeader('etag'))
    if (!isMissed || 'refused' in judgement.of(response)) return
    services.observer.tellChangedBody(route, this.passed?.changedBy(payload), reply.getHeader('content-encoding'))
  }

  #applied (payload: unknown, wholeOnly: boolean): unknown {
    const { asked, capture, validation } = this.#options
    if (asked === undefined) return payload
    if (asked.areWithheld || validation?.handlerStatus !== undefined) return this.#apply(payload, asked.arrived, wholeOnly)
    // The handler has received the conditions, and evaluates them. But it may ignore a range.
    const mayCut = capture.ranged !== undefined && this.#fill.response?.mayChange === false && (capture.holds || this.#isToBeStored)
    return mayCut ? this.#apply(payload, asked.arrived, false) : payload
  }

  #apply (payload: unknown, conditions: Conditions, wholeOnly: boolean): unknown {
    if (!isConditional(conditions)) return payload
    const { capture, exchange: { reply, request: { method } }, judgement, route, services } = this.#options
    const fill = this.#fill
    return andThen(capture.whenWhole(payload, fill.response), (body) => {
      if (route.policy.etag && this.#isToBeStored) fill.response?.addEtag(reply, true)
      judgement.noteWhole()
      const { statusCode } = reply
      const given = applyConditions(reply, body, { conditions, method, at: services.now(), wholeOnly })
      this.isReplaced = reply.statusCode !== statusCode
      if (given === body || streamKind(body) === undefined) return given
      discard(body)
      return given
    })
  }

  get #isToBeStored (): boolean {
    const { isOver, response } = this.#fill
    return !isOver && response?.body !== undefined && !('refused' in this.#options.judgement.of(response))
  }
}
