// cache-bench as users run it: what it prints, saves, draws and compares, and what it leaves behind.
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import t from 'tap'
import type { Report } from '../../benchmarks/cache-bench/report.js'
import { benchFolder, startBench, TINY } from '../support/cache-bench.js'
import { wrongXml } from '../support/xml.js'

const OWN_BACKEND = `
const entries = new Map()
export default { name: 'mine', create: ({ size = 0 }) => ({
  get: (key) => entries.get(key), set (key, entry) { entries.set(key, entry) }, delete (key) { entries.delete(key) }, close () {}
}) }
`

t.test('cache-bench: prints tables, saves JSON, draws a chart, compares with an earlier run, and leaves nothing behind', async (t) => {
  const folder = benchFolder(t)
  writeFileSync(join(folder, 'mine.mjs'), OWN_BACKEND)
  const asked = [
    '--backend', 'memory', '--backend', 'sqlite', '--options', '{"maxEntries":100000}', '--module', './mine.mjs', '--name', 'mine'
  ]
  const first = startBench(t, [...TINY, ...asked, '--json', 'first.json', '--chart', 'first.svg'], folder)
  const { exitCode, stdout, stderr } = await first.ended
  t.equal(exitCode, 0, stderr)
  for (const title of ['Operations\n', 'by value size', 'Event-loop delay', 'Requests to a Fastify application']) {
    t.match(stdout, title)
  }
  for (const name of ['memory', 'sqlite', 'mine']) {
    t.match(stdout, new RegExp(`^${name}: with 90 % hits, caching .*CPU time.*responds sooner`, 'm'))
  }
  t.match(stderr, /^operations, round 1 of 5: memory$/m)
  t.same(first.leftovers(), [])

  const report = JSON.parse(readFileSync(join(folder, 'first.json'), 'utf8')) as Report
  t.match(report, {
    format: 1, conditions: { entries: 64, valueBytes: 1_200, inFlight: 64, hitRatio: 0.9 }, machine: { node: process.version }
  })
  t.same(report.backends.map(({ name }) => name), ['memory', 'sqlite', 'mine'])
  for (const { operations, sizes, delay, writing, memory, served, breakEven } of report.backends) {
    t.same(Object.keys(operations).sort(), ['delete', 'get', 'miss', 'replace', 'set'])
    for (const { perSecond, perSecondRounds, p50Us, p90Us, p99Us, p999Us } of Object.values(operations)) {
      t.ok(perSecond > 0)
      t.equal(perSecondRounds.length, 5)
      t.ok(p50Us > 0 && p50Us <= p90Us && p90Us <= p99Us && p99Us <= p999Us)
    }
    t.same([operations.get.foundShare, operations.miss.foundShare], [1, 0])
    t.same(sizes.map(({ valueBytes }) => valueBytes), [100, 10_000])
    for (const { operationsPerSecond, p99Ms, p999Ms, maxMs } of [delay, writing]) {
      t.ok(operationsPerSecond > 0 && maxMs >= p999Ms && p999Ms >= p99Ms)
    }
    t.type(memory.heapBytes, 'number')
    t.equal(served.asMeant, 1)
    for (const route of ['floor', 'hit', 'miss'] as const) t.ok(served[route].cpuUs > 0 && served[route].latencyUs > 0)
    t.ok(breakEven.cpuUs >= 0 && breakEven.latencyUs >= 0)
  }
  const picture = readFileSync(join(folder, 'first.svg'), 'utf8')
  t.same(wrongXml(picture), [])
  for (const name of ['memory get', 'sqlite set', 'mine CPU']) t.match(picture, `>${name}<`)

  const second = startBench(t, [...TINY, '--backend', 'memory', '--backend', 'memory', '--json', '--against', 'first.json'], folder)
  const again = await second.ended
  t.equal(again.exitCode, 0, again.stderr)
  t.same((JSON.parse(again.stdout) as Report).backends.map(({ name }) => name), ['memory', 'memory (2)'])
  t.match(again.stderr, /^Compared with the run of \d{4}-/m)
  t.match(again.stderr, /^memory +get\/s +[\d ]+ +[\d ]+ +x[\d.]+ +(noise|better|worse)$/m)
  t.match(again.stderr, 'Not in that run: memory (2).')
})

t.test('cache-bench: a store that the user named stays, without the measured entries', async (t) => {
  const folder = benchFolder(t)
  const path = join(folder, 'named.db')
  const run = startBench(t, [...TINY, '--backend', 'sqlite', '--options', JSON.stringify({ path })], folder)
  const { exitCode, stderr } = await run.ended
  t.equal(exitCode, 0, stderr)
  const database = new Database(path)
  t.equal(database.prepare('SELECT count(*) FROM cache_entries').pluck().get(), 0)
  database.close()
})

t.test('cache-bench: --help lists the options', async (t) => {
  const { exitCode, stdout } = await startBench(t, ['--help']).ended
  t.equal(exitCode, 0)
  for (const option of ['--backend', '--module', '--options', '--json', '--against', '--chart', '--quick']) t.match(stdout, option)
})
