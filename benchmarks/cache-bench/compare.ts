// Compares a report with an earlier one, and says which differences are changes and which are noise.
import { OPERATIONS } from '../core/bench.js'
import { median, quartiles } from '../core/statistics.js'
import type { BackendReport, Report } from './report.js'
import { columns, figure, ratioText } from './table.js'

/** One figure that is in both reports. */
export interface Comparison {
  readonly backend: string
  readonly what: string
  readonly then: number
  readonly now: number
  /** `now` divided by `then`, corrected for how fast the machine was each time. */
  readonly ratio: number
  readonly verdict: 'noise' | 'better' | 'worse'
}

// A change that is smaller than this always counts as noise.
const LEAST_CHANGE = 0.05

/** Compares every figure that both reports have. */
export function compare (report: Report, before: Report): Comparison[] {
  const speed = speedOf(report, before)
  return report.backends.flatMap((now) => {
    const then = before.backends.find(({ name }) => name === now.name)
    return then === undefined ? [] : compareBackend(now, then, speed)
  })
}

/** Returns how fast the machine is now, relative to its speed then. */
function speedOf (report: Report, before: Report): number {
  return median(report.yardsticks) / median(before.yardsticks)
}

function compareBackend (now: BackendReport, then: BackendReport, speed: number): Comparison[] {
  const rates = OPERATIONS.map((operation) => comparison({
    backend: now.name,
    what: `${operation}/s`,
    now: now.operations[operation].perSecondRounds,
    then: then.operations[operation].perSecondRounds,
    factor: 1 / speed,
    isMoreBetter: true
  }))
  const costs = (['hit', 'miss'] as const).map((route) => comparison({
    backend: now.name,
    what: `${route}, CPU us`,
    now: now.served[route].cpuUsRounds,
    then: then.served[route].cpuUsRounds,
    factor: speed,
    isMoreBetter: false
  }))
  return [...rates, ...costs]
}

interface Rounds {
  readonly backend: string,
  readonly what: string,
  readonly now: readonly number[],
  readonly then: readonly number[],
  readonly factor: number,
  readonly isMoreBetter: boolean
}

function comparison ({ backend, what, now, then, factor, isMoreBetter }: Rounds): Comparison {
  const corrected = now.map((value) => value * factor)
  const ratio = median(corrected) / median(then)
  const [nowLow, nowHigh] = quartiles(corrected)
  const [thenLow, thenHigh] = quartiles(then)
  // Half of the rounds lie between their quartiles. If these ranges of both reports overlap, the difference is noise.
  const isNoise = Math.abs(ratio - 1) < LEAST_CHANGE || (nowLow <= thenHigh && thenLow <= nowHigh)
  return {
    backend,
    what,
    then: median(then),
    now: median(now),
    ratio,
    verdict: isNoise ? 'noise' : (ratio > 1) === isMoreBetter ? 'better' : 'worse'
  }
}

/** Formats the comparison as text. */
export function comparisonTable (report: Report, before: Report): string {
  const comparisons = compare(report, before)
  const missing = report.backends.filter(({ name }) => !before.backends.some((one) => one.name === name)).map(({ name }) => name)
  return [
    `Compared with the run of ${before.at} (Node ${before.machine.node}, ${before.machine.cpu})`,
    `The machine is ${ratioText(speedOf(report, before))} as fast as then; the ratios are corrected for that. ` +
      'Noise: a change below 5 %, or an overlap of the middle halves of the rounds.',
    ...(comparisons.length === 0
      ? []
      : [columns([['', '', 'then', 'now', 'ratio', ''], ...comparisons.map(({ backend, what, then, now, ratio, verdict }) => [
          backend, what, figure(then), figure(now), ratioText(ratio), verdict
        ])])]),
    ...(missing.length === 0 ? [] : [`Not in that run: ${missing.join(', ')}.`])
  ].join('\n')
}
