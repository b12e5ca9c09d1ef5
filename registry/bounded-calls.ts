// Calls of a store that somebody else wrote: each has an answer in time or has failed, changes of a key wait for the store, and all end at
// close.
import type { MaybePromise } from './backend.js'
import { CACHE_ERR_BACKEND_FAILED, CACHE_ERR_CLOSED } from './errors.js'
import { WriteQueue, type Change } from './write-queue.js'
import { Timeouts } from './timeouts.js'

/** Keys with a change that the store has not settled at most: one that hangs for good never settles them. */
export const MOST_CHANGING_KEYS = 10_000

/** Calls under way of one backend. */
export class BoundedCalls {
  /** Calls that had no answer in time. */
  timeouts = 0
  readonly #backend: string
  readonly #waits: Timeouts
  readonly #order = new WriteQueue()
  #closed = false

  constructor (backend: string, timeoutMs: number) {
    this.#backend = backend
    this.#waits = new Timeouts(timeoutMs, (operation) => {
      this.timeouts++
      return this.failure(operation, `the store has not answered within ${timeoutMs} ms`)
    })
  }

  /** An error that says what the store did wrong. */
  failure (operation: string, why: string): Error {
    return new CACHE_ERR_BACKEND_FAILED(this.#backend, operation, why)
  }

  /** Throws CACHE_ERR_CLOSED once closed. */
  refuseClosed (operation: string): void {
    if (this.#closed) throw new CACHE_ERR_CLOSED(`${this.#backend}.${operation}`)
  }

  /** What `ask` answers. Rejects when that takes too long, or with CACHE_ERR_CLOSED when the backend closes; what comes later is let go. */
  async run<T> (operation: string, ask: () => MaybePromise<T>): Promise<T> {
    this.refuseClosed(operation)
    return await new Promise<T>((resolve, reject) => {
      const wait = this.#waits.begin(reject, operation)
      // At once: behind a close nothing may be asked any more.
      const asked = (async () => await ask())()
      asked.then(resolve, reject).finally(() => this.#waits.over(wait))
    })
  }

  /**
   * Changes `key` by `send`, when the store itself has settled the change before: a call that had no answer in time may yet
   * come to pass. Rejects as `run` does. After that a delete is carried out all the same, and a set that was not sent never is.
   */
  async change (key: string, operation: Change['operation'], send: () => MaybePromise<unknown>): Promise<void> {
    this.refuseClosed(operation)
    if (this.#order.size >= MOST_CHANGING_KEYS && !this.#order.has(key)) {
      throw this.failure(operation, 'too many changes are waiting for the store')
    }
    const act = (): MaybePromise<unknown> => {
      this.refuseClosed(operation)
      return send()
    }
    const change = { operation, act }
    try {
      await this.run(operation, () => this.#order.put(key, change))
    } catch (error) {
      this.#order.giveUp(key, change)
      throw error
    }
  }

  /** Whether the store has not settled a change of `key`. */
  isChanging (key: string): boolean {
    return this.#order.has(key)
  }

  /** The keys for which that is so, as far as they begin with `prefix`. */
  changing (prefix: string): string[] {
    return this.#order.keys(prefix)
  }

  /** Ends every wait. May be called twice. */
  close (): void {
    this.#closed = true
    this.#waits.close(new CACHE_ERR_CLOSED(this.#backend))
  }
}
