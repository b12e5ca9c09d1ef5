// Normalises request header fields that Vary names, so that values that mean the same select the same variant (RFC 9111 section 4.1).
import { joined, type FieldValue } from './field-values.js'

/** How values of request fields are compared: exactly, or after the normalisation that RFC 9111 section 4.1 allows. */
export type Spelling = 'exact' | 'normalised'

const MEMBER = /^([!#$%&'*+.^_`|~0-9a-z-]+)(?:[ \t]*;[ \t]*q=([01](?:\.[0-9]{0,3})?))?$/

/** Fields that are not lists, so a comma in them has no special meaning. */
const NO_LISTS: ReadonlySet<string> = new Set([
  'cookie', 'authorization', 'proxy-authorization', 'user-agent', 'referer', 'from', 'date', 'origin', 'host', 'if-modified-since',
  'if-unmodified-since', 'if-range'
])

/** Returns the value of a request field in the form in which values are compared. A value that can't be parsed is returned unchanged. */
export function normalized (
  name: string, value: string | readonly string[] | undefined, spelling: Spelling
): string | readonly string[] | undefined {
  if (value === undefined || spelling === 'exact' || NO_LISTS.has(name)) return value
  const text = joined(value as FieldValue)
  return name === 'accept-encoding' || name === 'accept-language' ? inOneSpelling(text) ?? text : withoutBlanks(text)
}

/**
 * Rewrites a list of encodings or languages, so that lists with the same meaning become equal. Case, whitespace and an explicit `q=1` don't
 * matter, and neither does the order of members with the same weight (RFC 9110 sections 12.5.3 and 12.5.4). Returns undefined if the list
 * is malformed.
 */
function inOneSpelling (text: string): string | undefined {
  const members: string[] = []
  for (const listed of text.toLowerCase().split(',')) {
    const member = trimmed(listed)
    if (member === '') continue
    const [, range, weight] = MEMBER.exec(member) ?? []
    if (range === undefined || Number(weight ?? 1) > 1) return undefined
    members.push(weight === undefined || Number(weight) === 1 ? range : `${range};q=${Number(weight)}`)
  }
  return members.sort().join(',')
}

/**
 * Removes whitespace around the commas of a list, which doesn't matter (RFC 9110 section 5.6.1). Quoted text is left unchanged. The whole
 * value is left unchanged if it contains an unclosed quote or a backslash.
 */
function withoutBlanks (text: string): string {
  const pieces = trimmed(text).split('"')
  if (pieces.length % 2 === 0 || text.includes('\\')) return text
  return pieces.map((piece, index) => index % 2 === 1 ? piece : besideCommas(piece)).join('"')
}

function besideCommas (piece: string): string {
  const members = piece.split(',')
  return members.map((member, at) => {
    const begun = at === 0 ? member : trimmedStart(member)
    return at === members.length - 1 ? begun : trimmedEnd(begun)
  }).join(',')
}

const trimmed = (text: string): string => trimmedEnd(trimmedStart(text))

const trimmedStart = (text: string): string => text.replace(/^[ \t]+/, '')

function trimmedEnd (text: string): string {
  let end = text.length
  while (end > 0 && (text[end - 1] === ' ' || text[end - 1] === '\t')) end--
  return text.slice(0, end)
}
