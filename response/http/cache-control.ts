// Parses Cache-Control strictly: anything ambiguous is reported as malformed, and such a response is not stored.
import { joined, type FieldValue } from './field-values.js'

/**
 * A parsed Cache-Control field. `directives` maps the lower-case name of each directive to its argument, or to `true` if it has none. If a
 * directive is repeated, the stricter argument counts.
 */
export interface CacheControl {
  /** The directives that could be parsed, even if others are malformed. */
  readonly directives: ReadonlyMap<string, string | true>
  readonly malformed: boolean
}

/** The largest number of seconds. Larger numbers are reduced to it (RFC 9111 section 1.2.2). */
export const MAX_DELTA_SECONDS = 2 ** 31 - 1

const NONE: CacheControl = { directives: new Map(), malformed: false }

const BETWEEN = /[ \t,]*/y
const SPACE = /[ \t]*/y
const TOKEN = /[!#$%&'*+.^_`|~0-9A-Za-z-]+/y
const QUOTED = /"((?:[^"\\\p{Cc}]|\t|\\[\t\x20-\x7e\x80-\xff])*)"/yu

/** Parses all lines of a Cache-Control field. Never throws, and takes linear time. */
export function parseCacheControl (value: FieldValue): CacheControl {
  const text = joined(value)
  if (text === '') return NONE
  const directives = new Map<string, string | true>()
  let [at, malformed] = [0, false]
  const take = (pattern: RegExp): string | undefined => {
    pattern.lastIndex = at
    const match = pattern.exec(text)
    if (match === null) return undefined
    at = pattern.lastIndex
    return match[1] ?? match[0]
  }
  // The grammar is #( token [ "=" ( token / quoted-string ) ] ) (RFC 9111 section 5.2).
  while (take(BETWEEN) !== undefined && at < text.length) {
    const name = take(TOKEN)?.toLowerCase()
    let argument: string | true | undefined = true
    if (name !== undefined && text[at] === '=') {
      at++
      argument = text[at] === '"' ? take(QUOTED) : take(TOKEN)
    }
    take(SPACE)
    if (name !== undefined && argument !== undefined && (at === text.length || text[at] === ',')) {
      directives.set(name, directives.has(name) ? combined(name, directives.get(name)!, argument) : argument)
      continue
    }
    malformed = true
    const next = text.indexOf(',', at)
    if (next === -1) break
    at = next
  }
  return { directives, malformed }
}

/** Directives whose argument is a list of field names (RFC 9111 sections 5.2.2.4 and 5.2.2.7). */
const QUALIFIABLE: ReadonlySet<string> = new Set(['no-cache', 'private'])
const FIELD_NAME = /^[!#$%&'*+.^_`|~0-9a-z-]+$/

/**
 * Returns the field names in a directive's argument. Returns undefined if there is no argument, or if the argument is not a list of names:
 * the directive then applies to the whole response.
 */
export function qualifiedNames (argument: string | true): readonly string[] | undefined {
  if (argument === true) return undefined
  const names = argument.toLowerCase().split(',').map((name) => name.trim()).filter((name) => name !== '')
  return names.length > 0 && names.every((name) => FIELD_NAME.test(name)) ? names : undefined
}

/**
 * Returns the argument of a directive in seconds, or undefined if the directive is absent. An argument that is not a number counts as 0, so
 * the response is then stale.
 */
export function deltaSeconds ({ directives }: CacheControl, name: string): number | undefined {
  const argument = directives.get(name)
  return argument === undefined ? undefined : toSeconds(argument)
}

/** Returns the argument as a number of seconds, at most MAX_DELTA_SECONDS. Anything but digits counts as 0 (RFC 9111 section 1.2.2). */
function toSeconds (argument: string | true): number {
  return argument !== true && /^\d+$/.test(argument) ? Math.min(Number(argument), MAX_DELTA_SECONDS) : 0
}

/**
 * Returns the stricter of a repeated directive's two arguments. A missing argument is the strictest, and a smaller number is stricter than
 * a larger one. Lists of names are joined.
 */
function combined (name: string, one: string | true, other: string | true): string | true {
  if (!QUALIFIABLE.has(name)) return toSeconds(other) < toSeconds(one) || other === true ? other : one
  return qualifiedNames(one) === undefined || qualifiedNames(other) === undefined ? true : `${String(one)},${String(other)}`
}
