// Calls third-party stores: each call has a timeout, writes to the same key run one at a time, and closing rejects all pending calls.
import type { MaybePromise } from '../backend.js'
import { CACHE_ERR_BACKEND_FAILED, CACHE_ERR_CLOSED } from '../errors.js'
import { WriteQueue, type Write } from '../write-queue.js'
import { Timeouts } from '../timeouts.js'

/** The most keys that may have unsettled writes. Without a limit, such writes would pile up while a store hangs. */
export const MOST_CHANGING_KEYS = 10_000

/** Makes the calls of one backend to its store. */
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

  /** Throws CACHE_ERR_CLOSED if `close` has been called. */
  refuseClosed (operation: string): void {
    if (this.#closed) throw new CACHE_ERR_CLOSED(`${this.#backend}.${operation}`)
  }

  /** Returns the result of `ask`. Rejects after the timeout, and with CACHE_ERR_CLOSED on `close`. A result after that is ignored. */
  async run<T> (operation: string, ask: () => MaybePromise<T>): Promise<T> {
    this.refuseClosed(operation)
    return await new Promise<T>((resolve, reject) => {
      const wait = this.#waits.begin(reject, operation)
      // `ask` is called at once. If it were called later, `close` could be called before it, and a closed store must not be called.
      const asked = (async () => await ask())()
      asked.then(resolve, reject).finally(() => this.#waits.over(wait))
    })
  }

  /**
   * Carries out a write once the store has settled the previous write to its key, which may still take effect after its timeout. Rejects as
   * `run` does. If it rejects before the write has begun, a delete is still carried out later, but a set is dropped.
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

  /** Returns whether there is a write to `key` that the store has not settled. */
  isWriting (key: string): boolean {
    return this.#writes.has(key)
  }

  /** Returns the keys with a write that the store has not settled, if they begin with `prefix`. */
  keysWriting (prefix: string): string[] {
    return this.#writes.keys(prefix)
  }

  /** Rejects every pending call with CACHE_ERR_CLOSED. May be called twice. */
  close (): void {
    this.#closed = true
    this.#waits.close(new CACHE_ERR_CLOSED(this.#backend))
  }
}

function operationOf ({ entry }: Write): 'set' | 'delete' {
  return entry === undefined ? 'delete' : 'set'
}
