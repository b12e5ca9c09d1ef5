// Calls of a store that somebody else wrote: each has an answer in time or has failed, changes of one key go one by one, and all end at close.
import { setTimeout as after } from 'node:timers'
import type { MaybePromise } from './backend.js'
import { CACHE_ERR_BACKEND_FAILED, CACHE_ERR_CLOSED } from './errors.js'

/** Calls under way of one backend. */
export class Calls {
  /** Calls that had no answer in time. */
  timeouts = 0
  readonly #backend: string
  readonly #timeoutMs: number
  /** How to end each wait. */
  readonly #waits = new Set<(error: Error) => void>()
  readonly #changes = new Map<string, Promise<void>>()
  #closed = false

  constructor (backend: string, timeoutMs: number) {
    this.#backend = backend
    this.#timeoutMs = timeoutMs
  }

  /** Throws CACHE_ERR_CLOSED once closed. */
  refuseClosed (operation: string): void {
    if (this.#closed) throw new CACHE_ERR_CLOSED(`${this.#backend}.${operation}`)
  }

  /** What `ask` answers. Rejects when that takes too long, or with CACHE_ERR_CLOSED when the backend closes; what comes later is let go. */
  async run<T> (operation: string, ask: () => MaybePromise<T>): Promise<T> {
    this.refuseClosed(operation)
    return await new Promise<T>((resolve, reject) => {
      const end = (settle: () => void): void => {
        clearTimeout(timer)
        this.#waits.delete(fail)
        settle()
      }
      const fail = (error: unknown): void => end(() => reject(error))
      const timer = after(() => {
        this.timeouts++
        fail(new CACHE_ERR_BACKEND_FAILED(this.#backend, operation, `the store has not answered within ${this.#timeoutMs} ms`))
      }, this.#timeoutMs)
      this.#waits.add(fail)
      // At once: behind a close nothing may be asked any more.
      const asked = (async () => await ask())()
      asked.then((answer) => end(() => resolve(answer)), fail)
    })
  }

  /** Runs `act` when earlier changes of `key` are over. */
  inOrder (key: string, act: () => Promise<void>): Promise<void> {
    const before = this.#changes.get(key)
    const done = before === undefined ? act() : before.then(act)
    const over = (): void => { if (this.#changes.get(key) === settled) this.#changes.delete(key) }
    const settled: Promise<void> = done.then(over, over)
    this.#changes.set(key, settled)
    return done
  }

  /** Settles when the changes of keys that begin with `prefix`, as they are now, are over. */
  async settled (prefix: string): Promise<void> {
    await Promise.all([...this.#changes].filter(([key]) => key.startsWith(prefix)).map(([, settled]) => settled))
  }

  /** Ends every wait. May be called twice. */
  close (): void {
    this.#closed = true
    for (const fail of this.#waits) fail(new CACHE_ERR_CLOSED(this.#backend))
  }
}
