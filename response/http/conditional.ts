// Validators (RFC 9110 section 8.8), and conditions evaluated on stored responses (RFC 9110 section 13, RFC 9111 section 4.3.2).
import { ENTITY_TAG, entityTags, isSameStrongly, isSameWeakly } from './etag.js'
import { fieldIn, joined, type FieldValue } from './field-values.js'
import { parseHttpDate } from './http-date.js'

/** The validators of a response. A malformed validator is undefined. */
export interface Validators {
  readonly etag: string | undefined
  readonly lastModified: string | undefined
  /** The time in `lastModified`, in epoch milliseconds. */
  readonly lastModifiedAt: number | undefined
}

/** Returns the entity tag among a response's fields, or undefined if it is absent or malformed. */
function entityTagIn (pairs: readonly string[]): string | undefined {
  const etag = fieldIn(pairs, 'etag')
  return etag !== undefined && ENTITY_TAG.test(etag) ? etag : undefined
}

/** Returns the validators among a response's fields. `at` is the current time in epoch milliseconds. */
export function validatorsOf (pairs: readonly string[], at: number): Validators {
  let etag: string | undefined
  let lastModified: string | undefined
  for (let index = 0; index < pairs.length; index += 2) {
    if (pairs[index] === 'etag') etag ??= pairs[index + 1]
    else if (pairs[index] === 'last-modified') lastModified ??= pairs[index + 1]
  }
  const lastModifiedAt = lastModified === undefined ? undefined : parseHttpDate(lastModified, at)
  return {
    etag: etag !== undefined && ENTITY_TAG.test(etag) ? etag : undefined,
    lastModified: lastModifiedAt === undefined ? undefined : lastModified,
    lastModifiedAt
  }
}

/** Returns all fields except ETag. */
function withoutEtag (pairs: readonly string[]): string[] {
  return pairs.filter((_, index) => pairs[index - index % 2] !== 'etag')
}

/** Returns the validators that the handler set. An ETag that this cache generated is left out. */
export function handlersValidators (
  { fields, ownEtag }: { readonly fields: readonly string[], readonly ownEtag?: boolean }, at: number
): Validators {
  return validatorsOf(ownEtag === true ? withoutEtag(fields) : fields, at)
}

/** Returns whether the handler can validate a response with these validators. */
export function canBeValidated ({ etag, lastModified }: Validators): boolean {
  return etag !== undefined || lastModified !== undefined
}

/** A request's header fields, which may contain conditions. */
export type Conditions = Readonly<Record<string, FieldValue>>

/** The fields that make a request conditional, or ask for a range. */
export const CONDITION_FIELDS = ['if-match', 'if-none-match', 'if-modified-since', 'if-unmodified-since', 'if-range', 'range'] as const

/** Returns whether a request is conditional or asks for a range. Called on every hit, so it must be fast. */
export function isConditional (headers: Conditions): boolean {
  return headers['if-none-match'] !== undefined || headers['if-modified-since'] !== undefined || headers.range !== undefined ||
    headers['if-match'] !== undefined || headers['if-unmodified-since'] !== undefined
}

/**
 * Returns whether the cache may evaluate a request's conditions and range in the handler's place, once the handler has responded without
 * them. That is so if the response can only become a 304 or a part. A 412 is left to the handler, which knows whether it supports that.
 */
export function mayBeWithheld (headers: Conditions): boolean {
  return headers['if-match'] === undefined && headers['if-unmodified-since'] === undefined
}

/** The fields of a response, and the current time. */
export interface Selected {
  /** The fields as a list: name, value, name, value ... */
  readonly fields: readonly string[]
  /** The current time, in epoch milliseconds. */
  readonly at: number
}

/**
 * Evaluates a request's conditions in the order of RFC 9110 section 13.2.2. Returns 412 or 304 if a condition is false. Otherwise returns
 * 200, even if a part of the response will be sent (206). Dates are parsed only if they have to be compared.
 */
export function precondition (headers: Conditions, { fields, at }: Selected): 200 | 304 | 412 {
  const ifMatch = headers['if-match']
  if (ifMatch !== undefined) {
    if (!matches(ifMatch, entityTagIn(fields), isSameStrongly)) return 412
  } else if (headers['if-unmodified-since'] !== undefined &&
    isModifiedSince(headers['if-unmodified-since'], parseHttpDate(fieldIn(fields, 'last-modified'), at), at)) return 412
  const ifNoneMatch = headers['if-none-match']
  if (ifNoneMatch !== undefined) return matches(ifNoneMatch, entityTagIn(fields), isSameWeakly) ? 304 : 200
  const since = headers['if-modified-since']
  if (since === undefined) return 200
  const lastModified = fieldIn(fields, 'last-modified')
  const lastModifiedAt = parseHttpDate(lastModified, at)
  if (lastModifiedAt !== undefined && since === lastModified) return 304
  // RFC 9111 section 4.3.2: without Last-Modified, Date is compared instead.
  return isUnmodifiedSince(since, lastModifiedAt ?? parseHttpDate(fieldIn(fields, 'date'), at), at) ? 304 : 200
}

/** Returns whether If-Range is absent or matches this response (RFC 9110 section 13.1.5), so that a range of it may be sent. */
export function isRangeOf (ifRange: FieldValue, { fields, at }: Selected): boolean {
  if (ifRange === undefined) return true
  const text = joined(ifRange)
  const { etag, lastModified, lastModifiedAt } = validatorsOf(fields, at)
  if (/^(?:W\/)?"/.test(text)) return etag !== undefined && isSameStrongly(text, etag)
  return text === lastModified && isStrongDate(lastModifiedAt as number, parseHttpDate(fieldIn(fields, 'date'), at))
}

/** Returns whether Last-Modified is a strong validator: it must be at least one second earlier than Date (RFC 9110 section 8.8.2.2). */
function isStrongDate (lastModifiedAt: number, dateAt: number | undefined): boolean {
  return dateAt !== undefined && dateAt - lastModifiedAt >= 1_000
}

function matches (field: FieldValue, etag: string | undefined, isSame: (one: string, other: string) => boolean): boolean {
  // Most clients send exactly the tag that they received last, so the field need not be parsed.
  if (field === etag && etag !== undefined && isSame(etag, etag)) return true
  const tags = entityTags(field)
  // `*` matches any response that exists, and this one does.
  if (tags === '*') return true
  return etag !== undefined && tags?.some((tag) => isSame(tag, etag)) === true
}

/** Returns false if the date is invalid, because the condition is then ignored (RFC 9110 sections 13.1.3 and 13.1.4). */
function isUnmodifiedSince (field: FieldValue, changedAt: number | undefined, at: number): boolean {
  const since = parseHttpDate(field, at)
  return since !== undefined && changedAt !== undefined && changedAt <= since
}

function isModifiedSince (field: FieldValue, lastModifiedAt: Validators['lastModifiedAt'], at: number): boolean {
  const since = parseHttpDate(field, at)
  return since !== undefined && lastModifiedAt !== undefined && lastModifiedAt > since
}
