// Caches with one thing wrong, and the rule that finds each: so the rules are known to look.
import type { RouteCacheOptions } from '../../plugin.js'

export interface Sabotage {
  /** The rule that finds it. */
  readonly rule: string
  /** What routes are told, in place of what they are meant to be. */
  readonly options?: RouteCacheOptions
  /** Invalidations are acknowledged and not made. */
  readonly isDeaf?: true
  /** What hooks behind handlers make of a hit. */
  readonly spoils?: 'body' | 'fields'
}

export const SABOTAGES: Readonly<Record<string, Sabotage>> = {
  'one key for all': { rule: 'identity', options: { key: () => 'one' } },
  'credentials that nobody looks at': { rule: 'personal', options: { key: { by: () => 'anybody' } } },
  'twice the lifetime': { rule: 'fresh', options: { ttl: 20 } },
  'windows that nobody asked for': { rule: 'fresh', options: { staleWhileRevalidate: 30 } },
  'request directives that are ignored': { rule: 'fresh', options: { clientCacheControl: 'ignore' } },
  'invalidations that are not made': { rule: 'version', isDeaf: true },
  'a byte too many': { rule: 'bytes', spoils: 'body' },
  "another request's fields": { rule: 'echo', spoils: 'fields' }
}
