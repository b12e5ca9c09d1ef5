// What a fill obtains from the store before its handler runs, so that nothing is stored that was invalidated meanwhile.
import type { UNAVAILABLE } from '../../registry/unavailable.js'
import type { Right } from '../store/response-to-store.js'

/** It is a fill's turn. */
export interface Turn {
  /** The right to store the response; undefined if the backend knows no claims. */
  readonly right: Right | undefined
  /** The number of the last invalidation of a tag; undefined if the backend has no such number. */
  readonly lastInvalidation: number | typeof UNAVAILABLE | undefined
}

/** For each key, the `expiresAt` of an entry that was seen there, and can't be used. */
export type Seen = ReadonlyMap<string, number>

/**
 * The outcome of waiting: the turn has come; or another process has stored something, so that the fill looks again; or another process
 * fills the key all the time; or the backend does not respond.
 */
export type TurnOutcome = Turn | { readonly seen: Seen } | 'timeout' | typeof UNAVAILABLE

/** The outcome of claiming a key. `busyMs`: another process has the lease, and the fill doesn't wait for it. */
export type Attempt = { readonly right: Right } | { readonly seen: Seen } | { readonly busyMs: number } | 'timeout' | typeof UNAVAILABLE

/** Gives a right back that nobody uses. */
export function giveBackRight (right: Right | undefined): void {
  right?.variant?.giveBack()
  right?.own.giveBack()
}
