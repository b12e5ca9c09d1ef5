// What a route's present options say about responses that were stored under earlier ones, by an earlier version of the application.
import type { Fields } from '../http/field-values.js'
import { statedMs } from '../http/freshness-lifetime.js'
import { responseDirectivesOf } from '../http/response-directives.js'
import type { Spelling } from '../http/selecting-fields.js'
import { staleFrom, type Entry, type ResponseHead } from './entry.js'
import { tagsOf } from './tags.js'

/** The options of a route that concern its stored responses. */
export interface RouteRules {
  /** How the values of the fields that Vary names are compared. */
  readonly vary: Spelling
  readonly ttlMs: number | undefined
  /** The statuses of the responses to which `ttlMs` applies. */
  readonly statuses: ReadonlySet<number>
  readonly targetList: readonly string[]
  /** A function determines the tags of each response, so nothing is known about those of a stored one. */
  readonly tags: readonly string[] | ((...args: never[]) => unknown)
}

/** Returns whether the response has all tags that the route lists now. Otherwise, invalidations of these tags would not concern it. */
export function hasTags (entry: Entry<ResponseHead>, { tags }: RouteRules): boolean {
  if (typeof tags === 'function' || tags.length === 0 || entry.listed === tags) return true
  if (entry.head.ownTags !== true) {
    const there = tagsOf(entry.head.tags ?? [])
    if (!tags.every((tag) => there.includes(tag))) return false
  }
  entry.listed = tags
  return true
}

/**
 * Returns the response, which is fresh no longer than the route's present `ttl` allows. If the response itself or `reply.cache()` said how
 * long it is fresh, that counts.
 */
export function limited (entry: Entry<ResponseHead>, rules: RouteRules): Entry<ResponseHead> {
  const { head } = entry
  const { ttlMs } = rules
  if (ttlMs === undefined || head.freshUntil - head.storedAt + head.ageMs <= ttlMs) return entry
  if (head.ownTtl === true || !rules.statuses.has(head.status) || saysItself(head, rules)) return entry
  return { ...entry, head: staleFrom(head, head.storedAt + ttlMs - head.ageMs), sent: undefined, notModified: undefined }
}

function saysItself ({ fields, storedAt }: ResponseHead, { targetList }: RouteRules): boolean {
  const said: Fields = Object.fromEntries(
    fields.flatMap((name, at) => at % 2 === 0 ? [[name, fields[at + 1] as string]] : []))
  return statedMs(responseDirectivesOf(said, targetList), said, storedAt) !== undefined
}
