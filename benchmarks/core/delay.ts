// Measures the delay of the event loop while a store is used at a steady pace, as a server uses it.
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { setTimeout as wait } from 'node:timers/promises'
import { isLater, type MaybePromise } from './subject.js'

/** How late a timer was, in milliseconds, and how many operations per second ran meanwhile. */
export interface Delay {
  readonly p50Ms: number
  readonly p99Ms: number
  readonly p999Ms: number
  readonly maxMs: number
  readonly operationsPerSecond: number
}

export interface Paced {
  operate (number: number): MaybePromise<unknown>
  readonly perSecond: number
  readonly forMs: number
  /** The most concurrent operations. If a store can't keep up, operations begin later, so there are fewer per second. */
  readonly inFlight: number
}

const RESOLUTION_MS = 1

/** Measures the delay while operations run. If an operation fails, rejects with its error. */
export async function loopDelay ({ operate, perSecond, forMs, inFlight }: Paced): Promise<Delay> {
  const monitor = monitorEventLoopDelay({ resolution: RESOLUTION_MS })
  const pending = new Set<PromiseLike<unknown>>()
  const startedAt = performance.now()
  let [operations, failure]: [number, unknown] = [0, undefined]
  monitor.enable()
  for (let elapsedMs = 0; elapsedMs < forMs && failure === undefined; elapsedMs = performance.now() - startedAt) {
    for (const due = elapsedMs * perSecond / 1_000; operations < due && pending.size < inFlight; operations++) {
      const result = operate(operations)
      if (!isLater(result)) continue
      pending.add(result)
      result.then(() => { pending.delete(result) }, (error) => { failure = error })
    }
    await wait(1)
  }
  monitor.disable()
  await Promise.all(pending)
  if (failure !== undefined) throw failure
  const lateMs = (ns: number): number => Math.max(0, ns / 1e6 - RESOLUTION_MS)
  return {
    p50Ms: lateMs(monitor.percentile(50)),
    p99Ms: lateMs(monitor.percentile(99)),
    p999Ms: lateMs(monitor.percentile(99.9)),
    maxMs: lateMs(monitor.max),
    operationsPerSecond: operations / (performance.now() - startedAt) * 1_000
  }
}
