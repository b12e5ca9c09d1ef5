// A fill: what a handler makes of one miss, from the moment it starts until its answer is stored, shared or refused.
import type { FastifyReply, FastifyRequest } from 'fastify'
import { deliver } from './deliver.js'
import { etagOf } from '../http/etag.js'
import { fieldsRemoved, fieldsToStore, isForOneOrigin, without } from '../http/fields.js'
import { sent } from '../sent.js'
import type { RoutePolicy } from '../options.js'
import { announcedLength, discard, streamKind, unpacked } from '../payload.js'
import { decide, forbiddenFor, unfitStatus, type Decision, type Fields, type Verdict } from '../http/policy.js'
import type { FillEnd, Recorded, Taken } from './recorded.js'
import { decisionOf, refusalFor, type ReplyCacheOptions } from './reply-cache.js'
import { settle } from './settle.js'
import type { RefusalReason } from '../status.js'
import { CONDITIONAL_STATUSES } from '../http/statuses.js'
import { Recording, teed, type RecordingBudget } from './tee.js'
import type { Validation } from './validation.js'
import { canBeValidated, handlersValidators } from '../http/validators.js'

export class Fill {
  readonly policy: RoutePolicy
  readonly request: FastifyRequest
  readonly reply: FastifyReply
  decision: Decision = {}
  /** Set when the answer must not be stored whatever it is. */
  forbidden: RefusalReason | undefined
  /** Why the answer is not stored, once that is known. */
  refusedFor: RefusalReason | undefined
  /** The stored answer behind this request, if there is one. */
  validation: Validation | undefined
  /** The status that the handler answered with, where another is sent. */
  answered: number | undefined
  /** Whether the handler's answer says that the stored one holds no more. */
  isOutdated = false
  /** Whether the stored answer holds still, as the handler says. */
  isUpheld = false
  readonly #before: Fields
  readonly #end: FillEnd
  readonly #budget: RecordingBudget
  readonly #now: () => number
  readonly #askedAt: number
  #taken: Taken | undefined
  /** The answer's fields before a condition or a range of the client took some out. */
  #whole: Fields | undefined
  #recording: Recording | undefined
  #verdict: Verdict | undefined
  #over = false
  #hasFailed = false
  #isSettled = false

  constructor (policy: RoutePolicy, request: FastifyRequest, reply: FastifyReply, { end, budget, now }: { end: FillEnd, budget: RecordingBudget, now: () => number }) {
    this.policy = policy
    this.request = request
    this.reply = reply
    this.#end = end
    this.#budget = budget
    this.#now = now
    this.#askedAt = now()
    const before = reply.getHeaders() as Fields
    // Fastify adds cookies to the list that is there.
    this.#before = Array.isArray(before['set-cookie']) ? { ...before, 'set-cookie': [...before['set-cookie']] } : before
  }

  get over (): boolean {
    return this.#over
  }

  get taken (): boolean {
    return this.#taken !== undefined
  }

  /** Whether the handler's answer is a stream that has yet to end. */
  get streaming (): boolean {
    return this.#taken !== undefined && this.#taken.body === undefined
  }

  /** `reply.cache(options)`. A wrong option doesn't cost the answer: it is delivered and not stored. */
  tell (options: ReplyCacheOptions): void {
    try {
      this.decision = decisionOf(options, this.decision)
    } catch (err) {
      this.refuse(refusalFor(err), err)
    }
  }

  /** The handler's answer before other hooks see it; gives back the payload to go on with. `copies`: they may change it. */
  take (payload: unknown, copies = false): unknown {
    const { validation } = this
    if (validation === undefined) return this.#over ? payload : this.#take(unpacked(payload, this.reply), copies)
    validation.putBack()
    // An error on the way out has the hooks run again. A stream that broke before it began is the handler's own.
    const isBroken = this.refusedFor === 'stream-failed' && validation.mayStandIn(this.reply.statusCode, this.#now())
    if (this.#isSettled && !isBroken) return this.#over ? payload : this.#take(payload, copies)
    this.#isSettled = true
    const settled = this.#settle(validation, unpacked(payload, this.reply))
    const taken = this.#over ? settled : this.#take(settled, copies)
    if (!validation.wasAsked && this.answered === undefined) return taken
    this.#whole = this.reply.getHeaders() as Fields
    const given = deliver(this.reply, taken, { conditions: validation.conditions, method: this.request.method, at: this.#now(), wholeOnly: copies })
    if (given !== taken && streamKind(taken) !== undefined) {
      this.isOutdated &&= !validation.hasStoredEtag(this.reply)
      discard(this.#refusing('condition', taken))
    }
    return given
  }

  /** The handler failed. Another stored answer may yet be sent in place of what becomes of that. */
  fail (): void {
    this.validation?.putBack()
    if (this.validation === undefined || this.taken) this.refuse('handler-error')
    else this.#hasFailed = true
  }

  #settle (validation: Validation, payload: unknown): unknown {
    const settled = settle(validation, { reply: this.reply, before: this.#before, at: this.#now(), hasFailed: this.#hasFailed }, payload)
    this.answered = settled.answered
    this.isOutdated = settled.isOutdated === true
    this.isUpheld = settled.isUpheld === true
    if (settled.isStandIn === true) this.#end.stoodIn(validation.entry)
    // RFC 9111 section 4.3.5: a HEAD that says that the answer to a GET still holds has freshened that.
    if (this.isUpheld && this.forbidden === 'head') this.forbidden = undefined
    if (settled.refused !== undefined) this.refuse(settled.refused)
    if (settled.payload !== payload) discard(payload)
    return settled.payload
  }

  #take (payload: unknown, copies: boolean): unknown {
    const { reply } = this
    const after = reply.getHeaders() as Fields
    const fields = fieldsToStore(this.#before, after, this.policy.setCookie)
    if (fields === undefined) return this.#refusing('header', payload)
    this.#taken = { status: reply.statusCode, fields, removed: fieldsRemoved(this.#before, after), vary: after.vary, body: undefined, madeAt: this.#now(), verdict: undefined, copies, ownEtag: this.answered !== undefined && this.validation?.hasOwnEtag(reply) === true }
    const unfit = unfitStatus(reply.statusCode)
    if (unfit !== undefined) return this.#refusing(unfit, payload)
    if (payload === undefined || payload === null || typeof payload === 'string' || payload instanceof Uint8Array) {
      const body = payload ?? ''
      if (Buffer.byteLength(body as string) > this.policy.maxBodyBytes) return this.#refusing('too-large', payload)
      const forbidden = copies ? forbiddenFor(this.#decide(this.#taken)) : undefined
      if (forbidden !== undefined) return this.#refusing(forbidden, payload)
      this.#taken.body = typeof body === 'string' ? body : copies ? Buffer.from(body) : Buffer.from(body.buffer as ArrayBuffer, body.byteOffset, body.byteLength)
      return payload
    }
    return this.#takeStream(payload)
  }

  /**
   * When all hooks have had their say and the answer is about to be sent. Answers whether it is going to be stored;
   * undefined while a stream has yet to end.
   */
  judge (): boolean | undefined {
    if (this.#over) return false
    const taken = this.#taken
    if (taken === undefined) return this.#refusing('hijacked', false)
    this.#verdict = this.#decide(taken)
    if ('refused' in this.#verdict) return this.#refusing(this.#verdict.refused, false)
    if (taken.body === undefined) return undefined
    const etag = this.#addEtag(taken, taken.body)
    if (etag !== undefined && this.reply.statusCode === taken.status) this.reply.header('etag', etag)
    return true
  }

  /** After the answer was handed to the socket: stores it, if it is whole. */
  commit (): void {
    const taken = this.#taken
    if (this.#over || taken?.body === undefined || this.#verdict === undefined || 'refused' in this.#verdict) return
    const verdict = this.#lastVerdict(taken, this.#verdict)
    if ('refused' in verdict) return this.refuse(verdict.refused)
    this.#over = true
    taken.verdict = verdict
    // RFC 9111 sections 5.2.2.4 and 5.2.2.7
    if (verdict.withheld.length > 0) taken.fields = without(taken.fields, verdict.withheld)
    this.#end.stored(taken as Recorded)
  }

  /** The answer is over: a stream that has not ended by now never will, another hook sent something else in its place. */
  abandon (): void {
    this.#recording?.fail('stream-failed')
  }

  refuse (reason: RefusalReason, fault?: unknown): void {
    if (this.#over) return
    this.#over = true
    this.refusedFor = reason
    this.#end.refused(reason, fault)
  }

  #refusing<T> (reason: RefusalReason, answer: T): T {
    this.refuse(reason)
    return answer
  }

  /** Once more where more is known by now: what was set past Fastify as the head was written (a session began), how old a stream is that has ended. */
  #lastVerdict (taken: Taken, verdict: Verdict): Verdict {
    const isSetPastFastify = this.reply.raw.getHeaderNames().length > 0
    if (!isSetPastFastify && this.#recording === undefined) return verdict
    return this.#decide(taken, isSetPastFastify ? this.reply.raw.getHeaders() as Fields : undefined)
  }

  /** The verdict on the answer with the fields of all hooks; what the handler set decides what is stored. */
  #decide (taken: Taken, fields = this.reply.getHeaders() as Fields): Verdict {
    const { reply, request } = this
    if (this.forbidden !== undefined) return { refused: this.forbidden }
    // A hook may answer a condition or cut out a part of what the handler made: the whole remains true.
    const cut = CONDITIONAL_STATUSES.includes(reply.statusCode)
    if (reply.statusCode !== taken.status && !cut) return { refused: 'status' }
    const at = this.#now()
    const verdict = decide({
      status: taken.status,
      fields: this.#whole === undefined ? fields : { ...this.#whole, ...fields },
      vary: taken.vary,
      hasValidator: (request.method === 'GET' || request.method === 'HEAD') && canBeValidated(handlersValidators(taken, at)),
      authorized: this.policy.credentials === 'ignore' && sent(request, 'authorization') !== undefined,
      askedAt: this.#askedAt,
      at,
      madeAt: taken.madeAt,
      decision: this.decision
    }, this.policy)
    return 'varyNames' in verdict && isForOneOrigin(taken.fields, verdict.varyNames) ? { refused: 'cors' } : verdict
  }

  /** Names an ETag where the route asks for that, the handler named none, and nobody else may change the body. */
  #addEtag (taken: Taken, body: Buffer | string): string | undefined {
    if (!this.policy.etag || taken.copies || taken.status !== 200 || this.reply.hasHeader('etag')) return undefined
    const etag = etagOf(body)
    taken.fields = [...taken.fields, 'etag', etag]
    taken.ownEtag = true
    return etag
  }

  #takeStream (payload: unknown): unknown {
    const taken = this.#taken as Taken
    const kind = streamKind(payload)
    // What Fastify is going to refuse, it shall find as it was.
    if (kind === undefined) return this.#refusing('stream-failed', payload)
    // What is not going to be stored is not recorded, and nobody waits for its end.
    const early = this.#decide(taken)
    if ('refused' in early) return this.#refusing(early.refused, payload)
    const announced = announcedLength(this.reply)
    if (announced !== undefined && announced > this.policy.maxBodyBytes) return this.#refusing('too-large', payload)
    const recording = this.#recording = new Recording(this.policy.maxBodyBytes, this.#budget, {
      whole: (body) => {
        if (announced !== undefined && announced !== body.byteLength) return this.refuse('length')
        taken.body = body
        this.#addEtag(taken, body)
        this.commit()
      },
      failed: (why) => this.refuse(why === 'stream-failed' && this.reply.raw.destroyed && !this.reply.raw.writableFinished ? 'client-gone' : why)
    })
    return teed(kind, payload, recording)
  }
}
