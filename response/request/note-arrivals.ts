// Notes how requests come, as Fastify makes them: no hook of anybody has run by then.
import type { FastifyInstance } from 'fastify'
import { Arrival, kAlsoNoted, type AlsoNoted, kArrival, type ArrivedRequest } from './arrival.js'
import { bodyText, exactJson, LARGEST_KEY_BODY_BYTES } from './body-part.js'
import { onRequestMade, type FastifyInternals } from '../fastify/fastify-internals.js'
import { isSafe } from '../http/methods.js'
import { listed } from './query.js'

/** Has every request below this instance that the cache will have to do with keep how it came. */
export function noteArrivals (fastify: FastifyInstance, internals: FastifyInternals): void {
  onRequestMade(fastify, internals, (request, config) => {
    const { cache, [kAlsoNoted]: also } = (config ?? {}) as { readonly cache?: unknown, readonly [kAlsoNoted]?: AlsoNoted }
    if ((cache === undefined || cache === false) && isSafe(request.method)) return
    const arrival = new Arrival(request)
    ;(request as { [kArrival]?: Arrival })[kArrival] = arrival
    if (also === undefined) return
    if (also.query.length > 0) arrival.query = exactJson(listed(request.query as Record<string, unknown>, also.query)) ?? ''
    if (also.body && arrival.hasBody) noteBody(request as ArrivedRequest, internals)
  })
}

/** Notes the body when Fastify has parsed it: hooks may change it in place afterwards. */
function noteBody (request: ArrivedRequest, internals: FastifyInternals): void {
  const plain = { configurable: true, enumerable: true }
  Object.defineProperty(request, 'body', {
    ...plain,
    get: () => undefined,
    set (body: unknown) {
      Object.defineProperty(request, 'body', { ...plain, writable: true, value: body })
      const arrival = request[kArrival]
      // What was not read to its end the parser has not seen, or a hook has set a body in its place.
      arrival.isBodyReplaced = !internals.isParsedAsItCame(request) || !request.raw.readableEnded
      const isTooLarge = Number(request.headers['content-length']) > LARGEST_KEY_BODY_BYTES
      if (body !== undefined && !isTooLarge) arrival.body = bodyText(body)
    }
  })
}
