// Keeps N operations in flight for a while, counts them, and times some of them.
// We need our own loop, because several stores take turns in short slices, each with N concurrent calls, some of which
// return synchronously. Benchmark libraries time one call after another, and run one task to its end.
import type { RecordableHistogram } from 'node:perf_hooks'
import { setImmediate as turn } from 'node:timers/promises'
import { isLater, type MaybePromise } from './subject.js'

/** The operation to run, and for how long to run it. */
export interface Drive {
  /** Runs one operation. `number` is the number of the operation, counted from 0. */
  operate (number: number): MaybePromise<unknown>
  readonly inFlight: number
  readonly forMs: number
  /** The most operations that are run. @default Infinity */
  readonly most?: number
  /** One in this many operations is timed. It is chosen at random. */
  readonly timedOneIn: number
  /** Receives the nanoseconds of the timed operations. */
  readonly latencies: RecordableHistogram
  /** Aborting this signal ends the run early. */
  readonly signal?: AbortSignal
}

/** The result of a run. */
export interface Driven {
  readonly operations: number
  /** The number of operations that returned something other than undefined and null. */
  readonly found: number
  readonly elapsedMs: number
}

// How many synchronous operations run before the clock is read again.
const CHUNK = 64

// Even if all operations are synchronous, the event loop turns this often, as in a server, because a store's timers are part of its cost.
const TURN_MS = 1

/** Runs operations. If one fails, rejects with its error. */
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

  /** Counts an operation. Returns the time at which it ended if it is timed, and -1 otherwise. */
  #count (result: unknown, startedAt: number): number {
    this.#operations++
    if (result !== undefined && result !== null) this.#found++
    if (startedAt < 0) return -1
    const endedAt = performance.now()
    this.#what.latencies.record(Math.max(1, Math.round((endedAt - startedAt) * 1e6)))
    if (this.#untilTimed <= 0) this.#untilTimed = this.#gap()
    return endedAt
  }

  /** Returns after how many operations to time one. This is random, so that timing doesn't coincide with a rhythm of the store. */
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
