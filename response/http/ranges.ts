// Byte ranges: the parts of a response that a request asks for (RFC 9110 section 14).
import { joined, type FieldValue } from './field-values.js'

/** A range of bytes. Includes both the first and the last byte. */
export interface ByteRange {
  readonly first: number
  readonly last: number
}

/**
 * Returns whether a response's Accept-Ranges allows byte ranges of the response to be sent. Returns true if the field is absent or lists
 * `bytes`. Returns false if it says `none` or lists only other units (RFC 9110 section 14.3).
 */
export function allowsRanges (field: FieldValue): boolean {
  return field === undefined || /(?:^|,)[ \t]*bytes[ \t]*(?:,|$)/i.test(joined(field))
}

/**
 * Returns whether a response announces ranges (RFC 9110 section 14.3). It does if it is a full response that could be cut, a part of one,
 * or the error for a range that can't be satisfied.
 */
export function announcesRanges (method: string, status: number): boolean {
  return (status === 200 || status === 206 || status === 416) && (method === 'GET' || method === 'HEAD')
}

/** The maximum number of ranges that are served. If a request asks for more, the whole response is sent (RFC 9110 section 14.2). */
export const MAX_RANGES = 16

const SPEC = /[ \t]*(?:(?:(\d+)-(\d*)|-(\d+))[ \t]*)?(?:,|$)/y

/**
 * Returns the ranges that `Range` asks for, in ascending order, with overlapping and adjacent ranges merged. Returns `unsatisfiable` if the
 * response contains none of them (416). Returns undefined if the field must be ignored: it has another unit, is malformed, or asks for too
 * many ranges.
 */
export function rangesOf (field: FieldValue, length: number): readonly ByteRange[] | 'unsatisfiable' | undefined {
  const text = joined(field)
  if (!/^bytes=/i.test(text)) return undefined
  const ranges: ByteRange[] = []
  let count = 0
  SPEC.lastIndex = 'bytes='.length
  for (let at = SPEC.lastIndex; at < text.length; at = SPEC.lastIndex) {
    const spec = SPEC.exec(text)
    if (spec === null) return undefined
    const [, first, last, suffix] = spec
    if (first === undefined && suffix === undefined) continue
    if (++count > MAX_RANGES) return undefined
    const range = first === undefined
      ? ofSuffix(Number(suffix), length)
      : ofFirst(Number(first), last === '' ? Infinity : Number(last), length)
    if (range === undefined) return undefined
    if (range !== 'unsatisfiable') ranges.push(range)
  }
  if (count === 0) return undefined
  return ranges.length === 0 ? 'unsatisfiable' : merged(ranges)
}

function ofFirst (first: number, last: number, length: number): ByteRange | 'unsatisfiable' | undefined {
  if (last < first) return undefined
  return first >= length ? 'unsatisfiable' : { first, last: Math.min(last, length - 1) }
}

function ofSuffix (suffix: number, length: number): ByteRange | 'unsatisfiable' {
  return suffix === 0 || length === 0 ? 'unsatisfiable' : { first: Math.max(length - suffix, 0), last: length - 1 }
}

/** Merges ranges that overlap or touch, because they should be sent as one (RFC 9110 section 15.3.7.2). */
function merged (ranges: ByteRange[]): ByteRange[] {
  const ascending = ranges.sort((one, other) => one.first - other.first)
  const all: Array<{ first: number, last: number }> = []
  for (const { first, last } of ascending) {
    const before = all.at(-1)
    if (before !== undefined && first <= before.last + 1) before.last = Math.max(before.last, last)
    else all.push({ first, last })
  }
  return all
}
