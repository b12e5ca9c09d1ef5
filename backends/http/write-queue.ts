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
export interface HttpWriteQueueOptions {
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

interface KeyWrites {
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
export class HttpWriteQueue {
  readonly #options: HttpWriteQueueOptions
  readonly #byKey = new Map<string, KeyWrites>()
  #bytes = 0
  #closed = false

  constructor (options: HttpWriteQueueOptions) {
    this.#options = options
  }

  /** The last change of `key` that is under way. */
  find (key: string): Change | undefined {
    const writes = this.#byKey.get(key)
    return (writes?.next ?? writes?.current)?.change
  }

  /** Settles when the change, or a later one of its key, is known to have taken effect. */
  put (change: Change): Promise<void> {
    const operation = change.entry === undefined ? 'delete' : 'set'
    if (this.#closed) return Promise.reject(new CACHE_ERR_CLOSED(`http.${operation}`))
    const writes = this.#byKey.get(change.key)
    const bytes = bytesOf(change)
    if ((writes === undefined && this.#byKey.size >= MAX_WAITING_KEYS) ||
      (bytes > 0 && this.#bytes > 0 && this.#bytes + bytes > MAX_WAITING_BYTES)) {
      return Promise.reject(new CACHE_ERR_BACKEND_FAILED('http', operation, 'too many changes are waiting for the service'))
    }
    return new Promise((resolve, reject) => {
      const pending = { change, waiters: [{ resolve, reject, until: this.#options.now() + this.#options.timeoutMs }] }
      this.#bytes += bytes
      if (writes === undefined) this.#begin(pending)
      else this.#follow(writes, pending)
    })
  }

  /** Every change that has not settled rejects, and nothing is sent any more. */
  close (): void {
    this.#closed = true
    for (const writes of this.#byKey.values()) {
      for (const pending of [writes.current, writes.next]) {
        const operation = pending?.change.entry === undefined ? 'delete' : 'set'
        for (const { reject } of pending?.waiters ?? []) reject(new CACHE_ERR_CLOSED(`http.${operation}`))
      }
      writes.wake.controller.abort()
    }
  }

  #begin (pending: Pending): void {
    const writes: KeyWrites = { current: undefined, next: pending, wake: { controller: new AbortController() } }
    this.#byKey.set(pending.change.key, writes)
    this.#run(writes, pending.change.key)
  }

  #follow (writes: KeyWrites, pending: Pending): void {
    if (writes.next !== undefined) {
      pending.waiters.push(...writes.next.waiters)
      this.#bytes -= bytesOf(writes.next.change)
    }
    writes.next = pending
    writes.wake.controller.abort()
  }

  /** Never rejects: a failure belongs to those who await the change. */
  async #run (writes: KeyWrites, key: string): Promise<void> {
    while (writes.next !== undefined && !this.#closed) {
      const pending = writes.current = writes.next
      writes.next = undefined
      writes.wake.controller = new AbortController()
      await this.#carry(writes, pending)
      this.#bytes -= bytesOf(pending.change)
    }
    // In the same turn in which nothing was found to wait: a later change begins anew.
    this.#byKey.delete(key)
  }

  /** Sends a change until it is settled, or is handed on to the one that takes its place. */
  async #carry (writes: KeyWrites, { change, waiters }: Pending): Promise<void> {
    const { send, wait, now, timeoutMs } = this.#options
    const until = now() + timeoutMs
    for (let retry = 0; ; retry++) {
      const outcome = await send(change, until - now())
      if (outcome.kind === 'done') return waiters.forEach(({ resolve }) => resolve())
      if (outcome.kind === 'failed' && writes.next !== undefined) return handOn(waiters, writes.next, now(), outcome.error)
      const waitMs = outcome.kind === 'failed' ? this.#waitMs(retry, outcome.retryAfterMs) : undefined
      if (waitMs === undefined || now() + waitMs >= until || this.#closed) return waiters.forEach(({ reject }) => reject(outcome.error))
      await wait(waitMs, writes.wake.controller.signal)
      if (this.#closed) return
      if (writes.next !== undefined) return handOn(waiters, writes.next, now(), outcome.error)
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
