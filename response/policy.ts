// May an answer be stored, and for how long is it fresh (RFC 9111 sections 3 and 4.2). Pure; any doubt means no.
import { deltaSeconds, joined, MAX_DELTA_SECONDS, parseCacheControl, type CacheControl, type FieldValue } from './cache-control.js'
import { CONDITIONAL_STATUSES, isCacheableStatus, type RoutePolicy } from './options.js'
import { varyNames } from './vary.js'
import type { RefusalReason } from './status.js'

/** Header fields by lower-case name. */
export type Fields = Readonly<Record<string, FieldValue>>

/** What `reply.cache()` said while the handler ran. */
export interface Decision {
  readonly ttlMs?: number
  readonly tags?: readonly string[]
  readonly store?: boolean
}

/** A whole answer, as it goes out. */
export interface Answer {
  readonly status: number
  /** All fields of the answer, those of other hooks among them. */
  readonly fields: Fields
  /** Vary as it stood when the handler was done. */
  readonly vary: FieldValue
  /** Whether the request had Authorization. */
  readonly authorized: boolean
  /** Epoch milliseconds. */
  readonly at: number
  readonly decision: Decision
}

export type Verdict =
  | { readonly freshMs: number, readonly ageMs: number, readonly varyNames: readonly string[] }
  | { readonly refused: RefusalReason }

const no = (refused: RefusalReason): Verdict => ({ refused })

/** Whether and how this answer may be stored on this route. Never throws. */
export function decide (answer: Answer, policy: RoutePolicy): Verdict {
  const { status, fields, decision } = answer
  const names = varyNames(answer.vary)
  const control = parseCacheControl(fields['cache-control'])
  const isClear = names !== undefined && (fields.vary === answer.vary || varyNames(fields.vary) !== undefined)
  const refused = forbidden(answer, control) ?? (isClear ? undefined : 'vary')
  if (refused !== undefined) return no(refused)
  const own = ownFreshnessMs(answer, control)
  const ttlMs = decision.ttlMs ?? own ?? (policy.statuses.has(status) ? policy.ttlMs : undefined)
  if (ttlMs === undefined) return no(policy.ttlMs === undefined ? 'no-freshness' : 'status')
  if (ttlMs === 0 && decision.ttlMs === 0) return no('ttl')
  const ageMs = initialAgeMs(fields.age)
  const freshMs = ttlMs - (decision.ttlMs === undefined ? ageMs : 0)
  return freshMs > 0 ? { freshMs, ageMs, varyNames: names as string[] } : no('expired')
}

/** Why no answer of this status is stored, whatever it says; undefined where it may be. */
export function unfitStatus (status: number): RefusalReason | undefined {
  if (isCacheableStatus(status)) return undefined
  return status === 204 ? 'no-content' : CONDITIONAL_STATUSES.includes(status) ? 'condition' : 'status'
}

// RFC 9111 section 3. A qualified form (`private="x"`) is taken for the bare one: never less careful than asked.
const FORBIDDING = ['no-store', 'private', 'no-cache'] as const
const SHAREABLE = ['public', 's-maxage', 'must-revalidate']
const SECURITY_POLICIES = ['content-security-policy', 'content-security-policy-report-only']

function forbidden ({ status, fields, authorized, decision }: Answer, control: CacheControl): RefusalReason | undefined {
  if (decision.store === false) return 'reply-store-false'
  const unfit = unfitStatus(status)
  if (unfit !== undefined) return unfit
  if (control.malformed) return 'cache-control'
  const forbids = control.directives.size === 0 ? undefined : FORBIDDING.find((directive) => control.directives.has(directive))
  if (forbids !== undefined) return forbids
  if (fields['set-cookie'] !== undefined) return 'set-cookie'
  // RFC 9111 section 3.5
  if (authorized && !SHAREABLE.some((directive) => control.directives.has(directive))) return 'authorization'
  return perRequest(fields)
}

/** Fields that were made for one request and would be wrong in another's answer. */
function perRequest (fields: Fields): RefusalReason | undefined {
  const type = joined(fields['content-type']).trimStart().toLowerCase()
  if (type.startsWith('text/event-stream')) return 'event-stream'
  if (SECURITY_POLICIES.some((name) => fields[name] !== undefined && joined(fields[name]).toLowerCase().includes("'nonce-"))) return 'csp-nonce'
  return undefined
}

/** Freshness that the answer states itself, in milliseconds (RFC 9111 section 4.2.1); undefined where it states none. */
function ownFreshnessMs ({ fields, at }: Answer, control: CacheControl): number | undefined {
  const seconds = deltaSeconds(control, 's-maxage') ?? deltaSeconds(control, 'max-age')
  if (seconds !== undefined) return seconds * 1000
  if (fields.expires === undefined) return undefined
  const expiresAt = parseHttpDate(fields.expires)
  // RFC 9111 section 5.3: an invalid date, "0" above all, is in the past.
  if (expiresAt === undefined) return 0
  return Math.min(Math.max(expiresAt - (parseHttpDate(fields.date) ?? at), 0), MAX_DELTA_SECONDS * 1000)
}

/** RFC 9111 section 5.1: the first member, if it is a number; else the field says nothing. */
function initialAgeMs (field: FieldValue): number {
  if (field === undefined) return 0
  const first = joined(field).split(',', 1)[0]!.trim()
  return /^\d+$/.test(first) ? Math.min(Number(first), MAX_DELTA_SECONDS) * 1000 : 0
}

const IMF_FIXDATE = /^(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d{2} [A-Z][a-z]{2} \d{4} \d{2}:\d{2}:\d{2} GMT$/

/** Epoch milliseconds of an IMF-fixdate (RFC 9110 section 5.6.7); undefined for anything else. */
function parseHttpDate (field: FieldValue): number | undefined {
  const text = joined(field)
  const at = IMF_FIXDATE.test(text) ? Date.parse(text) : NaN
  return Number.isNaN(at) ? undefined : at
}

/** What a request asks of caches (RFC 9111 section 5.2.1). */
export interface Wishes {
  readonly noStore: boolean
  /** The stored answer is not wanted. */
  readonly noCache: boolean
  readonly onlyIfCached: boolean
  readonly maxAgeMs: number
  readonly minFreshMs: number
}

/** The wishes in Cache-Control, or in Pragma where there is none (section 5.4); undefined where there are none. */
export function wishesOf (fields: Fields): Wishes | undefined {
  const line = fields['cache-control']
  if (line === undefined) return /\bno-cache\b/i.test(joined(fields.pragma)) ? { ...NO_WISHES, noCache: true } : undefined
  const control = parseCacheControl(line)
  const maxAge = deltaSeconds(control, 'max-age')
  return {
    noStore: control.directives.has('no-store'),
    noCache: control.directives.has('no-cache'),
    onlyIfCached: control.directives.has('only-if-cached'),
    maxAgeMs: maxAge === undefined ? Infinity : maxAge * 1000,
    minFreshMs: (deltaSeconds(control, 'min-fresh') ?? 0) * 1000
  }
}

const NO_WISHES: Wishes = { noStore: false, noCache: false, onlyIfCached: false, maxAgeMs: Infinity, minFreshMs: 0 }

/** Whether an entry of this age, fresh for so long, is what the request asked for. */
export function satisfies ({ noCache, maxAgeMs, minFreshMs }: Wishes, ageMs: number, freshMs: number): boolean {
  return !noCache && ageMs < maxAgeMs && freshMs >= minFreshMs
}
