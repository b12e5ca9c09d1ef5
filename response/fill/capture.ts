// Captures a handler's response. A stream is recorded while it is sent, or held back if the client asks for a part of it.
import type { FastifyReply } from 'fastify'
import type { MaybePromise } from '../../registry/backend.js'
import { LATE, within } from '../../registry/deadline.js'
import type { Conditions } from '../http/conditional.js'
import { etagOf } from '../http/etag.js'
import { asTheyAre, storedFields, type HttpDates, type StoredFields } from '../http/stored-fields.js'
import { fieldIn, type Fields, type FieldValue } from '../http/field-values.js'
import { forbiddenFor, unfitStatus } from '../http/storability.js'
import type { RefusalReason } from '../observe/reasons.js'
import type { ReplyFacts } from '../fastify/fastify-internals.js'
import type { RoutePolicy } from '../options/route-options.js'
import { announcedLength, discard, streamKind } from '../serve/payload.js'
import { mayBeCut } from '../serve/representation.js'
import type { Exchange } from './exchange.js'
import type { Judgement } from './judgement.js'
import type { RecordingBudget } from './recording-budget.js'
import type { RequestConditions } from './request-conditions.js'
import { SharedBody, type OpenedBody, type RecordingFailure } from './shared-body.js'

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
  /** The length that the handler announced for a stream; undefined if it announced none. */
  lengthBytes: number | undefined
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

/** Receives what happens to a stream while it is recorded. */
export interface StreamEnd {
  /** Called when more of the stream has arrived. */
  progressed (): void
  /** Called when the stream was recorded to its end. The response then has its body. `isHeld` says whether the stream is held back. */
  streamed (response: HandlerResponse, isHeld: boolean): void
  /** Called when it is known, before a body is recorded, that it exceeds `maxBodyBytes`. */
  tooLarge (): void
  /** Called when the stream was not recorded to its end, with the reason why the response is not stored. */
  failed (why: RecordingFailure | 'length'): void
  /** Called when a client was disconnected, because it took nothing of the stream while others waited for the rest. */
  stalled (): void
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
  /** The client's conditions and range; undefined if there are none. */
  readonly asked: RequestConditions | undefined
  /** The longest time for which a stream is held back, in milliseconds. */
  readonly holdMs: number
  readonly stream: StreamEnd
}

export class Capture {
  /** The reply's fields before the handler ran. */
  readonly before: Fields
  readonly #exchange: Exchange
  readonly #options: CaptureOptions
  #stream: SharedBody | undefined
  /** The stream for the client whose request runs the handler. */
  #own: OpenedBody | undefined
  #holds = false

  constructor (exchange: Exchange, options: CaptureOptions) {
    const { reply } = exchange
    this.#exchange = exchange
    this.#options = options
    const before = reply.getHeaders() as Fields
    this.before = before['set-cookie'] === undefined ? before : asTheyAre(before)
  }

  /** The client's conditions and range as they arrived; undefined if the client asks for no range. */
  get ranged (): Conditions | undefined {
    const arrived = this.#options.asked?.arrived
    return arrived?.range === undefined ? undefined : arrived
  }

  /** Whether a stream is held back until it is recorded. */
  get holds (): boolean {
    return this.#holds
  }

  /** The handler's stream, which other requests may read too; undefined if the payload is not a stream, or is not recorded. */
  get stream (): SharedBody | undefined {
    return this.#stream
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
    const body = this.#body(response, payload)
    return 'refused' in body ? { response, refused: body.refused } : { response, payload: body.payload }
  }

  #body (response: HandlerResponse, payload: unknown): Body {
    const unfit = unfitStatus(response.status)
    if (unfit !== undefined) return { refused: unfit }
    if (payload !== undefined && payload !== null && typeof payload !== 'string' && !(payload instanceof Uint8Array)) {
      return this.#record(response, payload)
    }
    const { judgement, policy } = this.#options
    const body = payload ?? ''
    if (Buffer.byteLength(body) > policy.maxBodyBytes) return this.#tooLarge()
    const forbidden = response.mayChange ? forbiddenFor(judgement.of(response)) : undefined
    if (forbidden !== undefined) return { refused: forbidden }
    response.body = typeof body === 'string'
      ? body
      : response.mayChange ? Buffer.from(body) : Buffer.from(body.buffer, body.byteOffset, body.byteLength)
    return { payload }
  }

  /** Holds a stream back if the client gets only a part of it. */
  hold (payload: unknown, { status, fields, mayChange: wholeOnly }: HandlerResponse): void {
    if (this.ranged === undefined || streamKind(payload) === undefined) return
    const { reply, request: { method } } = this.#exchange
    const acceptRanges = reply.getHeader('accept-ranges') as string | undefined
    this.#holds = mayBeCut({ status, fields }, this.ranged, { method, at: this.#options.services.now(), wholeOnly, acceptRanges })
  }

  /**
   * Returns the payload to pass on. If a stream is held back, waits for its end and returns its whole body. If it can't be recorded, or not
   * soon, returns the stream.
   */
  whenWhole (payload: unknown, response: HandlerResponse | undefined): MaybePromise<unknown> {
    if (!this.#holds) return payload
    return within(this.#options.holdMs, (this.#stream as SharedBody).whenRecorded()).then((body) => {
      this.#holds = false
      // If the stream is longer or shorter than announced, the response has no body.
      if (body === LATE || response?.body === undefined) return payload
      discard(payload)
      // RFC 9112 section 6.2: the length is known now, so Content-Length replaces Transfer-Encoding.
      this.#exchange.reply.removeHeader('transfer-encoding')
      return body
    })
  }

  /** Called when the client has left, or has received all that it will receive. */
  leave (): void {
    this.#own?.leave()
  }

  /** Called when the response will not be stored. */
  release (): void {
    this.#stream?.release()
  }

  #tooLarge (): Body {
    this.#options.stream.tooLarge()
    return { refused: 'too-large' }
  }

  #record (response: HandlerResponse, payload: unknown): Body {
    const { stream: end, judgement, policy: { maxBodyBytes }, services: { budget } } = this.#options
    const { reply } = this.#exchange
    const kind = streamKind(payload)
    // If the payload is not a readable stream, Fastify itself rejects it.
    if (kind === undefined) return { refused: 'stream-failed' }
    // If the response is already refused, its stream is neither recorded nor held back.
    const early = judgement.of(response)
    if ('refused' in early) return early
    const announced = announcedLength(reply)
    if (announced !== undefined && announced > maxBodyBytes) return this.#tooLarge()
    response.lengthBytes = announced
    this.#stream = new SharedBody(kind, payload, {
      maxBytes: maxBodyBytes,
      budget,
      end: {
        progressed: () => end.progressed(),
        whole: (body) => {
          if (announced !== undefined && announced !== body.byteLength) return end.failed('length')
          response.body = body
          end.streamed(response, this.#holds)
        },
        failed: (why) => end.failed(why),
        stalled: () => end.stalled()
      }
    })
    this.#own = this.#stream.openAs(kind)
    this.hold(this.#own.stream, response)
    return { payload: this.#own.stream }
  }
}
