// Creates the measured part of docs/choosing.md, a sentence and a table between two marks. This part is never edited by hand.
import { micros } from '../cache-bench/break-even.js'
import type { Report } from '../cache-bench/report.js'
import { bytes, figure } from '../cache-bench/table.js'

const BEGIN = '<!-- measured: npm run bench:choosing -->'
const END = '<!-- end of what was measured -->'

/** Returns the measured part of the page for a report. */
export function measuredPart ({ machine, conditions, seconds, backends }: Report): string {
  const rows = backends.map(({ name, operations: { get, set }, served: { floor, hit, miss }, delay, writing, memory, breakEven }) => [
    `\`${name}\``, figure(get.perSecond), micros(get.p99Us), figure(set.perSecond), micros(set.p99Us), `${delay.p99Ms.toFixed(1)} ms`,
    `${figure(writing.operationsPerSecond)}: ${writing.p999Ms.toFixed(1)} ms`, bytes(Math.max(0, memory.heapBytes)),
    `${figure(hit.cpuUs / floor.cpuUs)} / ${figure(miss.cpuUs / floor.cpuUs)}`, least(breakEven.cpuUs), least(breakEven.latencyUs)
  ])
  const head = [
    'backend', 'get/s', 'p99', 'set/s', 'p99', 'loop delay p99', 'writes only: p99.9', 'heap per entry',
    'CPU of a hit / a miss, relative to no cache', 'pays from: CPU', 'pays from: time'
  ]
  return [
    BEGIN,
    `${figure(conditions.entries)} entries of ${bytes(conditions.valueBytes)}, ${conditions.inFlight} operations in flight, ` +
      `about ${seconds} seconds for each backend; Node ${machine.node.slice(1)}, ${machine.cores} x ${machine.cpu}.`,
    '',
    ...[head, head.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`),
    END
  ].join('\n')
}

/** Returns the page with a new measured part, from this report. Throws if the marks are missing. */
export function withMeasured (page: string, report: Report): string {
  const [before, rest] = page.split(BEGIN)
  const [, after] = rest?.split(END) ?? []
  if (after === undefined) throw new Error(`the page lacks ${BEGIN} or ${END}`)
  return `${before}${measuredPart(report)}${after}`
}

function least (us: number): string {
  return us === 0 ? 'always' : micros(us)
}
