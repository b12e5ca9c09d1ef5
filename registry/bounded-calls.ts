// Calls of a store that somebody else wrote: each has an answer in time or has failed, changes of a key wait for the store, and all end at
// close.
import type { MaybePromise } from './backend.js'
import { CACHE_ERR_BACKEND_FAILED, CACHE_ERR_CLOSED } from './errors.js'
import { WriteQueue, type Write } from './write-queue.js'
import { Timeouts } from './timeouts.js'

/** Keys with a change that the store has not settled at most: one that hangs for good never settles them. */
export const MOST_CHANGING_KEYS = 10_000

/** Calls under way of one backend. */
export class BoundedCalls {
  /** Calls that had no answer in time. */
  timeouts = 0
  readonly #backend: string
  readonly #waits: Timeouts
  readonly #writes: WriteQueue<Write>
  #closed = false

  /** `carryOut` has the store make a write. */
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
   * Carries a write out, once the store itself has settled the write before it: a call that timed out may yet take effect. Rejects as `run`
   * does. After that a delete is carried out all the same, and a set that was not sent never is.
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

  /** Whether the store has not settled a write of `key`. */
  isWriting (key: string): boolean {
    return this.#writes.has(key)
  }

  /** The keys for which that is so, as far as they begin with `prefix`. */
  keysWriting (prefix: string): string[] {
    return this.#writes.keys(prefix)
  }

  /** Ends every wait. May be called twice. */
  close (): void {
    this.#closed = true
    this.#waits.close(new CACHE_ERR_CLOSED(this.#backend))
  }
}

function operationOf ({ entry }: Write): 'set' | 'delete' {
  return entry === undefined ? 'delete' : 'set'
}
