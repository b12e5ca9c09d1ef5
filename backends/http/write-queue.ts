// Sends writes to the service. A write that fails is sent again for a while, and settles once its outcome is known.
import { CACHE_ERR_BACKEND_FAILED, CACHE_ERR_CLOSED } from '../../registry/errors.js'
import { WriteQueue, type Write } from '../../registry/write-queue.js'

/** The result of sending a write once. A refused write is not sent again. A failed one may be, because the reason may be temporary. */
export type SendResult =
  | { readonly kind: 'done' }
  | { readonly kind: 'refused', readonly error: Error }
  | { readonly kind: 'failed', readonly error: Error, readonly retryAfterMs?: number | undefined }

/** Options and dependencies of the queue. */
export interface HttpWriteQueueOptions {
  /** Sends a write once. Never rejects, and takes at most `timeoutMs`. */
  send (write: Write, timeoutMs: number): Promise<SendResult>
  /** Settles after `ms`, or when `signal` is aborted. Never rejects. */
  wait (ms: number, signal: AbortSignal): Promise<void>
  /** Returns a random number from 0 to 1. */
  random (): number
  /** Returns the time of a monotonic clock, in milliseconds. */
  now (): number
  /** How long a write may take from the time when it is first sent. */
  readonly timeoutMs: number
  readonly maxRetries: number
}

const FIRST_WAIT_MS = 100
const LONGEST_WAIT_MS = 2_000

/** The most keys that may have pending writes, and the most bytes that the values of those writes may take. */
export const MAX_WAITING_KEYS = 10_000
export const MAX_WAITING_BYTES = 64 * 1024 * 1024

interface TimedWrite extends Write {
  /** If the write fails before this time while a later write to its key is waiting, it settles as the later one does. */
  readonly until: number
}

/**
 * Keeps the writes that have not settled. A write that fails for a temporary reason is sent again. This ends when it takes effect, when its
 * retries or its time are used up, or when a later write to its key is waiting. Once its promise has settled, it is not sent again.
 */
export class HttpWriteQueue {
  readonly #options: HttpWriteQueueOptions
  readonly #queue: WriteQueue<TimedWrite>
  /** The keys whose write is waiting for its next attempt. Aborting a key's controller ends that wait. */
  readonly #waits = new Map<string, AbortController>()
  /** The errors of all writes that were refused. */
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

  /** Returns the last write to `key` that has not settled. */
  find (key: string): Write | undefined {
    return this.#queue.find(key)
  }

  /** Resolves when the write, or a later write to the same key, is known to have taken effect. */
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

  /** Sends a write, several times if necessary. If it does not take effect, throws the error of the last attempt. */
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

  /** Returns whether the queue is closed, or a later write to the key is waiting. */
  #isOver ({ key }: Write): boolean {
    return this.#closed || this.#queue.isFollowed(key)
  }

  async #wait ({ key }: Write, ms: number): Promise<void> {
    const controller = new AbortController()
    this.#waits.set(key, controller)
    await this.#options.wait(ms, controller.signal)
    this.#waits.delete(key)
  }

  /** Returns how long to wait before the next attempt, or Infinity if there must not be another attempt. */
  #waitMs (retry: number, retryAfterMs = 0): number {
    if (retry >= this.#options.maxRetries) return Infinity
    const backoffMs = Math.min(FIRST_WAIT_MS * 2 ** retry, LONGEST_WAIT_MS)
    // The wait is partly random, so that processes do not all retry together after the same failure.
    return Math.max(backoffMs * (0.5 + this.#options.random() / 2), retryAfterMs)
  }
}

const operationOf = ({ entry }: Write): 'set' | 'delete' => entry === undefined ? 'delete' : 'set'
