// What of a stored response a request asks for: a 304, one part, several parts, a 412 or 416, or all of it.
import { randomBytes } from 'node:crypto'
import type { FieldValue } from '../http/field-values.js'
import { isRangeOf, precondition, type Conditions } from '../http/conditional.js'
import type { Entry, ResponseHead } from '../store/entry.js'
import { CONTENT_DIGESTS, DESCRIBES_CONTENT, without } from '../http/stored-fields.js'
import { allowsRanges, rangesOf, type ByteRange } from '../http/ranges.js'
import { fieldIn } from '../http/field-values.js'

/** What the outcome depends on, beside the response and the client's conditions. */
export interface SelectionContext {
  readonly method: string
  /** Now, in epoch milliseconds. */
  readonly at: number
  /** No parts, since others may yet change the body. */
  readonly wholeOnly: boolean
  /** Accept-Ranges of the response to come, where the stored one has none. */
  readonly acceptRanges?: FieldValue
}

/** Returns the stored response as it is, or a response that is made of it. */
export function selectRepresentation (entry: Entry<ResponseHead>, headers: Conditions, selection: SelectionContext): Entry<ResponseHead> {
  const { method, at } = selection
  const { head, body } = entry
  // RFC 9110 section 13.2.1: conditions are about a response that would be a success.
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

/** Whether a part is asked for, and may be had, of a response with this head. */
export function mayBeCut (
  { status, fields }: Pick<ResponseHead, 'status' | 'fields'>, headers: Conditions,
  { method, at, wholeOnly, acceptRanges }: SelectionContext
): boolean {
  return headers.range !== undefined && method === 'GET' && status === 200 && !wholeOnly &&
    allowsRanges(fieldIn(fields, 'accept-ranges') ?? acceptRanges) && isRangeOf(headers['if-range'], { fields, at })
}

/** RFC 9110 section 15.4.5: the fields of the 200 but for those that describe its content. */
function notModified (entry: Entry<ResponseHead>): Entry<ResponseHead> {
  entry.notModified ??= derived(entry, 304, without(entry.head.fields, DESCRIBES_CONTENT), NO_BYTES)
  return entry.notModified
}

/** RFC 9110 section 15.3.7.1 */
function part (entry: Entry<ResponseHead>, range: ByteRange): Entry<ResponseHead> {
  const { head, body } = entry
  return derived(entry, 206, [...without(head.fields, CONTENT_DIGESTS), 'content-range', contentRange(range, body.byteLength)],
    body.subarray(range.first, range.last + 1))
}

/** RFC 9110 section 15.3.7.2 */
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
  // It is no smaller than the full body, which is sent instead.
  if (multipart.byteLength >= body.byteLength) return entry
  return derived(entry, 206, [
    ...without(head.fields, ['content-type', ...CONTENT_DIGESTS]), 'content-type', `multipart/byteranges; boundary=${boundary}`
  ], multipart)
}

function contentRange ({ first, last }: ByteRange, length: number): string {
  return `bytes ${first}-${last}/${length}`
}

/**
 * Fields that a 412 or 416 must not have: they describe the content of the 200, or how long that is fresh. A cache in front would keep
 * the error for everybody.
 */
const NOT_ON_ERRORS: readonly string[] = [
  ...DESCRIBES_CONTENT, 'expires', 'cache-control', 'cdn-cache-control', 'surrogate-control', 'last-modified'
]

const NO_BYTES = Buffer.alloc(0)

function derived ({ head }: Entry<ResponseHead>, status: number, fields: readonly string[], body: Buffer): Entry<ResponseHead> {
  return { head: { ...head, status, fields, text: false }, body }
}
