// May a response be stored, and until when may it be used for what (RFC 9111 sections 3 and 4, RFC 5861). Pure; any doubt means no.
import { deltaSeconds, qualifiedNames } from './cache-control.js'
import { joined, type Fields, type FieldValue } from './field-values.js'
import { responseDirectivesOf, NO_DIRECTIVES, type ResponseDirectives } from './response-directives.js'
import { heuristicMs, initialAgeMs, statedMs } from './freshness-lifetime.js'
import { CONDITIONAL_STATUSES, isUnderstood } from './status-codes.js'
import type { RefusalReason } from '../observe/reasons.js'
import { varyNames } from './vary.js'

/** What `reply.cache()` said while the handler ran. */
export interface ReplyOptions {
  readonly ttlMs?: number
  readonly tags?: readonly string[]
  readonly store?: boolean
}

/** What a route says of the responses that it has stored; durations are milliseconds. */
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

/** A whole response, as it goes out. */
export interface StorableResponse {
  readonly status: number
  /** All fields of the response, those of other hooks among them. */
  readonly fields: Fields
  /** Vary as it stood when the handler was done. */
  readonly vary: FieldValue
  /** Whether the handler named a validator that it can be asked about: ETag, Last-Modified. */
  readonly hasValidator: boolean
  /** Whether the request had Authorization. */
  readonly authorized: boolean
  /** When the handler was asked, in epoch milliseconds. */
  readonly askedAt: number
  /** Epoch milliseconds. */
  readonly at: number
  /** When the handler made its head, if it came whole only now. */
  readonly madeAt?: number
  readonly options: ReplyOptions
}

/** A response that may be stored: how old it is, and what comes after its freshness, counted from there. */
export interface Storable {
  /** How long it is fresh from now; not above zero where it is stale at once. */
  readonly freshMs: number
  readonly ageMs: number
  readonly varyNames: readonly string[]
  /** How long it is served while a refresh runs. */
  readonly staleWhileRevalidateMs: number
  /** How long it is served where the handler fails. */
  readonly staleIfErrorMs: number
  /** How long it is kept at all. */
  readonly keptMs: number
  /** Never served stale, whoever asks for it (RFC 9111 section 4.2.4). */
  readonly mustRevalidate: boolean
  /** Fields that a directive names, and that are not stored for that. */
  readonly withheld: readonly string[]
}

export type Storability = Storable | { readonly refused: RefusalReason }

const no = (refused: RefusalReason): Storability => ({ refused })

/** Whether and how this response may be stored on this route. Never throws. */
export function storability (answer: StorableResponse, policy: StoragePolicy): Storability {
  const { fields, options } = answer
  const names = answer.vary === undefined ? NOTHING : varyNames(answer.vary)
  const saysNothing = fields['cache-control'] === undefined && policy.targetList.length === 0
  const directives = saysNothing ? NO_DIRECTIVES : responseDirectivesOf(fields, policy.targetList)
  const isClear = names !== undefined && (fields.vary === answer.vary || varyNames(fields.vary) !== undefined)
  const refused = forbidden(answer, directives, policy) ?? (isClear ? undefined : 'vary')
  if (refused !== undefined) return no(refused)
  const own = statedMs(directives, fields, answer.at)
  // What the application says counts from now, whatever the Date of its response.
  const isOurs = options.ttlMs !== undefined || (own === undefined && policy.ttlMs !== undefined && policy.statuses.has(answer.status))
  const ageMs = isOurs ? initialAgeMs({ age: fields.age }, { askedAt: answer.askedAt, at: answer.at }) : initialAgeMs(fields, answer)
  const ttlMs = lifetimeMs(answer, own, directives, policy)
  const isValidated = isBare(directives, 'no-cache')
  // A response that must be validated each time needs no lifetime, only a validator.
  if (ttlMs === undefined && !isValidated) return no(policy.ttlMs === undefined ? 'no-freshness' : 'status')
  if (options.ttlMs === 0) return no('ttl')
  const freshMs = isValidated ? 0 : (ttlMs as number) - (options.ttlMs === undefined ? ageMs : 0)
  const after = afterwards(answer, directives, policy)
  if (freshMs + after.keptMs <= 0) return no(isValidated ? 'no-cache' : 'expired')
  return { freshMs, ageMs, varyNames: names as readonly string[], ...after, withheld: withheldBy(directives) }
}

/** The lifetime: what `reply.cache()` says, else the response, else the route, else a guess where the route asks for one. */
function lifetimeMs (
  { status, fields, at, options }: StorableResponse, own: number | undefined, directives: ResponseDirectives, policy: StoragePolicy
): number | undefined {
  return options.ttlMs ?? own ??
    (policy.statuses.has(status) ? policy.ttlMs : undefined) ??
    (policy.heuristic ? heuristicMs(status, directives, fields, at) : undefined)
}

/**
 * Refusals that what a response said once stands by, whatever a hook makes of it later: not for this cache. Its Vary was taken down with
 * it.
 */
const FORBIDDING: ReadonlySet<RefusalReason> = new Set([
  'no-store', 'private', 'cache-control', 'set-cookie', 'authorization', 'csp-nonce', 'event-stream'
])

/** The reason for which a response must not be stored, also if later hooks take that out of it. */
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
  // RFC 9111 section 5.2.2.3: must-understand stands before no-store, and asks that the status is understood.
  const mustUnderstand = control.directives.has('must-understand')
  if (mustUnderstand && !isUnderstood(status)) return 'status'
  if (!mustUnderstand && control.directives.has('no-store')) return 'no-store'
  if (isBare(control, 'private')) return 'private'
  if (fields['set-cookie'] !== undefined && policy.setCookie === 'refuse') return 'set-cookie'
  // RFC 9111 section 3.5
  if (authorized && !SHAREABLE.some((directive) => control.directives.has(directive))) return 'authorization'
  return perRequest(fields)
}

/** Final statuses whose responses can be stored: not those that speak of a part or a condition of one request. */
export function isCacheableStatus (status: unknown): boolean {
  return Number.isInteger(status) && (status as number) >= 200 && (status as number) <= 599 &&
    !CONDITIONAL_STATUSES.includes(status as number)
}

/** Why no response of this status is stored, whatever it says; undefined where it may be. */
export function unfitStatus (status: number): 'condition' | 'status' | undefined {
  if (isCacheableStatus(status)) return undefined
  return CONDITIONAL_STATUSES.includes(status) ? 'condition' : 'status'
}

/** Fields that were made for one request and would be wrong in another's response. */
function perRequest (fields: Fields): RefusalReason | undefined {
  if (EVENT_STREAM.test(String(fields['content-type']))) return 'event-stream'
  if (SECURITY_POLICIES.some((name) => fields[name] !== undefined && joined(fields[name]).toLowerCase().includes("'nonce-"))) {
    return 'csp-nonce'
  }
  return undefined
}

// RFC 9111 section 4.2.4: an explicit directive; s-maxage has the meaning of proxy-revalidate too (section 5.2.2.10).
const NEVER_STALE = ['must-revalidate', 'proxy-revalidate', 's-maxage']

/** What a response is good for when its freshness has ended. What it says itself goes before the route (RFC 5861 sections 3 and 4). */
function afterwards (
  { status, hasValidator }: StorableResponse, directives: ResponseDirectives, policy: StoragePolicy
): Pick<Storable, 'staleWhileRevalidateMs' | 'staleIfErrorMs' | 'keptMs' | 'mustRevalidate'> {
  const mustRevalidate = isBare(directives, 'no-cache') || NEVER_STALE.some((directive) => directives.directives.has(directive))
  // An error that was stored is never what stands in for another error, nor is it kept for anything else.
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

/** Whether a 304 can say of a response of this status that it still holds: conditions are about a 200 (RFC 9110 section 13.2.1). */
function isValidatable (status: number): boolean {
  return status === 200 || status === 203
}

/** Whether a directive stands there without a list of fields that it is limited to (RFC 9111 sections 5.2.2.4 and 5.2.2.7). */
function isBare ({ directives }: ResponseDirectives, name: string): boolean {
  const argument = directives.get(name)
  return argument !== undefined && qualifiedNames(argument) === undefined
}

/** The fields that `private="..."` and `no-cache="..."` name: a shared cache neither stores the former nor uses the latter unasked. */
function withheldBy ({ directives }: ResponseDirectives): readonly string[] {
  if (directives.size === 0) return NOTHING
  const names = ['private', 'no-cache'].flatMap((name) => qualifiedNames(directives.get(name) ?? true) ?? [])
    // A stored response has a Date, whoever wrote it.
    .filter((name) => name !== 'date')
  return names.length === 0 ? NOTHING : names
}

const NOTHING: readonly string[] = []
