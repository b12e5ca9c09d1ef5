// Captures a handler's response. A stream is recorded while it is sent, or held back if the client asks for a part of it.
import type { FastifyReply } from 'fastify'
import type { Readable } from 'node:stream'
import type { ReadableStream } from 'node:stream/web'
import type { MaybePromise } from '../../registry/backend.js'
import type { Conditions } from '../http/conditional.js'
import { etagOf } from '../http/etag.js'
import { asTheyAre, storedFields, type HttpDates, type StoredFields } from '../http/stored-fields.js'
import { fieldIn, type Fields, type FieldValue } from '../http/field-values.js'
import { forbiddenFor, unfitStatus } from '../http/storability.js'
import type { RefusalReason } from '../observe/reasons.js'
import type { ReplyFacts } from '../fastify/fastify-internals.js'
import type { RoutePolicy } from '../options/route-options.js'
import { announcedLength, hasLeft, streamKind } from '../serve/payload.js'
import type { Exchange } from './exchange.js'
import type { Judgement } from './judgement.js'
import { Part } from './part.js'
import { BodyRecording, teed, type RecordingBudget } from './recording.js'

/** A handler's response. `body` is undefined until the response's stream has ended. */
export class HandlerResponse {
  readonly status: number
  readonly vary: FieldValue
  /** Names of fields that hooks set before the handler ran, and that the handler removed. */
  readonly removed: readonly string[]
  /** When the handler created the head, in epoch milliseconds. */
  readonly madeAt: number
  /** Whether other hooks may still change the body. Set to false once they have run and left it alone. */
  mayChange: boolean
  /** Whether Access-Control-Allow-Origin names a single origin. */
  readonly allowsOneOrigin: boolean
  /** Whether the handler set a cookie, even if it will be written into Set-Cookie only later. */
  readonly setsCookie: boolean
  fields: readonly string[]
  body: Buffer | string | undefined
  /** Whether the cache added the ETag in `fields`. */
  ownEtag: boolean

  constructor (
    reply: FastifyReply, stored: StoredFields,
    { madeAt, mayChange, ownEtag, setsCookie }: Pick<HandlerResponse, 'madeAt' | 'mayChange' | 'ownEtag' | 'setsCookie'>
  ) {
    this.status = reply.statusCode
    this.vary = reply.getHeader('vary') as FieldValue
    this.fields = stored.fields
    this.removed = stored.removed
    this.allowsOneOrigin = stored.allowsOneOrigin
    this.madeAt = madeAt
    this.mayChange = mayChange
    this.ownEtag = ownEtag
    this.setsCookie = setsCookie
  }

  /**
   * Adds an ETag to a 200 that has none, if the body is complete. The ETag is computed from the body. `isSent` says whether the ETag is
   * also set on the reply, unless hooks change the body.
   */
  addEtag (reply: FastifyReply, isSent: boolean): void {
    if (reply.hasHeader('etag')) return
    if (!this.ownEtag) {
      if (this.body === undefined || this.status !== 200) return
      this.fields = [...this.fields, 'etag', etagOf(this.body)]
      this.ownEtag = true
    }
    if (isSent && !this.mayChange && reply.statusCode === this.status) reply.header('etag', fieldIn(this.fields, 'etag'))
  }
}

/** Receives the outcome of a recording. */
export interface StreamEnd {
  /** Called when the stream was recorded to its end while it was sent. The response then has its body. */
  streamed (response: HandlerResponse): void
  /** Called when the stream was not recorded to its end, with the reason why the response is not stored. */
  refuse (reason: RefusalReason): void
}

/** The payload to pass on, or the reason why the response is not stored. */
type Body = { readonly payload: unknown } | { readonly refused: RefusalReason }

/** The result of a capture. `response` is undefined if one of the response's fields can't be sent again unchanged. */
export type Captured = Body & { readonly response: HandlerResponse | undefined }

/** Options and dependencies of a capture. */
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
  /** The client's conditions and range as they arrived; undefined if the client asks for no range. */
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

  /** Whether a stream is held back until it is recorded. */
  get holds (): boolean {
    return this.#part?.holds === true
  }

  /**
   * Captures the reply as the handler left it. `mayChange` says whether other hooks may change the body. `ownEtag` says whether the cache
   * set the ETag.
   */
  take (payload: unknown, mayChange: boolean, ownEtag: boolean): Captured {
    const { facts, judgement, policy: { setCookie }, services: { dates, now } } = this.#options
    const { reply } = this.#exchange
    if (facts.hasNewTrailers() || reply.getHeader('trailer') !== this.before.trailer) judgement.forbid('trailer')
    const madeAt = now()
    const stored = storedFields(this.before, reply.getHeaders() as Fields, { setCookie, dates, madeAt })
    if (stored === undefined) return { response: undefined, refused: 'header' }
    const setsCookie = stored.setsCookie || facts.hasNewCookies()
    const response = new HandlerResponse(reply, stored, { madeAt, mayChange, ownEtag, setsCookie })
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

  /** Holds a stream back if the client gets only a part of it. Returns the stream to go on with. Returns any other payload unchanged. */
  hold (payload: unknown, response: HandlerResponse): unknown {
    if (this.#part === undefined || streamKind(payload) === undefined) return payload
    return this.#part.hold(payload as Readable | ReadableStream, response, this.#options.services.now())
  }

  /**
   * Returns the payload to pass on. If a stream is held back, waits for its end and returns its whole body. If recording stops before the
   * end, returns a stream instead.
   */
  whenWhole (payload: unknown, response: HandlerResponse | undefined, isRecorded: () => boolean): MaybePromise<unknown> {
    return this.#part === undefined ? payload : this.#part.whenWhole(payload, () => response?.body, isRecorded)
  }

  /** Called when the response has ended but its stream has not. Stops the recording, and destroys the stream if it is held back. */
  abandon (): void {
    this.#recording?.fail('stream-failed')
    this.#part?.abandon()
  }

  #record (response: HandlerResponse, payload: unknown): Body {
    const { end, judgement, policy: { maxBodyBytes }, services: { budget } } = this.#options
    const { reply } = this.#exchange
    const kind = streamKind(payload)
    // If the payload is not a readable stream, Fastify itself rejects it. If the client has left, nothing reads the stream to its end.
    if (kind === undefined || hasLeft(reply)) return { refused: kind === undefined ? 'stream-failed' : 'client-gone' }
    // If the response is already refused, its stream is neither recorded nor held back.
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
    return { payload: this.hold(teed(kind, payload, this.#recording), response) }
  }
}
