// `npm run bench:served`: the servers take turns within each round, so that a slow machine slows all of them. Each round
// starts its servers anew, because the same program can be faster in one process than in another.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { CONTESTANTS } from './contestants.js'
import { Target, type Sample } from './load.js'
import { report, table } from './report.js'

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '7' },
    seconds: { type: 'string', default: '3' },
    connections: { type: 'string', default: '32' },
    json: { type: 'string', default: 'benchmarks/served/latest.json' }
  }
})
const rounds = Number(values.rounds)
const load = { seconds: Number(values.seconds), connections: Number(values.connections) }

const WARM_UP_SECONDS = 2

const folder = mkdtempSync(join(tmpdir(), 'bench-served-'))
const samples = new Map<string, Sample[]>(CONTESTANTS.map(({ name }) => [name, []]))
try {
  for (let round = 0; round < rounds; round++) {
    // Each round begins with a different server, so that none is always the first after the pause.
    for (let turn = 0; turn < CONTESTANTS.length; turn++) {
      const { name, script } = CONTESTANTS[(turn + round) % CONTESTANTS.length]!
      const target = await Target.start(name, { BENCH_SQLITE_PATH: join(folder, `${round}.db`) })
      try {
        await target.measure({ ...load, seconds: WARM_UP_SECONDS, script })
        samples.get(name)!.push(await target.measure({ ...load, script }))
      } finally {
        target.stop()
      }
    }
    process.stderr.write(`round ${round + 1} of ${rounds}\n`)
  }
} finally {
  rmSync(folder, { recursive: true, force: true })
}
const result = report(samples, { rounds, ...load })
writeFileSync(values.json, JSON.stringify(result, null, 2) + '\n')
console.log(table(result))
console.log(`written to ${values.json}`)
