// A response on its way into the store, and what was found under its key before.
import type { UNAVAILABLE, Read } from '../../registry/unavailable.js'
import type { Spelling } from '../http/selecting-fields.js'
import type { RequestFields } from '../request/request-fields.js'
import type { Entry, EntryCodec, Head, ResponseHead, VariantsHead } from './entry.js'
import type { HeldClaim } from './held-claim.js'

/** A variant that a request selects: the key under which it is stored, and when that entry expires; undefined if there is none. */
export interface SelectedVariant { readonly key: string, readonly expiresAt: number | undefined }

/** What lies under a key, whether it can be used or not. */
export interface Under {
  /** When the entry under the key expires; absent if there is none. */
  readonly expiresAt?: number | undefined
  /** The list of variants under the key, if there is one. */
  readonly variants?: Entry<VariantsHead> | undefined
  /** The variant that the request selects, if there is a list of variants. */
  readonly variant?: SelectedVariant | undefined
}

/** A response to be stored. */
export interface ResponseToStore {
  readonly key: string
  readonly head: ResponseHead
  readonly body: Buffer | string
  readonly varyNames: readonly string[]
  /** The request's fields before the handler ran. */
  readonly asked: RequestFields
  /** How the values of these fields are compared. */
  readonly spelling: Spelling
  /** What was found before the fill began. */
  readonly found: Under
  /** The right to store it; undefined if the backend knows no claims. */
  readonly right: Right | undefined
  /** Returns whether the response may still be stored. Called if storing has to read from the backend first. */
  readonly mayStore: () => boolean
}

/** The right to store a response: the claim of its key, and that of its variant, if it is known. */
export interface Right { readonly own: HeldClaim, readonly variant: HeldClaim | undefined }

/** Whether a response was stored. `false`: it was invalidated, or is not accepted. UNAVAILABLE: the backend did not say. */
export type Stored = boolean | typeof UNAVAILABLE

/** Reads and writes entries. */
export interface EntryIO {
  readonly codec: EntryCodec
  /** Decodes the entry that a read found. Returns undefined if there is none, or if it is damaged or from the future. */
  believed (read: Read, key: string): Entry | undefined | typeof UNAVAILABLE
  /** Stores an entry in the background. Returns false if the backend does not accept it. */
  put (key: string, head: Head, body: Buffer | string, expiresAt: number): boolean
}
