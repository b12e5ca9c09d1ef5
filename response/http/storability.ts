// Decides whether a response may be stored, and how it may be used (RFC 9111 sections 3 and 4, RFC 5861). If in doubt, it is not stored.
import { deltaSeconds, qualifiedNames } from './cache-control.js'
import { joined, type Fields, type FieldValue } from './field-values.js'
import { responseDirectivesOf, NO_DIRECTIVES, type ResponseDirectives } from './response-directives.js'
import { heuristicMs, initialAgeMs, statedMs } from './freshness-lifetime.js'
import { CONDITIONAL_STATUSES, isUnderstood } from './status-codes.js'
import type { RefusalReason } from '../observe/reasons.js'
import { varyNames } from './vary.js'

/** The options given to `reply.cache()` while the handler ran. */
export interface ReplyOptions {
  readonly ttlMs?: number
  readonly tags?: readonly string[]
  readonly store?: boolean
}

/** The route options that decide how responses are stored; durations are milliseconds. */
export interface StoragePolicy {
  readonly ttlMs: number | undefined
  readonly statuses: ReadonlySet<number>
  readonly heuristic: boolean
  readonly targetList: readonly string[]
  readonly setCookie: 'refuse' | 'store'
  readonly staleWhileRevalidateMs: number
  readonly staleIfErrorMs: number
  readonly keepMs: number
}

/** A complete response, as it is sent. */
export interface StorableResponse {
  readonly status: number
  /** All header fields of the response, including those that hooks set. */
  readonly fields: Fields
  /** The value of Vary when the handler responded. Later hooks may have changed it. */
  readonly vary: FieldValue
  /** Whether the handler set a validator, ETag or Last-Modified, so that it can validate the response later. */
  readonly hasValidator: boolean
  /** Whether the response sets a cookie that may be for one user. */
  readonly setsCookie: boolean
  /** Whether the request had the field Authorization. */
  readonly authorized: boolean
  /** When the handler was called, in epoch milliseconds. */
  readonly askedAt: number
  /** The current time, in epoch milliseconds. */
  readonly at: number
  /** The time at which the handler responded, if the body was not complete at that time. */
  readonly madeAt?: number
  readonly options: ReplyOptions
}

/** The terms on which a response may be stored; durations are milliseconds. */
export interface Storable {
  /** How long the response is fresh from now on; zero or less if it is stale already. */
  readonly freshMs: number
  readonly ageMs: number
  readonly varyNames: readonly string[]
  /** How long the response is served while a refresh runs, counted from the end of its freshness. */
  readonly staleWhileRevalidateMs: number
  /** How long the response is served if the handler fails, counted from the end of its freshness. */
  readonly staleIfErrorMs: number
  /** How long the response is kept, counted from the end of its freshness. */
  readonly keptMs: number
  /** Whether the response is never served stale, not even to a request that accepts stale responses (RFC 9111 section 4.2.4). */
  readonly mustRevalidate: boolean
  /** Fields that are not stored, because a directive names them. */
  readonly withheld: readonly string[]
}

export type Storability = Storable | { readonly refused: RefusalReason }

const no = (refused: RefusalReason): Storability => ({ refused })

/** Decides whether and how this response may be stored on this route. Never throws. */
export function storability (response: StorableResponse, policy: StoragePolicy): Storability {
  const { fields, options } = response
  const names = response.vary === undefined ? NOTHING : varyNames(response.vary)
  const saysNothing = fields['cache-control'] === undefined && policy.targetList.length === 0
  const directives = saysNothing ? NO_DIRECTIVES : responseDirectivesOf(fields, policy.targetList)
  const isClear = names !== undefined && (fields.vary === response.vary || varyNames(fields.vary) !== undefined)
  const refused = forbidden(response, directives, policy) ?? (isClear ? undefined : 'vary')
  if (refused !== undefined) return no(refused)
  const own = statedMs(directives, fields, response.at)
  // A lifetime that the application sets is counted from now, even if the response has an earlier Date.
  const isOurs = options.ttlMs !== undefined || (own === undefined && policy.ttlMs !== undefined && policy.statuses.has(response.status))
  const ageMs = isOurs ? initialAgeMs({ age: fields.age }, { askedAt: response.askedAt, at: response.at }) : initialAgeMs(fields, response)
  const ttlMs = lifetimeMs(response, own, directives, policy)
  const isValidated = isBare(directives, 'no-cache')
  // A response that must be validated each time needs no lifetime, only a validator.
  if (ttlMs === undefined && !isValidated) return no(policy.ttlMs === undefined ? 'no-freshness' : 'status')
  if (options.ttlMs === 0) return no('ttl')
  const freshMs = isValidated ? 0 : (ttlMs as number) - (options.ttlMs === undefined ? ageMs : 0)
  const after = afterwards(response, directives, policy)
  if (freshMs + after.keptMs <= 0) return no(isValidated ? 'no-cache' : 'expired')
  return { freshMs, ageMs, varyNames: names as readonly string[], ...after, withheld: withheldBy(directives) }
}

/** Returns the first of these that exists: the lifetime given to `reply.cache()`, the response's own, the route's, a guess if allowed. */
function lifetimeMs (
  { status, fields, at, options }: StorableResponse, own: number | undefined, directives: ResponseDirectives, policy: StoragePolicy
): number | undefined {
  return options.ttlMs ?? own ??
    (policy.statuses.has(status) ? policy.ttlMs : undefined) ??
    (policy.heuristic ? heuristicMs(status, directives, fields, at) : undefined)
}

/**
 * Refusals that still apply if a later hook removes their cause from the response. `vary` need not be listed: the value of Vary is recorded
 * when the handler responds, so a later hook can't remove it.
 */
const FORBIDDING: ReadonlySet<RefusalReason> = new Set([
  'no-store', 'private', 'cache-control', 'set-cookie', 'authorization', 'csp-nonce', 'event-stream'
])

/** Returns why a response must not be stored even if later hooks remove the cause, or undefined if there is no such reason. */
export function forbiddenFor (verdict: Storability): RefusalReason | undefined {
  return 'refused' in verdict && FORBIDDING.has(verdict.refused) ? verdict.refused : undefined
}

const SHAREABLE = ['public', 's-maxage', 'must-revalidate']
const EVENT_STREAM = /^\s*text\/event-stream/i
const SECURITY_POLICIES = ['content-security-policy', 'content-security-policy-report-only']

/** Returns why a response must not be stored (RFC 9111 section 3), or undefined if nothing forbids it. */
function forbidden (
  { status, fields, setsCookie, authorized, options }: StorableResponse, control: ResponseDirectives, policy: StoragePolicy
): RefusalReason | undefined {
  if (options.store === false) return 'reply-store-false'
  const unfit = unfitStatus(status)
  if (unfit !== undefined) return unfit
  if (control.malformed) return 'cache-control'
  // RFC 9111 section 5.2.2.3: must-understand overrides no-store, and requires that the cache understands the status.
  const mustUnderstand = control.directives.has('must-understand')
  if (mustUnderstand && !isUnderstood(status)) return 'status'
  if (!mustUnderstand && control.directives.has('no-store')) return 'no-store'
  if (isBare(control, 'private')) return 'private'
  if (setsCookie && policy.setCookie === 'refuse') return 'set-cookie'
  // RFC 9111 section 3.5: the response to a request with Authorization must say that it may be shared.
  if (authorized && !SHAREABLE.some((directive) => control.directives.has(directive))) return 'authorization'
  return perRequest(fields)
}

/** Returns whether a value is a final status whose responses can be stored: they don't depend on one request's range or condition. */
export function isCacheableStatus (status: unknown): boolean {
  return Number.isInteger(status) && (status as number) >= 200 && (status as number) <= 599 &&
    !CONDITIONAL_STATUSES.includes(status as number)
}

/** Returns why responses with this status are never stored, or undefined if they may be stored. */
export function unfitStatus (status: number): 'condition' | 'status' | undefined {
  if (isCacheableStatus(status)) return undefined
  return CONDITIONAL_STATUSES.includes(status) ? 'condition' : 'status'
}

/** Returns why a response is suitable for one request only, or undefined if it may be suitable for others. */
function perRequest (fields: Fields): RefusalReason | undefined {
  if (EVENT_STREAM.test(String(fields['content-type']))) return 'event-stream'
  if (SECURITY_POLICIES.some((name) => fields[name] !== undefined && joined(fields[name]).toLowerCase().includes("'nonce-"))) {
    return 'csp-nonce'
  }
  return undefined
}

// Directives that forbid serving a stale response (RFC 9111 section 4.2.4). s-maxage implies proxy-revalidate (section 5.2.2.10).
const NEVER_STALE = ['must-revalidate', 'proxy-revalidate', 's-maxage']

/**
 * Decides how a response may be used after its freshness has ended. The response's own directives take precedence over the route's options
 * (RFC 5861 sections 3 and 4).
 */
function afterwards (
  { status, hasValidator }: StorableResponse, directives: ResponseDirectives, policy: StoragePolicy
): Pick<Storable, 'staleWhileRevalidateMs' | 'staleIfErrorMs' | 'keptMs' | 'mustRevalidate'> {
  const mustRevalidate = isBare(directives, 'no-cache') || NEVER_STALE.some((directive) => directives.directives.has(directive))
  // A stored error is never served instead of another error, and is not kept for validation.
  const isUseful = status < 400
  const windowMs = (directive: string, routeMs: number): number => {
    if (mustRevalidate || !isUseful) return 0
    const seconds = directives.directives.size === 0 ? undefined : deltaSeconds(directives, directive)
    return seconds === undefined ? routeMs : seconds * 1_000
  }
  const staleWhileRevalidateMs = windowMs('stale-while-revalidate', policy.staleWhileRevalidateMs)
  const staleIfErrorMs = windowMs('stale-if-error', policy.staleIfErrorMs)
  const validatedMs = hasValidator && isValidatable(status) ? policy.keepMs : 0
  return { staleWhileRevalidateMs, staleIfErrorMs, keptMs: Math.max(staleWhileRevalidateMs, staleIfErrorMs, validatedMs), mustRevalidate }
}

/** Returns whether a 304 can validate a stored response with this status. A 304 stands for a success (RFC 9110 section 13.2.1). */
function isValidatable (status: number): boolean {
  return status === 200 || status === 203
}

/** Returns whether a directive is present and is not limited to a list of fields (RFC 9111 sections 5.2.2.4 and 5.2.2.7). */
function isBare ({ directives }: ResponseDirectives, name: string): boolean {
  const argument = directives.get(name)
  return argument !== undefined && qualifiedNames(argument) === undefined
}

/**
 * Returns the fields that `private="..."` and `no-cache="..."` name. A shared cache must not store the fields that `private` names, and
 * must not use those that `no-cache` names unless it validates the response.
 */
function withheldBy ({ directives }: ResponseDirectives): readonly string[] {
  if (directives.size === 0) return NOTHING
  const names = ['private', 'no-cache'].flatMap((name) => qualifiedNames(directives.get(name) ?? true) ?? [])
    // Date is stored even if a directive names it, because a stored response must have a Date.
    .filter((name) => name !== 'date')
  return names.length === 0 ? NOTHING : names
}

const NOTHING: readonly string[] = []
