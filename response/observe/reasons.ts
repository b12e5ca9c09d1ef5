// The reason codes that Cache-Status, the log, stats() and explain() share.

/** Why a request was not looked up in the cache. */
export const BYPASS_REASONS = [
  'method', // the route does not cache this method
  'credentials', // Authorization or Cookie, and the route does not say what makes the response shareable
  'target', // the request target is not in origin form (RFC 9112 section 3.2.1), or holds a `#`
  'request-body', // a body where none is expected, or one that can't be part of the key
  'upgrade', // the connection is to become something else
  'validation', // the request is not valid, which the handler is to find out (attachValidation)
  'key', // the route's key function or `by` gave no usable string
  'no-store', // the request's Cache-Control says so
  'nested', // asked by the handler that fills this very key
  'closed', // the cache was closed
  'unsupported' // this Fastify does not offer what recording a response needs
] as const

/** Why nothing that was found can be sent; `explain()` tells it. */
export const MISS_REASONS = [
  'absent', // nothing is stored under the key
  'variant', // responses are stored, none for these values of the fields that Vary names
  'invalidated', // one of its tags was invalidated
  'stale', // it is not fresh any more, and may not be served as it is
  'request', // the request's Cache-Control asks for another one
  'only-if-cached', // as above, and the handler is not to be asked
  'damaged', // what is stored can't be believed
  'head', // a HEAD is served from GET, and there is nothing
  'unavailable' // the backend does not respond
] as const

/** Why a response was not stored. */
export const REFUSAL_REASONS = [
  'status', // neither the route's `statuses` nor the response itself make this status cacheable
  'condition', // a part, or the outcome of a condition, of this one request (206, 304, 412, 416)
  'no-store', 'private', 'no-cache', // the response's Cache-Control says so
  'cache-control', // the response's Cache-Control can't be parsed beyond doubt
  'no-freshness', // nothing says how long the response is fresh
  'expired', // the response is stale already
  'set-cookie', // the response sets a cookie
  'authorization', // asked with Authorization, and the response is not explicitly shareable (RFC 9111 section 3.5)
  'vary', // Vary is `*`, malformed, or names too many fields
  'cors', // Access-Control-Allow-Origin names one origin, and Vary does not say so
  'csp-nonce', // Content-Security-Policy holds a nonce, which is for one response
  'trailer', // the handler announced trailers, which end one response
  'header', // a header field that could not be sent again as it is
  'event-stream', 'hijacked', // not the cache's to keep
  'too-large', // beyond maxBodyBytes, or too much is being recorded at once
  'length', // fewer or more bytes than Content-Length says
  'stream-failed', 'client-gone', 'handler-error', // there is no whole response
  'reply-store-false', // reply.cache({ store: false })
  'ttl', // a ttl given while the handler ran is zero or invalid
  'tags', // tags given while the handler ran are invalid or too many
  'reply-cache', // reply.cache() was given something else that it does not know
  'invalidated', // an invalidation came while the handler ran
  'superseded', // a fill that started later has stored already
  'lock-timeout', // ran beside the fill it had waited for too long
  'head', // a HEAD never makes an entry
  'unavailable', // the backend does not respond
  'closed' // the cache was closed
] as const

/** Why a request was not looked up in the cache. @useDeclaredType */
export type BypassReason = typeof BYPASS_REASONS[number]
/** Why nothing that was found can be sent. @useDeclaredType */
export type MissReason = typeof MISS_REASONS[number]
/** Why a response was not stored. @useDeclaredType */
export type RefusalReason = typeof REFUSAL_REASONS[number]

/** Reasons that don't speak of the response itself: the next one may well be stored. After any other nobody should wait for it. */
export const TRANSIENT: ReadonlySet<RefusalReason> = new Set([
  'condition', 'handler-error', 'client-gone', 'stream-failed', 'invalidated', 'superseded', 'lock-timeout', 'unavailable', 'closed'
])

/** Reasons that leave it open what the handler had to say: the response did not come whole, or another request's was waited for in vain. */
export const INCOMPLETE: ReadonlySet<RefusalReason> = new Set(['client-gone', 'stream-failed', 'length', 'lock-timeout', 'closed'])

/** Why the handler is asked, of those that are looked up (RFC 9211 section 2.2). */
export type ForwardReason = 'miss' | 'request' | 'stale'
