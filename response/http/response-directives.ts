// Finds the cache directives of a response that apply to this cache, in a targeted field (RFC 9213) or otherwise in Cache-Control.
import { parseDictionary } from 'structured-headers'
import { joined, type FieldValue, type Fields } from './field-values.js'
import { parseCacheControl, type CacheControl } from './cache-control.js'

/** The directives that apply to this cache. */
export interface ResponseDirectives extends CacheControl {
  /** Whether the directives are from a targeted field, which replaces Cache-Control and Expires. */
  readonly isTargeted: boolean
}

/** The result for a response that has no directives. */
export const NO_DIRECTIVES: ResponseDirectives = { directives: new Map(), malformed: false, isTargeted: false }

const NUMBERS: ReadonlySet<string> = new Set(['max-age', 's-maxage', 'stale-while-revalidate', 'stale-if-error'])
const LISTS: ReadonlySet<string> = new Set(['no-cache', 'private'])

/** Returns the directives that apply. Only the first present and valid field of the target list counts (RFC 9213 section 2.2). */
export function responseDirectivesOf (fields: Fields, targetList: readonly string[]): ResponseDirectives {
  for (const name of targetList) {
    const directives = fields[name] === undefined ? undefined : parseTargeted(fields[name])
    if (directives !== undefined) return { directives, malformed: false, isTargeted: true }
  }
  if (fields['cache-control'] === undefined) return NO_DIRECTIVES
  const { directives, malformed } = parseCacheControl(fields['cache-control'])
  return { directives, malformed, isTargeted: false }
}

/**
 * Returns the directives of a targeted field. Returns undefined if the field counts as absent, because it is empty or malformed or because
 * a directive's argument has the wrong type (RFC 9213 section 2.1).
 */
export function parseTargeted (field: FieldValue): ReadonlyMap<string, string | true> | undefined {
  let dictionary: ReturnType<typeof parseDictionary>
  try {
    dictionary = parseDictionary(joined(field))
  } catch {
    return undefined
  }
  const directives = new Map<string, string | true>()
  for (const [name, [value]] of dictionary) {
    const argument = argumentOf(name, value)
    if (argument === undefined) return undefined
    directives.set(name, argument)
  }
  return directives.size === 0 ? undefined : directives
}

/**
 * Returns the argument of a directive, or undefined if it has the wrong type. Numbers of seconds must be integers, `private` and `no-cache`
 * may have a list of field names, other known directives must have no argument, and unknown directives may have any argument.
 */
function argumentOf (name: string, value: unknown): string | true | undefined {
  if (NUMBERS.has(name)) return Number.isInteger(value) ? String(value) : undefined
  if (value === true) return true
  if (LISTS.has(name)) return typeof value === 'string' ? value : undefined
  return FLAGS.has(name) ? undefined : ''
}

const FLAGS: ReadonlySet<string> = new Set([
  'no-store', 'public', 'must-revalidate', 'proxy-revalidate', 'must-understand', 'no-transform', 'immutable'
])
