// Ready-made route options.
import type { RouteCacheOptions } from './route-options.js'

/**
 * Route options for an origin that controls caching with HTTP header fields: `config: { cache: rfc9111 }`. The responses themselves decide
 * how they are cached, as in a shared cache (RFC 9111). The default route options are more cautious.
 */
export const rfc9111: Readonly<RouteCacheOptions> = Object.freeze({
  // RFC 9111 section 4.2.2: a response that states no freshness may have its freshness estimated from Last-Modified.
  heuristic: true,
  // RFC 9213: this targeted field takes precedence over Cache-Control and Expires.
  targetList: Object.freeze(['cdn-cache-control']),
  // Requests with Cookie or Authorization are looked up. A response to a request with Authorization is stored only if the response allows
  // that (RFC 9111 section 3.5).
  credentials: 'ignore',
  // RFC 9111 section 7.3: a response that sets a cookie is stored unless it says otherwise.
  setCookie: 'store',
  // Requests share a variant if their lists of languages or encodings have the same meaning.
  vary: 'normalised',
  // RFC 5861 section 4: a stale response may be served for this long if the handler fails.
  staleIfError: '1d',
  // How long a stale response with a validator is kept, so that it can be validated.
  keep: '1d'
})
