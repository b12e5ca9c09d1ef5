// Parses HTTP dates (RFC 9110 section 5.6.7): the current format, and the two obsolete ones.
import { joined, type FieldValue } from './field-values.js'

const MONTHS = ['jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec']
const MONTH = MONTHS.join('|')
const SHORT_DAY = 'mon|tue|wed|thu|fri|sat|sun'
const LONG_DAY = 'monday|tuesday|wednesday|thursday|friday|saturday|sunday'
const TIME = String.raw`(?<hour>\d{2}):(?<minute>\d{2}):(?<second>\d{2})`

/** The three formats of HTTP dates. Any case is accepted, because the meaning is clear, but no other time zone, spacing or order. */
const FORMATS: readonly RegExp[] = [
  String.raw`^(?:${SHORT_DAY}), (?<day>\d{2}) (?<month>${MONTH}) (?<year>\d{4}) ${TIME} gmt$`,
  String.raw`^(?:${LONG_DAY}), (?<day>\d{2})-(?<month>${MONTH})-(?<shortYear>\d{2}) ${TIME} gmt$`,
  String.raw`^(?:${SHORT_DAY}) (?<month>${MONTH}) (?<day>\d{2}| \d) ${TIME} (?<year>\d{4})$`
].map((format) => new RegExp(format, 'i'))

const LONGEST_CHARACTERS = 40

/**
 * Returns the date in a field as epoch milliseconds, or undefined if the field is not exactly one valid date. `at` is the current time,
 * which determines the century of a two-digit year.
 */
export function parseHttpDate (field: FieldValue, at: number): number | undefined {
  if (field === undefined) return undefined
  const text = joined(field)
  if (text.length > LONGEST_CHARACTERS) return undefined
  for (const format of FORMATS) {
    const parts = format.exec(text)?.groups
    if (parts !== undefined) return instantOf(parts, at)
  }
  return undefined
}

function instantOf ({ day, month, year, shortYear, hour, minute, second }: Record<string, string>, at: number): number | undefined {
  const monthIndex = MONTHS.indexOf(month!.toLowerCase())
  const fullYear = shortYear === undefined ? Number(year) : centuryOf(Number(shortYear), at)
  const date = new Date(0)
  date.setUTCFullYear(fullYear, monthIndex, Number(day))
  // A second of 60 is a leap second.
  if (date.getUTCMonth() !== monthIndex || Number(hour) > 23 || Number(minute) > 59 || Number(second) > 60) return undefined
  return date.getTime() + ((Number(hour) * 60 + Number(minute)) * 60 + Number(second)) * 1_000
}

/** Adds the century to a two-digit year. A year more than 50 years ahead counts as one of the previous century (RFC 9110 section 5.6.7). */
function centuryOf (shortYear: number, at: number): number {
  const present = new Date(at).getUTCFullYear()
  const year = present - (present % 100) + shortYear
  return year > present + 50 ? year - 100 : year
}
