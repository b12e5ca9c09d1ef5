// Parses Vary: the names of request header fields that select among the stored responses of one key (RFC 9111 section 4.1).
import { joined, type FieldValue } from './field-values.js'

/** The maximum number of field names in Vary. A response that depends on more fields would hardly ever be found again. */
export const MAX_VARY_FIELDS = 10

const TOKEN = /^[!#$%&'*+.^_`|~0-9a-z-]+$/

/**
 * Returns the field names in Vary in lower case and sorted, each of them once. Returns undefined if Vary contains `*`, is malformed, names
 * too many fields, or contains a name that every JavaScript object has as a property.
 */
export function varyNames (field: FieldValue): string[] | undefined {
  if (field === undefined) return []
  const text = joined(field)
  if (text === '') return []
  const names = new Set(text.split(',').map((name) => name.trim().toLowerCase()).filter((name) => name !== ''))
  // RFC 9110 section 12.5.5: if `*` is among the names, request fields can't select the response.
  if (names.size > MAX_VARY_FIELDS || [...names].some((name) => name === '*' || !TOKEN.test(name) || name in Object.prototype)) {
    return undefined
  }
  return [...names].sort()
}

/** Joins two values of Vary into one that contains each name once (RFC 9110 section 12.5.5). */
export function union (one: string, other: string): string {
  const all = new Map<string, string>()
  for (const name of `${one},${other}`.split(',')) if (name.trim() !== '') all.set(name.trim().toLowerCase(), name.trim())
  return [...all.values()].join(', ')
}
