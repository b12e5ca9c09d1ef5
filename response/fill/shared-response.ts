// What concurrent requests for a response share: the response, or its stream while it has not ended.
import type { Entry, ResponseHead } from '../store/entry.js'
import type { Flight } from './flight.js'
import type { SharedBody } from './shared-body.js'
import type { FillsUnderWay, FillUnderWay, Place } from './single-flight.js'

/** A response that waiting requests share. */
export interface SharedResponse {
  readonly entry: Entry<ResponseHead>
  /** The names under which the fence knows the response. */
  readonly names: readonly string[]
}

/** A stream that waiting requests share, although it has not ended. The entry has no body. */
export interface SharedStream extends SharedResponse {
  readonly stream: SharedBody
  /** The length that the handler announced; undefined if it announced none. */
  readonly lengthBytes: number | undefined
  /** Returns whether nothing has invalidated the response since its handler began; undefined if only this process could have done that. */
  readonly isCurrent: (() => Promise<boolean>) | undefined
}

/** A flight that produces a response. */
export type ResponseFlight = Flight<SharedResponse | SharedStream>

/** The fill of a response, as other requests see it. */
export type ResponseFill = FillUnderWay<SharedResponse | SharedStream>

/** The place of a response's fill among the others of its key. */
export type ResponsePlace = Place<SharedResponse | SharedStream>

/** The fills of responses that are under way. */
export type ResponseFills = FillsUnderWay<SharedResponse | SharedStream>
