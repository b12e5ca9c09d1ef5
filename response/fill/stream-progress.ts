// The stream of a response on its way: it is offered to waiting requests once its head was sent, and recorded even if its client leaves.
import type { Observer } from '../observe/observer.js'
import type { RefusalReason } from '../observe/reasons.js'
import type { KnownRoute } from '../known-route.js'
import { hasLeft } from '../serve/payload.js'
import type { Capture, HandlerResponse, StreamEnd } from './capture.js'
import type { Exchange } from './exchange.js'
import type { RecordingFailure } from './shared-body.js'
import type { ResponseFills } from './shared-response.js'
import type { Sharing } from './sharing.js'
import type { Ready } from './storing.js'

/** The fill, as its stream sees it. */
export interface StreamedFill {
  readonly key: string
  readonly response: HandlerResponse | undefined
  /** Whether all hooks have run, and the response may be stored. */
  readonly isStorable: boolean
  refuse (reason: RefusalReason): void
  /** Returns the response as it may be shared now. If it may not be stored any more, refuses it. */
  ready (body: string): Ready | undefined
  /** Stores the response that was sent, if it is complete. */
  commit (): void
}

export interface StreamProgressOptions {
  readonly exchange: Exchange
  readonly route: KnownRoute
  readonly sharing: Sharing
  readonly services: { readonly fills: ResponseFills, readonly observer: Observer }
}

export class StreamProgress implements StreamEnd {
  readonly #fill: StreamedFill
  readonly #options: StreamProgressOptions
  #capture: Capture | undefined
  /** Whether this is going to proceed in the next turn of the event loop. */
  #isProceeding = false

  constructor (fill: StreamedFill, options: StreamProgressOptions) {
    this.#fill = fill
    this.#options = options
  }

  /** Called when more of the stream has arrived. By the next turn of the event loop, it was passed on. */
  progressed (): void {
    if (this.#isProceeding || !this.#options.sharing.mayOffer) return
    this.#isProceeding = true
    setImmediate(() => {
      this.#isProceeding = false
      this.#proceed()
    })
  }

  /** Called when the stream was recorded to its end. If it is held back, the response is concluded later. */
  streamed (response: HandlerResponse, isHeld: boolean): void {
    if (isHeld) return
    if (this.#options.route.policy.etag) response.addEtag(this.#options.exchange.reply, false)
    this.#proceed()
  }

  tooLarge (): void {
    this.#options.services.fills.uncollapsed.noteTooLarge(this.#fill.key)
  }

  failed (why: RecordingFailure | 'length'): void {
    if (why === 'too-large') this.tooLarge()
    this.#fill.refuse(why === 'no-room' ? 'too-large' : why)
  }

  stalled (): void {
    const { route, services: { observer } } = this.#options
    observer.tell(route, { name: 'stalled' })
  }

  /** Called when all hooks have run and the stream was handed to Fastify. */
  sent (capture: Capture): void {
    const { reply } = this.#options.exchange
    this.#capture = capture
    if (hasLeft(reply)) capture.leave()
    reply.raw.once('finish', () => this.#proceed())
    this.#options.sharing.limit()
    this.#proceed()
  }

  /** Called when the response was sent or its connection closed. */
  closed (capture: Capture): void {
    capture.leave()
    this.#proceed()
  }

  /**
   * Offers the stream to other requests, or stores it if it is complete. This waits until the head was sent, because other code may set
   * fields until then, such as a session's cookie.
   */
  #proceed (): void {
    const { exchange: { reply }, sharing } = this.#options
    const { isStorable, response } = this.#fill
    if (!isStorable || !(reply.raw.headersSent || hasLeft(reply))) return
    if (response?.body !== undefined) return this.#fill.commit()
    const stream = this.#capture?.stream
    if (stream?.isOpen !== true || !sharing.mayOffer) return
    const ready = this.#fill.ready('')
    if (ready !== undefined) sharing.offer(ready, stream, response?.lengthBytes)
  }
}
