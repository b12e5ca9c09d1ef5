// What a simulation came to: how often handlers ran, how many responses were stale, and what the store had to do.
import type { Costs } from './operations.js'
import { EMPTIED, PROCESSES, TRAFFIC, WAYS, type Traffic, type Way } from './settings.js'
import { simulate } from './simulation.js'
import { OPERATIONS, type Operation, type Tally } from './tally.js'

/** What the operations cost, as it was measured. */
export interface Bytes {
  readonly operations: Costs
  /** The bytes of a message to one process. */
  readonly messageBytes: number
}

/** One way, with so many processes. */
export interface Row {
  readonly way: string
  readonly processes: number
  /** Before the failover. */
  readonly runsPerSecond: number
  readonly mostAtOnce: number
  readonly stalePerMillion: number
  readonly commandsPerSecond: number
  /** How often the stamp of the most popular tag is read, which is one key in one node of a Cluster. */
  readonly popularStampPerSecond: number
  readonly messagesPerSecond: number
  readonly bytesPerSecond: number
  /** While the store is away, and afterwards. */
  readonly runsPerSecondAway: number
  readonly runsPerSecondAfter: number
  readonly stalePerMillionAfter: number
  /** If the store comes back empty: the highest numbers in one second. */
  readonly mostRunsEmptied: number
  readonly mostCommandsEmptied: number
}

const COMMANDS = OPERATIONS.filter((operation) => operation !== 'message')

/** Simulates all ways with these numbers of processes. `told` is called after each. */
export function summaries (
  bytes: Bytes, told: (row: Row) => void = () => {}, processes: readonly number[] = PROCESSES
): Row[] {
  return WAYS.flatMap((way) => processes.map((count) => {
    const row = summary(bytes, way, count)
    told(row)
    return row
  }))
}

/** Simulates one way twice: with a store that loses little, and with one that comes back empty. */
export function summary ({ operations, messageBytes }: Bytes, way: Way, processes: number): Row {
  const tally = simulate(TRAFFIC, way, processes)
  const [before, back, end] = phasesOf(TRAFFIC)
  const perSecond = (names: readonly Parameters<Tally['sum']>[0][], from: number, to: number): number =>
    Math.round(names.reduce((sum, name) => sum + tally.sum(name, from, to), 0) / (to - from))
  const stale = (from: number, to: number): number => Math.round(tally.sum('stale', from, to) / tally.sum('served', from, to) * 1e6)
  const bytesOf = (operation: Exclude<Operation, 'message'>): number =>
    tally.sum(operation, 0, before) * (operations[operation].inBytes + operations[operation].outBytes)
  const sent = COMMANDS.reduce((sum, operation) => sum + bytesOf(operation), 0) + tally.sum('message', 0, before) * messageBytes
  return {
    way: way.name,
    processes,
    runsPerSecond: perSecond(['runs'], 0, before),
    mostAtOnce: Math.max(...tally.atOnce.subarray(0, before)),
    stalePerMillion: stale(0, before),
    commandsPerSecond: perSecond(COMMANDS, 0, before),
    popularStampPerSecond: perSecond(['popularStamp'], 0, before),
    messagesPerSecond: perSecond(['message'], 0, before),
    bytesPerSecond: Math.round(sent / before),
    runsPerSecondAway: perSecond(['runs'], before, back),
    runsPerSecondAfter: perSecond(['runs'], back, end),
    stalePerMillionAfter: stale(back, end),
    ...emptied(way, processes)
  }
}

function emptied (way: Way, processes: number): Pick<Row, 'mostRunsEmptied' | 'mostCommandsEmptied'> {
  const tally = simulate(EMPTIED, way, processes)
  const [, back, end] = phasesOf(EMPTIED)
  const seconds = Array.from({ length: end - back }, (_, at) => back + at)
  return {
    mostRunsEmptied: Math.max(...seconds.map((second) => tally.sum('runs', second, second + 1))),
    mostCommandsEmptied: Math.max(...seconds.map((second) => COMMANDS.reduce((sum, name) => sum + tally.sum(name, second, second + 1), 0)))
  }
}

/** Returns the seconds at which the store goes away, is back, and the simulation ends. */
function phasesOf ({ secondsBefore, secondsAfter, awayMs }: Traffic): [before: number, back: number, end: number] {
  return [secondsBefore, secondsBefore + Math.ceil(awayMs / 1_000), secondsBefore + secondsAfter]
}
