// One contender: its child process, and the measurements of each round.
import { Child } from './child.js'
import type { Filled, Latency, Operation, Slice } from './bench.js'
import type { Delay } from './delay.js'
import { median } from './statistics.js'
import type { Opening } from './worker.js'

/** The results of an operation. */
export interface Measured extends Latency {
  /** Operations per second: the median of the rounds. */
  readonly perSecond: number
  /** Operations per second in each round. Contenders are compared within a round. */
  readonly perSecondRounds: readonly number[]
  /** The share of the reads that found an entry. */
  readonly foundShare: number
}

// How much longer than its planned time a call may take before it counts as hanging.
const PATIENCE_MS = 30_000

export class Contender {
  readonly name: string
  readonly #child: Child
  readonly #slices = new Map<Operation, Slice[]>()

  constructor (name: string) {
    this.name = name
    this.#child = new Child(new URL('worker.js', import.meta.url))
  }

  async open (opening: Opening): Promise<void> {
    await this.#call('open', opening, 0)
  }

  /** Writes the entries of the workload with the number `at`. */
  async fill (forMs: number, at = 0): Promise<Filled> {
    return await this.#call('fill', { forMs, at }, forMs)
  }

  /** Returns the operations per second of a workload other than the first. Does not record the result. */
  async perSecond (operation: 'get' | 'replace', forMs: number, at: number): Promise<number> {
    return perSecondOf(await this.#call<Slice>('slice', { operation, forMs, at }, forMs))
  }

  /** Deletes the entries of the workload with the number `at`. */
  async tidy (at: number): Promise<void> {
    await this.#call('tidy', { at }, 0)
  }

  async delay (pace: { readonly perSecond: number, readonly setsInTen: number }, forMs: number): Promise<Delay> {
    return await this.#call('delay', { ...pace, forMs }, forMs)
  }

  /** Runs one round, which is a slice of each operation. `set` and `delete` are measured together. */
  async round (operations: readonly Operation[], forMs: number): Promise<void> {
    for (const operation of operations) {
      if (operation === 'delete') continue
      if (operation !== 'set') {
        this.#keep(operation, await this.#call<Slice>('slice', { operation, forMs }, forMs))
        continue
      }
      const churned = await this.#call<Record<'set' | 'delete', Slice>>('churn', { forMs }, forMs * 2)
      this.#keep('set', churned.set)
      this.#keep('delete', churned.delete)
    }
  }

  /** Discards the rounds so far, which were the warm-up. */
  async discardRounds (): Promise<void> {
    this.#slices.clear()
    await this.#call('discardLatencies', {}, 0)
  }

  /** Returns the results of the rounds. */
  async results (): Promise<Partial<Record<Operation, Measured>>> {
    const latencies = await this.#call<Partial<Record<Operation, Latency>>>('latencies', {}, 0)
    return Object.fromEntries([...this.#slices].map(([operation, slices]) => {
      const perSecondRounds = slices.map(perSecondOf)
      const [found, operations] = [sum(slices, 'found'), sum(slices, 'operations')]
      return [
        operation,
        { perSecond: median(perSecondRounds), perSecondRounds, foundShare: found / operations, ...latencies[operation] as Latency }
      ]
    }))
  }

  async stop (): Promise<void> {
    await this.#child.stop()
  }

  #keep (operation: Operation, slice: Slice): void {
    const slices = this.#slices.get(operation) ?? []
    this.#slices.set(operation, slices)
    slices.push(slice)
  }

  async #call<T> (call: string, argument: unknown, forMs: number): Promise<T> {
    return await this.#child.call<T>(call, argument, forMs + PATIENCE_MS)
  }
}

function perSecondOf ({ operations, elapsedMs }: Slice): number {
  return operations / elapsedMs * 1_000
}

function sum (slices: readonly Slice[], name: 'found' | 'operations'): number {
  return slices.reduce((total, slice) => total + slice[name], 0)
}
