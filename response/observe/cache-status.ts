// Writes outcomes as members of the field Cache-Status (RFC 9211).
import type { SentOutcome } from './outcome.js'

/** The default name of this cache in Cache-Status. */
export const CACHE_STATUS_NAME = 'fastify-response-cache'

/** Writes this cache's member of Cache-Status, which begins with the cache's name. */
export class CacheStatus {
  readonly #name: string
  /** The text for the last hit. It is kept, because successive hits often have the same text. */
  #hit = { seconds: NaN, text: '' }

  constructor (name: string = CACHE_STATUS_NAME) {
    this.#name = name
  }

  /** Returns this cache's member for an outcome. */
  of (outcome: SentOutcome): string {
    switch (outcome.name) {
      case 'hit': case 'stale': {
        // RFC 9211 sections 2.1 and 2.4: ttl in seconds, rounded down.
        const seconds = Math.floor(outcome.ttlMs / 1000)
        if (seconds !== this.#hit.seconds) this.#hit = { seconds, text: `${this.#name}; hit; ttl=${seconds}` }
        return this.#hit.text
      }
      case 'bypass': return `${this.#name}; fwd=${outcome.reason === 'method' ? 'method' : `bypass; detail=${outcome.reason}`}`
      case 'nested': return `${this.#name}; fwd=miss; detail=nested`
      case 'collapsed': return `${this.#name}; fwd=${outcome.forward}; collapsed${outcome.isStream ? '; detail=stream' : ''}`
      case 'unsatisfiable': return `${this.#name}; detail=only-if-cached`
      case 'forwarded': {
        const { forward, isStored, detail, status } = outcome
        return `${this.#name}; fwd=${forward}${status === undefined ? '' : `; fwd-status=${status}`}${isStored ? '; stored' : ''}${detail === undefined ? '' : `; detail=${detail}`}`
      }
    }
  }
}
