// Derives the response to a request from a stored response: all of it, one part, several parts, a 304, a 412 or a 416.
import { randomBytes } from 'node:crypto'
import type { FieldValue } from '../http/field-values.js'
import { isRangeOf, precondition, type Conditions } from '../http/conditional.js'
import type { Entry, ResponseHead } from '../store/entry.js'
import { CONTENT_DIGESTS, DESCRIBES_CONTENT, without } from '../http/stored-fields.js'
import { allowsRanges, rangesOf, type ByteRange } from '../http/ranges.js'
import { fieldIn } from '../http/field-values.js'

/** The facts on which the selection depends, besides the response and the client's conditions. */
export interface SelectionContext {
  readonly method: string
  /** The current time, in epoch milliseconds. */
  readonly at: number
  /** Whether the body must be sent whole, because hooks may still change it. */
  readonly wholeOnly: boolean
  /** The reply's Accept-Ranges, which is used if the stored response has none. */
  readonly acceptRanges?: FieldValue
}

/** Returns the stored response as it is, or a response derived from it. */
export function selectRepresentation (entry: Entry<ResponseHead>, headers: Conditions, selection: SelectionContext): Entry<ResponseHead> {
  const { method, at } = selection
  const { head, body } = entry
  // RFC 9110 section 13.2.1: conditions apply only to responses that would be successful.
  if (head.status < 200 || head.status > 299 || (method !== 'GET' && method !== 'HEAD')) return entry
  const outcome = precondition(headers, { fields: head.fields, at })
  if (outcome === 304) return notModified(entry)
  if (outcome === 412) return derived(entry, 412, without(head.fields, NOT_ON_ERRORS), NO_BYTES)
  if (!mayBeCut(head, headers, selection)) return entry
  const ranges = rangesOf(headers.range, body.byteLength)
  if (ranges === undefined) return entry
  if (ranges === 'unsatisfiable') {
    return derived(entry, 416, [...without(head.fields, NOT_ON_ERRORS), 'content-range', `bytes */${body.byteLength}`], NO_BYTES)
  }
  return ranges.length === 1 ? part(entry, ranges[0] as ByteRange) : parts(entry, ranges)
}

/** Returns whether the client asks for a part of a response with this head, and may receive one. */
export function mayBeCut (
  { status, fields }: Pick<ResponseHead, 'status' | 'fields'>, headers: Conditions,
  { method, at, wholeOnly, acceptRanges }: SelectionContext
): boolean {
  return headers.range !== undefined && method === 'GET' && status === 200 && !wholeOnly &&
    allowsRanges(fieldIn(fields, 'accept-ranges') ?? acceptRanges) && isRangeOf(headers['if-range'], { fields, at })
}

/** Returns the 304 for an entry. It has the fields of the 200, except those that describe its content (RFC 9110 section 15.4.5). */
function notModified (entry: Entry<ResponseHead>): Entry<ResponseHead> {
  entry.notModified ??= derived(entry, 304, without(entry.head.fields, DESCRIBES_CONTENT), NO_BYTES)
  return entry.notModified
}

/** Returns a 206 with one part of the body (RFC 9110 section 15.3.7.1). */
function part (entry: Entry<ResponseHead>, range: ByteRange): Entry<ResponseHead> {
  const { head, body } = entry
  return derived(entry, 206, [...without(head.fields, CONTENT_DIGESTS), 'content-range', contentRange(range, body.byteLength)],
    body.subarray(range.first, range.last + 1))
}

/** Returns a 206 with several parts of the body (RFC 9110 section 15.3.7.2). */
function parts (entry: Entry<ResponseHead>, ranges: readonly ByteRange[]): Entry<ResponseHead> {
  const { head, body } = entry
  const boundary = randomBytes(18).toString('base64url')
  const type = fieldIn(head.fields, 'content-type')
  const pieces = ranges.flatMap((range) => {
    const lines = [
      `\r\n--${boundary}`, ...(type === undefined ? [] : [`Content-Type: ${type}`]),
      `Content-Range: ${contentRange(range, body.byteLength)}`, '', ''
    ]
    return [Buffer.from(lines.join('\r\n'), 'latin1'), body.subarray(range.first, range.last + 1)]
  })
  const multipart = Buffer.concat([...pieces, Buffer.from(`\r\n--${boundary}--\r\n`)])
  // If the parts together are not smaller than the full body, the full body is sent instead.
  if (multipart.byteLength >= body.byteLength) return entry
  return derived(entry, 206, [
    ...without(head.fields, ['content-type', ...CONTENT_DIGESTS]), 'content-type', `multipart/byteranges; boundary=${boundary}`
  ], multipart)
}

function contentRange ({ first, last }: ByteRange, length: number): string {
  return `bytes ${first}-${last}/${length}`
}

/**
 * Fields that a 412 or 416 must not have, because they describe the content of the 200, or state how long it is fresh. If an error stated
 * that it is fresh, a cache in front would serve the error to all clients.
 */
const NOT_ON_ERRORS: readonly string[] = [
  ...DESCRIBES_CONTENT, 'expires', 'cache-control', 'cdn-cache-control', 'surrogate-control', 'last-modified'
]

const NO_BYTES = Buffer.alloc(0)

function derived ({ head }: Entry<ResponseHead>, status: number, fields: readonly string[], body: Buffer): Entry<ResponseHead> {
  return { head: { ...head, status, fields, text: false }, body }
}
