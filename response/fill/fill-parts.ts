// Creates the parts of a fill, each with what it needs of the others.
import { isConditional } from '../http/conditional.js'
import type { KnownRoute } from '../known-route.js'
import { Capture } from './capture.js'
import { ClientConditions, type ConditionedFill } from './client-conditions.js'
import type { FillStart } from './exchange.js'
import type { FillServices } from './fill-services.js'
import { VAIN_SHARE } from './flight.js'
import { Judgement } from './judgement.js'
import { RequestConditions } from './request-conditions.js'
import { Sharing } from './sharing.js'
import { Storing } from './storing.js'
import { StreamProgress, type StreamedFill } from './stream-progress.js'
import { Validation } from './validation.js'

export interface FillParts {
  /** The client's conditions and range; undefined if there are none, and no stored response to ask the handler about. */
  readonly asked: RequestConditions | undefined
  readonly capture: Capture
  readonly conditions: ClientConditions
  readonly judgement: Judgement
  readonly sharing: Sharing
  readonly storing: Storing
  readonly stream: StreamProgress
  /** What becomes of the stored response; undefined if there is none. */
  readonly validation: Validation | undefined
}

export function partsOf (fill: StreamedFill & ConditionedFill, { services, route, start }: {
  readonly services: FillServices, readonly route: KnownRoute, readonly start: FillStart
}): FillParts {
  const { exchange, forward: { stored }, facts, flight, forbidden } = start
  const { request } = exchange
  const { fills, lockTimeoutMs, now } = services
  const { policy } = route
  const judgement = new Judgement(exchange, policy, now, forbidden)
  const storing = new Storing(services, route, start)
  const sharing = new Sharing(flight, fills, storing)
  const asked = stored !== undefined || isConditional(request.headers) ? new RequestConditions(request) : undefined
  const common = { exchange, route, services, policy, facts, judgement, asked }
  const stream = new StreamProgress(fill, { ...common, sharing })
  const capture = new Capture(exchange, { ...common, end: stream, holdMs: lockTimeoutMs / VAIN_SHARE })
  const validation = stored === undefined
    ? undefined
    : new Validation({ request, conditions: asked as RequestConditions }, stored, now())
  const conditions = new ClientConditions(fill, { ...common, capture, validation })
  return { asked, capture, conditions, judgement, sharing, storing, stream, validation }
}
