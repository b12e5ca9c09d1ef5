// Creates the parts of docs/scaling.md that are measured and simulated, each between two marks. They are never edited by hand.
import { bytes, figure } from '../cache-bench/table.js'
import type { FanOut } from './fan-out.js'
import type { Costs } from './operations.js'
import type { Cost, Memory } from './requests.js'
import { TRAFFIC } from './settings.js'
import type { Bytes, Row } from './summary.js'

export const MEASURED = 'benchmarks/scaling/measured.json'
export const SIMULATED = 'benchmarks/scaling/simulated.json'
export const PAGE = 'docs/scaling.md'
export const PICTURE = 'docs/scaling.svg'

const END = '<!-- end of the table -->'

/** What `npm run bench:scaling` has measured. */
export interface Measured {
  readonly machine: { readonly node: string, readonly cpu: string, readonly cores: number, readonly redis: string }
  /** The connections that one process keeps open. */
  readonly connections: number
  readonly operations: Costs
  readonly requests: readonly Cost[]
  readonly memory: readonly Memory[]
  readonly fanOut: readonly FanOut[]
}

/** Returns what the simulation needs of what was measured. */
export function bytesOf ({ operations, fanOut }: Measured): Bytes {
  const largest = fanOut.at(-1)!
  return { operations, messageBytes: Math.round(largest.outBytes / largest.processes) }
}

/** Returns the measured parts of the page, by their marks. */
export function measuredParts ({ machine, connections, requests, memory, fanOut, operations }: Measured): Map<string, string> {
  const { node, cpu, cores, redis } = machine
  return new Map([
    [mark('requests, npm run bench:scaling'), [
      `Redis ${redis}, Node ${node.slice(1)}, ${cores} x ${cpu}. Connections of one process: ${connections}.`,
      '',
      ...table(REQUEST_HEAD, requests.map(({ name, trips, inBytes, outBytes, cpuAloneUs, cpuUs, commands }) => [
        name, String(trips), figure(inBytes), figure(outBytes), `${cpuUs} to ${cpuAloneUs} us`,
          `${figure(1e6 / cpuAloneUs)} to ${figure(1e6 / cpuUs)}`, `\`${commands}\``
      ]))
    ].join('\n')],
    [mark('calls, npm run bench:scaling'), table(['call', 'bytes to Redis', 'bytes from Redis'], CALLS.map(([operation, name]) => [
      name, figure(operations[operation].inBytes), figure(operations[operation].outBytes)
    ])).join('\n')],
    [mark('memory, npm run bench:scaling'), table(['key', 'its value', 'in the memory of Redis'],
      memory.map(({ name, valueBytes, bytes: all }) => [name, bytes(valueBytes), bytes(all)])).join('\n')],
    [mark('messages, npm run bench:scaling'), table(MESSAGE_HEAD, fanOut.map(({ processes, outBytes, cpuUs }) => [
      String(processes), bytes(outBytes), `${figure(cpuUs)} us`, figure(1e6 / cpuUs)
    ])).join('\n')]
  ])
}

const REQUEST_HEAD = [
  '', 'round trips', 'bytes to Redis', 'bytes from Redis', 'CPU of Redis', 'at most, per second', 'commands, with those that scripts run'
]

const MESSAGE_HEAD = ['processes that listen', 'bytes for one change', 'CPU of Redis for one change', 'at most, changes per second']

const CALLS: ReadonlyArray<readonly [operation: keyof Costs, name: string]> = [
  ['hit', 'a read that finds an entry'],
  ['miss', 'a read that finds none'],
  ['stamp', 'a read of a stamp'],
  ['claim', 'a claim that is granted'],
  ['busy', 'a claim while another process has the lease'],
  ['quicker', 'a claim that finds an entry'],
  ['renew', 'a renewal of a lease'],
  ['settle', 'storing an entry with a claim'],
  ['release', 'giving a claim back'],
  ['set', 'storing an entry without a claim'],
  ['remove', 'a delete'],
  ['setStamp', 'writing a stamp'],
  ['version', 'reading the number of the last invalidation']
]

/** Returns the simulated part of the page: two tables, before the failover and after it. */
export function simulatedPart (rows: readonly Row[]): string {
  const before = table([
    'way', 'processes', 'runs/s', 'most runs of a key at once', 'stale, per million', 'commands/s',
    'reads/s of the most popular stamp', 'messages/s', 'bytes/s'
  ], rows.map((row) => [
    row.way, String(row.processes), figure(row.runsPerSecond), String(row.mostAtOnce), figure(row.stalePerMillion),
    figure(row.commandsPerSecond), figure(row.popularStampPerSecond), figure(row.messagesPerSecond), bytes(row.bytesPerSecond)
  ]))
  const after = table([
    'way', 'processes', 'runs/s while Redis is away', 'runs/s afterwards', 'stale afterwards, per million', 'empty Redis: most runs/s',
    'empty Redis: most commands/s'
  ], rows.map((row) => [
    row.way, String(row.processes), figure(row.runsPerSecondAway), figure(row.runsPerSecondAfter), figure(row.stalePerMillionAfter),
    figure(row.mostRunsEmptied), figure(row.mostCommandsEmptied)
  ]))
  return [`Before the failover (seed ${TRAFFIC.seed}):`, '', ...before, '', 'In the failover and after it:', '', ...after].join('\n')
}

export function withMeasured (page: string, measured: Measured): string {
  return [...measuredParts(measured)].reduce((text, [begin, part]) => withPart(text, begin, part), page)
}

export function withSimulated (page: string, rows: readonly Row[]): string {
  return withPart(page, mark('simulated, npm run simulate'), simulatedPart(rows))
}

/** Replaces what is between a mark and the next end. Throws if the marks are missing. */
function withPart (page: string, begin: string, part: string): string {
  const [before, ...rest] = page.split(begin)
  const [, ...after] = rest.join(begin).split(END)
  if (after.length === 0) throw new Error(`the page lacks ${begin} or ${END}`)
  return `${before}${begin}\n${part}\n${END}${after.join(END)}`
}

function mark (what: string): string {
  return `<!-- ${what} -->`
}

function table (head: readonly string[], rows: ReadonlyArray<readonly string[]>): string[] {
  return [head, head.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`)
}
