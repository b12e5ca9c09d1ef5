// `npm run bench:processes`: one cold key over four processes, for each store. How often the handler ran, how much longer than the
// handler the slowest request took, and how many calls the processes made to agree on that.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { startServers } from '../backends/servers.js'
import { commit, machine } from '../core/machine.js'
import type { Setup } from './child.js'
import { Group, type Sample } from './group.js'

const { values } = parseArgs({
  options: {
    keys: { type: 'string', default: '15' },
    requests: { type: 'string', default: '200' },
    processes: { type: 'string', default: '4' },
    handler: { type: 'string', default: '200' }
  }
})
const [keys, requests, processes, handlerMs] =
  [values.keys, values.requests, values.processes, values.handler].map(Number) as [number, number, number, number]

const median = (of: readonly number[]): number => of.toSorted((one, other) => one - other)[Math.floor(of.length / 2)]!

function row (name: string, samples: readonly Sample[]): string {
  const of = (figure: keyof Sample): number[] => samples.map((sample) => sample[figure])
  const cells = [
    `${median(of('runs'))} / ${Math.max(...of('runs'))}`,
    `${median(of('slowestMs')).toFixed(0)} / ${Math.max(...of('slowestMs')).toFixed(0)}`,
    `${median(of('claims'))} / ${Math.max(...of('claims'))}`,
    `${median(of('settles'))}`
  ]
  return [name.padEnd(24), ...cells.map((cell) => cell.padStart(16))].join('')
}

async function measured (choice: Setup['choice']): Promise<Sample[]> {
  const group = await Group.start({ choice, handlerMs }, processes)
  try {
    // The first keys also cost compiling and connecting.
    for (let key = 0; key < 2; key++) await group.coldKey(`/warm-up-${key}`, requests)
    const samples: Sample[] = []
    for (let key = 0; key < keys; key++) samples.push(await group.coldKey(`/${key}`, requests))
    return samples
  } finally {
    group.stop()
  }
}

const folder = mkdtempSync(join(tmpdir(), 'bench-processes-'))
const servers = await startServers(folder)
const stores: ReadonlyArray<readonly [name: string, choice: Setup['choice']]> = [
  ['sqlite', { backend: 'sqlite', options: { path: join(folder, 'cache.db') } }],
  ['redis', { backend: 'redis', options: { url: servers.redisUrl } }],
  ['file (without claims)', { backend: 'file', options: { dir: join(folder, 'files') } }]
]
try {
  const { node, cpu, cores } = machine()
  console.log(`Node ${node}, ${cpu} (${cores} cores), commit ${commit()}`)
  console.log(`${keys} cold keys, ${requests} requests each over ${processes} processes, handler ${handlerMs} ms; median / worst`)
  console.log([''.padEnd(24), ...['runs', 'slowest +ms', 'claims', 'settles'].map((title) => title.padStart(16))].join(''))
  for (const [name, choice] of stores) console.log(row(name, await measured(choice)))
} finally {
  await servers.stop()
  rmSync(folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 20 })
}
