// The states of a fill, and the states that may follow each of them.
import type { Storable } from '../http/storability.js'
import type { RefusalReason } from '../observe/reasons.js'

export type FillState =
  /** The handler is running. */
  | { readonly name: 'running' }
  /** The handler threw an error. The error handler has not responded to it yet. */
  | { readonly name: 'failed' }
  /** The response was captured. Its body is complete, or is recorded while it is sent. */
  | { readonly name: 'responded' }
  /** All hooks have run. The response may be stored on these terms once it is complete and sent. */
  | { readonly name: 'storable', readonly terms: Storable }
  /** The response was sent, and is being stored in the backend. */
  | { readonly name: 'storing' }
  | { readonly name: 'stored' }
  | { readonly name: 'refused', readonly reason: RefusalReason }

export type FillStateName = FillState['name']

/** The states that may follow each state. If sending fails, the hooks run again, so `storable` may be followed by `responded`. */
export const NEXT_STATES: Readonly<Record<FillStateName, readonly FillStateName[]>> = {
  running: ['failed', 'responded', 'refused'],
  failed: ['responded', 'refused'],
  responded: ['responded', 'storable', 'refused'],
  storable: ['responded', 'storing', 'refused'],
  storing: ['stored', 'refused'],
  stored: [],
  refused: []
}
