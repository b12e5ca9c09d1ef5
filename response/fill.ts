// A fill: what a handler makes of one miss, from the moment it starts until its answer is stored, shared or refused.
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { Readable } from 'node:stream'
import type { ReadableStream } from 'node:stream/web'
import { checkOptions, expects, boolean } from '../registry/check.js'
import type { Duration } from '../registry/check.js'
import { fieldsRemoved, fieldsToStore, isForOneOrigin } from './fields.js'
import { areTags, CONDITIONAL_STATUSES, MAX_TAGS, ttlOnTheWay, type RoutePolicy } from './options.js'
import { decide, unfitStatus, type Decision, type Fields, type Verdict } from './policy.js'
import type { RefusalReason } from './status.js'
import { Recording, teeNodeStream, teeWebStream, type RecordingBudget } from './tee.js'

/** What `reply.cache()` takes: what to do with this one answer. */
export interface ReplyCacheOptions {
  /** How long this answer is fresh, whatever it says itself; 0: it is not stored. */
  ttl?: Duration
  /** In place of the route's tags. */
  tags?: readonly string[]
  /** `false`: this answer is not stored. */
  store?: boolean
}

/** A recorded answer that may be stored. */
export interface Recorded {
  readonly status: number
  readonly fields: readonly string[]
  readonly removed: readonly string[]
  readonly body: Buffer | string
  readonly verdict: Exclude<Verdict, { refused: RefusalReason }>
}

/** Whom a fill tells. Exactly one of the two is called, once. */
export interface FillEnd {
  stored (recorded: Recorded): void
  refused (reason: RefusalReason, fault?: unknown): void
}

/** What the handler made, before the verdict; the body is absent while a stream has yet to end. */
interface Taken extends Omit<Recorded, 'verdict' | 'body'> {
  readonly vary: Fields['vary']
  body: Buffer | string | undefined
  verdict: Recorded['verdict'] | undefined
}

export class Fill {
  readonly policy: RoutePolicy
  readonly request: FastifyRequest
  readonly reply: FastifyReply
  decision: Decision = {}
  /** Set when the answer must not be stored whatever it is. */
  forbidden: RefusalReason | undefined
  /** Why the answer is not stored, once that is known. */
  refusedFor: RefusalReason | undefined
  readonly #before: Fields
  readonly #end: FillEnd
  readonly #budget: RecordingBudget
  readonly #now: () => number
  #taken: Taken | undefined
  #recording: Recording | undefined
  #verdict: Verdict | undefined
  #over = false

  constructor (policy: RoutePolicy, request: FastifyRequest, reply: FastifyReply, { end, budget, now }: { end: FillEnd, budget: RecordingBudget, now: () => number }) {
    this.policy = policy
    this.request = request
    this.reply = reply
    this.#end = end
    this.#budget = budget
    this.#now = now
    this.#before = reply.getHeaders() as Fields
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
      const { ttl, ...others } = checkOptions<ReplyCacheOptions>('reply.cache', options, REPLY_CHECKS)
      this.decision = { ...this.decision, ...others, ...(ttl !== undefined && { ttlMs: ttlOnTheWay(ttl, 'reply.cache.ttl') }) }
    } catch (err) {
      const name = /reply\.cache\.(ttl|tags)/.exec((err as Error).message)?.[1] as 'ttl' | 'tags' | undefined
      this.refuse(name ?? 'reply-cache', err)
    }
  }

  /** The handler's answer before other hooks see it; gives back the payload to go on with. `copies`: they may change it. */
  take (payload: unknown, copies = false): unknown {
    if (this.#over) return payload
    const { reply } = this
    if (isFetchResponse(payload)) payload = this.#unpack(payload)
    const after = reply.getHeaders() as Fields
    const fields = fieldsToStore(this.#before, after)
    if (fields === undefined) return this.#refusing('header', payload)
    this.#taken = { status: reply.statusCode, fields, removed: fieldsRemoved(this.#before, after), vary: after.vary, body: undefined, verdict: undefined }
    const unfit = unfitStatus(reply.statusCode)
    if (unfit !== undefined) return this.#refusing(unfit, payload)
    if (payload === undefined || payload === null || typeof payload === 'string' || payload instanceof Uint8Array) {
      const body = payload ?? ''
      if (Buffer.byteLength(body as string) > this.policy.maxBodyBytes) return this.#refusing('too-large', payload)
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
    return taken.body === undefined ? undefined : true
  }

  /** After the answer was handed to the socket: stores it, if it is whole. */
  commit (): void {
    const taken = this.#taken
    if (this.#over || taken?.body === undefined || this.#verdict === undefined || 'refused' in this.#verdict) return
    this.#over = true
    taken.verdict = this.#verdict
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

  /** The verdict on the answer with the fields of all hooks; what the handler set decides what is stored. */
  #decide (taken: Taken): Verdict {
    const { reply, request } = this
    if (this.forbidden !== undefined) return { refused: this.forbidden }
    // A hook may answer a condition or cut out a part of what the handler made: the whole remains true.
    const cut = CONDITIONAL_STATUSES.includes(reply.statusCode)
    if (reply.statusCode !== taken.status && !cut) return { refused: 'status' }
    const verdict = decide({
      status: taken.status,
      fields: reply.getHeaders() as Fields,
      vary: taken.vary,
      authorized: request.headers.authorization !== undefined && this.policy.credentials === 'ignore',
      at: this.#now(),
      decision: this.decision
    }, this.policy)
    return 'varyNames' in verdict && isForOneOrigin(taken.fields, verdict.varyNames) ? { refused: 'cors' } : verdict
  }

  /** Applies a fetch Response as Fastify does; what remains is its body. */
  #unpack (response: Response): unknown {
    if (response.bodyUsed) return response
    this.reply.code(response.status)
    for (const [name, value] of response.headers) this.reply.header(name, value)
    return response.body
  }

  #takeStream (payload: unknown): unknown {
    const taken = this.#taken as Taken
    const isWeb = typeof (payload as ReadableStream).getReader === 'function'
    // What Fastify is going to refuse, it shall find as it was.
    if (isWeb ? (payload as ReadableStream).locked : typeof (payload as Readable).pipe !== 'function') return this.#refusing('stream-failed', payload)
    // What is not going to be stored is not recorded, and nobody waits for its end.
    const early = this.#decide(taken)
    if ('refused' in early) return this.#refusing(early.refused, payload)
    const announced = announcedLength(this.reply)
    if (announced !== undefined && announced > this.policy.maxBodyBytes) return this.#refusing('too-large', payload)
    const recording = this.#recording = new Recording(this.policy.maxBodyBytes, this.#budget, {
      whole: (body) => {
        if (announced !== undefined && announced !== body.byteLength) return this.refuse('length')
        taken.body = body
        this.commit()
      },
      failed: (why) => this.refuse(why === 'stream-failed' && this.reply.raw.destroyed && !this.reply.raw.writableFinished ? 'client-gone' : why)
    })
    return isWeb ? teeWebStream(payload as ReadableStream, recording) : teeNodeStream(payload as Readable, recording)
  }
}

const REPLY_CHECKS = {
  ttl: (value: unknown, who: string) => {
    ttlOnTheWay(value, who)
    return value as Duration
  },
  tags: expects<readonly string[]>(`an array of at most ${MAX_TAGS} strings`, areTags),
  store: boolean
}

function isFetchResponse (payload: unknown): payload is Response {
  return typeof payload === 'object' && Object.prototype.toString.call(payload) === '[object Response]'
}

function announcedLength (reply: FastifyReply): number | undefined {
  const length = reply.getHeader('content-length')
  return length === undefined ? undefined : Number(length)
}
