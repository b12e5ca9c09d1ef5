// One call of the server: it has an answer in time or has failed, and ends when the backend is closed.
import { setTimeout as after } from 'node:timers'
import { CACHE_ERR_CLOSED } from '../../registry/errors.js'
import type { Client } from './driver.js'
import { failure, failureOf } from './failures.js'
import type { Link } from './link.js'

/** Somebody who waits, at most until an instant of `performance.now()`. */
interface Wait {
  readonly endsAt: number
  end (error: Error): void
}

/** Calls under way, and waits that belong to them. */
export class Calls {
  /** How long each call may take. */
  readonly timeoutMs: number
  /** Calls that had no answer in time. */
  timeouts = 0
  readonly #link: Link
  /** All wait equally long: the first one ends first. */
  readonly #underWay = new Set<Wait>()
  readonly #pauses = new Set<() => void>()
  #timer: NodeJS.Timeout | undefined
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

  /** What `ask` answers. Rejects without the arguments of the command; nothing was sent when no client could be asked. */
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
      const wait: Wait = { endsAt: performance.now() + this.timeoutMs, end: reject }
      this.#begin(wait)
      ask(client).then((answer) => {
        this.#over(wait)
        resolve(answer)
      }, (error) => {
        this.#over(wait)
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
    clearTimeout(this.#timer)
    for (const { end } of this.#underWay) end(new CACHE_ERR_CLOSED('redis'))
    this.#underWay.clear()
    for (const end of [...this.#pauses]) end()
    this.#link.close()
  }

  /** One timer for all of them. It keeps the process alive for as long as somebody waits. */
  #begin (wait: Wait): void {
    this.#underWay.add(wait)
    if (this.#timer === undefined) this.#arm(this.timeoutMs)
    else if (this.#underWay.size === 1) this.#timer.ref()
  }

  #over (wait: Wait): void {
    this.#underWay.delete(wait)
    if (this.#underWay.size === 0) this.#timer?.unref()
  }

  #arm (waitMs: number): void {
    this.#timer = after(() => this.#endLate(), waitMs)
  }

  #endLate (): void {
    this.#timer = undefined
    const at = performance.now()
    for (const wait of this.#underWay) {
      if (wait.endsAt > at) return this.#arm(Math.ceil(wait.endsAt - at))
      this.#underWay.delete(wait)
      this.timeouts++
      wait.end(failure('ETIMEDOUT', `no answer within ${this.timeoutMs} ms`))
    }
  }
}
