// Notes how requests come, as Fastify makes them: no hook of anybody has run by then.
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { Arrival, kArrival, type ArrivedRequest } from './arrival.js'
import { bodyText } from './body-part.js'
import { onRequestMade, type FastifyInternals } from './fastify-internals.js'
import { isSafe } from './invalidation/unsafe.js'

/** Has every request below this instance that the cache will have to do with keep how it came. */
export function noteArrivals (fastify: FastifyInstance, internals: FastifyInternals): void {
  onRequestMade(fastify, (request) => {
    const { cache } = internals.contextOf(request)?.config ?? {}
    if ((cache === undefined || cache === false) && isSafe(request.method)) return
    const arrival = arrivalOf(request)
    if (arrival === undefined) return
    ;(request as { [kArrival]?: Arrival })[kArrival] = arrival
    if (arrival.hasBody) noteBody(request as ArrivedRequest, internals)
  })
}

/** A function of the application's own, `trustProxy`, may throw. Fastify is not prepared for that here. */
function arrivalOf (request: FastifyRequest): Arrival | undefined {
  try {
    return new Arrival(request)
  } catch {
    return undefined
  }
}

/** Notes the body when Fastify has parsed it: hooks may change it in place afterwards. */
function noteBody (request: ArrivedRequest, internals: FastifyInternals): void {
  const plain = { configurable: true, enumerable: true }
  Object.defineProperty(request, 'body', {
    ...plain,
    get: () => undefined,
    set (body: unknown) {
      const arrival = request[kArrival]
      arrival.body = body === undefined ? undefined : bodyText(body)
      arrival.isBodyReplaced = !internals.isParsedAsItCame(request)
      Object.defineProperty(request, 'body', { ...plain, writable: true, value: body })
    }
  })
}
