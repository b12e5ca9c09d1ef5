// Whether a response may be stored, and how it may be used then (RFC 9111 sections 3 and 4, RFC 5861). Pure; if in doubt, it is not stored.
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
  /** The value of Vary when the handler had responded. */
  readonly vary: FieldValue
  /** Whether the handler set a validator, ETag or Last-Modified, so that it can validate the response later. */
  readonly hasValidator: boolean
  /** Whether the request had Authorization. */
  readonly authorized: boolean
  /** When the handler was called, in epoch milliseconds. */
  readonly askedAt: number
  /** Epoch milliseconds. */
  readonly at: number
  /** When the head of the response was made, if its body is complete only now. */
  readonly madeAt?: number
  readonly options: ReplyOptions
}

/** The terms on which a response may be stored; durations are milliseconds. */
export interface Storable {
  /** How long it is fresh from now; zero or less if it is stale already. */
  readonly freshMs: number
  readonly ageMs: number
  readonly varyNames: readonly string[]
  /** How long after its freshness it is served while a refresh runs. */
  readonly staleWhileRevalidateMs: number
  /** How long after its freshness it is served if the handler fails. */
  readonly staleIfErrorMs: number
  /** How long after its freshness it is kept. */
  readonly keptMs: number
  /** It is never served stale, not even to a request that accepts that (RFC 9111 section 4.2.4). */
  readonly mustRevalidate: boolean
  /** Fields that are not stored, because a directive names them. */
  readonly withheld: readonly string[]
}

export type Storability = Storable | { readonly refused: RefusalReason }

const no = (refused: RefusalReason): Storability => ({ refused })

/** Whether and how this response may be stored on this route. Never throws. */
export function storability (response: StorableResponse, policy: StoragePolicy): Storability {
  const { fields, options } = response
  const names = response.vary === undefined ? NOTHING : varyNames(response.vary)
  const saysNothing = fields['cache-control'] === undefined && policy.targetList.length === 0
  const directives = saysNothing ? NO_DIRECTIVES : responseDirectivesOf(fields, policy.targetList)
  const isClear = names !== undefined && (fields.vary === response.vary || varyNames(fields.vary) !== undefined)
  const refused = forbidden(response, directives, policy) ?? (isClear ? undefined : 'vary')
  if (refused !== undefined) return no(refused)
  const own = statedMs(directives, fields, response.at)
  // A lifetime that the application sets counts from now, whatever the Date of the response.
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

/** The lifetime: that of `reply.cache()`, else the response's own, else the route's, else a guess if the route allows it. */
function lifetimeMs (
  { status, fields, at, options }: StorableResponse, own: number | undefined, directives: ResponseDirectives, policy: StoragePolicy
): number | undefined {
  return options.ttlMs ?? own ??
    (policy.statuses.has(status) ? policy.ttlMs : undefined) ??
    (policy.heuristic ? heuristicMs(status, directives, fields, at) : undefined)
}

/**
 * Refusals that still apply if a later hook removes their cause from the response. Vary is not among them, because its value is recorded
 * when the handler has responded.
 */
const FORBIDDING: ReadonlySet<RefusalReason> = new Set([
  'no-store', 'private', 'cache-control', 'set-cookie', 'authorization', 'csp-nonce', 'event-stream'
])

/** Why a response must not be stored, even if later hooks remove the cause; undefined if there is no such reason. */
export function forbiddenFor (verdict: Storability): RefusalReason | undefined {
  return 'refused' in verdict && FORBIDDING.has(verdict.refused) ? verdict.refused : undefined
}

const SHAREABLE = ['public', 's-maxage', 'must-revalidate']
const EVENT_STREAM = /^\s*text\/event-stream/i
const SECURITY_POLICIES = ['content-security-policy', 'content-security-policy-report-only']

/** RFC 9111 section 3. */
function forbidden (
  { status, fields, authorized, options }: StorableResponse, control: ResponseDirectives, policy: StoragePolicy
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
  if (fields['set-cookie'] !== undefined && policy.setCookie === 'refuse') return 'set-cookie'
  // RFC 9111 section 3.5
  if (authorized && !SHAREABLE.some((directive) => control.directives.has(directive))) return 'authorization'
  return perRequest(fields)
}

/** Whether a value is a final status whose responses can be stored. Responses to one request's range or condition can't. */
export function isCacheableStatus (status: unknown): boolean {
  return Number.isInteger(status) && (status as number) >= 200 && (status as number) <= 599 &&
    !CONDITIONAL_STATUSES.includes(status as number)
}

/** Why responses with this status are never stored; undefined if they may be. */
export function unfitStatus (status: number): 'condition' | 'status' | undefined {
  if (isCacheableStatus(status)) return undefined
  return CONDITIONAL_STATUSES.includes(status) ? 'condition' : 'status'
}

/** Why a response suits one request only; undefined if it may suit others. */
function perRequest (fields: Fields): RefusalReason | undefined {
  if (EVENT_STREAM.test(String(fields['content-type']))) return 'event-stream'
  if (SECURITY_POLICIES.some((name) => fields[name] !== undefined && joined(fields[name]).toLowerCase().includes("'nonce-"))) {
    return 'csp-nonce'
  }
  return undefined
}

// RFC 9111 section 4.2.4: directives that forbid stale use. s-maxage implies proxy-revalidate (section 5.2.2.10).
const NEVER_STALE = ['must-revalidate', 'proxy-revalidate', 's-maxage']

/** How a response may be used after its freshness. Its own directives take precedence over the route (RFC 5861 sections 3 and 4). */
function afterwards (
  { status, hasValidator }: StorableResponse, directives: ResponseDirectives, policy: StoragePolicy
): Pick<Storable, 'staleWhileRevalidateMs' | 'staleIfErrorMs' | 'keptMs' | 'mustRevalidate'> {
  const mustRevalidate = isBare(directives, 'no-cache') || NEVER_STALE.some((directive) => directives.directives.has(directive))
  // A stored error is never served in place of another error, and is not kept for validation.
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

/** Whether a 304 can validate a response with this status. Conditions apply to a 200 (RFC 9110 section 13.2.1). */
function isValidatable (status: number): boolean {
  return status === 200 || status === 203
}

/** Whether a directive is present without a list of fields that limits it (RFC 9111 sections 5.2.2.4 and 5.2.2.7). */
function isBare ({ directives }: ResponseDirectives, name: string): boolean {
  const argument = directives.get(name)
  return argument !== undefined && qualifiedNames(argument) === undefined
}

/**
 * The fields that `private="..."` and `no-cache="..."` name. A shared cache must not store the former, nor use the latter without
 * validation.
 */
function withheldBy ({ directives }: ResponseDirectives): readonly string[] {
  if (directives.size === 0) return NOTHING
  const names = ['private', 'no-cache'].flatMap((name) => qualifiedNames(directives.get(name) ?? true) ?? [])
    // A stored response always has a Date.
    .filter((name) => name !== 'date')
  return names.length === 0 ? NOTHING : names
}

const NOTHING: readonly string[] = []
