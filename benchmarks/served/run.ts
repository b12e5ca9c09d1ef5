// `npm run bench:served`: every server is asked in turn within each round, so that what slows the machine slows all.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { ANSWERS } from './answers.js'
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

const folder = mkdtempSync(join(tmpdir(), 'bench-served-'))
const targets = new Map<string, Target>()
const samples = new Map<string, Sample[]>(ANSWERS.map(({ name }) => [name, []]))
try {
  for (const { name, unique } of ANSWERS) {
    const target = await Target.start(name, { BENCH_SQLITE_PATH: join(folder, 'cache.db') })
    targets.set(name, target)
    await target.measure({ ...load, seconds: 2, unique })
  }
  for (let round = 0; round < rounds; round++) {
    // Another one begins each time: none is always the first after the pause.
    for (let turn = 0; turn < ANSWERS.length; turn++) {
      const { name, unique } = ANSWERS[(turn + round) % ANSWERS.length]!
      samples.get(name)!.push(await targets.get(name)!.measure({ ...load, unique }))
    }
    process.stderr.write(`round ${round + 1} of ${rounds}\n`)
  }
} finally {
  for (const target of targets.values()) target.stop()
  rmSync(folder, { recursive: true, force: true })
}
const result = report(samples, { rounds, ...load })
writeFileSync(values.json, JSON.stringify(result, null, 2) + '\n')
console.log(table(result))
console.log(`written to ${values.json}`)
