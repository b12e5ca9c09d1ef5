// All outcomes that observers may receive. They concern a request, its response, the fill between the two, or a call to the backend.
import type { BypassReason, ForwardReason, RefusalReason } from './reasons.js'

/** The possible outcomes of a response that is about to be sent. */
export type SentOutcome =
  /**
   * A stored response is sent. It is fresh, or it is stale but may be served (RFC 9111 section 4.2.4). `ttlMs` is the time for which it is
   * still fresh, and zero or less if it is stale.
   */
  | { readonly name: 'hit' | 'stale', readonly ttlMs: number }
  /** Another request's response is sent (RFC 9211 section 2.6). `isStream` says whether that response is still being produced. */
  | { readonly name: 'collapsed', readonly forward: ForwardReason, readonly isStream: boolean }
  /** The cache's own 504: no stored response may be sent, and the request forbids forwarding. */
  | { readonly name: 'unsatisfiable' }
  /** The request bypasses the cache. `fault` is a developer's mistake that caused this. */
  | { readonly name: 'bypass', readonly reason: BypassReason, readonly fault?: unknown, readonly requestId?: string }
  /** A handler that is filling the same key made this request. The request is not collapsed, and its response is not stored. */
  | { readonly name: 'nested' }
  /** The request was forwarded. If a stored response is sent instead of the handler's, `status` is the status of the handler's response. */
  | {
    readonly name: 'forwarded',
    readonly forward: ForwardReason,
    readonly isStored: boolean,
    readonly detail: RefusalReason | undefined,
    readonly status: number | undefined
  }

/** The possible outcomes of a request to a cached route. */
export type RouteOutcome =
  | SentOutcome
  /** The lookup found no stored response that may be served. A later outcome says what is sent instead. */
  | { readonly name: 'miss' }
  /** A stored response is sent instead of an error (RFC 5861 section 4). */
  | { readonly name: 'served-on-error' }
  | { readonly name: 'stored' }
  /** A client was disconnected, because it took nothing of a stream while other clients waited for the rest. */
  | { readonly name: 'stalled' }
  /** The handler's response is not stored. `fault` is a developer's mistake that caused this. */
  | { readonly name: 'refused', readonly reason: RefusalReason, readonly fault?: unknown, readonly requestId?: string }

/** The possible outcomes of calls to the backend, which belong to no particular route. */
export type BackendOutcome =
  /** A call failed or missed its deadline. `err` is the error, in a form that is safe to log. */
  | {
    readonly name: 'backend-failed',
    readonly backend: string,
    readonly operation: string,
    readonly err: object,
    readonly key: string | undefined
    /** The id of the request for which the call was made, if there is one. */
    readonly requestId?: string | undefined
  }
  /** An entry was read that can't be used: it is damaged, or was not written by this cache. */
  | { readonly name: 'damaged', readonly key: string }

export type Outcome = RouteOutcome | BackendOutcome
