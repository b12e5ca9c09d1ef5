// Route options by a name of their own.
import type { RouteCacheOptions } from './route-options.js'

/**
 * Route options for answers of an origin that speaks HTTP caching: `config: { cache: rfc9111 }`. Heuristic freshness,
 * `CDN-Cache-Control`, cookies kept where the answer may be shared, one variant for all spellings of a language list, and for
 * a day a stale answer in place of an error.
 */
export const rfc9111: Readonly<RouteCacheOptions> = Object.freeze({
  heuristic: true,
  targetList: Object.freeze(['cdn-cache-control']),
  credentials: 'ignore',
  setCookie: 'store',
  vary: 'normalised',
  staleIfError: '1d',
  keep: '1d'
})
