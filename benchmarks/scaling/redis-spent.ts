// What a redis-server says that a piece of work has cost it: round trips, commands, bytes and CPU time.
import type { Redis } from 'ioredis'
import { rounded } from '../core/statistics.js'

/** What one operation costs. */
export interface Spent {
  /** How often the server has read from a connection. Commands that are sent together are read together. */
  readonly trips: number
  readonly inBytes: number
  readonly outBytes: number
  /** The commands, with those that scripts run, such as `get 2, evalsha 1`. */
  readonly commands: string
}

interface Counters { readonly reads: number, readonly inBytes: number, readonly outBytes: number }

/** Returns what `work`, which does something `times` times, one after another, has cost for each time. */
export async function spentBy (server: Redis, times: number, work: () => Promise<void>): Promise<Spent> {
  await counters(server)
  const idle = between(await counters(server), await counters(server))
  await server.config('RESETSTAT')
  const before = await counters(server)
  await work()
  const spent = between(before, await counters(server))
  const each = (what: keyof Counters): number => (spent[what] - idle[what]) / times
  return {
    trips: rounded(each('reads'), 1),
    inBytes: Math.round(each('inBytes')),
    outBytes: Math.round(each('outBytes')),
    commands: commandsIn(await server.info('commandstats'), times)
  }
}

/** Returns the CPU time in microseconds that the server has used for each time. */
export async function cpuUsBy (server: Redis, times: number, work: () => Promise<void>): Promise<number> {
  const cpuUs = async (): Promise<number> => {
    const info = await server.info('cpu')
    return (figureIn(info, 'used_cpu_user') + figureIn(info, 'used_cpu_sys')) * 1e6
  }
  const before = await cpuUs()
  await work()
  return (await cpuUs() - before) / times
}

/** Returns the number after `name` in the text of INFO. */
export function figureIn (info: string, name: string): number {
  return Number(new RegExp(`^${name}:([\\d.]+)`, 'm').exec(info)?.[1])
}

async function counters (server: Redis): Promise<Counters> {
  const info = await server.info('stats')
  return {
    reads: figureIn(info, 'total_reads_processed'),
    inBytes: figureIn(info, 'total_net_input_bytes'),
    outBytes: figureIn(info, 'total_net_output_bytes')
  }
}

function between (before: Counters, after: Counters): Counters {
  return { reads: after.reads - before.reads, inBytes: after.inBytes - before.inBytes, outBytes: after.outBytes - before.outBytes }
}

/** Returns the commands that were called about as often as the work was done, and how often. Leaves out those of the measurement itself. */
function commandsIn (info: string, times: number): string {
  return [...info.matchAll(/^cmdstat_([a-z|]+):calls=(\d+)/gm)]
    .map(([, name, calls]) => [name!, rounded(Number(calls) / times, 1)] as const)
    .filter(([name, calls]) => calls > 0 && name !== 'info' && !name.startsWith('config'))
    .sort(([one], [other]) => one < other ? -1 : 1)
    .map(([name, calls]) => calls === 1 ? name : `${name} ${calls}`).join(', ')
}
