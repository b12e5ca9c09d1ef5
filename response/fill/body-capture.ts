// The body of a handler's response: taken at once, or recorded while it is passed on; held back where a part that the client asks for is to be cut out.
import type { MaybePromise } from '../../registry/backend.js'
import type { Conditions } from '../http/conditional.js'
import { forbiddenFor } from '../http/policy.js'
import type { RefusalReason } from '../observe/reasons.js'
import { announcedLength, hasLeft, streamKind } from '../payload.js'
import type { Exchange } from './exchange.js'
import type { HandlerResponse } from './handler-response.js'
import type { Judgement } from './judgement.js'
import { Part } from './part.js'
import { Recording, teed, type RecordingBudget } from './tee.js'

/** What a capture needs, and whom it tells of the end of a stream. */
export interface CaptureOptions {
  readonly judgement: Judgement
  readonly budget: RecordingBudget
  readonly maxBytes: number
  readonly now: () => number
  /** A stream has ended that was sent meanwhile: the response has its body. */
  readonly streamed: (response: HandlerResponse) => void
  readonly refuse: (reason: RefusalReason) => void
}

export class BodyCapture {
  readonly #exchange: Exchange
  readonly #options: CaptureOptions
  readonly #part: Part | undefined
  #recording: Recording | undefined

  constructor (exchange: Exchange, options: CaptureOptions) {
    this.#exchange = exchange
    this.#options = options
    if (exchange.request.headers.range !== undefined) this.#part = new Part(exchange.request, exchange.reply, options.budget)
  }

  /** The client's conditions as they came, where it asks for a part. */
  get conditions (): Conditions | undefined {
    return this.#part?.conditions
  }

  /** Whether a stream is held back. */
  get holds (): boolean {
    return this.#part?.holds === true
  }

  /** Takes the body of `response`. Returns the payload to go on with, or why the response is not stored. */
  take (response: HandlerResponse, payload: unknown): { readonly payload: unknown } | { readonly refused: RefusalReason } {
    if (payload !== undefined && payload !== null && typeof payload !== 'string' && !(payload instanceof Uint8Array)) return this.#record(response, payload)
    const { judgement, maxBytes } = this.#options
    const body = payload ?? ''
    if (Buffer.byteLength(body) > maxBytes) return { refused: 'too-large' }
    const forbidden = response.mayChange ? forbiddenFor(judgement.of(response)) : undefined
    if (forbidden !== undefined) return { refused: forbidden }
    response.body = typeof body === 'string' ? body : response.mayChange ? Buffer.from(body) : Buffer.from(body.buffer, body.byteOffset, body.byteLength)
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

  #record (response: HandlerResponse, payload: unknown): { readonly payload: unknown } | { readonly refused: RefusalReason } {
    const { judgement, budget, maxBytes, now, streamed, refuse } = this.#options
    const { reply } = this.#exchange
    const kind = streamKind(payload)
    // What Fastify is going to refuse, it shall find as it was; and a stream that it reads for nobody, nobody waits for.
    if (kind === undefined || hasLeft(reply)) return { refused: kind === undefined ? 'stream-failed' : 'client-gone' }
    // What is not going to be stored is not recorded, and nobody waits for its end.
    const early = judgement.of(response)
    if ('refused' in early) return early
    const announced = announcedLength(reply)
    if (announced !== undefined && announced > maxBytes) return { refused: 'too-large' }
    this.#recording = new Recording(maxBytes, budget, {
      whole: (body) => {
        if (announced !== undefined && announced !== body.byteLength) return refuse('length')
        response.body = body
        if (!this.holds) streamed(response)
      },
      failed: (why) => refuse(why === 'stream-failed' && reply.raw.destroyed && !reply.raw.writableFinished ? 'client-gone' : why)
    })
    const tee = teed(kind, payload, this.#recording)
    return { payload: this.#part === undefined ? tee : this.#part.hold(tee, response, now()) }
  }
}
