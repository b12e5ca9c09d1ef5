// `npm run bench:choosing`: runs cache-bench on the built-in backends that need no account, and writes its result, picture and table
// into the docs.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { startServers } from '../backends/servers.js'
import type { Report } from '../cache-bench/report.js'
import { withMeasured } from './page.js'

const RESULT = 'benchmarks/choosing/latest.json'
const PAGE = 'docs/choosing.md'
const PICTURE = 'docs/choosing.svg'

const folder = mkdtempSync(join(tmpdir(), 'bench-choosing-'))
const servers = await startServers(folder)
try {
  const asked: ReadonlyArray<readonly [backend: string, options: object]> = [
    ['memory', {}],
    ['sqlite', {}],
    ['file', {}],
    ['tiered', { tiers: [{ backend: 'memory' }, { backend: 'sqlite' }] }],
    ['redis', { url: servers.redisUrl }],
    ['http', { baseUrl: servers.httpUrl }]
  ]
  const program = fileURLToPath(new URL('../cache-bench/cli.js', import.meta.url))
  const args = asked.flatMap(([backend, options]) => ['--backend', backend, '--options', JSON.stringify(options)])
  const child = spawn(process.execPath, [program, ...args, '--json', RESULT, '--chart', PICTURE, ...process.argv.slice(2)],
    { stdio: 'inherit' })
  const [exitCode] = await once(child, 'exit')
  if (exitCode !== 0) throw new Error(`cache-bench ended with exit code ${exitCode}`)
  writeFileSync(PAGE, withMeasured(readFileSync(PAGE, 'utf8'), JSON.parse(readFileSync(RESULT, 'utf8')) as Report))
} finally {
  await servers.stop()
  rmSync(folder, { recursive: true, force: true })
}
