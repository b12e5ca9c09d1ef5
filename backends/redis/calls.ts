// One call of the server: it has an answer in time or has failed, and ends when the backend is closed.
import { setTimeout as after } from 'node:timers'
import { CACHE_ERR_CLOSED } from '../../registry/errors.js'
import type { Client } from './driver.js'
import { failure, failureOf } from './failures.js'
import type { Link } from './link.js'

/** Calls under way, and waits that belong to them. */
export class Calls {
  /** How long each call may take. */
  readonly timeoutMs: number
  /** Calls that had no answer in time. */
  timeouts = 0
  readonly #link: Link
  readonly #ends = new Set<() => void>()
  #closed = false

  constructor (link: Link, timeoutMs: number) {
    this.#link = link
    this.timeoutMs = timeoutMs
  }

  /** A client that can be asked now. Throws when there is none. */
  client (): Client {
    if (this.#closed) throw new CACHE_ERR_CLOSED('redis')
    return this.#link.client()
  }

  /** What `ask` answers. Rejects without the arguments of the command; nothing was sent when the client could not be asked. */
  async run<T> (ask: (client: Client) => Promise<T>): Promise<T> {
    return await this.on(this.client(), ask)
  }

  /** The same, of a certain client: a node of a Cluster. */
  on<T> (client: Client, ask: (client: Client) => Promise<T>): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      const over = (): void => {
        clearTimeout(timer)
        this.#ends.delete(end)
      }
      const end = (): void => {
        over()
        reject(new CACHE_ERR_CLOSED('redis'))
      }
      // Keeps the process alive for as long as somebody may wait.
      const timer = after(() => {
        over()
        this.timeouts++
        reject(failure('ETIMEDOUT', `no answer within ${this.timeoutMs} ms`))
      }, this.timeoutMs)
      this.#ends.add(end)
      ask(client).then((answer) => {
        over()
        resolve(answer)
      }, (error) => {
        over()
        reject(failureOf(error))
      })
    })
  }

  /** Settles at `at`, in `performance.now()`, or when the backend is closed. */
  async until (at: number): Promise<void> {
    const waitMs = Math.ceil(at - performance.now())
    if (waitMs <= 0 || this.#closed) return
    await new Promise<void>((resolve) => {
      const end = (): void => {
        clearTimeout(timer)
        this.#ends.delete(end)
        resolve()
      }
      const timer = after(end, waitMs)
      this.#ends.add(end)
    })
  }

  /** Ends all of them, and the client if it is our own. May be called twice. */
  close (): void {
    this.#closed = true
    for (const end of [...this.#ends]) end()
    this.#link.close()
  }
}
