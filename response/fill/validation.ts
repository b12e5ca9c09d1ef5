// A stored answer behind a request that the handler is asked for: validated by it (RFC 9111 section 4.3), or standing in for it (RFC 5861).
import type { FastifyReply, FastifyRequest } from 'fastify'
import { isDeepStrictEqual } from 'node:util'
import { joined, type Fields } from '../http/field-values.js'
import { CONDITION_FIELDS, precondition, type Conditions } from '../http/conditional.js'
import { ageSeconds, type Entry, type ResponseHead } from '../store/entry.js'
import { CONTENT_DIGESTS, DESCRIBES_CONTENT } from '../http/fields.js'
import { grouped, payloadOf } from '../payload.js'
import { isError, isReplacing } from '../http/statuses.js'
import { union } from '../http/vary.js'
import { canBeValidated, fieldIn, handlersValidators, isSameWeakly, type Validators } from '../http/validators.js'

/** What a 304 may say of a body that it doesn't carry, and what is not believed: Fastify names a type for an empty text. */
const OF_THE_BODY: readonly string[] = ['content-type', 'content-encoding', 'content-range', 'content-length', ...CONTENT_DIGESTS]

export class Validation {
  readonly entry: Entry<ResponseHead>
  /** The client's own conditions, as they came. */
  readonly conditions: Conditions
  readonly #request: FastifyRequest
  readonly #validators: Validators
  #wasAsked = false
  #isReplaced = false
  #isWithdrawn = false
  #headers: FastifyRequest['headers'] | undefined

  /** `at`: the present, in epoch milliseconds. */
  constructor (request: FastifyRequest, entry: Entry<ResponseHead>, at: number) {
    this.entry = entry
    this.#request = request
    this.#validators = handlersValidators(entry.head, at)
    this.conditions = picked(request.headers)
  }

  /** Whether the handler was asked on the cache's own conditions, and the client's are for the cache to answer. */
  get wasAsked (): boolean {
    return this.#wasAsked
  }

  /** RFC 9111 section 4.3.1: the handler is shown the validators of the entry in place of the client's conditions. */
  ask (): void {
    if (!canBeValidated(this.#validators)) return
    const { etag, lastModified } = this.#validators
    this.#wasAsked = this.#isReplaced = true
    const { raw } = this.#request
    const own = { ...(etag !== undefined && { 'if-none-match': etag }), ...(lastModified !== undefined && { 'if-modified-since': lastModified }) }
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
    this.#wasAsked = false
    this.#isWithdrawn = true
  }

  /** The request is as it came again, for whoever stands behind the handler. */
  putBack (): void {
    if (!this.#isReplaced) return
    this.#isReplaced = false
    const { raw } = this.#request
    for (const name of CONDITION_FIELDS) delete raw.headers[name]
    Object.assign(raw.headers, this.conditions)
    if (this.#headers !== undefined) this.#request.headers = this.#headers
  }

  /**
   * What the handler's answer says of the entry: that it still holds; that one holds, and not which (`unclear`) or another
   * one (`other`); that the client's own one holds (`theirs`); undefined where it is an answer of its own. `before`: the
   * reply's fields as they were before the handler ran.
   */
  outcome (reply: FastifyReply, before: Fields, at: number): 'upheld' | 'unclear' | 'other' | 'theirs' | undefined {
    if (this.#isWithdrawn) return undefined
    const said = saidBy(reply, before)
    // RFC 9111 section 4.3.5: the answer to a HEAD tells of the one to a GET.
    if (this.#isHead && reply.statusCode === 200) return this.entry.head.status === 200 && this.#agrees(said) === true ? 'upheld' : undefined
    if (reply.statusCode !== 304 || !this.#wasAsked) return undefined
    // RFC 9111 section 4.3.4: a 304 that names no validator is about the one that was asked for, unless the client had
    // conditions of its own, which may have come to the handler by another way.
    const isMeant = this.#agrees(said) ?? (Object.keys(this.conditions).length === 0 ? true : undefined)
    if (isMeant !== false) return isMeant === true ? 'upheld' : 'unclear'
    return precondition(this.conditions, { fields: pairsOf(said), at }) === 304 ? 'theirs' : 'other'
  }

  /** Whether an answer tells that the entry holds no more: another whole one, or, to a HEAD, other validators (RFC 9111 section 4.3.5). */
  isOutdated (reply: FastifyReply, before: Fields): boolean {
    const isAboutGet = this.#isHead && reply.statusCode === 200 && !this.#isWithdrawn
    return isAboutGet ? this.#agrees(saidBy(reply, before)) === false : isReplacing(reply.statusCode)
  }

  /** Whether the reply's ETag is the one that was made here, of the entry's body. */
  hasOwnEtag (reply: FastifyReply): boolean {
    return this.entry.head.ownEtag === true && this.hasStoredEtag(reply)
  }

  /** Whether the reply has the entry's ETag. */
  hasStoredEtag (reply: FastifyReply): boolean {
    return reply.hasHeader('etag') && reply.getHeader('etag') === fieldIn(this.entry.head.fields, 'etag')
  }

  /** Whether the entry may be sent in place of an answer of this status (RFC 5861 section 4). */
  mayStandIn (status: number, at: number): boolean {
    return isError(status) && at < (this.entry.head.staleOnErrorUntil ?? 0)
  }

  /**
   * Makes the reply what the handler answered when the entry was stored, with the fields that it has said anew (RFC 9111
   * section 3.2), or without them. Answers the payload.
   */
  revive (reply: FastifyReply, before: Fields, { isFreshened, at }: { isFreshened: boolean, at: number }): unknown {
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
      if (said[name] === undefined || isOver(name)) reply.header(name, name === 'vary' ? union(joined(before.vary), joined(stored.vary)) : stored[name])
    }
    // A default that a hook in front has set is not about this content.
    for (const name of [...DESCRIBES_CONTENT, 'content-length']) if (stored[name] === undefined && (said[name] === undefined || isOver(name))) reply.removeHeader(name)
    for (const name of head.removed ?? []) reply.removeHeader(name)
    if (!isFreshened) reply.header('age', String(ageSeconds(head, at)))
    reply.code(head.status)
    return payloadOf(head, body, stored['content-type'] !== undefined)
  }

  get #isHead (): boolean {
    return this.#request.method === 'HEAD'
  }

  /** Whether the validators of an answer, and its length, are those of the entry; undefined where it has no validator. */
  #agrees (said: Fields): boolean | undefined {
    const { etag, lastModified } = this.#validators
    if (this.#isHead && said['content-length'] !== undefined && Number(said['content-length']) !== this.entry.body.byteLength) return false
    // A strong validator names one version; a weak one may be that of a strong one.
    if (said.etag !== undefined) return said.etag === etag || (etag !== undefined && joined(said.etag).startsWith('W/') && isSameWeakly(joined(said.etag), etag))
    return said['last-modified'] === undefined ? undefined : said['last-modified'] === lastModified
  }
}

/** The fields that were set since. */
function saidBy (reply: FastifyReply, before: Fields): Fields {
  return Object.fromEntries(Object.entries(reply.getHeaders() as Fields).filter(([name, value]) => value !== undefined && !isDeepStrictEqual(value, before[name])))
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
