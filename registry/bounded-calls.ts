// Calls to third-party stores: each has a timeout, writes of the same key run one at a time, and closing ends all waits.
import type { MaybePromise } from './backend.js'
import { CACHE_ERR_BACKEND_FAILED, CACHE_ERR_CLOSED } from './errors.js'
import { WriteQueue, type Write } from './write-queue.js'
import { Timeouts } from './timeouts.js'

/** Limit on the number of keys with unsettled writes. It is needed because a store that hangs settles none of them. */
export const MOST_CHANGING_KEYS = 10_000

/** The calls to the store of one backend. */
export class BoundedCalls {
  /** The number of calls that have timed out. */
  timeouts = 0
  readonly #backend: string
  readonly #waits: Timeouts
  readonly #writes: WriteQueue<Write>
  #closed = false

  /** `carryOut` performs a write in the store. */
  constructor (backend: string, timeoutMs: number, carryOut: (write: Write) => MaybePromise<unknown>) {
    this.#backend = backend
    this.#writes = new WriteQueue({
      maxKeys: MOST_CHANGING_KEYS,
      tooMany: (write) => this.failure(operationOf(write), 'too many changes are waiting for the store'),
      carryOut: (write) => {
        this.refuseClosed(operationOf(write))
        return carryOut(write)
      }
    })
    this.#waits = new Timeouts(timeoutMs, (operation) => {
      this.timeouts++
      return this.failure(operation, `the store did not respond within ${timeoutMs} ms`)
    })
  }

  /** Returns the error for a failed call. `why` says what the store did wrong. */
  failure (operation: string, why: string): Error {
    return new CACHE_ERR_BACKEND_FAILED(this.#backend, operation, why)
  }

  /** Throws CACHE_ERR_CLOSED after `close`. */
  refuseClosed (operation: string): void {
    if (this.#closed) throw new CACHE_ERR_CLOSED(`${this.#backend}.${operation}`)
  }

  /** Calls `ask` and returns its result. Rejects after the timeout, and with CACHE_ERR_CLOSED on `close`. A later result is ignored. */
  async run<T> (operation: string, ask: () => MaybePromise<T>): Promise<T> {
    this.refuseClosed(operation)
    return await new Promise<T>((resolve, reject) => {
      const wait = this.#waits.begin(reject, operation)
      // `ask` is called at once. If it were called later, `close` could come first, and the store must not be called after that.
      const asked = (async () => await ask())()
      asked.then(resolve, reject).finally(() => this.#waits.over(wait))
    })
  }

  /**
   * Carries out a write once the store has settled the previous write of the same key. That may take longer than the previous write's
   * timeout, because a write that has timed out may still take effect. Rejects as `run` does. After a rejection, a waiting delete is still
   * carried out, but a waiting set is dropped.
   */
  async write (write: Write): Promise<void> {
    const operation = operationOf(write)
    this.refuseClosed(operation)
    try {
      await this.run(operation, () => this.#writes.put(write))
    } catch (error) {
      this.#writes.giveUp(write)
      throw error
    }
  }

  /** Whether `key` has a write that the store has not settled. */
  isWriting (key: string): boolean {
    return this.#writes.has(key)
  }

  /** Returns the keys that begin with `prefix` and have a write that the store has not settled. */
  keysWriting (prefix: string): string[] {
    return this.#writes.keys(prefix)
  }

  /** Ends every wait with CACHE_ERR_CLOSED. May be called twice. */
  close (): void {
    this.#closed = true
    this.#waits.close(new CACHE_ERR_CLOSED(this.#backend))
  }
}

function operationOf ({ entry }: Write): 'set' | 'delete' {
  return entry === undefined ? 'delete' : 'set'
}
