// Sets and deletes on their way: one at a time for each key, the last one wins, tried again for a while, settled when it is known.
import type { StoredEntry } from '../../registry/backend.js'
import { CACHE_ERR_BACKEND_FAILED, CACHE_ERR_CLOSED } from '../../registry/errors.js'

/** A change of a key: an entry, or none where the key is to be forgotten. */
export interface Change {
  readonly key: string
  readonly entry: StoredEntry | undefined
}

/** What sending a change came to: done; refused, which asking again would not alter; failed for a reason that may pass. */
export type Outcome =
  | { readonly kind: 'done' }
  | { readonly kind: 'refused', readonly error: unknown }
  | { readonly kind: 'failed', readonly error: unknown, readonly retryAfterMs?: number | undefined }

/** What the changes need around them. */
export interface ChangesOptions {
  /** Sends a change once. Never rejects, and takes `timeoutMs` at most. */
  send (change: Change, timeoutMs: number): Promise<Outcome>
  /** Settles after `ms`, or when `signal` is aborted. Never rejects. */
  wait (ms: number, signal: AbortSignal): Promise<void>
  /** From 0 to 1. */
  random (): number
  /** Milliseconds that never jump. */
  now (): number
  /** How long a change may take from when it is first sent. */
  readonly timeoutMs: number
  readonly maxRetries: number
}

const FIRST_WAIT_MS = 100
const LONGEST_WAIT_MS = 2_000

/** Keys with a change under way at most, and bytes of the values that are. */
export const MAX_WAITING_KEYS = 10_000
export const MAX_WAITING_BYTES = 64 * 1024 * 1024

interface Waiter {
  readonly resolve: () => void
  readonly reject: (error: unknown) => void
  /** From then on it is not handed on to a later change. */
  readonly until: number
}

interface Pending {
  readonly change: Change
  /** Whoever awaits it, and whoever awaited the changes in whose place it stands. */
  readonly waiters: Waiter[]
}

interface Lane {
  current: Pending | undefined
  /** Sent when the current one has been answered. */
  next: Pending | undefined
  /** Ends the wait before the current one is tried again. */
  readonly wake: { controller: AbortController }
}

/**
 * The changes that have not settled. A change is sent at once, or as soon as the one before it on the same key was
 * answered, so that the two can't pass each other. Of those that wait the last stands for all. A change that failed is
 * sent again until it takes effect, a later one takes its place, its retries are used up or its time is; once
 * its promise has settled nothing of it is sent any more.
 */
export class Changes {
  readonly #options: ChangesOptions
  readonly #lanes = new Map<string, Lane>()
  #bytes = 0
  #closed = false

  constructor (options: ChangesOptions) {
    this.#options = options
  }

  /** The last change of `key` that is under way. */
  find (key: string): Change | undefined {
    const lane = this.#lanes.get(key)
    return (lane?.next ?? lane?.current)?.change
  }

  /** Settles when the change, or a later one of its key, is known to have taken effect. */
  put (change: Change): Promise<void> {
    const operation = change.entry === undefined ? 'delete' : 'set'
    if (this.#closed) return Promise.reject(new CACHE_ERR_CLOSED(`http.${operation}`))
    const lane = this.#lanes.get(change.key)
    const bytes = bytesOf(change)
    if ((lane === undefined && this.#lanes.size >= MAX_WAITING_KEYS) ||
      (bytes > 0 && this.#bytes > 0 && this.#bytes + bytes > MAX_WAITING_BYTES)) {
      return Promise.reject(new CACHE_ERR_BACKEND_FAILED('http', operation, 'too many changes are waiting for the service'))
    }
    return new Promise((resolve, reject) => {
      const pending = { change, waiters: [{ resolve, reject, until: this.#options.now() + this.#options.timeoutMs }] }
      this.#bytes += bytes
      if (lane === undefined) this.#begin(pending)
      else this.#follow(lane, pending)
    })
  }

  /** Every change that has not settled rejects, and nothing is sent any more. */
  close (): void {
    this.#closed = true
    for (const lane of this.#lanes.values()) {
      for (const pending of [lane.current, lane.next]) {
        const operation = pending?.change.entry === undefined ? 'delete' : 'set'
        for (const { reject } of pending?.waiters ?? []) reject(new CACHE_ERR_CLOSED(`http.${operation}`))
      }
      lane.wake.controller.abort()
    }
  }

  #begin (pending: Pending): void {
    const lane: Lane = { current: undefined, next: pending, wake: { controller: new AbortController() } }
    this.#lanes.set(pending.change.key, lane)
    this.#run(lane, pending.change.key)
  }

  #follow (lane: Lane, pending: Pending): void {
    if (lane.next !== undefined) {
      pending.waiters.push(...lane.next.waiters)
      this.#bytes -= bytesOf(lane.next.change)
    }
    lane.next = pending
    lane.wake.controller.abort()
  }

  /** Never rejects: a failure belongs to those who await the change. */
  async #run (lane: Lane, key: string): Promise<void> {
    while (lane.next !== undefined && !this.#closed) {
      const pending = lane.current = lane.next
      lane.next = undefined
      lane.wake.controller = new AbortController()
      await this.#carry(lane, pending)
      this.#bytes -= bytesOf(pending.change)
    }
    // In the same turn in which nothing was found to wait: a later change begins anew.
    this.#lanes.delete(key)
  }

  /** Sends a change until it is settled, or is handed on to the one that takes its place. */
  async #carry (lane: Lane, { change, waiters }: Pending): Promise<void> {
    const { send, wait, now, timeoutMs } = this.#options
    const until = now() + timeoutMs
    for (let retry = 0; ; retry++) {
      const outcome = await send(change, until - now())
      if (outcome.kind === 'done') return waiters.forEach(({ resolve }) => resolve())
      if (outcome.kind === 'failed' && lane.next !== undefined) return handOn(waiters, lane.next, now(), outcome.error)
      const waitMs = outcome.kind === 'failed' ? this.#waitMs(retry, outcome.retryAfterMs) : undefined
      if (waitMs === undefined || now() + waitMs >= until || this.#closed) return waiters.forEach(({ reject }) => reject(outcome.error))
      await wait(waitMs, lane.wake.controller.signal)
      if (this.#closed) return
      if (lane.next !== undefined) return handOn(waiters, lane.next, now(), outcome.error)
    }
  }

  /** How long to wait before the change is sent again; undefined when it is not. */
  #waitMs (retry: number, retryAfterMs = 0): number | undefined {
    if (retry >= this.#options.maxRetries) return undefined
    const backoffMs = Math.min(FIRST_WAIT_MS * 2 ** retry, LONGEST_WAIT_MS)
    // Many processes that met the same failure must not come back together.
    return Math.max(backoffMs * (0.5 + this.#options.random() / 2), retryAfterMs)
  }
}

/** What became of a change that a later one replaces is known when that one was answered, unless that takes too long. */
function handOn (waiters: readonly Waiter[], next: Pending, at: number, error: unknown): void {
  for (const waiter of waiters) {
    if (at < waiter.until) next.waiters.push(waiter)
    else waiter.reject(error)
  }
}

function bytesOf ({ entry }: Change): number {
  return entry?.value.byteLength ?? 0
}
