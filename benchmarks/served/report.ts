// Creates the table, the ratios and the saved JSON from the samples.
import { execFileSync } from 'node:child_process'
import { cpus } from 'node:os'
import { CONTESTANTS, FLOOR } from './contestants.js'
import type { Sample } from './load.js'

/** One row of the saved report. Its figures are medians over the rounds. A ratio is the median of the ratios within each round. */
export interface Row {
  readonly name: string
  readonly title: string
  readonly requestsPerSecond: number
  readonly cpuUsPerRequest: number
  readonly ratioToFloor: number
  /** The CPU time as a ratio to that of the row with which this row is compared. */
  readonly cpuRatio?: number
}

export interface Report {
  readonly node: string
  readonly cpu: string
  readonly commit: string
  readonly at: string
  readonly rounds: number
  readonly seconds: number
  readonly connections: number
  readonly rows: readonly Row[]
}

/** Creates the report. `samples` has, for each row, one sample per round, in order. */
export function report (
  samples: ReadonlyMap<string, readonly Sample[]>, settings: Pick<Report, 'rounds' | 'seconds' | 'connections'>
): Report {
  const of = (name: string): readonly Sample[] => samples.get(name) as readonly Sample[]
  const floor = of(FLOOR)
  const rows = CONTESTANTS.map(({ name, title, beside }) => ({
    name,
    title,
    requestsPerSecond: Math.round(median(of(name).map((sample) => sample.requestsPerSecond))),
    cpuUsPerRequest: rounded(median(of(name).map((sample) => sample.cpuUsPerRequest)), 1),
    ratioToFloor: rounded(median(of(name).map((sample, round) => sample.requestsPerSecond / floor[round]!.requestsPerSecond)), 3),
    ...(beside !== undefined && {
      cpuRatio: rounded(median(of(name).map((sample, round) => sample.cpuUsPerRequest / of(beside)[round]!.cpuUsPerRequest)), 3)
    })
  }))
  return { node: process.version, cpu: cpus()[0]?.model ?? 'unknown', commit: commit(), at: new Date().toISOString(), ...settings, rows }
}

/** Formats the report as text. */
export function table ({ node, cpu, commit, rounds, seconds, connections, rows }: Report): string {
  const lines = rows.map((row) => [
    row.title.padEnd(56),
    String(row.requestsPerSecond).padStart(10),
    row.cpuUsPerRequest.toFixed(1).padStart(8),
    row.ratioToFloor.toFixed(2).padStart(9),
    row.cpuRatio === undefined ? '' : `  CPU x${row.cpuRatio.toFixed(2)} of uncached`
  ].join(' '))
  return [
    `Node ${node}, ${cpu}, commit ${commit}; ${rounds} rounds of ${seconds} s, ${connections} connections, medians`,
    `${'response'.padEnd(56)} requests/s   CPU us  of floor`,
    ...lines
  ].join('\n')
}

function median (values: readonly number[]): number {
  const sorted = values.toSorted((one, other) => one - other)
  const middle = Math.floor(sorted.length / 2)
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2
}

function rounded (value: number, digits: number): number {
  return Number(value.toFixed(digits))
}

function commit (): string {
  try {
    return execFileSync('git', ['describe', '--always', '--dirty'], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim()
  } catch {
    return 'unknown'
  }
}
