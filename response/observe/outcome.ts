// What becomes of a request, of its response, or of the fill between them, and what happens in the backend: all that observers are told of.
import type { BypassReason, ForwardReason, RefusalReason } from './reasons.js'

/** Of a response that is about to be sent, each with what there is to say of it. */
export type SentOutcome =
  /** A stored response is sent: fresh, or stale on conditions (RFC 9111 section 4.2.4). How long it is, or was, fresh from now. */
  | { readonly name: 'hit' | 'stale', readonly ttlMs: number }
  /** Another request's response is sent (RFC 9211 section 2.6). */
  | { readonly name: 'collapsed', readonly forward: ForwardReason }
  /** The cache's own 504: nothing stored is fit to be sent, and the request forbids to ask the handler. */
  | { readonly name: 'unsatisfiable' }
  /** The request bypasses the cache. `fault`: what a developer did wrong. */
  | { readonly name: 'bypass', readonly reason: BypassReason, readonly fault?: unknown }
  /** Asked by the handler that fills this very key: neither collapsed nor stored. */
  | { readonly name: 'nested' }
  /** The handler's response is about to be sent. `status`: its status, where a stored response is sent in place of it. */
  | {
    readonly name: 'forwarded',
    readonly forward: ForwardReason,
    readonly isStored: boolean,
    readonly detail: RefusalReason | undefined,
    readonly status: number | undefined
  }

/** Those, and what else becomes of a route's requests. */
export type RouteOutcome =
  | SentOutcome
  /** Nothing stored is sent. What the handler is asked for, or why it is not, is told next. */
  | { readonly name: 'miss' }
  /** A stored response is sent in place of an error (RFC 5861 section 4). */
  | { readonly name: 'served-on-error' }
  | { readonly name: 'stored' }
  /** The handler's response is not stored. `fault`: what a developer did wrong. */
  | { readonly name: 'refused', readonly reason: RefusalReason, readonly fault?: unknown }

/** What happens in the backend, of whichever route. */
export type BackendOutcome =
  /** A call failed or missed its deadline. `err`: as it may stand in a log. */
  | {
    readonly name: 'backend-failed',
    readonly backend: string,
    readonly operation: string,
    readonly err: object,
    readonly key: string | undefined
  }
  /** An entry was read that can't be believed: damaged, or not ours. */
  | { readonly name: 'damaged', readonly key: string }

export type Outcome = RouteOutcome | BackendOutcome
