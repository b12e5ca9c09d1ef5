// All outcomes that observers receive: of a request, of its response, of the fill between them, and of the backend.
import type { BypassReason, ForwardReason, RefusalReason } from './reasons.js'

/** The outcome of a response that is about to be sent. */
export type SentOutcome =
  /**
   * A stored response is sent: fresh, or stale on conditions (RFC 9111 section 4.2.4). `ttlMs`: its remaining freshness, not above zero if
   * stale.
   */
  | { readonly name: 'hit' | 'stale', readonly ttlMs: number }
  /** Another request's response is sent (RFC 9211 section 2.6). */
  | { readonly name: 'collapsed', readonly forward: ForwardReason }
  /** The cache's own 504: no stored response may be sent, and the request forbids forwarding. */
  | { readonly name: 'unsatisfiable' }
  /** The request bypasses the cache. `fault`: a developer's mistake that caused this. */
  | { readonly name: 'bypass', readonly reason: BypassReason, readonly fault?: unknown }
  /** The handler that fills this key made the request: it is neither collapsed nor stored. */
  | { readonly name: 'nested' }
  /** The request was forwarded. `status`: the status of the handler's response, if a stored response is sent in its place. */
  | {
    readonly name: 'forwarded',
    readonly forward: ForwardReason,
    readonly isStored: boolean,
    readonly detail: RefusalReason | undefined,
    readonly status: number | undefined
  }

/** All outcomes of a route's requests. */
export type RouteOutcome =
  | SentOutcome
  /** No stored response is sent. The outcome that follows says what is done instead. */
  | { readonly name: 'miss' }
  /** A stored response is sent in place of an error (RFC 5861 section 4). */
  | { readonly name: 'served-on-error' }
  | { readonly name: 'stored' }
  /** The handler's response is not stored. `fault`: a developer's mistake that caused this. */
  | { readonly name: 'refused', readonly reason: RefusalReason, readonly fault?: unknown }

/** Outcomes of the backend, on any route. */
export type BackendOutcome =
  /** A call failed or missed its deadline. `err`: safe to log. */
  | {
    readonly name: 'backend-failed',
    readonly backend: string,
    readonly operation: string,
    readonly err: object,
    readonly key: string | undefined
  }
  /** An entry was read that can't be used: it is damaged, or was not written by this cache. */
  | { readonly name: 'damaged', readonly key: string }

export type Outcome = RouteOutcome | BackendOutcome
