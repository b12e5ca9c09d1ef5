// `npm run bench:backends`: the built-in backends and the raw drivers below them take turns in one run.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { Contender } from '../core/contender.js'
import { commit, machine } from '../core/machine.js'
import { takeTurns } from '../core/turns.js'
import { choiceOf, chosen, MEASURED } from './contestants.js'
import { rowsOf, table, type Report } from './report.js'
import { startServers } from './servers.js'

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '9' },
    'slice-ms': { type: 'string', default: '200' },
    entries: { type: 'string', default: '20000' },
    'value-bytes': { type: 'string', default: '1200' },
    only: { type: 'string', default: '' },
    json: { type: 'string' }
  }
})
const contestants = chosen(values.only.split(',').filter((name) => name !== ''))
// By default, a report is saved only if it has all rows.
const file = values.json ?? (values.only === '' ? 'benchmarks/backends/latest.json' : undefined)
const rounds = Number(values.rounds)
const sliceMs = Number(values['slice-ms'])
const workload = { entries: Number(values.entries), valueBytes: Number(values['value-bytes']), inFlight: 64 }
const FILL_MS = 30_000
const WARM_ROUNDS = 2

const folder = mkdtempSync(join(tmpdir(), 'bench-backends-'))
const contenders: Contender[] = []
let servers: Awaited<ReturnType<typeof startServers>> | undefined
// A signal stops all contenders. Calls that wait for one are then rejected, and everything is cleaned up below.
for (const name of ['SIGINT', 'SIGTERM'] as const) {
  process.once(name, () => { for (const contender of contenders) contender.stop().catch(() => {}) })
}
try {
  servers = await startServers(folder)
  for (const { name } of contestants) {
    const places = { redisUrl: servers.redisUrl, httpUrl: servers.httpUrl, folder: join(folder, name) }
    mkdirSync(places.folder)
    const contender = new Contender(name)
    contenders.push(contender)
    await contender.open({ ...choiceOf(name, places), workloads: [workload], tidies: false })
    const { entries } = await contender.fill(FILL_MS)
    if (entries < workload.entries) throw new Error(`${name} took only ${entries} entries in ${FILL_MS / 1_000} s`)
    for (let round = 0; round < WARM_ROUNDS; round++) await contender.round(MEASURED, sliceMs)
    await contender.discardRounds()
    process.stderr.write(`${name} is ready\n`)
  }
  await takeTurns(contenders, rounds, async (contender, round) => {
    if (contender === contenders[round % contenders.length]) process.stderr.write(`round ${round + 1} of ${rounds}\n`)
    await contender.round(MEASURED, sliceMs)
  })
  const results = new Map<string, Awaited<ReturnType<Contender['results']>>>()
  for (const contender of contenders) results.set(contender.name, await contender.results())
  const report: Report = {
    ...machine(), commit: commit(), at: new Date().toISOString(), ...workload, rounds, sliceMs, rows: rowsOf(contestants, results)
  }
  console.log(table(report))
  if (file !== undefined) {
    writeFileSync(file, JSON.stringify(report, null, 2) + '\n')
    console.log(`written to ${file}`)
  }
} finally {
  for (const contender of contenders) await contender.stop()
  await servers?.stop()
  rmSync(folder, { recursive: true, force: true })
}
