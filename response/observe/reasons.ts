// The reason codes that Cache-Status, the log, stats() and explain() share.

/** Why a request was not looked up in the cache. */
export const BYPASS_REASONS = [
  'method', // the route does not cache this method
  'credentials', // Authorization or Cookie, and the route does not say what makes the response shareable
  'target', // the request target is not in origin form (RFC 9112 section 3.2.1), or contains a `#`
  'request-body', // a body where none is expected, or one that can't be part of the key
  'upgrade', // the request asks for another protocol on the connection
  'validation', // the request is invalid, and the handler deals with that (attachValidation)
  'key', // the route's key function or `by` returned no usable string
  'no-store', // the request's Cache-Control says so
  'nested', // made by the handler that fills this key
  'closed', // the cache was closed
  'unsupported' // this version of Fastify lacks what recording a response needs
] as const

/** Why no stored response can be sent, as `explain()` reports it. */
export const MISS_REASONS = [
  'absent', // nothing is stored under the key
  'variant', // the stored responses are for other values of the fields that Vary names
  'invalidated', // one of its tags was invalidated
  'stale', // the stored response is stale, and may not be served without validation
  'request', // the request's Cache-Control does not accept the stored response
  'only-if-cached', // no stored response can be sent, and the request forbids forwarding
  'damaged', // the stored entry is damaged, or was not written by this cache
  'head', // nothing is stored, and a HEAD request never creates an entry
  'unavailable' // the backend does not respond
] as const

/** Why a response was not stored. */
export const REFUSAL_REASONS = [
  'status', // neither the route's `statuses` nor the response itself makes this status cacheable
  'condition', // a response to the range or condition of this one request (206, 304, 412, 416)
  'no-store', 'private', 'no-cache', // the response's Cache-Control says so
  'cache-control', // the response's Cache-Control can't be parsed beyond doubt
  'no-freshness', // nothing says how long the response is fresh
  'expired', // the response is stale already
  'set-cookie', // the response sets a cookie
  'authorization', // the request has Authorization, and the response is not explicitly shareable (RFC 9111 section 3.5)
  'vary', // Vary is `*`, malformed, or names too many fields
  'cors', // Access-Control-Allow-Origin names one origin, and Vary does not name Origin
  'csp-nonce', // Content-Security-Policy contains a nonce, which is for one response only
  'trailer', // the handler added trailers, which are not stored
  'header', // a header field can't be sent again as it is
  'event-stream', 'hijacked', // an event stream, or a response that was not sent through Fastify
  'too-large', // larger than maxBodyBytes, or too much is being recorded at once
  'length', // fewer or more bytes than Content-Length says
  'stream-failed', 'client-gone', 'handler-error', // the response is not complete
  'reply-store-false', // reply.cache({ store: false })
  'ttl', // a ttl given while the handler ran is zero or invalid
  'tags', // tags given while the handler ran are invalid or too many
  'reply-cache', // reply.cache() received options that it does not know
  'invalidated', // an invalidation came while the handler ran
  'superseded', // a fill that started later has already stored its response
  'lock-timeout', // the request waited too long for another fill, and ran the handler itself
  'head', // a HEAD request never creates an entry
  'unavailable', // the backend does not respond
  'closed' // the cache was closed
] as const

/** Why a request was not looked up in the cache. @useDeclaredType */
export type BypassReason = typeof BYPASS_REASONS[number]
/** Why no stored response can be sent. @useDeclaredType */
export type MissReason = typeof MISS_REASONS[number]
/** Why a response was not stored. @useDeclaredType */
export type RefusalReason = typeof REFUSAL_REASONS[number]

/**
 * Reasons that say nothing about the next response, which may be stored. After any other, requests for the key are not collapsed for a
 * while.
 */
export const TRANSIENT: ReadonlySet<RefusalReason> = new Set([
  'condition', 'handler-error', 'client-gone', 'stream-failed', 'invalidated', 'superseded', 'lock-timeout', 'unavailable', 'closed'
])

/** Reasons after which the handler's response is unknown: it was incomplete, or the wait for another request was in vain. */
export const INCOMPLETE: ReadonlySet<RefusalReason> = new Set(['client-gone', 'stream-failed', 'length', 'lock-timeout', 'closed'])

/** Why a request that was looked up is forwarded (RFC 9211 section 2.2). */
export type ForwardReason = 'miss' | 'request' | 'stale'
