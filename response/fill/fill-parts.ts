// Creates the parts of a fill, each with what it needs of the others.
import { isConditional } from '../http/conditional.js'
import type { KnownRoute } from '../known-route.js'
import { Capture } from './capture.js'
import { ClientConditions, type ConditionedFill } from './client-conditions.js'
import type { ReplyFacts } from '../fastify/fastify-internals.js'
import type { RoutePolicy } from '../options/route-options.js'
import type { Exchange, FillStart } from './exchange.js'
import type { FillServices } from './fill-services.js'
import { VAIN_SHARE } from './flight.js'
import { Judgement } from './judgement.js'
import { RequestConditions } from './request-conditions.js'
import { Sharing } from './sharing.js'
import { Storing } from './storing.js'
import { StreamProgress, type StreamedFill } from './stream-progress.js'
import { Validation } from './validation.js'

/**
 * The parts of one fill. Each receives this object as its options, and uses the properties that it declares. Nothing is copied, because
 * each miss creates all of this.
 */
export class FillParts {
  readonly services: FillServices
  readonly route: KnownRoute
  readonly policy: RoutePolicy
  readonly exchange: Exchange
  readonly facts: ReplyFacts
  /** The client's conditions and range; undefined if there are none, and no stored response to ask the handler about. */
  readonly asked: RequestConditions | undefined
  readonly judgement: Judgement
  readonly storing: Storing
  readonly sharing: Sharing
  readonly stream: StreamProgress
  /** How long a stream is held back at most, in milliseconds. */
  readonly holdMs: number
  readonly capture: Capture
  /** What becomes of the stored response; undefined if there is none. */
  readonly validation: Validation | undefined
  readonly conditions: ClientConditions

  constructor (fill: StreamedFill & ConditionedFill, services: FillServices, route: KnownRoute, start: FillStart) {
    const { exchange, forward: { stored }, facts, flight, forbidden } = start
    const { request } = exchange
    const { now } = services
    this.services = services
    this.route = route
    this.policy = route.policy
    this.exchange = exchange
    this.facts = facts
    this.asked = stored !== undefined || isConditional(request.headers) ? new RequestConditions(request) : undefined
    this.judgement = new Judgement(exchange, route.policy, now, forbidden)
    this.storing = new Storing(services, route, start)
    this.sharing = new Sharing(flight, services.fills, this.storing)
    this.stream = new StreamProgress(fill, this)
    this.holdMs = services.lockTimeoutMs / VAIN_SHARE
    this.capture = new Capture(exchange, this)
    this.validation = stored === undefined
      ? undefined
      : new Validation({ request, conditions: this.asked as RequestConditions }, stored, now())
    this.conditions = new ClientConditions(fill, this)
  }
}
