// The options of `cache.set` and `cache.getOrSet`, and their checks.
import { aDuration, checkOptions, duration, expects, isRecord, show, type Check, type Duration } from '../../registry/check.js'
import { CACHE_ERR_OPTION } from '../../registry/errors.js'
import { VALUE_ADVICE } from '../options/advice.js'
import { aDurationOrZero, durationOrZero } from '../options/route-options.js'
import { areTags, MAX_TAGS } from '../options/invalidation-target.js'

/** Options of `cache.set`. */
export interface SetOptions {
  /** How long the value is fresh. This option is required. */
  ttl: Duration
  /** Tags by which the value can be invalidated. @default [] */
  tags?: readonly string[]
}

/** Options of `cache.getOrSet`. */
export interface GetOrSetOptions extends SetOptions {
  /** How long the value is still returned after `ttl`, while one producer creates a new value. @default 0 */
  staleWhileRevalidate?: Duration
  /** How long the value is still returned after `ttl` if the producer fails. @default 0 */
  staleIfError?: Duration
}

export const VALUE_DEFAULTS = { staleWhileRevalidate: 0, staleIfError: 0, tags: [] } as const satisfies Partial<GetOrSetOptions>

const SET_CHECKS = {
  ttl: aDuration,
  tags: expects<readonly string[]>(`an array of at most ${MAX_TAGS} strings`, areTags)
}

const GET_OR_SET_CHECKS = { ...SET_CHECKS, staleWhileRevalidate: aDurationOrZero, staleIfError: aDurationOrZero }

/** The checked options of `set` or `getOrSet`. Durations are milliseconds. */
export interface Settings {
  readonly ttlMs: number
  readonly staleWhileRevalidateMs: number
  readonly staleIfErrorMs: number
  readonly tags: readonly string[]
}

/** Checks the options of `set`, and adds the defaults. Throws CACHE_ERR_OPTION if one is invalid. */
export function setSettings (options: unknown): Settings {
  return settings('cache.set', checked<SetOptions>('cache.set', options, SET_CHECKS))
}

/** Checks the options of `getOrSet`, and adds the defaults. Throws CACHE_ERR_OPTION if one is invalid. */
export function getOrSetSettings (options: unknown): Settings {
  return settings('cache.getOrSet', checked<GetOrSetOptions>('cache.getOrSet', options, GET_OR_SET_CHECKS))
}

/** Checks options whose place is often taken by something else: a number of seconds, or the producer. */
function checked<T extends object> (who: string, options: unknown, checks: { readonly [K in keyof T]-?: Check<T[K]> }): Partial<T> {
  if (!isRecord(options)) {
    const order = who === 'cache.set' ? '(key, value, { ttl })' : '(key, { ttl }, produce)'
    throw new CACHE_ERR_OPTION(`the options of ${who}`, `an object with a ttl: ${who}${order}`, show(options))
  }
  return checkOptions<T>(who, options, checks, VALUE_ADVICE)
}

function settings (who: string, options: Partial<GetOrSetOptions>): Settings {
  const { ttl, staleWhileRevalidate, staleIfError, tags } = { ...VALUE_DEFAULTS, ...options }
  return {
    ttlMs: duration()(ttl, `${who}.ttl`),
    staleWhileRevalidateMs: durationOrZero(staleWhileRevalidate, `${who}.staleWhileRevalidate`),
    staleIfErrorMs: durationOrZero(staleIfError, `${who}.staleIfError`),
    tags
  }
}
