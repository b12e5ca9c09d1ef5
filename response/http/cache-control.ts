// Cache-Control, parsed strictly: what can't be read beyond doubt is said to be malformed, and the caller refuses.
import { joined, type FieldValue } from './field-values.js'

/** Directives by lower-case name; `true` without an argument. Of a repeated number the smaller one counts. */
export interface CacheControl {
  /** Those that can be read, where others can't. */
  readonly directives: ReadonlyMap<string, string | true>
  readonly malformed: boolean
}

/** RFC 9111 section 1.2.2: what is greater is taken as this. */
export const MAX_DELTA_SECONDS = 2 ** 31 - 1

const NONE: CacheControl = { directives: new Map(), malformed: false }

const BETWEEN = /[ \t,]*/y
const SPACE = /[ \t]*/y
const TOKEN = /[!#$%&'*+.^_`|~0-9A-Za-z-]+/y
const QUOTED = /"((?:[^"\\\p{Cc}]|\t|\\[\t\x20-\x7e\x80-\xff])*)"/yu

/** Parses every line of a Cache-Control field. Never throws; linear in the length. */
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
  // #( token [ "=" ( token / quoted-string ) ] ) (RFC 9111 section 5.2)
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

/** Directives whose argument is a list of fields (RFC 9111 sections 5.2.2.4 and 5.2.2.7). */
const QUALIFIABLE: ReadonlySet<string> = new Set(['no-cache', 'private'])
const FIELD_NAME = /^[!#$%&'*+.^_`|~0-9a-z-]+$/

/**
 * The field names that a directive's argument lists; undefined where it has none, or one that is no such list: then it speaks of the whole
 * response.
 */
export function qualifiedNames (argument: string | true): readonly string[] | undefined {
  if (argument === true) return undefined
  const names = argument.toLowerCase().split(',').map((name) => name.trim()).filter((name) => name !== '')
  return names.length > 0 && names.every((name) => FIELD_NAME.test(name)) ? names : undefined
}

/** Seconds of a directive; 0 where its argument is not a number (a response of unknown age is stale), undefined where it is absent. */
export function deltaSeconds ({ directives }: CacheControl, name: string): number | undefined {
  const argument = directives.get(name)
  return argument === undefined ? undefined : toSeconds(argument)
}

/** RFC 9111 section 1.2.2: digits only, capped. Anything else is 0. */
function toSeconds (argument: string | true): number {
  return argument !== true && /^\d+$/.test(argument) ? Math.min(Number(argument), MAX_DELTA_SECONDS) : 0
}

/** Of a directive that is repeated, what asks for more care: fewer seconds, no argument. Two lists of fields are one list. */
function combined (name: string, one: string | true, other: string | true): string | true {
  if (!QUALIFIABLE.has(name)) return toSeconds(other) < toSeconds(one) || other === true ? other : one
  return qualifiedNames(one) === undefined || qualifiedNames(other) === undefined ? true : `${String(one)},${String(other)}`
}
