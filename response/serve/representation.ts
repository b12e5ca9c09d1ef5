// A stored answer cut to what a request asks for: not modified, a part, several parts, or a condition that failed.
import { randomBytes } from 'node:crypto'
import type { FieldValue } from '../http/field-values.js'
import { isRangeOf, precondition, type Conditions } from '../http/conditional.js'
import type { Entry, ResponseHead } from '../store/entry.js'
import { CONTENT_DIGESTS, DESCRIBES_CONTENT, without } from '../http/stored-fields.js'
import { allowsRanges, rangesOf, type ByteRange } from '../http/ranges.js'
import { fieldIn } from '../http/validators.js'

/** What is to be known beside a response and the client's conditions. */
export interface Selection {
  readonly method: string
  /** The present, in epoch milliseconds. */
  readonly at: number
  /** No parts, since others may yet change the body. */
  readonly wholeOnly: boolean
  /** Accept-Ranges of the response to come, where the stored one has none. */
  readonly acceptRanges?: FieldValue
}

/** What of a response a request is given. */
export function selectRepresentation (entry: Entry<ResponseHead>, headers: Conditions, selection: Selection): Entry<ResponseHead> {
  const { method, at } = selection
  const { head, body } = entry
  // RFC 9110 section 13.2.1: conditions are about an answer that would be a success.
  if (head.status < 200 || head.status > 299 || (method !== 'GET' && method !== 'HEAD')) return entry
  const outcome = precondition(headers, { fields: head.fields, at })
  if (outcome === 304) return notModified(entry)
  if (outcome === 412) return replaced(entry, 412, without(head.fields, OF_THE_WHOLE), NO_BYTES)
  if (!mayBeCut(head, headers, selection)) return entry
  const ranges = rangesOf(headers.range, body.byteLength)
  if (ranges === undefined) return entry
  if (ranges === 'unsatisfiable') {
    return replaced(entry, 416, [...without(head.fields, OF_THE_WHOLE), 'content-range', `bytes */${body.byteLength}`], NO_BYTES)
  }
  return ranges.length === 1 ? part(entry, ranges[0] as ByteRange) : parts(entry, ranges)
}

/** Whether a part is asked for, and may be had, of a response with this head. */
export function mayBeCut (
  { status, fields }: Pick<ResponseHead, 'status' | 'fields'>, headers: Conditions, { method, at, wholeOnly, acceptRanges }: Selection
): boolean {
  return headers.range !== undefined && method === 'GET' && status === 200 && !wholeOnly &&
    allowsRanges(fieldIn(fields, 'accept-ranges') ?? acceptRanges) && isRangeOf(headers['if-range'], { fields, at })
}

/** RFC 9110 section 15.4.5: the fields of the 200 but for those that describe its content. */
function notModified (entry: Entry<ResponseHead>): Entry<ResponseHead> {
  entry.notModified ??= replaced(entry, 304, without(entry.head.fields, DESCRIBES_CONTENT), NO_BYTES)
  return entry.notModified
}

/** RFC 9110 section 15.3.7.1 */
function part (entry: Entry<ResponseHead>, range: ByteRange): Entry<ResponseHead> {
  const { head, body } = entry
  return replaced(entry, 206, [...without(head.fields, CONTENT_DIGESTS), 'content-range', contentRange(range, body.byteLength)],
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
  const whole = Buffer.concat([...pieces, Buffer.from(`\r\n--${boundary}--\r\n`)])
  // More than the whole would take: then the whole it is.
  if (whole.byteLength >= body.byteLength) return entry
  return replaced(entry, 206, [
    ...without(head.fields, ['content-type', ...CONTENT_DIGESTS]), 'content-type', `multipart/byteranges; boundary=${boundary}`
  ], whole)
}

function contentRange ({ first, last }: ByteRange, length: number): string {
  return `bytes ${first}-${last}/${length}`
}

/**
 * What an error in its place is not: the content, and for as long as that is fresh. A cache in front would keep the error for everybody.
 */
const OF_THE_WHOLE: readonly string[] = [
  ...DESCRIBES_CONTENT, 'expires', 'cache-control', 'cdn-cache-control', 'surrogate-control', 'last-modified'
]

const NO_BYTES = Buffer.alloc(0)

function replaced ({ head }: Entry<ResponseHead>, status: number, fields: readonly string[], body: Buffer): Entry<ResponseHead> {
  return { head: { ...head, status, fields, text: false }, body }
}
