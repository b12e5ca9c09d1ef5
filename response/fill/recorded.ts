// A handler's answer as it was recorded, and who is told what came of it.
import type { Entry, ResponseHead } from '../store/entry.js'
import type { Fields } from '../http/field-values.js'
import type { Storable } from '../http/policy.js'
import type { RefusalReason } from '../status.js'

/** A recorded answer that may be stored. */
export interface Recorded {
  readonly status: number
  readonly fields: readonly string[]
  readonly removed: readonly string[]
  readonly body: Buffer | string
  /** When the handler made its head, in epoch milliseconds. */
  readonly madeAt: number
  readonly verdict: Storable
  /** Whether the ETag among the fields was made here. */
  readonly ownEtag: boolean
}

/** Whom a fill tells, and asks. Exactly one of the first two is called, once. */
export interface FillEnd {
  stored (recorded: Recorded): void
  refused (reason: RefusalReason, fault?: unknown): void
  /** Before that: a stored answer is sent in place of an error. */
  stoodIn (entry: Entry<ResponseHead>): void
  /** Whether trailers were announced, or taken back, since the handler started. */
  hasTrailers (): boolean
}

/** What the handler made, before the verdict; the body is absent while a stream has yet to end. */
export interface Taken extends Omit<Recorded, 'verdict' | 'body' | 'fields' | 'ownEtag' | 'madeAt'> {
  fields: readonly string[]
  readonly vary: Fields['vary']
  /** Whether other hooks may change the body. */
  readonly copies: boolean
  ownEtag: boolean
  madeAt: number
  body: Buffer | string | undefined
  verdict: Recorded['verdict'] | undefined
}

/** Gives it an ETag that was made here, and returns that. */
export function addEtag (taken: Taken, etag: string): string {
  taken.fields = [...taken.fields, 'etag', etag]
  taken.ownEtag = true
  return etag
}
