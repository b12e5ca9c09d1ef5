// Ready-made route options.
import type { RouteCacheOptions } from './route-options.js'

/**
 * Route options for responses of an origin that speaks HTTP caching: `config: { cache: rfc9111 }`. What its responses say of themselves
 * decides, as in a shared cache (RFC 9111), where a route of the application's own would be more careful.
 */
export const rfc9111: Readonly<RouteCacheOptions> = Object.freeze({
  // RFC 9111 section 4.2.2
  heuristic: true,
  // RFC 9213
  targetList: Object.freeze(['cdn-cache-control']),
  // Requests with a cookie are looked up; those with Authorization too, whose responses are stored where they say so (RFC 9111 section
  // 3.5).
  credentials: 'ignore',
  // RFC 9111 section 7.3: a response that sets a cookie is stored unless it says otherwise.
  setCookie: 'store',
  // Spellings of a list of languages or encodings that mean the same share a variant.
  vary: 'normalised',
  // RFC 5861 section 4
  staleIfError: '1d',
  // A response with a validator is kept for so long after its freshness, to be validated.
  keep: '1d'
})
