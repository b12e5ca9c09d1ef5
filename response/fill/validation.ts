// Handles the stored response of a forwarded request: the handler may validate it (RFC 9111 section 4.3), or it is served if the handler
// fails (RFC 5861).
import type { FastifyReply, FastifyRequest } from 'fastify'
import { isDeepStrictEqual } from 'node:util'
import { fieldIn, joined, type Fields } from '../http/field-values.js'
import { canBeValidated, handlersValidators, precondition, type Validators } from '../http/conditional.js'
import { ageSeconds, type Entry, type ResponseHead } from '../store/entry.js'
import { CONTENT_DIGESTS, DESCRIBES_CONTENT } from '../http/stored-fields.js'
import { grouped, payloadOf } from '../serve/payload.js'
import { isError, isGone, isReplacing } from '../http/status-codes.js'
import { INCOMPLETE, type RefusalReason } from '../observe/reasons.js'
import { tagsOf } from '../store/tags.js'
import { union } from '../http/vary.js'
import { isSameWeakly } from '../http/etag.js'
import type { RequestConditions } from './request-conditions.js'

/**
 * Fields that describe a body. They are ignored in a 304, which has no body but may have such fields: Fastify sets Content-Type for an
 * empty text, for example.
 */
const OF_THE_BODY: readonly string[] = ['content-type', 'content-encoding', 'content-range', 'content-length', ...CONTENT_DIGESTS]

/**
 * The possible outcomes for the stored response of a forwarded request.
 * - `validated`: the handler says that it is still valid.
 * - `ambiguous`: the handler says that some response is valid, but not which one.
 * - `mismatched`: the handler says that a different response is valid.
 * - `client-current`: the handler says that the client's own response is valid.
 * - `replaced`: the handler's response replaces it.
 * - `served-on-error`: it is sent instead of the handler's response.
 * - `none`: the handler says nothing about it.
 */
export type ValidationOutcome = 'none' | 'validated' | 'ambiguous' | 'mismatched' | 'client-current' | 'replaced' | 'served-on-error'

/** Outcomes after which the stored response is no longer valid (RFC 9111 section 4.3.3). */
const ENDING: ReadonlySet<ValidationOutcome> = new Set(['mismatched', 'client-current', 'replaced'])

/** The handler's response, from which the outcome is determined. */
export interface Responded {
  readonly reply: FastifyReply
  /** The reply's fields before the handler ran. */
  readonly before: Fields
  /** The current time, in epoch milliseconds. */
  readonly at: number
  /** Whether the handler threw an error. */
  readonly hasFailed: boolean
}

/** The request, and its conditions as they arrived. */
interface AskedFor { readonly request: FastifyRequest, readonly conditions: RequestConditions }

export class Validation {
  readonly entry: Entry<ResponseHead>
  readonly #conditions: RequestConditions
  readonly #request: FastifyRequest
  readonly #validators: Validators
  /**
   * The outcome for the stored response; undefined until the handler has responded. Only this class changes this field and the next two.
   */
  outcome: ValidationOutcome | undefined
  /** The status of the handler's response, if the stored response is sent instead. */
  handlerStatus: number | undefined
  /** Whether the handler received conditions from the cache. */
  wasAsked = false
  #isWithdrawn = false

  /** `at` is the current time in epoch milliseconds. */
  constructor ({ request, conditions }: AskedFor, entry: Entry<ResponseHead>, at: number) {
    this.entry = entry
    this.#request = request
    this.#conditions = conditions
    this.#validators = handlersValidators(entry.head, at)
  }

  /** Replaces the client's conditions with the validators of the stored response (RFC 9111 section 4.3.1). */
  ask (): void {
    const { etag, lastModified } = this.#validators
    if (!canBeValidated(this.#validators)) return
    this.wasAsked = true
    this.#conditions.replace({
      ...(etag !== undefined && { 'if-none-match': etag }), ...(lastModified !== undefined && { 'if-modified-since': lastModified })
    })
  }

  /** Called when the handler has called the not-found handler, whose response says nothing about the stored response. */
  withdraw (): void {
    this.wasAsked = false
    this.#isWithdrawn = true
  }

  /** Whether the outcome means that the stored response is no longer valid. */
  get isOver (): boolean {
    return this.outcome !== undefined && ENDING.has(this.outcome)
  }

  /** The tags that a validated response keeps even if the handler doesn't name them again; none if the response was not validated. */
  get keptTags (): readonly string[] {
    const { tags } = this.entry.head
    return this.outcome === 'validated' && tags !== undefined ? tagsOf(tags) : []
  }

  /**
   * Returns whether to delete the stored response when the handler's response is refused for `reason`. That is so if the stored response is
   * no longer valid (RFC 9111 section 4.3.3), or may no longer be stored with its updated fields (section 3.2).
   */
  endsStored (reason: RefusalReason): boolean {
    // A cookie concerns only the client that receives it, so the stored response is kept.
    return !INCOMPLETE.has(reason) && (this.isOver || (this.outcome === 'validated' && reason !== 'set-cookie'))
  }

  /**
   * Determines the outcome. If the stored response is to be sent, turns the reply into that response. Returns the payload to pass on, and
   * the reason why the response is not stored, if that is already known.
   */
  settle (responded: Responded, payload: unknown): { readonly payload: unknown, readonly refused?: RefusalReason } {
    const { reply, hasFailed, before, at } = responded
    const status = reply.statusCode
    const outcome = this.outcome = this.#outcomeOf(responded)
    if (outcome === 'none' || outcome === 'replaced' || outcome === 'client-current') {
      return { payload, ...(hasFailed && { refused: 'handler-error' }) }
    }
    this.handlerStatus = status
    const restored = this.#restore(reply, before, { isFreshened: outcome === 'validated', at })
    if (outcome === 'validated') return { payload: restored }
    return { payload: restored, refused: outcome !== 'served-on-error' ? 'condition' : hasFailed ? 'handler-error' : 'status' }
  }

  /** Determines the outcome if the response was sent through `reply.raw` and not through Fastify. Its status is known only afterwards. */
  settlePast (status: number): void {
    this.outcome = isGone(status) ? 'replaced' : 'none'
  }

  #outcomeOf ({ reply, before, at, hasFailed }: Responded): ValidationOutcome {
    if (this.mayServeOnError(reply.statusCode, at)) return 'served-on-error'
    if (hasFailed) return isGone(reply.statusCode) ? 'replaced' : 'none'
    return this.#saidOf(reply, before, at) ?? (this.#isReplaced(reply, before) ? 'replaced' : 'none')
  }

  /** Returns what the handler's response says about the stored one; undefined if it says nothing. */
  #saidOf (reply: FastifyReply, before: Fields, at: number): ValidationOutcome | undefined {
    if (this.#isWithdrawn) return undefined
    const said = saidBy(reply, before)
    // RFC 9111 section 4.3.5: the response to a HEAD can validate the stored response of GET.
    if (this.#isHead && reply.statusCode === 200) {
      return this.entry.head.status === 200 && this.#agrees(said) === true ? 'validated' : undefined
    }
    if (reply.statusCode !== 304 || !this.wasAsked) return undefined
    // RFC 9111 section 4.3.4: a 304 without a validator means the response that the cache asked about. But if the client sent conditions
    // too, the handler may have received those in some other way. The 304 is then ambiguous.
    const isMeant = this.#agrees(said) ?? (Object.keys(this.#conditions.arrived).length === 0 ? true : undefined)
    if (isMeant !== false) return isMeant === true ? 'validated' : 'ambiguous'
    return precondition(this.#conditions.arrived, { fields: pairsOf(said), at }) === 304 ? 'client-current' : 'mismatched'
  }

  /**
   * Returns whether the response replaces the stored one. A full response does. The response to a HEAD does if its validators differ from
   * the stored ones (RFC 9111 section 4.3.5).
   */
  #isReplaced (reply: FastifyReply, before: Fields): boolean {
    const isAboutGet = this.#isHead && reply.statusCode === 200 && !this.#isWithdrawn
    return isAboutGet ? this.#agrees(saidBy(reply, before)) === false : isReplacing(reply.statusCode)
  }

  /** Returns whether the reply's ETag equals that of the stored response. */
  hasStoredEtag (reply: FastifyReply): boolean {
    return reply.hasHeader('etag') && reply.getHeader('etag') === fieldIn(this.entry.head.fields, 'etag')
  }

  /** Returns whether the reply has the ETag that the cache computed for the stored response, which is sent. */
  hasOwnEtag (reply: FastifyReply): boolean {
    return this.handlerStatus !== undefined && this.entry.head.ownEtag === true && this.hasStoredEtag(reply)
  }

  /** Returns whether the stored response may be sent instead of a response of this status (RFC 5861 section 4). */
  mayServeOnError (status: number, at: number): boolean {
    return at < (this.entry.head.staleOnErrorUntil ?? 0) && isError(status)
  }

  /**
   * Turns the reply into the stored response. If `isFreshened`, fields that the handler has now set replace stored ones (RFC 9111 section
   * 3.2); otherwise the handler's fields are removed. Returns the payload.
   */
  #restore (reply: FastifyReply, before: Fields, { isFreshened, at }: { isFreshened: boolean, at: number }): unknown {
    const { head, body } = this.entry
    const said = isFreshened ? saidBy(reply, before) : {}
    const isOver = (name: string): boolean => !isFreshened || OF_THE_BODY.includes(name)
    for (const name of Object.keys(saidBy(reply, before))) if (isOver(name)) reply.removeHeader(name)
    // Fields that hooks have set for this request are restored if the handler has removed them.
    for (const name in before) if (isOver(name) && before[name] !== undefined && !reply.hasHeader(name)) reply.header(name, before[name])
    const stored = grouped(head.fields)
    for (const name in stored) {
      // RFC 9110 section 6.6.1: a validated response gets a new Date, either the handler's or the current time.
      if (name === 'date' && isFreshened) continue
      if (said[name] === undefined || isOver(name)) {
        reply.header(name, name === 'vary' ? union(joined(before.vary), joined(stored.vary)) : stored[name])
      }
    }
    // If a hook set one of these fields as a default before the handler ran, the field is removed: it does not describe the stored content.
    for (const name of [...DESCRIBES_CONTENT, 'content-length']) {
      if (stored[name] === undefined && (said[name] === undefined || isOver(name))) reply.removeHeader(name)
    }
    for (const name of head.removed ?? []) reply.removeHeader(name)
    if (!isFreshened) reply.header('age', String(ageSeconds(head, at)))
    reply.code(head.status)
    return payloadOf(head, body, stored['content-type'] !== undefined)
  }

  get #isHead (): boolean {
    return this.#request.method === 'HEAD'
  }

  /**
   * Returns whether a response has the same validators as the stored one, and for a HEAD the same length. Returns undefined if the response
   * has no validator.
   */
  #agrees (said: Fields): boolean | undefined {
    const { etag, lastModified } = this.#validators
    if (this.#isHead && said['content-length'] !== undefined && Number(said['content-length']) !== this.entry.body.byteLength) return false
    // A strong ETag must equal the stored one. A weak ETag may also be the weak form of a strong stored one.
    if (said.etag !== undefined) {
      return said.etag === etag || (etag !== undefined && joined(said.etag).startsWith('W/') && isSameWeakly(joined(said.etag), etag))
    }
    return said['last-modified'] === undefined ? undefined : said['last-modified'] === lastModified
  }
}

/** Returns the fields of the reply that differ from those in `before`. */
function saidBy (reply: FastifyReply, before: Fields): Fields {
  return Object.fromEntries(
    Object.entries(reply.getHeaders() as Fields).filter(([name, value]) => value !== undefined && !isDeepStrictEqual(value, before[name])))
}

function pairsOf (fields: Fields): string[] {
  return Object.entries(fields).flatMap(([name, value]) => [name, joined(value)])
}
