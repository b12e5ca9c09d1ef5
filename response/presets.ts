// Route options by a name of their own.
import type { RouteCacheOptions } from './options.js'

/** What the RFCs allow a shared cache to do, for a route in front of an origin that says itself what may be stored. */
export const rfc9111: Readonly<RouteCacheOptions> = Object.freeze({ credentials: 'ignore' })
