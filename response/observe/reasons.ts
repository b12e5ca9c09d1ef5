// The reason codes that Cache-Status, the log, stats() and explain() share.

/** The reasons why a request was not looked up in the cache. */
export const BYPASS_REASONS = [
  'method', // the route does not cache this method
  'credentials', // the request has Authorization or Cookie, and the route neither ignores them nor makes them part of its key
  'target', // the request target is not in origin form (RFC 9112 section 3.2.1), or contains a `#`
  'request-body', // the request has a body that is not expected, or that can't be part of the key
  'upgrade', // the request asks for another protocol on the connection
  'validation', // the request is invalid, and the route's handler deals with that itself (attachValidation)
  'key', // the key could not be built, for example because the route's key function or `by` returned no usable string
  'no-store', // the request's Cache-Control contains no-store
  'nested', // the request was made by the handler that fills the same key
  'closed', // the cache was closed
  'unsupported' // this version of Fastify keeps its hooks elsewhere, so the response can't be recorded
] as const

/** The reasons why no stored response can be sent, as `explain()` reports them. */
export const MISS_REASONS = [
  'absent', // nothing is stored under the key
  'variant', // the stored responses are for other values of the fields that Vary names
  'invalidated', // a tag of the stored response was invalidated
  'untagged', // the stored response lacks a tag that the route lists now
  'stale', // the stored response is stale, and may not be served without validation
  'request', // the request's Cache-Control does not accept the stored response
  'only-if-cached', // no stored response can be sent, and the request forbids forwarding
  'damaged', // the stored entry is damaged, or was not written by this cache
  'head', // nothing is stored, and a HEAD request never creates an entry
  'unavailable' // the backend does not respond
] as const

/** The reasons why a response was not stored. */
export const REFUSAL_REASONS = [
  'status', // neither the route's `statuses` nor the response itself makes this status cacheable
  'condition', // the response depends on the range or condition of this one request (206, 304, 412, 416)
  'no-store', 'private', 'no-cache', // the response's Cache-Control contains this directive
  'cache-control', // the response's Cache-Control is malformed or ambiguous
  'no-freshness', // nothing says how long the response is fresh
  'expired', // the response is stale already
  'set-cookie', // the response sets a cookie
  'authorization', // the request has Authorization, and the response is not explicitly shareable (RFC 9111 section 3.5)
  'vary', // Vary is `*`, malformed, or names too many fields
  'cors', // Access-Control-Allow-Origin names one origin, and Vary does not name Origin
  'csp-nonce', // Content-Security-Policy contains a nonce, which is for one response only
  'trailer', // the handler added trailers, which are not stored
  'header', // a header field can't be sent again unchanged
  'event-stream', 'hijacked', // an event stream, or a response that was not sent through Fastify
  'too-large', // the response is larger than maxBodyBytes, or too many bytes are being recorded at once
  'length', // the body is shorter or longer than Content-Length says
  'stream-failed', 'client-gone', 'handler-error', // the response is not complete
  'when', // the route's `when` did not return true
  'reply-store-false', // reply.cache({ store: false }) was called
  'ttl', // a ttl given while the handler ran is zero or invalid
  'tags', // tags given while the handler ran are invalid or too many
  'reply-cache', // reply.cache() received options that it does not know
  'invalidated', // the response was invalidated while the handler ran
  'superseded', // a fill that started later has already stored its response
  'lock-timeout', // the request waited too long for another fill, and ran the handler itself
  'head', // a HEAD request never creates an entry
  'unavailable', // the backend does not respond
  'closed' // the cache was closed
] as const

/** The reason why a request was not looked up in the cache. @useDeclaredType */
export type BypassReason = typeof BYPASS_REASONS[number]
/** The reason why no stored response can be sent. @useDeclaredType */
export type MissReason = typeof MISS_REASONS[number]
/** The reason why a response was not stored. @useDeclaredType */
export type RefusalReason = typeof REFUSAL_REASONS[number]

/**
 * Temporary reasons: the next response for the same key may well be stored. After any other reason, requests for the key are not collapsed
 * for a while.
 */
export const TRANSIENT: ReadonlySet<RefusalReason> = new Set([
  'condition', 'handler-error', 'client-gone', 'stream-failed', 'invalidated', 'superseded', 'lock-timeout', 'unavailable', 'closed'
])

/** Reasons that don't show whether the stored response is outdated: the new one is incomplete, or was refused regardless of its content. */
export const INCOMPLETE: ReadonlySet<RefusalReason> = new Set(['client-gone', 'stream-failed', 'length', 'lock-timeout', 'closed'])

/** The reason why a request that was looked up is forwarded (RFC 9211 section 2.2). */
export type ForwardReason = 'miss' | 'request' | 'stale'
