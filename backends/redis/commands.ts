// One call of the server: it has an answer in time or has failed, and ends when the backend is closed.
import { setTimeout as after } from 'node:timers'
import { CACHE_ERR_CLOSED } from '../../registry/errors.js'
import { Timeouts } from '../../registry/timeouts.js'
import type { Client } from './driver.js'
import { failure, failureOf, type Failure } from './errors.js'
import type { ClientConnection } from './connection.js'

/** Calls under way, and waits that belong to them. */
export class Commands {
  /** How long each call may take. */
  readonly timeoutMs: number
  /** Calls that had no answer in time. */
  timeouts = 0
  readonly #connection: ClientConnection
  readonly #waits: Timeouts
  readonly #pauses = new Set<() => void>()
  #closed = false

  constructor (connection: ClientConnection, timeoutMs: number) {
    this.#connection = connection
    this.timeoutMs = timeoutMs
    this.#waits = new Timeouts(timeoutMs, () => {
      this.timeouts++
      return failure('ETIMEDOUT', `no answer within ${timeoutMs} ms`)
    })
  }

  /** A client that can be asked now. Throws when there is none. */
  client (): Client {
    if (this.#closed) throw new CACHE_ERR_CLOSED('redis')
    return this.#connection.client()
  }

  /** What `ask` returns. Rejects without the arguments of the command; nothing was sent when no client could be asked. */
  run<T> (ask: (client: Client) => Promise<T>): Promise<T> {
    try {
      return this.on(this.client(), ask)
    } catch (error) {
      return Promise.reject(error)
    }
  }

  /** The same, of a certain client: a node of a Cluster. */
  on<T> (client: Client, ask: (client: Client) => Promise<T>): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      if (this.#closed) return reject(new CACHE_ERR_CLOSED('redis'))
      const wait = this.#waits.begin(reject)
      ask(client).then((answer) => {
        this.#waits.over(wait)
        resolve(answer)
      }, (error) => {
        this.#waits.over(wait)
        reject(this.failed(error))
      })
    })
  }

  /** What the server, or the way to it, said no with. It may mean that another server must be found. */
  failed (error: unknown): Failure {
    return this.#connection.heard(failureOf(error))
  }

  /** Settles at `at`, in `performance.now()`, or when the backend is closed. */
  async until (at: number): Promise<void> {
    const waitMs = Math.ceil(at - performance.now())
    if (waitMs <= 0 || this.#closed) return
    await new Promise<void>((resolve) => {
      const end = (): void => {
        clearTimeout(timer)
        this.#pauses.delete(end)
        resolve()
      }
      const timer = after(end, waitMs)
      this.#pauses.add(end)
    })
  }

  /** Ends all of them, and the client if it is our own. May be called twice. */
  close (): void {
    this.#closed = true
    this.#waits.close(new CACHE_ERR_CLOSED('redis'))
    for (const end of [...this.#pauses]) end()
    this.#connection.close()
  }
}
