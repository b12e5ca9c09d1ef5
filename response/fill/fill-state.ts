// The states of a fill, and which may follow which.
import type { Storable } from '../http/storability.js'
import type { RefusalReason } from '../observe/reasons.js'

export type FillState =
  /** The handler is under way. */
  | { readonly name: 'running' }
  /** It threw: the response to that is to come. */
  | { readonly name: 'failed' }
  /** Its response was captured; the body is whole, or recorded while it is sent. */
  | { readonly name: 'responded' }
  /** All hooks have run, and the response may be stored on these terms once it is whole and sent. */
  | { readonly name: 'storable', readonly terms: Storable }
  /** It was sent, and is on its way to the backend. */
  | { readonly name: 'storing' }
  | { readonly name: 'stored' }
  | { readonly name: 'refused', readonly reason: RefusalReason }

export type FillStateName = FillState['name']

/** What may come next. An error on the way out has the hooks run again: from `storable` back to `responded`. */
export const NEXT_STATES: Readonly<Record<FillStateName, readonly FillStateName[]>> = {
  running: ['failed', 'responded', 'refused'],
  failed: ['responded', 'refused'],
  responded: ['responded', 'storable', 'refused'],
  storable: ['responded', 'storing', 'refused'],
  storing: ['stored', 'refused'],
  stored: [],
  refused: []
}
