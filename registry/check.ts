// The checks of options that all folders use. The error for a wrong value names the option, the expected value and the given one.
import { inspect } from 'node:util'
import { CACHE_ERR_OPTION } from './errors.js'
import { intention, isShown, type Advice } from './intention.js'

/**
 * A number of seconds, or a string of a number and a unit, such as `250ms`, `90s`, `1.5h` or `1d`. The type refuses an unknown unit. What
 * it can't tell, such as a negative number, is refused when the option is checked.
 */
export type Duration = number | `${number}${'ms' | 's' | 'm' | 'h' | 'd'}`

/** Returns an option's value in the form that the code uses. If it is wrong, throws CACHE_ERR_OPTION, in which `who` names the option. */
export type Check<T> = (value: unknown, who: string) => T

/** The longest duration that is accepted: ten years. A longer one was probably given in the wrong unit. */
export const MAX_DURATION_MS = 10 * 365 * 86_400_000

const UNITS_MS: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 }
const SHOWN_CHARACTERS = 60

/** Formats `value` for an error message: short, and on one line. */
export function show (value: unknown): string {
  const text = inspect(value, { depth: 0, breakLength: Infinity, compact: true, maxStringLength: SHOWN_CHARACTERS })
  return text.length > SHOWN_CHARACTERS * 2 ? text.slice(0, SHOWN_CHARACTERS * 2) + '...' : text
}

/** Describes a wrong value that may contain a password, for an error message. Only the type of the value is shown. */
export function kindOf (value: unknown): string {
  if (value === undefined || value === null || value === '' || (Array.isArray(value) && value.length === 0)) return show(value)
  return `${typeof value === 'string' ? 'text' : `a value of type ${typeof value}`} that is not shown, since it may hold a password`
}

/** Converts a duration to whole milliseconds. Returns undefined if it is not a duration, is negative, or is longer than ten years. */
export function parseDuration (value: unknown): number | undefined {
  let ms: number | undefined
  if (typeof value === 'number') ms = value * 1_000
  else if (typeof value === 'string') {
    const parts = /^(\d{1,15}(?:\.\d{1,6})?)(ms|s|m|h|d)$/.exec(value)
    if (parts !== null) ms = Number(parts[1]) * UNITS_MS[parts[2] as string]!
  }
  if (ms === undefined || !(ms >= 0 && ms <= MAX_DURATION_MS)) return undefined
  return ms > 0 ? Math.max(1, Math.round(ms)) : 0
}

/** Returns whether a value is a duration, for example one that was read from the environment. */
export function isDuration (value: unknown): value is Duration {
  return parseDuration(value) !== undefined
}

/** Returns a check that accepts a duration and converts it to milliseconds. It accepts zero only if `zero` is true. */
export function duration ({ zero = false } = {}): Check<number> {
  return (value, who) => {
    const ms = parseDuration(value)
    if (ms === undefined || (ms === 0 && !zero)) throw noDuration(value, who, zero)
    return ms
  }
}

/** Returns the same check, but it returns the duration as it was given. */
export function durationAsGiven ({ zero = false } = {}): Check<Duration> {
  return (value, who) => {
    if (!isDuration(value) || (parseDuration(value) === 0 && !zero)) throw noDuration(value, who, zero)
    return value
  }
}

function noDuration (value: unknown, who: string, zero: boolean): Error {
  return new CACHE_ERR_OPTION(who,
    `a ${zero ? '' : 'positive '}number of seconds or a string such as '250ms', '90s', '5m', '2h', '1d' (at most 3650d)`, show(value))
}

/** Checks that a value is a duration above zero, and returns it as it was given. */
export const aDuration: Check<Duration> = durationAsGiven()

/** Returns a check that accepts a value if `holds` returns true for it. `expected` describes such a value in the error message. */
export function expects<T> (expected: string, holds: (value: unknown) => boolean): Check<T> {
  return (value, who) => {
    if (!holds(value)) throw new CACHE_ERR_OPTION(who, expected, show(value))
    return value as T
  }
}

/** Like `expects`, but for a value that may contain a password. The error shows only the type of the value. */
export function discreet<T> (expected: string, holds: (value: unknown) => boolean): Check<T> {
  return (value, who) => {
    if (!holds(value)) throw new CACHE_ERR_OPTION(who, expected, kindOf(value))
    return value as T
  }
}

export const isPositiveInteger = (value: unknown): boolean => Number.isSafeInteger(value) && (value as number) > 0
export const positiveInteger = expects<number>('a positive integer', isPositiveInteger)
export const boolean = expects<boolean>('true or false', (value) => typeof value === 'boolean')
export const text = expects<string>('a non-empty string', (value) => typeof value === 'string' && value !== '')
export const isTextList = (value: unknown): boolean =>
  Array.isArray(value) && value.every((item) => typeof item === 'string' && item !== '')
export const textList = expects<readonly string[]>('an array of non-empty strings', isTextList)

/** Checks the prefix of the cache's keys in a shared store. It must not contain capital letters, because some stores ignore case. */
export const storePrefix = expects<string>('1 to 64 of a-z, 0-9, - and _', (value) =>
  typeof value === 'string' && /^[a-z0-9_-]{1,64}$/.test(value))

/** Returns a check that accepts only the strings in `known`. */
export function oneOf<T extends string> (...known: readonly T[]): Check<T> {
  return expects(known.map((item) => `'${item}'`).join(' or '), (value) => known.includes(value as T))
}

/** Returns whether `value` is a plain object, and not an array, a class instance or null. */
export function isRecord (value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value) &&
    [Object.prototype, null].includes(Object.getPrototypeOf(value))
}

/** Returns whether `value` is an object that has all of these methods. */
export function hasMethods (value: unknown, ...methods: readonly string[]): boolean {
  return typeof value === 'object' && value !== null &&
    methods.every((method) => typeof (value as Record<string, unknown>)[method] === 'function')
}

/** Throws CACHE_ERR_OPTION unless exactly one of the options in `names` was given. */
export function exactlyOne<T extends object> (who: string, options: T, names: ReadonlyArray<keyof T & string>): void {
  const given = names.filter((name) => options[name] !== undefined)
  if (given.length !== 1) {
    throw new CACHE_ERR_OPTION(who, `given exactly one of ${names.join(', ')}`, given.length === 0 ? 'none' : given.join(' and '))
  }
}

/**
 * Checks each given option, and returns the checked values. An absent or undefined option stays absent. The error for an unknown option
 * says what was probably meant: `advice` is for names that are not typing errors. In errors, `who` precedes the option's name, as in
 * `sqlite.maxBytes`.
 */
export function checkOptions<T extends object> (
  who: string, options: unknown, checks: { readonly [K in keyof T]-?: Check<T[K]> }, advice: Advice = {}
): Partial<T> {
  if (!isRecord(options)) {
    throw new CACHE_ERR_OPTION(who, 'an object', ['string', 'object'].includes(typeof options) ? kindOf(options) : show(options))
  }
  const checked: Partial<T> = {}
  for (const [name, value] of Object.entries(options)) {
    if (!Object.hasOwn(checks, name)) {
      const known = Object.keys(checks)
      throw new CACHE_ERR_OPTION(`${who}.${name}`, `absent: it is not an option; known are ${known.join(', ')}`,
        (isShown(name) && typeof value !== 'object' ? show(value) : kindOf(value)) + intention(name, known, advice))
    }
    if (value !== undefined) checked[name as keyof T] = checks[name as keyof T](value, `${who}.${name}`)
  }
  return checked
}
