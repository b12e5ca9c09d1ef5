// A fill: what a handler makes of one miss, from the moment it starts until its answer is stored, shared or refused.
import type { FastifyReply } from 'fastify'
import type { ArrivedRequest } from '../arrival.js'
import { isConditional, type Conditions } from '../http/conditional.js'
import { announce, deliver } from './deliver.js'
import { etagOf } from '../http/etag.js'
import { asTheyAre, fieldsRemoved, fieldsToStore, without } from '../http/fields.js'
import { andThen } from '../../registry/maybe-promise.js'
import type { RoutePolicy } from '../options.js'
import { Part } from './part.js'
import { announcedLength, discard, hasLeft, streamKind, unpacked } from '../payload.js'
import type { Fields } from '../http/field-values.js'
import { forbiddenFor, unfitStatus, type Decision, type Verdict } from '../http/policy.js'
import { addEtag, type FillEnd, type Recorded, type Taken } from './recorded.js'
import { decisionOf, refusalFor, type ReplyCacheOptions } from './reply-cache.js'
import { settle } from './settle.js'
import type { RefusalReason } from '../status.js'
import { Recording, teed, type RecordingBudget } from './tee.js'
import type { Validation } from './validation.js'
import { verdictOn } from './verdict.js'

export class Fill {
  readonly policy: RoutePolicy
  readonly request: ArrivedRequest
  readonly reply: FastifyReply
  decision: Decision = {}
  /** Whether ranges are cut out of what is stored, and announced. */
  servesRanges = false
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
  readonly #part: Part | undefined
  #verdict: Verdict | undefined
  #over = false
  #hasFailed = false
  #isSettled = false

  constructor (policy: RoutePolicy, request: ArrivedRequest, reply: FastifyReply, { end, budget, now }: { end: FillEnd, budget: RecordingBudget, now: () => number }) {
    this.policy = policy
    this.request = request
    this.reply = reply
    this.#end = end
    this.#budget = budget
    this.#now = now
    this.#askedAt = now()
    if (request.headers.range !== undefined) this.#part = new Part(request, reply, budget)
    this.#before = asTheyAre(reply.getHeaders() as Fields)
  }

  get over (): boolean { return this.#over }
  get taken (): boolean { return this.#taken !== undefined }
  /** Whether the handler's answer is a stream that has yet to end. */
  get streaming (): boolean { return this.#taken !== undefined && this.#taken.body === undefined }

  /** `reply.cache(options)`. A wrong option doesn't cost the answer: it is delivered and not stored. */
  tell (options: ReplyCacheOptions): void {
    try {
      this.decision = decisionOf(options, this.decision)
    } catch (err) {
      this.refuse(refusalFor(err), err)
    }
  }

  /** The handler's response before other hooks see it; returns the payload to go on with, a promise where a stream is held back. `copies`: they may change it. */
  take (payload: unknown, copies = false): unknown {
    const { validation } = this
    if (validation === undefined) return this.#over ? payload : this.#cut(this.#take(unpacked(payload, this.reply), copies))
    validation.putBack()
    // An error on the way out has the hooks run again. A stream that broke before it began is the handler's own.
    const isBroken = this.refusedFor === 'stream-failed' && validation.mayStandIn(this.reply.statusCode, this.#now())
    if (this.#isSettled && !isBroken) return this.#over ? payload : this.#take(payload, copies)
    this.#isSettled = true
    const settled = this.#settle(validation, unpacked(payload, this.reply))
    const taken = this.#over ? settled : this.#take(settled, copies)
    if (!validation.wasAsked && this.answered === undefined) return this.#cut(taken)
    return this.#deliver(taken, validation.conditions, copies)
  }

  /** What a client that asks for a part is given of a response that is going to be stored, as on a hit. Without a range, its conditions are the handler's to answer. */
  #cut (payload: unknown): unknown {
    if (this.#part === undefined || this.#taken?.copies !== false || (!this.#part.holds && !this.#isToBeStored)) return payload
    return this.#deliver(payload, this.#part.conditions, false)
  }

  #deliver (payload: unknown, conditions: Conditions, copies: boolean): unknown {
    return andThen(this.#part?.whenWhole(payload, this.#taken as Taken, () => !this.#over) ?? payload, (whole) => {
      if (isConditional(conditions) && this.#isToBeStored) this.#addEtag(this.#taken as Recorded & Taken, true)
      this.#whole = this.reply.getHeaders() as Fields
      const given = deliver(this.reply, whole, { conditions, method: this.request.method, at: this.#now(), wholeOnly: copies })
      const isLeft = given !== whole && streamKind(whole) !== undefined
      if (isLeft) this.isOutdated &&= this.validation?.hasStoredEtag(this.reply) !== true
      if (isLeft) discard(this.#refusing('condition', whole))
      return given
    })
  }

  get #isToBeStored (): boolean { return !this.#over && this.#taken?.body !== undefined && !('refused' in this.#decide(this.#taken)) }

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
    if (this.#end.hasTrailers() || after.trailer !== this.#before.trailer) this.forbidden ??= 'trailer'
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

  /** When all hooks have had their say. Returns whether the response is going to be stored; undefined while a stream has yet to end. */
  judge (): boolean | undefined {
    const isStored = this.#judge()
    // A HEAD is told what a GET would be told.
    const wouldBeStored = (): boolean => this.refusedFor === 'head' && (announcedLength(this.reply) ?? 0) <= this.policy.maxBodyBytes && !('refused' in this.#decide(this.#taken as Taken, undefined, true))
    if (this.servesRanges && (isStored !== false || this.answered !== undefined || wouldBeStored())) announce(this.reply)
    return isStored
  }

  #judge (): boolean | undefined {
    if (this.#over) return false
    const taken = this.#taken
    if (taken === undefined) return this.#refusing('hijacked', false)
    this.#verdict = this.#decide(taken)
    if ('refused' in this.#verdict) return this.#refusing(this.#verdict.refused, false)
    if (taken.body === undefined) return undefined
    this.#addEtag(taken as Recorded & Taken, true)
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
    this.#part?.abandon()
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

  /** Once more with what was set past Fastify as the head was written: a cookie of a session, all fields of a stream, which is older by now. */
  #lastVerdict (taken: Taken, verdict: Verdict): Verdict {
    const { raw } = this.reply
    const past = raw.getHeaderNames().length > 0 ? raw.getHeaders() as Fields : undefined
    return past === undefined ? verdict : this.#decide(taken, past)
  }

  #decide (taken: Taken, fields = this.reply.getHeaders() as Fields, asGet = false): Verdict {
    const { request, reply, policy, decision, forbidden } = this
    if (forbidden !== undefined && !asGet) return { refused: forbidden }
    return verdictOn(taken, { request, reply, policy, decision, fields, whole: this.#whole, askedAt: this.#askedAt, at: this.#now() })
  }

  /** Names an ETag where the route asks for that, the handler named none, and nobody else may change the body. */
  #addEtag (taken: Recorded & Taken, isSent: boolean): void {
    if (!this.policy.etag || taken.copies || taken.status !== 200 || this.reply.hasHeader('etag')) return
    const etag = addEtag(taken, etagOf(taken.body))
    if (isSent && this.reply.statusCode === taken.status) this.reply.header('etag', etag)
  }

  #takeStream (payload: unknown): unknown {
    const taken = this.#taken as Taken
    const kind = streamKind(payload)
    // What Fastify is going to refuse, it shall find as it was; and a stream that it reads for nobody, nobody waits for.
    if (kind === undefined || hasLeft(this.reply)) return this.#refusing(kind === undefined ? 'stream-failed' : 'client-gone', payload)
    // What is not going to be stored is not recorded, and nobody waits for its end.
    const early = this.#decide(taken)
    if ('refused' in early) return this.#refusing(early.refused, payload)
    const announced = announcedLength(this.reply)
    if (announced !== undefined && announced > this.policy.maxBodyBytes) return this.#refusing('too-large', payload)
    const recording = this.#recording = new Recording(this.policy.maxBodyBytes, this.#budget, {
      whole: (body) => {
        if (announced !== undefined && announced !== body.byteLength) return this.refuse('length')
        taken.body = body
        if (this.#part?.holds === true) return
        this.#addEtag(taken as Recorded & Taken, false)
        this.commit()
      },
      failed: (why) => this.refuse(why === 'stream-failed' && this.reply.raw.destroyed && !this.reply.raw.writableFinished ? 'client-gone' : why)
    })
    const tee = teed(kind, payload, recording)
    return this.#part === undefined ? tee : this.#part.hold(tee, taken, this.#now())
  }
}
