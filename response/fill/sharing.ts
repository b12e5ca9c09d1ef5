// What a fill gives the requests that wait for its response.
import { varyNames } from '../http/vary.js'
import { TRANSIENT, type RefusalReason } from '../observe/reasons.js'
import type { HandlerResponse } from './capture.js'
import type { SharedBody } from './shared-body.js'
import type { ResponseFills, ResponseFlight } from './shared-response.js'
import type { Shareable, Storing } from './storing.js'

export class Sharing {
  readonly #flight: ResponseFlight | undefined
  readonly #fills: ResponseFills
  readonly #storing: Storing

  /** `flight` is undefined if other requests can't wait for the response. */
  constructor (flight: ResponseFlight | undefined, fills: ResponseFills, storing: Storing) {
    this.#flight = flight
    this.#fills = fills
    this.#storing = storing
  }

  /** Whether other requests wait, or may come, that could read a stream before it has ended. */
  get mayOffer (): boolean {
    return this.#flight?.mayBeOffered === true
  }

  /** Called when it is known on which request fields the response varies. */
  narrow (names: readonly string[]): void {
    if (this.#flight !== undefined) this.#fills.narrow(this.#flight, names, this.#storing.selects)
  }

  /** Called when the head of a stream is known. From now on, nobody waits long for its bytes, because they may never come. */
  limit (): void {
    this.#flight?.limit()
  }

  /** Gives the stream to requests that wait, and to those that come before it has ended. */
  offer (ready: Shareable, stream: SharedBody, lengthBytes: number | undefined): void {
    this.#flight?.offer(() => ({ ...this.#storing.shared(ready), stream, lengthBytes }))
  }

  /** Gives the whole response to the requests that wait. */
  share (ready: Shareable): void {
    this.#flight?.share(() => this.#storing.shared(ready))
  }

  /** Called when the response will not be stored. The requests that wait run the handler themselves. */
  release (reason: RefusalReason, response: HandlerResponse | undefined): void {
    if (this.#flight === undefined) return
    if (response !== undefined) this.narrow(varyNames(response.vary) ?? [])
    this.#fills.release(this.#flight, TRANSIENT.has(reason) ? 'failed' : 'not-shareable')
  }

  /** Called when the response was stored, or not. */
  land (): void {
    if (this.#flight !== undefined) this.#fills.land(this.#flight)
  }
}
