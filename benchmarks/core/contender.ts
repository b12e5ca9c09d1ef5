// One of those that are compared: its process, and what was measured of it, round by round.
import { Child } from './child.js'
import type { Filled, Latency, Operation, Slice } from './bench.js'
import type { Delay } from './delay.js'
import { median } from './statistics.js'
import type { Opening } from './worker.js'

/** What an operation came to. */
export interface Measured extends Latency {
  /** Operations a second, the median of the rounds. */
  readonly perSecond: number
  /** The same, for each round: what is compared with another contender is compared within a round. */
  readonly perSecondRounds: readonly number[]
  /** The share of reads that found something. */
  readonly foundShare: number
}

// Beside the time that a call is given: whoever needs longer hangs.
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
    await this.#ask('open', opening, 0)
  }

  /** Writes what is kept of the workload with this number. */
  async fill (forMs: number, at = 0): Promise<Filled> {
    return await this.#ask('fill', { forMs, at }, forMs)
  }

  /** Operations a second of a workload that is not the first; nothing of it is kept. */
  async perSecond (operation: 'get' | 'replace', forMs: number, at: number): Promise<number> {
    return perSecondOf(await this.#ask<Slice>('slice', { operation, forMs, at }, forMs))
  }

  /** Deletes what was written of a workload. */
  async tidy (at: number): Promise<void> {
    await this.#ask('tidy', { at }, 0)
  }

  async delay (pace: { readonly perSecond: number, readonly setsInTen: number }, forMs: number): Promise<Delay> {
    return await this.#ask('delay', { ...pace, forMs }, forMs)
  }

  /** One round: a slice of each operation; `set` and `delete` come together. */
  async round (operations: readonly Operation[], forMs: number): Promise<void> {
    for (const operation of operations) {
      if (operation === 'delete') continue
      if (operation !== 'set') {
        this.#keep(operation, await this.#ask<Slice>('slice', { operation, forMs }, forMs))
        continue
      }
      const churned = await this.#ask<Record<'set' | 'delete', Slice>>('churn', { forMs }, forMs * 2)
      this.#keep('set', churned.set)
      this.#keep('delete', churned.delete)
    }
  }

  /** Forgets the rounds so far: the warm-up. */
  async forget (): Promise<void> {
    this.#slices.clear()
    await this.#ask('forgetLatencies', {}, 0)
  }

  /** What the rounds came to. */
  async results (): Promise<Partial<Record<Operation, Measured>>> {
    const latencies = await this.#ask<Partial<Record<Operation, Latency>>>('latencies', {}, 0)
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

  async #ask<T> (call: string, argument: unknown, forMs: number): Promise<T> {
    return await this.#child.call<T>(call, argument, forMs + PATIENCE_MS)
  }
}

function perSecondOf ({ operations, elapsedMs }: Slice): number {
  return operations / elapsedMs * 1_000
}

function sum (slices: readonly Slice[], name: 'found' | 'operations'): number {
  return slices.reduce((total, slice) => total + slice[name], 0)
}
