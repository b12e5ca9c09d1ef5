// Keeps N operations in flight for a while, counts them, and times some of them.
// Benchmark libraries time one call after another, and run one task to its end. Here several stores take turns in short
// slices, each with N concurrent calls, some of which return synchronously. So we have our own loop.
import type { RecordableHistogram } from 'node:perf_hooks'
import { setImmediate as turn } from 'node:timers/promises'
import { isLater, type MaybePromise } from './subject.js'

/** Which operation is run, and for how long. */
export interface Drive {
  /** One operation; `number` counts them from 0. */
  operate (number: number): MaybePromise<unknown>
  readonly inFlight: number
  readonly forMs: number
  /** The most operations. @default Infinity */
  readonly most?: number
  /** One of so many operations is timed, chosen at random. */
  readonly timedOneIn: number
  /** Receives the nanoseconds of the timed operations. */
  readonly latencies: RecordableHistogram
  /** Ends the run early. */
  readonly signal?: AbortSignal
}

/** What was done. */
export interface Driven {
  readonly operations: number
  /** Operations that returned something other than undefined and null. */
  readonly found: number
  readonly elapsedMs: number
}

// How many synchronous operations run between two readings of the clock.
const CHUNK = 64

// Even with synchronous operations the event loop turns this often, as in a server: what a store does in timers is part of its cost.
const TURN_MS = 1

/** Rejects if an operation fails, with its error. */
export async function drive (what: Drive): Promise<Driven> {
  return await new Driver(what).run()
}

class Driver {
  readonly #what: Drive
  readonly #most: number
  #next = 0
  #operations = 0
  #found = 0
  #untilTimed = 1
  #turnEndsAt = 0
  #turn: Promise<void> | undefined

  constructor (what: Drive) {
    this.#what = what
    this.#most = what.most ?? Infinity
  }

  async run (): Promise<Driven> {
    const { inFlight, forMs } = this.#what
    const startedAt = performance.now()
    this.#turnEndsAt = startedAt + TURN_MS
    await Promise.all(Array.from({ length: inFlight }, () => this.#work(startedAt + forMs)))
    return { operations: this.#operations, found: this.#found, elapsedMs: performance.now() - startedAt }
  }

  async #work (endsAt: number): Promise<void> {
    let isSync = true
    while (this.#next < this.#most) {
      const at = performance.now()
      if (at >= endsAt || this.#what.signal?.aborted === true) return
      if (isSync && at >= this.#turnEndsAt) await this.#letTurn()
      const later = this.#chunk()
      isSync = later === undefined
      if (later !== undefined) await later
    }
  }

  /** Runs operations until one returns a promise, or enough of them have run. */
  #chunk (): Promise<void> | undefined {
    const { operate } = this.#what
    for (let left = CHUNK; left > 0 && this.#next < this.#most; left--) {
      const startedAt = --this.#untilTimed === 0 ? performance.now() : -1
      const result = operate(this.#next++)
      if (isLater(result)) return this.#wait(result, startedAt)
      const endedAt = this.#count(result, startedAt)
      if (endedAt >= this.#turnEndsAt) return undefined
    }
    return undefined
  }

  async #wait (result: PromiseLike<unknown>, startedAt: number): Promise<void> {
    if (startedAt >= 0) this.#untilTimed = this.#gap()
    this.#count(await result, startedAt)
  }

  /** Returns when a timed operation ended; -1 for the others. */
  #count (result: unknown, startedAt: number): number {
    this.#operations++
    if (result !== undefined && result !== null) this.#found++
    if (startedAt < 0) return -1
    const endedAt = performance.now()
    this.#what.latencies.record(Math.max(1, Math.round((endedAt - startedAt) * 1e6)))
    if (this.#untilTimed <= 0) this.#untilTimed = this.#gap()
    return endedAt
  }

  /** Random, so that timing doesn't coincide with a rhythm of the store. */
  #gap (): number {
    return 1 + Math.floor(Math.random() * (2 * this.#what.timedOneIn - 1))
  }

  #letTurn (): Promise<void> {
    this.#turn ??= turn().then(() => {
      this.#turn = undefined
      this.#turnEndsAt = performance.now() + TURN_MS
    })
    return this.#turn
  }
}
