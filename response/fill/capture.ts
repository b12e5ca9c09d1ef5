// Capturing what a handler responds with: its head and, at once or while it is passed on, its body; held back where a part that the client
// asks for is to be cut out.
import type { FastifyReply } from 'fastify'
import type { MaybePromise } from '../../registry/backend.js'
import type { Conditions } from '../http/conditional.js'
import { etagOf } from '../http/etag.js'
import { asTheyAre, storedFields, type HttpDates, type StoredFields } from '../http/stored-fields.js'
import type { Fields, FieldValue } from '../http/field-values.js'
import { forbiddenFor, unfitStatus } from '../http/storability.js'
import type { RefusalReason } from '../observe/reasons.js'
import type { ReplyFacts } from '../fastify/fastify-internals.js'
import type { RoutePolicy } from '../options/route-options.js'
import { announcedLength, hasLeft, streamKind } from '../serve/payload.js'
import type { Exchange } from './exchange.js'
import type { Judgement } from './judgement.js'
import { Part } from './part.js'
import { BodyRecording, teed, type RecordingBudget } from './recording.js'

/** A handler's response; its body is absent while a stream has yet to end. */
export class HandlerResponse {
  readonly status: number
  readonly vary: FieldValue
  /** Names of fields that hooks in front of the handler had set and that it took away. */
  readonly removed: readonly string[]
  /** When its head was made, in epoch milliseconds. */
  readonly madeAt: number
  /** Whether other hooks may yet change the body. */
  readonly mayChange: boolean
  /** Whether only one origin may read it (Access-Control-Allow-Origin). */
  readonly allowsOneOrigin: boolean
  fields: readonly string[]
  body: Buffer | string | undefined
  /** Whether the ETag among the fields was made here. */
  ownEtag: boolean

  constructor (
    reply: FastifyReply, stored: StoredFields, { madeAt, mayChange, ownEtag }: Pick<HandlerResponse, 'madeAt' | 'mayChange' | 'ownEtag'>
  ) {
    this.status = reply.statusCode
    this.vary = reply.getHeader('vary') as FieldValue
    this.fields = stored.fields
    this.removed = stored.removed
    this.allowsOneOrigin = stored.allowsOneOrigin
    this.madeAt = madeAt
    this.mayChange = mayChange
    this.ownEtag = ownEtag
  }

  /**
   * Adds an ETag made of the body, where it is whole, the handler named none, and nobody else may change it. `isSent`: to the reply, too.
   */
  addEtag (reply: FastifyReply, isSent: boolean): void {
    if (this.body === undefined || this.mayChange || this.status !== 200 || reply.hasHeader('etag')) return
    const etag = etagOf(this.body)
    this.fields = [...this.fields, 'etag', etag]
    this.ownEtag = true
    if (isSent && reply.statusCode === this.status) reply.header('etag', etag)
  }
}

/** Who is told of a stream. */
export interface StreamEnd {
  /** It has ended, and was sent meanwhile: the response has its body. */
  streamed (response: HandlerResponse): void
  /** It is not recorded to its end. */
  refuse (reason: RefusalReason): void
}

/** What became of a body: the payload to go on with, or why the response is not stored. */
type Body = { readonly payload: unknown } | { readonly refused: RefusalReason }

/** What was taken up. No response: a field of it could not be sent again as it is. */
export type Captured = Body & { readonly response: HandlerResponse | undefined }

/** What a capture needs of the registration and of its fill. */
export interface CaptureOptions {
  readonly services: { readonly budget: RecordingBudget, readonly dates: HttpDates, readonly now: () => number }
  readonly policy: Pick<RoutePolicy, 'maxBodyBytes' | 'setCookie'>
  readonly facts: ReplyFacts
  readonly judgement: Judgement
  readonly end: StreamEnd
}

export class Capture {
  /** The reply's fields before the handler ran. */
  readonly before: Fields
  /** The client's conditions as they came, where it asks for a part. */
  readonly conditions: Conditions | undefined
  readonly #exchange: Exchange
  readonly #options: CaptureOptions
  readonly #part: Part | undefined
  #recording: BodyRecording | undefined

  constructor (exchange: Exchange, options: CaptureOptions) {
    const { request, reply } = exchange
    this.#exchange = exchange
    this.#options = options
    if (request.headers.range !== undefined) this.#part = new Part(request, reply, options.services.budget)
    this.conditions = this.#part?.conditions
    const before = reply.getHeaders() as Fields
    this.before = before['set-cookie'] === undefined ? before : asTheyAre(before)
  }

  /** Whether a stream is held back. */
  get holds (): boolean {
    return this.#part?.holds === true
  }

  /** Takes up the reply as the handler left it, and its body. `ownEtag`: whether its ETag was made here. */
  take (payload: unknown, mayChange: boolean, ownEtag: boolean): Captured {
    const { facts, judgement, policy: { setCookie }, services: { dates, now } } = this.#options
    const { reply } = this.#exchange
    if (facts.hasNewTrailers() || reply.getHeader('trailer') !== this.before.trailer) judgement.forbid('trailer')
    const madeAt = now()
    const stored = storedFields(this.before, reply.getHeaders() as Fields, { setCookie, dates, madeAt })
    if (stored === undefined) return { response: undefined, refused: 'header' }
    const response = new HandlerResponse(reply, stored, { madeAt, mayChange, ownEtag })
    return { response, ...this.#body(response, payload) }
  }

  #body (response: HandlerResponse, payload: unknown): Body {
    const unfit = unfitStatus(response.status)
    if (unfit !== undefined) return { refused: unfit }
    if (payload !== undefined && payload !== null && typeof payload !== 'string' && !(payload instanceof Uint8Array)) {
      return this.#record(response, payload)
    }
    const { judgement, policy } = this.#options
    const body = payload ?? ''
    if (Buffer.byteLength(body) > policy.maxBodyBytes) return { refused: 'too-large' }
    const forbidden = response.mayChange ? forbiddenFor(judgement.of(response)) : undefined
    if (forbidden !== undefined) return { refused: forbidden }
    response.body = typeof body === 'string'
      ? body
      : response.mayChange ? Buffer.from(body) : Buffer.from(body.buffer, body.byteOffset, body.byteLength)
    return { payload }
  }

  /** The payload to go on with: of a stream that was held back, its whole body, or what is passed on once it is not recorded any more. */
  whenWhole (payload: unknown, response: HandlerResponse | undefined, isRecorded: () => boolean): MaybePromise<unknown> {
    return this.#part === undefined ? payload : this.#part.whenWhole(payload, () => response?.body, isRecorded)
  }

  /** The response is over: a stream that has not ended by now never will, or another hook sent something else in its place. */
  abandon (): void {
    this.#recording?.fail('stream-failed')
    this.#part?.abandon()
  }

  #record (response: HandlerResponse, payload: unknown): Body {
    const { end, judgement, policy: { maxBodyBytes }, services: { budget, now } } = this.#options
    const { reply } = this.#exchange
    const kind = streamKind(payload)
    // What Fastify is going to refuse, it shall find as it was; and a stream that it reads for nobody, nobody waits for.
    if (kind === undefined || hasLeft(reply)) return { refused: kind === undefined ? 'stream-failed' : 'client-gone' }
    // What is not going to be stored is not recorded, and nobody waits for its end.
    const early = judgement.of(response)
    if ('refused' in early) return early
    const announced = announcedLength(reply)
    if (announced !== undefined && announced > maxBodyBytes) return { refused: 'too-large' }
    this.#recording = new BodyRecording(maxBodyBytes, budget, {
      whole: (body) => {
        if (announced !== undefined && announced !== body.byteLength) return end.refuse('length')
        response.body = body
        if (!this.holds) end.streamed(response)
      },
      failed: (why) => end.refuse(why === 'stream-failed' && reply.raw.destroyed && !reply.raw.writableFinished ? 'client-gone' : why)
    })
    const tee = teed(kind, payload, this.#recording)
    return { payload: this.#part === undefined ? tee : this.#part.hold(tee, response, now()) }
  }
}
