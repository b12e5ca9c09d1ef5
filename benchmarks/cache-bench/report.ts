// The report of a run, which is saved, compared, printed and drawn.
import { readFileSync } from 'node:fs'
import { OPERATIONS, type Operation } from '../core/bench.js'
import type { Measured } from '../core/contender.js'
import type { Delay } from '../core/delay.js'
import { machine, type Machine } from '../core/machine.js'
import { median, rounded, significant } from '../core/statistics.js'
import type { Settings } from './arguments.js'
import { breakEvenUs } from './break-even.js'
import { lineOf, Refusal } from './refusal.js'
import { PACE_PER_SECOND, type Outcome, type Part } from './run.js'
import { medians, ROUTES, type Route, type RouteSample } from './served.js'

/** The version of the report's format. It is increased when a change makes earlier reports impossible to compare. */
export const FORMAT = 1

/** The results of one operation: the median of the rounds, and each round. */
export interface OperationReport {
  readonly perSecond: number
  readonly perSecondRounds: readonly number[]
  /** The share of the reads that found an entry. */
  readonly foundShare: number
  readonly p50Us: number
  readonly p90Us: number
  readonly p99Us: number
  readonly p999Us: number
}

export interface SizeReport {
  readonly valueBytes: number
  readonly entries: number
  readonly getPerSecond: number
  readonly setPerSecond: number
}

export interface BackendReport {
  readonly name: string
  readonly entries: number
  readonly operations: Readonly<Record<Operation, OperationReport>>
  readonly sizes: readonly SizeReport[]
  /** How late timers were, in milliseconds, while operations (10 % of them writes) ran at a steady pace. */
  readonly delay: Delay
  /** How late timers were while all operations were writes. */
  readonly writing: Delay
  /** Bytes per entry: in the heap and Buffers of the process, in its resident memory, and according to the backend's own stats. */
  readonly memory: { readonly heapBytes: number, readonly rssBytes: number, readonly storedBytes?: number }
  /** The results of requests to a Fastify application: without a cache, hits, and misses. */
  readonly served: Readonly<Record<Route, RouteSample & { readonly cpuUsRounds: readonly number[] }>> & { readonly asMeant: number }
  /** How long a handler must take for caching to pay. */
  readonly breakEven: { readonly cpuUs: number, readonly latencyUs: number }
}

const DELAYS = ['p50Ms', 'p99Ms', 'p999Ms', 'maxMs', 'operationsPerSecond'] as const satisfies ReadonlyArray<keyof Delay>

/** The conditions that must be equal in two reports if they are compared. */
const CONDITIONS = ['entries', 'valueBytes', 'inFlight', 'hitRatio'] as const
export type Conditions = Pick<Settings, typeof CONDITIONS[number]>

export interface Report {
  readonly format: typeof FORMAT
  readonly at: string
  readonly machine: Machine
  readonly conditions: Conditions
  readonly seconds: number
  /** The pace at which the event-loop delay was measured, in operations per second. */
  readonly pacePerSecond: number
  /** How fast the machine was in each round. */
  readonly yardsticks: readonly number[]
  readonly backends: readonly BackendReport[]
}

export function reportOf ({ parts, results, yardsticks }: Outcome, settings: Settings): Report {
  const { hitRatio, seconds, sizes } = settings
  return {
    format: FORMAT,
    at: new Date().toISOString(),
    machine: machine(),
    conditions: each(CONDITIONS, (name) => settings[name]),
    seconds,
    pacePerSecond: PACE_PER_SECOND,
    yardsticks: yardsticks.map((times) => Math.round(times)),
    backends: parts.map((part, at) => backendReport(part, results[at]!, { hitRatio, sizes }))
  }
}

function backendReport (
  part: Part, results: Outcome['results'][number], { hitRatio, sizes }: Pick<Settings, 'hitRatio' | 'sizes'>
): BackendReport {
  const { source, filled, delay, writing, served } = part
  const routes = each(ROUTES, (route) => medians(served.samples[route]))
  const least = (what: keyof RouteSample): number =>
    significant(breakEvenUs({ floorUs: routes.floor[what], hitUs: routes.hit[what], missUs: routes.miss[what] }, hitRatio))
  return {
    name: source.name,
    entries: filled.entries,
    operations: each(OPERATIONS, (operation) => operationReport(results[operation]!)),
    sizes: part.sizes.map(({ get, replace, entries }, at) => ({
      valueBytes: sizes[at]!, entries, getPerSecond: significant(median(get)), setPerSecond: significant(median(replace))
    })),
    delay: each(DELAYS, (name) => significant(delay[name])),
    writing: each(DELAYS, (name) => significant(writing[name])),
    memory: {
      heapBytes: Math.round(filled.heapBytesPerEntry),
      rssBytes: Math.round(filled.rssBytesPerEntry),
      ...(filled.storedBytesPerEntry !== undefined && { storedBytes: Math.round(filled.storedBytesPerEntry) })
    },
    served: {
      ...each(ROUTES, (route) => ({
        cpuUs: significant(routes[route].cpuUs),
        latencyUs: significant(routes[route].latencyUs),
        cpuUsRounds: served.samples[route].map(({ cpuUs }) => rounded(cpuUs, 1))
      })),
      asMeant: rounded(served.asMeant, 4)
    },
    breakEven: { cpuUs: least('cpuUs'), latencyUs: least('latencyUs') }
  }
}

function operationReport ({ perSecond, perSecondRounds, foundShare, ...latency }: Measured): OperationReport {
  return {
    perSecond: significant(perSecond),
    perSecondRounds: perSecondRounds.map(Math.round),
    foundShare: rounded(foundShare, 4),
    ...each(['p50Us', 'p90Us', 'p99Us', 'p999Us'] as const, (name) => significant(latency[name]))
  }
}

function each<Name extends string, T> (names: readonly Name[], make: (name: Name) => T): Record<Name, T> {
  return Object.fromEntries(names.map((name) => [name, make(name)])) as Record<Name, T>
}

/** Reads a saved report. Throws Refusal if the file isn't one, or was measured under other conditions. */
export function readReport (path: string, conditions: Conditions): Report {
  let report: Partial<Report> | undefined
  try {
    report = JSON.parse(readFileSync(path, 'utf8'))
  } catch (error) {
    throw new Refusal(`--against ${path} can't be read: ${lineOf(error)}`)
  }
  if (report?.format !== FORMAT || !Array.isArray(report.backends)) {
    throw new Refusal(`--against ${path} is not a report of this cache-bench (format ${FORMAT})`)
  }
  for (const name of CONDITIONS) {
    const then = report.conditions?.[name]
    if (then !== conditions[name]) {
      throw new Refusal(`--against ${path} was measured with ${name} ${then}, this run has ${conditions[name]}: they can't be compared`)
    }
  }
  return report as Report
}
