// How late the event loop is while a store is used at a steady pace, as a server uses it.
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { setTimeout as wait } from 'node:timers/promises'
import { isLater, type MaybePromise } from './subject.js'

/** Milliseconds by which a timer was late, and how many operations there were meanwhile. */
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
  /** Operations under way at most: a store that can't keep the pace is not buried. */
  readonly inFlight: number
}

const RESOLUTION_MS = 1

/** Rejects with what an operation throws. */
export async function loopDelay ({ operate, perSecond, forMs, inFlight }: Paced): Promise<Delay> {
  const monitor = monitorEventLoopDelay({ resolution: RESOLUTION_MS })
  const underWay = new Set<PromiseLike<unknown>>()
  const startedAt = performance.now()
  let [operations, failure]: [number, unknown] = [0, undefined]
  monitor.enable()
  for (let elapsedMs = 0; elapsedMs < forMs && failure === undefined; elapsedMs = performance.now() - startedAt) {
    for (const due = elapsedMs * perSecond / 1_000; operations < due && underWay.size < inFlight; operations++) {
      const answer = operate(operations)
      if (!isLater(answer)) continue
      underWay.add(answer)
      answer.then(() => { underWay.delete(answer) }, (error) => { failure = error })
    }
    await wait(1)
  }
  monitor.disable()
  await Promise.all(underWay)
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
