// Calls of third-party stores: each has a timeout, writes of a key wait for each other, and close ends all of them.
import type { MaybePromise } from './backend.js'
import { CACHE_ERR_BACKEND_FAILED, CACHE_ERR_CLOSED } from './errors.js'
import { WriteQueue, type Write } from './write-queue.js'
import { Timeouts } from './timeouts.js'

/** Limit on keys whose write has not settled, because a store that hangs never settles any. */
export const MOST_CHANGING_KEYS = 10_000

/** Calls under way of one backend. */
export class BoundedCalls {
  /** Calls that timed out. */
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
      return this.failure(operation, `the store did not respond within ${timeoutMs} ms`)
    })
  }

  /** The error for what the store did wrong. */
  failure (operation: string, why: string): Error {
    return new CACHE_ERR_BACKEND_FAILED(this.#backend, operation, why)
  }

  /** Throws CACHE_ERR_CLOSED after `close`. */
  refuseClosed (operation: string): void {
    if (this.#closed) throw new CACHE_ERR_CLOSED(`${this.#backend}.${operation}`)
  }

  /** Returns what `ask` returns. Rejects on a timeout, and with CACHE_ERR_CLOSED on close; a late result is dropped. */
  async run<T> (operation: string, ask: () => MaybePromise<T>): Promise<T> {
    this.refuseClosed(operation)
    return await new Promise<T>((resolve, reject) => {
      const wait = this.#waits.begin(reject, operation)
      // In this turn, because nothing may be called after a close.
      const asked = (async () => await ask())()
      asked.then(resolve, reject).finally(() => this.#waits.over(wait))
    })
  }

  /**
   * Carries a write out once the store has settled the key's write before it, because a call that timed out may still take effect. Rejects
   * as `run` does. After that, a delete is still carried out, but a set that was not sent is dropped.
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

  /** Whether a write of `key` has not settled in the store. */
  isWriting (key: string): boolean {
    return this.#writes.has(key)
  }

  /** The keys that begin with `prefix` for which that is so. */
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
