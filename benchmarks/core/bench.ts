// One subject under measurement: filled, then asked in slices.
import { createHistogram, type RecordableHistogram } from 'node:perf_hooks'
import { loopDelay, type Delay } from './delay.js'
import { drive, type Driven } from './drive.js'
import { memoryInUse } from './memory.js'
import type { MaybePromise, Subject } from './subject.js'
import { keysOf, shuffled, valueOf, type Workload } from './workload.js'

/** Read a key that is there; write one that isn't, one that is; read one that isn't; delete one that is. */
export const OPERATIONS = ['get', 'set', 'replace', 'miss', 'delete'] as const
export type Operation = typeof OPERATIONS[number]

/** What came of filling. */
export interface Filled {
  readonly entries: number
  readonly heapBytesPerEntry: number
  readonly rssBytesPerEntry: number
  /** Bytes that the store says it takes for an entry, where it says so. */
  readonly storedBytesPerEntry?: number
}

/** Operations of a slice, and the time that they took. */
export interface Slice {
  readonly operations: number
  readonly elapsedMs: number
  /** Of the reads, those that found something. */
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

// So many values, in turn, are enough to write; what is kept in the end has values of its own.
const VALUES = 64

// Keys that come and go: a part of those that are kept, so that a bounded store has room for both.
const SPARE_SHARE = 4

const CHECKED = 50

/** Timing costs about a quarter of a microsecond: so many a second don't show. */
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

  /** `name` tells its keys from those of others on the same subject; nothing is begun any more once `signal` is aborted. */
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

  /** Writes the entries that are kept, as many as there is time for. Throws when the subject doesn't give back what it was given. */
  async fill (forMs: number): Promise<Filled> {
    const { valueBytes } = this.#workload
    const before = memoryInUse()
    const { operations: entries } = await this.#drive('fill', (number) =>
      this.#subject.set(this.#keys[number]!, valueOf(valueBytes, number)), forMs, this.#keys.length)
    const after = memoryInUse()
    this.#signal?.throwIfAborted()
    if (entries === 0) throw new Error('no entry was written in the time that there was')
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

  /** `get`, `replace` or `miss` for a while. */
  async slice (operation: 'get' | 'replace' | 'miss', forMs: number): Promise<Slice> {
    return await this.#drive(operation, this.#operate[operation], forMs)
  }

  /** Writes keys that aren't there and deletes them again, in passes of as many as there are, each for a while in all. */
  async churn (forMs: number): Promise<Record<'set' | 'delete', Slice>> {
    const sum = { set: NOTHING, delete: NOTHING }
    while (sum.set.elapsedMs < forMs && sum.delete.elapsedMs < forMs && this.#signal?.aborted !== true) {
      const set = await this.#drive('set', (number) =>
        this.#subject.set(this.#spare[number]!, this.#value(number)), forMs - sum.set.elapsedMs, this.#spare.length)
      // What can't be deleted in that time is deleted all the same.
      const deleted = await this.#drive('delete', (number) => this.#subject.delete(this.#spare[number]!), Infinity, set.operations)
      sum.set = plus(sum.set, set)
      sum.delete = plus(sum.delete, deleted)
    }
    return sum
  }

  /** Gets and so many replaces in ten, at a steady pace. */
  async delay (perSecond: number, forMs: number, setsInTen: number): Promise<Delay> {
    const operate = (number: number): MaybePromise<unknown> =>
      number % 10 < setsInTen ? this.#operate.replace(number) : this.#operate.get(number)
    return await loopDelay({ operate, perSecond, forMs, inFlight: this.#workload.inFlight })
  }

  /** Drops what was timed: the warm-up. */
  forgetLatencies (): void {
    this.#latencies = new Map()
  }

  latencies (): Partial<Record<Operation, Latency>> {
    return Object.fromEntries(OPERATIONS.flatMap((operation) => {
      const taken = this.#latencies.get(operation)
      return taken === undefined ? [] : [[operation, latencyOf(taken)]]
    }))
  }

  /** Deletes everything that was written, as far as there is time. */
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

  /** A store that keeps nothing would be the fastest of all. One that is bounded may have let go of all but the last. */
  async #check (): Promise<void> {
    const last = this.#keys.length - 1
    for (let number = last; number >= Math.max(0, last - CHECKED); number--) {
      const found = await this.#subject.get(this.#keys[number]!)
      if (found === undefined || found === null) {
        if (number === last) throw new Error('an entry that was written a moment ago is not there')
        continue
      }
      const expected = valueOf(this.#workload.valueBytes, number)
      if (!expected.equals(this.#subject.bytesOf(found))) throw new Error('an entry is not what was written')
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
