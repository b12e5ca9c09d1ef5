// Writes on their way to the service: each is tried again for a while, and settles once its outcome is known.
import { CACHE_ERR_BACKEND_FAILED, CACHE_ERR_CLOSED } from '../../registry/errors.js'
import { WriteQueue, type Write } from '../../registry/write-queue.js'

/** The result of sending a write once: it was done, was refused (and is not sent again), or failed for a reason that may be temporary. */
export type SendResult =
  | { readonly kind: 'done' }
  | { readonly kind: 'refused', readonly error: Error }
  | { readonly kind: 'failed', readonly error: Error, readonly retryAfterMs?: number | undefined }

/** Options and dependencies of the queue. */
export interface HttpWriteQueueOptions {
  /** Sends a write once. Never rejects, and takes `timeoutMs` at most. */
  send (write: Write, timeoutMs: number): Promise<SendResult>
  /** Settles after `ms`, or when `signal` is aborted. Never rejects. */
  wait (ms: number, signal: AbortSignal): Promise<void>
  /** Returns a random number from 0 to 1. */
  random (): number
  /** Returns the time of a monotonic clock, in milliseconds. */
  now (): number
  /** How long a write may take after it is first sent. */
  readonly timeoutMs: number
  readonly maxRetries: number
}

const FIRST_WAIT_MS = 100
const LONGEST_WAIT_MS = 2_000

/** Limits on keys with pending writes, and on the bytes of their values. */
export const MAX_WAITING_KEYS = 10_000
export const MAX_WAITING_BYTES = 64 * 1024 * 1024

interface TimedWrite extends Write {
  /** If the write fails before this instant and a later write of its key waits, it settles with that one. */
  readonly until: number
}

/**
 * The writes that have not settled. A write that failed for a temporary reason is sent again, until it takes effect, its retries or its
 * time are used up, or a later write of its key waits. Once its promise has settled, it is not sent again.
 */
export class HttpWriteQueue {
  readonly #options: HttpWriteQueueOptions
  readonly #queue: WriteQueue<TimedWrite>
  /** For each key whose write waits for its next attempt, what ends that wait. */
  readonly #waits = new Map<string, AbortController>()
  /** Errors of writes that were refused. */
  readonly #refusals = new WeakSet<Error>()
  #closed = false

  constructor (options: HttpWriteQueueOptions) {
    this.#options = options
    this.#queue = new WriteQueue({
      carryOut: (write) => this.#carryOut(write),
      maxKeys: MAX_WAITING_KEYS,
      maxBytes: MAX_WAITING_BYTES,
      bytesOf: ({ entry }) => entry?.value.byteLength ?? 0,
      tooMany: (write) => new CACHE_ERR_BACKEND_FAILED('http', operationOf(write), 'too many changes are waiting for the service'),
      setsReplaceDeletes: true,
      settlesWithNext: ({ until }, error) => options.now() < until && !this.#refusals.has(error as Error),
      onFollowed: (key) => { this.#waits.get(key)?.abort() }
    })
  }

  /** The last write of `key` that has not settled. */
  find (key: string): Write | undefined {
    return this.#queue.find(key)
  }

  /** Resolves when the write, or a later one of its key, is known to have taken effect. */
  put (write: Write): Promise<void> {
    const { now, timeoutMs } = this.#options
    return this.#queue.put({ ...write, until: now() + timeoutMs })
  }

  /** Rejects every write that has not settled. Nothing is sent after this. */
  close (): void {
    this.#closed = true
    this.#queue.close((write) => new CACHE_ERR_CLOSED(`http.${operationOf(write)}`))
    for (const wait of this.#waits.values()) wait.abort()
  }

  /** Sends a write, repeatedly if necessary, until it takes effect. Otherwise throws its last error. */
  async #carryOut (write: Write): Promise<void> {
    const { send, now, timeoutMs } = this.#options
    const until = now() + timeoutMs
    for (let retry = 0; ; retry++) {
      const outcome = await send(write, until - now())
      if (outcome.kind === 'done') return
      if (outcome.kind === 'refused') this.#refusals.add(outcome.error)
      const waitMs = outcome.kind === 'failed' ? this.#waitMs(retry, outcome.retryAfterMs) : Infinity
      if (now() + waitMs >= until || this.#isOver(write)) throw outcome.error
      await this.#wait(write, waitMs)
      if (this.#isOver(write)) throw outcome.error
    }
  }

  /** Whether the queue is closed, or a later write of the key waits. */
  #isOver ({ key }: Write): boolean {
    return this.#closed || this.#queue.isFollowed(key)
  }

  async #wait ({ key }: Write, ms: number): Promise<void> {
    const controller = new AbortController()
    this.#waits.set(key, controller)
    await this.#options.wait(ms, controller.signal)
    this.#waits.delete(key)
  }

  /** How long to wait before the next attempt; Infinity if there is none. */
  #waitMs (retry: number, retryAfterMs = 0): number {
    if (retry >= this.#options.maxRetries) return Infinity
    const backoffMs = Math.min(FIRST_WAIT_MS * 2 ** retry, LONGEST_WAIT_MS)
    // Jitter, so that processes do not retry together after the same failure.
    return Math.max(backoffMs * (0.5 + this.#options.random() / 2), retryAfterMs)
  }
}

const operationOf = ({ entry }: Write): 'set' | 'delete' => entry === undefined ? 'delete' : 'set'
