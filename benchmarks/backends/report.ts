// Creates the report from the measurements: rows, ratios, targets, the table, and the JSON that is saved.
import type { Measured } from '../core/contender.js'
import type { Operation } from '../core/bench.js'
import type { Machine } from '../core/machine.js'
import { median, rounded, significant } from '../core/statistics.js'
import type { Workload } from '../core/workload.js'
import { MEASURED, type Contestant } from './contestants.js'

export type Results = ReadonlyMap<string, Partial<Record<Operation, Measured>>>

/** The figures of one operation of a row, as medians over the rounds. A ratio is the median of the ratios within each round. */
export interface Figures {
  readonly perSecond: number
  readonly p50Us: number
  readonly p99Us: number
  readonly ratio?: number
}

export interface Row {
  readonly name: string
  readonly title: string
  readonly beside?: string
  readonly get: Figures
  readonly set: Figures
  /** The targets, and whether they were reached. */
  readonly targets: ReadonlyArray<{ readonly text: string, readonly isReached: boolean }>
}

export interface Report extends Machine, Workload {
  readonly commit: string
  readonly at: string
  readonly rounds: number
  readonly sliceMs: number
  readonly rows: readonly Row[]
}

export function rowsOf (contestants: readonly Contestant[], results: Results): Row[] {
  return contestants.map(({ name, title, beside, leastGetRatio, leastSetsPerSecond }) => {
    const [get, set] = MEASURED.map((operation) => figures(results, operation, name, beside)) as [Figures, Figures]
    return {
      name,
      title,
      ...(beside !== undefined && { beside }),
      get,
      set,
      targets: [
        ...(leastGetRatio === undefined ? [] : [{ text: `get ${leastGetRatio}`, isReached: get.ratio! >= leastGetRatio }]),
        ...(leastSetsPerSecond === undefined
          ? []
          : [{ text: `set ${grouped(leastSetsPerSecond)}/s`, isReached: set.perSecond >= leastSetsPerSecond }])
      ]
    }
  })
}

function figures (results: Results, operation: Operation, name: string, beside: string | undefined): Figures {
  const { perSecond, perSecondRounds, p50Us, p99Us } = results.get(name)![operation]!
  const other = beside === undefined ? undefined : results.get(beside)![operation]!.perSecondRounds
  return {
    perSecond: Math.round(perSecond),
    p50Us: significant(p50Us),
    p99Us: significant(p99Us),
    ...(other !== undefined && { ratio: rounded(median(perSecondRounds.map((rate, round) => rate / other[round]!)), 3) })
  }
}

/** Formats the report as text. */
export function table ({ node, cpu, commit, entries, valueBytes, inFlight, rounds, sliceMs, rows }: Report): string {
  const cells = [
    ['', 'get/s', 'p99 us', 'of raw', 'set/s', 'p99 us', 'of raw', 'target'],
    ...rows.map(({ title, get, set, targets }) => [
      title, ...columns(get), ...columns(set),
      targets.map(({ text, isReached }) => `${text} ${isReached ? 'reached' : 'MISSED'}`).join(', ')
    ])
  ]
  const widths = cells[0]!.map((_, column) => Math.max(...cells.map((row) => row[column]!.length)))
  return [
    `Node ${node}, ${cpu}, commit ${commit}`,
    `${grouped(entries)} entries of ${valueBytes} bytes, ${inFlight} in flight, ` +
      `${rounds} rounds of ${sliceMs} ms, medians; ratios to the raw driver of the same round`,
    '',
    ...cells.map((row) => row.map((cell, column) =>
      column === 0 || column === 7 ? cell.padEnd(widths[column]!) : cell.padStart(widths[column]!)).join('  ').trimEnd())
  ].join('\n')
}

function columns ({ perSecond, p99Us, ratio }: Figures): string[] {
  return [grouped(perSecond), grouped(p99Us), ratio === undefined ? '' : ratio.toFixed(2)]
}

function grouped (value: number): string {
  return value.toLocaleString('en-US').replaceAll(',', ' ')
}
