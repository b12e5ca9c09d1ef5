// Measures one subject: fills it, then runs operations in slices.
import { createHistogram, type RecordableHistogram } from 'node:perf_hooks'
import { loopDelay, type Delay } from './delay.js'
import { drive, type Driven } from './drive.js'
import { memoryInUse } from './memory.js'
import type { MaybePromise, Subject } from './subject.js'
import { keysOf, shuffled, valueOf, type Workload } from './workload.js'

/** The operations: read an existing key, write a new key, write an existing key, read a missing key, delete an existing key. */
export const OPERATIONS = ['get', 'set', 'replace', 'miss', 'delete'] as const
export type Operation = typeof OPERATIONS[number]

/** The result of filling a store. */
export interface Filled {
  readonly entries: number
  readonly heapBytesPerEntry: number
  readonly rssBytesPerEntry: number
  /** Bytes per entry according to the store, if it reports them. */
  readonly storedBytesPerEntry?: number
}

/** The number of operations in a slice, and the time that they took. */
export interface Slice {
  readonly operations: number
  readonly elapsedMs: number
  /** The number of reads that found an entry. */
  readonly found: number
}

/** How long single operations took, in microseconds. */
export interface Latency {
  readonly p50Us: number
  readonly p90Us: number
  readonly p99Us: number
  readonly p999Us: number
  readonly maxUs: number
}

// The writes of a slice use this many different values in turn. Each entry of a fill has its own value.
const VALUES = 64

// For each spare key, which is set and deleted again, this many keys are kept, so that a bounded store has room for both.
const SPARE_SHARE = 4

const CHECKED = 50

/** How many operations per second are timed. Timing one costs about a quarter of a microsecond, so this many don't affect the result. */
const TIMED_PER_SECOND = 20_000

export class Bench {
  readonly #subject: Subject
  readonly #workload: Workload
  readonly #signal: AbortSignal | undefined
  readonly #keys: string[]
  readonly #spare: string[]
  readonly #absent: string[]
  readonly #values: Buffer[]
  #order: Uint32Array = new Uint32Array()
  #latencies = new Map<string, RecordableHistogram>()
  readonly #perSecond = new Map<string, number>()

  /** `name` is part of all keys, so that benches on one subject don't share keys. No operation begins after `signal` is aborted. */
  constructor (subject: Subject, workload: Workload, { name = '0', signal }: { name?: string, signal?: AbortSignal } = {}) {
    const { entries, valueBytes } = workload
    const few = Math.ceil(entries / SPARE_SHARE)
    this.#subject = subject
    this.#workload = workload
    this.#signal = signal
    this.#keys = keysOf(`${name}:kept`, entries)
    this.#spare = keysOf(`${name}:spare`, few)
    this.#absent = keysOf(`${name}:absent`, few)
    this.#values = Array.from({ length: VALUES }, (_, number) => valueOf(valueBytes, number))
  }

  /** Writes as many entries as there is time for, and keeps them. Throws if the subject doesn't return the bytes that were written. */
  async fill (forMs: number): Promise<Filled> {
    const { valueBytes } = this.#workload
    const before = memoryInUse()
    const { operations: entries } = await this.#drive('fill', (number) =>
      this.#subject.set(this.#keys[number]!, valueOf(valueBytes, number)), forMs, this.#keys.length)
    const after = memoryInUse()
    this.#signal?.throwIfAborted()
    if (entries === 0) throw new Error('no entry was written in time')
    this.#keys.length = entries
    this.#order = shuffled(entries)
    await this.#check()
    const stored = await this.#subject.storedBytes?.()
    return {
      entries,
      heapBytesPerEntry: (after.heapBytes - before.heapBytes) / entries,
      rssBytesPerEntry: (after.rssBytes - before.rssBytes) / entries,
      ...(stored !== undefined && { storedBytesPerEntry: stored / entries })
    }
  }

  /** Runs `get`, `replace` or `miss` for a while. */
  async slice (operation: 'get' | 'replace' | 'miss', forMs: number): Promise<Slice> {
    return await this.#drive(operation, this.#operate[operation], forMs)
  }

  /** Writes new keys and deletes them again, in passes over all spare keys, until either has taken `forMs` in total. */
  async churn (forMs: number): Promise<Record<'set' | 'delete', Slice>> {
    const sum = { set: NOTHING, delete: NOTHING }
    while (sum.set.elapsedMs < forMs && sum.delete.elapsedMs < forMs && this.#signal?.aborted !== true) {
      const set = await this.#drive('set', (number) =>
        this.#subject.set(this.#spare[number]!, this.#value(number)), forMs - sum.set.elapsedMs, this.#spare.length)
      // All keys that were set are deleted, even if that takes longer than the slice.
      const deleted = await this.#drive('delete', (number) => this.#subject.delete(this.#spare[number]!), Infinity, set.operations)
      sum.set = plus(sum.set, set)
      sum.delete = plus(sum.delete, deleted)
    }
    return sum
  }

  /** Runs operations at a steady pace. Of ten operations, `setsInTen` are replaces, and the others are gets. */
  async delay (perSecond: number, forMs: number, setsInTen: number): Promise<Delay> {
    const operate = (number: number): MaybePromise<unknown> =>
      number % 10 < setsInTen ? this.#operate.replace(number) : this.#operate.get(number)
    return await loopDelay({ operate, perSecond, forMs, inFlight: this.#workload.inFlight })
  }

  /** Discards the latencies so far, which belong to the warm-up. */
  discardLatencies (): void {
    this.#latencies = new Map()
  }

  latencies (): Partial<Record<Operation, Latency>> {
    return Object.fromEntries(OPERATIONS.flatMap((operation) => {
      const taken = this.#latencies.get(operation)
      return taken === undefined ? [] : [[operation, latencyOf(taken)]]
    }))
  }

  /** Deletes as many of the written entries as there is time for. */
  async tidy (forMs: number): Promise<void> {
    const written = [...this.#keys, ...this.#spare]
    const operate = (number: number): MaybePromise<unknown> => this.#subject.delete(written[number]!)
    await drive({
      operate, inFlight: this.#workload.inFlight, forMs, most: written.length, timedOneIn: 1_000, latencies: createHistogram()
    })
  }

  readonly #operate = {
    get: (number: number) => this.#subject.get(this.#key(number)),
    replace: (number: number) => this.#subject.set(this.#key(number), this.#value(number)),
    miss: (number: number) => this.#subject.get(this.#absent[number % this.#absent.length]!)
  } as const

  #key (number: number): string {
    return this.#keys[this.#order[number % this.#order.length]!]!
  }

  #value (number: number): Buffer {
    return this.#values[number % VALUES]!
  }

  async #drive (name: string, operate: (number: number) => MaybePromise<unknown>, forMs: number, most = Infinity): Promise<Driven> {
    const latencies = this.#latencies.get(name) ?? createHistogram()
    this.#latencies.set(name, latencies)
    const timedOneIn = Math.max(1, Math.round((this.#perSecond.get(name) ?? 0) / TIMED_PER_SECOND))
    try {
      const driven = await drive({
        operate,
        inFlight: this.#workload.inFlight,
        forMs,
        most,
        timedOneIn,
        latencies,
        ...(this.#signal !== undefined && { signal: this.#signal })
      })
      if (driven.elapsedMs > 0) this.#perSecond.set(name, driven.operations / driven.elapsedMs * 1_000)
      return driven
    } catch (cause) {
      throw Object.assign(new Error(`${name} failed: ${(cause as Error).message ?? String(cause)}`, { cause }), {
        code: (cause as { code?: string }).code
      })
    }
  }

  /** Checks that the store has kept entries, because one that keeps nothing would be fastest. A bounded one may have kept only the last. */
  async #check (): Promise<void> {
    const last = this.#keys.length - 1
    for (let number = last; number >= Math.max(0, last - CHECKED); number--) {
      const found = await this.#subject.get(this.#keys[number]!)
      if (found === undefined || found === null) {
        if (number === last) throw new Error('an entry that was just written is missing')
        continue
      }
      const expected = valueOf(this.#workload.valueBytes, number)
      if (!expected.equals(this.#subject.bytesOf(found))) throw new Error('an entry differs from what was written')
    }
  }
}

const NOTHING: Slice = { operations: 0, elapsedMs: 0, found: 0 }

function plus (one: Slice, other: Slice): Slice {
  return { operations: one.operations + other.operations, elapsedMs: one.elapsedMs + other.elapsedMs, found: one.found + other.found }
}

function latencyOf (taken: RecordableHistogram): Latency {
  const us = (ns: number): number => ns / 1_000
  return {
    p50Us: us(taken.percentile(50)),
    p90Us: us(taken.percentile(90)),
    p99Us: us(taken.percentile(99)),
    p999Us: us(taken.percentile(99.9)),
    maxUs: us(taken.max)
  }
}
