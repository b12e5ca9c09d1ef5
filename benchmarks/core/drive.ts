// Keeps N operations in flight for a while, counts them, and times some of them.
// Libraries for benchmarks time one call after another and run one task until it is over; here several stores
// take turns in short slices, each with N calls under way, synchronous answers among them. Hence a loop of our own.
import type { RecordableHistogram } from 'node:perf_hooks'
import { setImmediate as turn } from 'node:timers/promises'
import { isLater, type MaybePromise } from './subject.js'

/** What is to be done, and for how long. */
export interface Drive {
  /** One operation; `number` counts them from 0. */
  operate (number: number): MaybePromise<unknown>
  readonly inFlight: number
  readonly forMs: number
  /** Operations at most. @default Infinity */
  readonly most?: number
  /** One in so many operations is timed, at random. */
  readonly timedOneIn: number
  /** Takes the nanoseconds of the operations that are timed. */
  readonly latencies: RecordableHistogram
  /** Ends it before its time. */
  readonly signal?: AbortSignal
}

/** What was done. */
export interface Driven {
  readonly operations: number
  /** Operations that answered something else than undefined and null. */
  readonly found: number
  readonly elapsedMs: number
}

// Operations between two looks at the clock, while they answer synchronously.
const CHUNK = 64

// Synchronous answers let the loop turn this often, as a server does: what a store does in its timers is part of its cost.
const TURN_MS = 1

/** Rejects with what an operation throws. */
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

  /** Operations until one answers later, or enough have answered. */
  #chunk (): Promise<void> | undefined {
    const { operate } = this.#what
    for (let left = CHUNK; left > 0 && this.#next < this.#most; left--) {
      const startedAt = --this.#untilTimed === 0 ? performance.now() : -1
      const answer = operate(this.#next++)
      if (isLater(answer)) return this.#wait(answer, startedAt)
      const endedAt = this.#count(answer, startedAt)
      if (endedAt >= this.#turnEndsAt) return undefined
    }
    return undefined
  }

  async #wait (answer: PromiseLike<unknown>, startedAt: number): Promise<void> {
    if (startedAt >= 0) this.#untilTimed = this.#gap()
    this.#count(await answer, startedAt)
  }

  /** Answers when an operation that is timed has ended; of the others that isn't asked. */
  #count (answer: unknown, startedAt: number): number {
    this.#operations++
    if (answer !== undefined && answer !== null) this.#found++
    if (startedAt < 0) return -1
    const endedAt = performance.now()
    this.#what.latencies.record(Math.max(1, Math.round((endedAt - startedAt) * 1e6)))
    if (this.#untilTimed <= 0) this.#untilTimed = this.#gap()
    return endedAt
  }

  /** At random, so that no rhythm of the store meets ours. */
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
