// Formats the report as text.
import { OPERATIONS } from '../core/bench.js'
import { breakEvenSentence } from './break-even.js'
import type { BackendReport, Report } from './report.js'
import { median } from '../core/statistics.js'

/** Aligns cells in columns, the first column to the left and the others to the right. */
export function columns (rows: ReadonlyArray<readonly string[]>): string {
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)))
  return rows.map((row) =>
    row.map((cell, column) => column === 0 ? cell.padEnd(widths[column]!) : cell.padStart(widths[column]!)).join('  ').trimEnd()).join('\n')
}

/** Formats a number with separated thousands and three significant digits. */
export function figure (value: number): string {
  if (!Number.isFinite(value)) return '-'
  const short = Number(value.toPrecision(3))
  return Math.abs(short) < 10_000 ? String(short) : short.toLocaleString('en-US').replaceAll(',', ' ')
}

export function bytes (value: number): string {
  const [unit, size] = value >= 1e6 ? ['MB', value / 1e6] : value >= 1e3 ? ['KB', value / 1e3] : ['B', value]
  return `${figure(size)} ${unit}`
}

export function table (report: Report): string {
  return [
    heading(report),
    section('Operations', operationRows(report.backends)),
    section('Operations per second by value size', sizeRows(report.backends)),
    section(
      `Event-loop delay at ${figure(report.pacePerSecond)} operations per second, with 10 % writes and with writes only; memory per entry`,
      loopRows(report.backends)),
    section('Requests to a Fastify application in a child process', servedRows(report.backends)),
    [
      ...report.backends.map(({ name, breakEven }) => breakEvenSentence(name, breakEven, report.conditions.hitRatio)),
      ...warnings(report.backends)
    ].join('\n')
  ].join('\n\n')
}

function heading ({ machine, conditions, seconds }: Report): string {
  const { node, cpu, cores, platform } = machine
  return `Node ${node}, ${platform}, ${cores} x ${cpu}\n` +
    `${figure(conditions.entries)} entries of ${bytes(conditions.valueBytes)}, ${conditions.inFlight} operations in flight, ` +
    `about ${seconds} s for each backend; medians of interleaved rounds`
}

function section (title: string, rows: ReadonlyArray<readonly string[]>): string {
  return `${title}\n${columns(rows)}`
}

/** Returns the rows for operations. A ratio to the first backend is the median of the ratios within each round. */
function operationRows (backends: readonly BackendReport[]): string[][] {
  const first = backends[0]!
  return [
    ['', '', 'per second', ...(backends.length > 1 ? [`of ${first.name}`] : []), 'p50 us', 'p90 us', 'p99 us', 'p99.9 us'],
    ...OPERATIONS.flatMap((operation) => backends.map(({ name, operations }, at) => {
      const { perSecond, perSecondRounds, p50Us, p90Us, p99Us, p999Us } = operations[operation]
      const ratio = median(perSecondRounds.map((rate, round) => rate / first.operations[operation].perSecondRounds[round]!))
      return [
        at === 0 ? operation : '', name, figure(perSecond), ...(backends.length > 1 ? [ratioText(ratio)] : []), figure(p50Us),
        figure(p90Us), figure(p99Us), figure(p999Us)
      ]
    }))
  ]
}

export function ratioText (ratio: number): string {
  return `x${ratio >= 0.1 ? ratio.toFixed(2) : ratio.toPrecision(2)}`
}

function sizeRows (backends: readonly BackendReport[]): string[][] {
  return [
    ['', ...backends.flatMap(({ name }) => [`${name} get`, 'set'])],
    ...backends[0]!.sizes.map(({ valueBytes }, at) => [
      bytes(valueBytes), ...backends.flatMap(({ sizes }) => [figure(sizes[at]!.getPerSecond), figure(sizes[at]!.setPerSecond)])
    ])
  ]
}

function loopRows (backends: readonly BackendReport[]): string[][] {
  return [
    ['', 'operations/s', 'delay p50 ms', 'p99 ms', 'longest ms', 'writes/s', 'p99 ms', 'p99.9 ms', 'heap', 'resident', 'stored'],
    ...backends.map(({ name, delay, writing, memory }) => [
      name, figure(delay.operationsPerSecond), delay.p50Ms.toFixed(2), delay.p99Ms.toFixed(2), delay.maxMs.toFixed(2),
      figure(writing.operationsPerSecond), writing.p99Ms.toFixed(2), writing.p999Ms.toFixed(2),
      bytes(Math.max(0, memory.heapBytes)), bytes(Math.max(0, memory.rssBytes)),
      memory.storedBytes === undefined ? '-' : bytes(memory.storedBytes)
    ])
  ]
}

function servedRows (backends: readonly BackendReport[]): string[][] {
  return [
    ['', 'no cache CPU us', 'hit', 'miss', 'no cache time us', 'hit', 'miss'],
    ...backends.map(({ name, served: { floor, hit, miss } }) => [
      name, ...[floor, hit, miss].map(({ cpuUs }) => figure(cpuUs)), ...[floor, hit, miss].map(({ latencyUs }) => figure(latencyUs))
    ])
  ]
}

/** Returns warnings about figures that mean less than they seem to. */
function warnings (backends: readonly BackendReport[]): string[] {
  return backends.flatMap(({ name, operations, served }) => [
    ...(operations.get.foundShare < 0.99
      ? [`${name}: only ${(operations.get.foundShare * 100).toFixed(0)} % of the reads found their entry: it has no room for all of them.`]
      : []),
    ...(served.asMeant < 0.99
      ? [`${name}: only ${(served.asMeant * 100).toFixed(0)} % of the requests were a hit or a stored miss as intended.`]
      : [])
  ])
}
