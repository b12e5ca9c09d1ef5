// A stored response behind a request that the handler is asked for: validated by it (RFC 9111 section 4.3), or standing in for it (RFC
// 5861).
import type { FastifyReply, FastifyRequest } from 'fastify'
import { isDeepStrictEqual } from 'node:util'
import { fieldIn, joined, type Fields } from '../http/field-values.js'
import { handlersValidators, type Validators, CONDITION_FIELDS, precondition, type Conditions } from '../http/conditional.js'
import { ageSeconds, type Entry, type ResponseHead } from '../store/entry.js'
import { CONTENT_DIGESTS, DESCRIBES_CONTENT } from '../http/stored-fields.js'
import { grouped, payloadOf } from '../serve/payload.js'
import { isError, isGone, isReplacing } from '../http/status-codes.js'
import { INCOMPLETE, type RefusalReason } from '../observe/reasons.js'
import { tagsOf } from '../store/tags.js'
import { union } from '../http/vary.js'
import { isSameWeakly } from '../http/etag.js'

/** What a 304 may say of a body that it doesn't carry, and what is not believed: Fastify names a type for an empty text. */
const OF_THE_BODY: readonly string[] = ['content-type', 'content-encoding', 'content-range', 'content-length', ...CONTENT_DIGESTS]

/**
 * What became of the stored response: still valid, as the handler says (`validated`); one is valid, and not clear which
 * (`ambiguous`), another one (`mismatched`), or the client's own (`client-current`); `replaced` by what the handler
 * responded with; `served-on-error` in place of that; or nothing was said of it.
 */
export type ValidationOutcome = 'none' | 'validated' | 'ambiguous' | 'mismatched' | 'client-current' | 'replaced' | 'served-on-error'

/** Outcomes after which the stored response must not be used any more (RFC 9111 section 4.3.3). */
const ENDING: ReadonlySet<ValidationOutcome> = new Set(['mismatched', 'client-current', 'replaced'])

/** The handler's response as it is when its outcome is looked for. */
export interface Responded {
  readonly reply: FastifyReply
  /** The reply's fields as they were before the handler ran. */
  readonly before: Fields
  /** Now, in epoch milliseconds. */
  readonly at: number
  /** Whether the handler threw. */
  readonly hasFailed: boolean
}

export class Validation {
  readonly entry: Entry<ResponseHead>
  /** The client's own conditions, as they came. */
  readonly conditions: Conditions
  readonly #request: FastifyRequest
  readonly #validators: Validators
  /** What became of the stored response; undefined before the handler has responded. Changed here alone, as what follows. */
  outcome: ValidationOutcome | undefined
  /** The status of the handler's response, where the stored one is sent. */
  handlerStatus: number | undefined
  /** Whether the handler was asked on the cache's own conditions, and the client's are for the cache to evaluate. */
  wasAsked = false
  /**
   * Tags under which the stored response was, and under which it stays where it is still valid, though the handler did not name them
   * again.
   */
  keptTags: readonly string[] = []
  #areConditionsReplaced = false
  #isWithdrawn = false
  #headers: FastifyRequest['headers'] | undefined

  /** `at`: now, in epoch milliseconds. */
  constructor (request: FastifyRequest, entry: Entry<ResponseHead>, at: number) {
    this.entry = entry
    this.#request = request
    this.conditions = picked(request.headers)
    this.#validators = handlersValidators(entry.head, at)
  }

  /** RFC 9111 section 4.3.1: the handler is shown the validators of the entry in place of the client's conditions. */
  ask (): void {
    const { etag, lastModified } = this.#validators
    if (etag === undefined && lastModified === undefined) return
    this.wasAsked = this.#areConditionsReplaced = true
    const { raw } = this.#request
    const own = {
      ...(etag !== undefined && { 'if-none-match': etag }), ...(lastModified !== undefined && { 'if-modified-since': lastModified })
    }
    // Validation against a schema puts other fields in front of those that came.
    if (this.#request.headers !== raw.headers) {
      this.#headers = this.#request.headers
      this.#request.headers = { ...without(this.#headers), ...own }
    }
    for (const name of CONDITION_FIELDS) delete raw.headers[name]
    Object.assign(raw.headers, own)
  }

  /** Another handler is called in place of the one that was asked: it finds the request as it came, and speaks of something else. */
  withdraw (): void {
    this.putBack()
    this.wasAsked = false
    this.#isWithdrawn = true
  }

  /** The request is as it came again, for whoever stands behind the handler. */
  putBack (): void {
    if (!this.#areConditionsReplaced) return
    this.#areConditionsReplaced = false
    const { raw } = this.#request
    for (const name of CONDITION_FIELDS) delete raw.headers[name]
    Object.assign(raw.headers, this.conditions)
    if (this.#headers !== undefined) this.#request.headers = this.#headers
  }

  /** Whether the stored response must not be used any more. */
  get isOver (): boolean {
    return this.outcome !== undefined && ENDING.has(this.outcome)
  }

  /**
   * Whether a response that is not stored says that the stored one must not be used any more (RFC 9111 section 4.3.3), or may not be kept
   * (section 3.2).
   */
  endsStored (reason: RefusalReason): boolean {
    // A cookie is for the one who asked.
    return !INCOMPLETE.has(reason) && (this.isOver || (this.outcome === 'validated' && reason !== 'set-cookie'))
  }

  /**
   * Finds the outcome. The reply becomes the stored response where that is what is to be sent. Returns the payload to go on with, and why
   * this response is not stored, where that is known.
   */
  settle (responded: Responded, payload: unknown): { readonly payload: unknown, readonly refused?: RefusalReason } {
    const { reply, hasFailed, before, at } = responded
    const status = reply.statusCode
    this.putBack()
    const outcome = this.outcome = this.#outcomeOf(responded)
    if (outcome === 'none' || outcome === 'replaced' || outcome === 'client-current') {
      return { payload, ...(hasFailed && { refused: 'handler-error' }) }
    }
    this.handlerStatus = status
    const restored = this.#restore(reply, before, { isFreshened: outcome === 'validated', at })
    if (outcome === 'validated') {
      const { tags } = this.entry.head
      if (tags !== undefined) this.keptTags = tagsOf(tags)
      return { payload: restored }
    }
    return { payload: restored, refused: outcome !== 'served-on-error' ? 'condition' : hasFailed ? 'handler-error' : 'status' }
  }

  /** The handler has sent a response of this status past Fastify: only now it is known. */
  settlePast (status: number): void {
    this.outcome = isGone(status) ? 'replaced' : 'none'
  }

  /** The client's condition was met, and what the handler made was not read: with the same ETag it is no other response. */
  settleUnread (reply: FastifyReply): void {
    if (this.isOver && this.hasStoredEtag(reply)) this.outcome = 'none'
  }

  #outcomeOf ({ reply, before, at, hasFailed }: Responded): ValidationOutcome {
    if (this.mayServeOnError(reply.statusCode, at)) return 'served-on-error'
    if (hasFailed) return isGone(reply.statusCode) ? 'replaced' : 'none'
    return this.#saidOf(reply, before, at) ?? (this.#isReplaced(reply, before) ? 'replaced' : 'none')
  }

  /** What the handler says of the stored response; undefined where its own is one of another kind. */
  #saidOf (reply: FastifyReply, before: Fields, at: number): ValidationOutcome | undefined {
    if (this.#isWithdrawn) return undefined
    const said = saidBy(reply, before)
    // RFC 9111 section 4.3.5: the response to a HEAD tells of the one to a GET.
    if (this.#isHead && reply.statusCode === 200) {
      return this.entry.head.status === 200 && this.#agrees(said) === true ? 'validated' : undefined
    }
    if (reply.statusCode !== 304 || !this.wasAsked) return undefined
    // RFC 9111 section 4.3.4: a 304 that names no validator is about the one that was asked for, unless the client had
    // conditions of its own, which may have come to the handler by another way.
    const isMeant = this.#agrees(said) ?? (Object.keys(this.conditions).length === 0 ? true : undefined)
    if (isMeant !== false) return isMeant === true ? 'validated' : 'ambiguous'
    return precondition(this.conditions, { fields: pairsOf(said), at }) === 304 ? 'client-current' : 'mismatched'
  }

  /** Another whole response, or, to a HEAD, other validators (RFC 9111 section 4.3.5). */
  #isReplaced (reply: FastifyReply, before: Fields): boolean {
    const isAboutGet = this.#isHead && reply.statusCode === 200 && !this.#isWithdrawn
    return isAboutGet ? this.#agrees(saidBy(reply, before)) === false : isReplacing(reply.statusCode)
  }

  /** Whether the reply's ETag is that of the stored response. */
  hasStoredEtag (reply: FastifyReply): boolean {
    return reply.hasHeader('etag') && reply.getHeader('etag') === fieldIn(this.entry.head.fields, 'etag')
  }

  /** Whether the entry may be sent in place of a response of this status (RFC 5861 section 4). */
  mayServeOnError (status: number, at: number): boolean {
    return at < (this.entry.head.staleOnErrorUntil ?? 0) && isError(status)
  }

  /**
   * Makes the reply what the handler responded with when the entry was stored, with the fields that it has said anew (RFC 9111
   * section 3.2), or without them. Returns the payload.
   */
  #restore (reply: FastifyReply, before: Fields, { isFreshened, at }: { isFreshened: boolean, at: number }): unknown {
    const { head, body } = this.entry
    const said = isFreshened ? saidBy(reply, before) : {}
    const isOver = (name: string): boolean => !isFreshened || OF_THE_BODY.includes(name)
    for (const name of Object.keys(saidBy(reply, before))) if (isOver(name)) reply.removeHeader(name)
    // What hooks have set for this request is not the handler's to take away.
    for (const name in before) if (isOver(name) && before[name] !== undefined && !reply.hasHeader(name)) reply.header(name, before[name])
    const stored = grouped(head.fields)
    for (const name in stored) {
      // RFC 9110 section 6.6.1: the Date of what was said just now is the present, unless it says otherwise.
      if (name === 'date' && isFreshened) continue
      if (said[name] === undefined || isOver(name)) {
        reply.header(name, name === 'vary' ? union(joined(before.vary), joined(stored.vary)) : stored[name])
      }
    }
    // A default that a hook in front has set is not about this content.
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

  /** Whether the validators of a response, and its length, are those of the entry; undefined where it has no validator. */
  #agrees (said: Fields): boolean | undefined {
    const { etag, lastModified } = this.#validators
    if (this.#isHead && said['content-length'] !== undefined && Number(said['content-length']) !== this.entry.body.byteLength) return false
    // A strong validator names one version; a weak one may be that of a strong one.
    if (said.etag !== undefined) {
      return said.etag === etag || (etag !== undefined && joined(said.etag).startsWith('W/') && isSameWeakly(joined(said.etag), etag))
    }
    return said['last-modified'] === undefined ? undefined : said['last-modified'] === lastModified
  }
}

/** The fields that were set since. */
function saidBy (reply: FastifyReply, before: Fields): Fields {
  return Object.fromEntries(
    Object.entries(reply.getHeaders() as Fields).filter(([name, value]) => value !== undefined && !isDeepStrictEqual(value, before[name])))
}

function pairsOf (fields: Fields): string[] {
  return Object.entries(fields).flatMap(([name, value]) => [name, joined(value)])
}

function picked (headers: Conditions): Conditions {
  return Object.fromEntries(CONDITION_FIELDS.filter((name) => headers[name] !== undefined).map((name) => [name, headers[name]]))
}

function without (headers: FastifyRequest['headers']): FastifyRequest['headers'] {
  return Object.fromEntries(Object.entries(headers).filter(([name]) => !(CONDITION_FIELDS as readonly string[]).includes(name)))
}
