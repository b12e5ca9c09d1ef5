// The services of a registration that its fills use.
import type { Fence } from '../../registry/fence.js'
import type { Connections } from '../fastify/connections.js'
import type { FastifyInternals } from '../fastify/fastify-internals.js'
import type { HttpDates } from '../http/stored-fields.js'
import type { Observer } from '../observe/observer.js'
import type { Sender } from '../serve/send.js'
import type { BackendGuard } from '../store/backend-guard.js'
import type { Store } from '../store/store.js'
import type { Tags } from '../store/tags.js'
import type { LateReads } from './late-reads.js'
import type { ResponseFills } from './shared-response.js'
import type { RecordingBudget } from './recording-budget.js'

export interface FillServices {
  readonly budget: RecordingBudget
  readonly connections: Connections
  readonly dates: HttpDates
  readonly fence: Fence
  readonly fills: ResponseFills
  readonly guard: BackendGuard
  readonly internals: FastifyInternals
  readonly lateReads: LateReads
  readonly lockTimeoutMs: number
  /** Returns the current time, in epoch milliseconds. */
  readonly now: () => number
  readonly observer: Observer
  readonly sender: Sender
  readonly store: Store
  readonly tags: Tags
}
