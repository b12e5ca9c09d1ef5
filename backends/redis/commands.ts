// Sends commands to the server. Each command has a timeout, and all commands end when the backend is closed.
import { setTimeout as after } from 'node:timers'
import { CACHE_ERR_CLOSED } from '../../registry/errors.js'
import { Timeouts } from '../../registry/timeouts.js'
import type { Client } from './driver.js'
import { failure, failureOf, type Failure } from './errors.js'
import type { ClientConnection } from './connection.js'
import { Scripts, type Send } from './scripts.js'

/** Sends commands, and keeps track of those that are under way. */
export class Commands {
  /** The timeout of a command. */
  readonly timeoutMs: number
  /** The number of commands that timed out. */
  timeouts = 0
  readonly scripts = new Scripts()
  readonly #connection: ClientConnection
  readonly #waits: Timeouts
  readonly #pauses = new Set<() => void>()
  #closed = false

  constructor (connection: ClientConnection, timeoutMs: number) {
    this.#connection = connection
    this.timeoutMs = timeoutMs
    this.#waits = new Timeouts(timeoutMs, () => {
      this.timeouts++
      return failure('ETIMEDOUT', `no response within ${timeoutMs} ms`)
    })
  }

  /** Returns a connected client. Throws if there is none. */
  client (): Client {
    if (this.#closed) throw new CACHE_ERR_CLOSED('redis')
    return this.#connection.client()
  }

  /** Returns what `ask` returns. Rejects, and sends nothing, if no client is connected. Errors do not contain the command's arguments. */
  run<T> (ask: (client: Client) => Promise<T>): Promise<T> {
    try {
      return this.on(this.client(), ask)
    } catch (error) {
      return Promise.reject(error)
    }
  }

  /** Sends one command, as `run` does. */
  readonly send: Send = (command) => this.run((client) => command(client) as Promise<unknown>)

  /** Does the same as `run`, but with the given client, which may be a node of a Cluster. */
  on<T> (client: Client, ask: (client: Client) => Promise<T>): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      if (this.#closed) return reject(new CACHE_ERR_CLOSED('redis'))
      const wait = this.#waits.begin(reject)
      ask(client).then((result) => {
        this.#waits.over(wait)
        resolve(result)
      }, (error) => {
        this.#waits.over(wait)
        reject(this.failed(error))
      })
    })
  }

  /** Converts an error of the driver to ours. After some errors, our client also reconnects, perhaps to another server. */
  failed (error: unknown): Failure {
    return this.#connection.onFailure(failureOf(error))
  }

  /** Resolves when `performance.now()` reaches `at`, or when the backend is closed. */
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

  /** Rejects all commands, and closes the client unless it is caller-owned. May be called twice. */
  close (): void {
    this.#closed = true
    this.#waits.close(new CACHE_ERR_CLOSED('redis'))
    for (const end of [...this.#pauses]) end()
    this.#connection.close()
  }
}
