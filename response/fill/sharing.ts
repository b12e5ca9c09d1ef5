// What a fill gives the requests that wait for its response.
import { varyNames } from '../http/vary.js'
import { TRANSIENT, type RefusalReason } from '../observe/reasons.js'
import type { HandlerResponse } from './capture.js'
import type { SharedBody } from './shared-body.js'
import type { ResponseFills, ResponseFlight } from './shared-response.js'
import { UNCOLLAPSED_MS } from './uncollapsed.js'
import type { Shareable, Storing } from './storing.js'

export class Sharing {
  readonly #flight: ResponseFlight | undefined
  readonly #fills: ResponseFills
  readonly #storing: Storing
  /** The whole response, while it is not known whether it was stored. */
  #ready: Shareable | undefined

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
    const storing = this.#storing
    const isCurrent = storing.right === undefined ? undefined : async () => await storing.isCurrent(ready.tags)
    this.#flight?.offer(() => ({ ...storing.shared(ready), stream, lengthBytes, isCurrent }))
  }

  /**
   * Gives the whole response to the requests that wait: at once, or if there are other processes, when it is known whether it was
   * invalidated meanwhile. These requests may have come after that. Later requests don't join them, but look the response up.
   */
  share (ready: Shareable): void {
    if (this.#storing.right === undefined) return this.#share(ready)
    this.#ready = ready
    this.#flight?.complete()
  }

  /** Called when the response will not be stored. The requests that wait run the handler themselves. */
  release (reason: RefusalReason, response: HandlerResponse | undefined): void {
    const isForNow = TRANSIENT.has(reason)
    this.#storing.giveBack(isForNow ? 0 : UNCOLLAPSED_MS)
    if (this.#flight === undefined) return
    if (response !== undefined) this.narrow(varyNames(response.vary) ?? [])
    this.#fills.release(this.#flight, isForNow ? 'failed' : 'not-shareable')
  }

  /** Called when the response was stored, or was refused by the backend. */
  land (refused?: RefusalReason): void {
    this.#storing.giveBack()
    if (this.#flight === undefined) return
    // Whether another process had invalidated the response before those who wait have come, only the store could have said.
    const isOutdated = refused === 'invalidated' || refused === 'superseded'
    if (isOutdated && this.#storing.right !== undefined) this.#flight.release('look-again')
    else if (this.#ready !== undefined) this.#share(this.#ready)
    this.#fills.land(this.#flight)
  }

  /** Called when a stored response was sent in place of the handler's, which others may receive too. */
  landUnstored (): Promise<void> | undefined {
    const storing = this.#storing
    if (storing.right !== undefined) return storing.isCurrent(this.#ready?.tags).then((is) => this.land(is ? undefined : 'invalidated'))
    this.land()
    return undefined
  }

  #share (ready: Shareable): void {
    this.#flight?.share(() => this.#storing.shared(ready))
  }
}
