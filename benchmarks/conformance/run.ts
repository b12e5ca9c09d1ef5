// `npm run conformance`: runs the public test suite for HTTP caches against the plugin, and compares the results with other caches.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { BACKENDS } from './backends.js'
import { PRESETS, type Preset } from './proxy.js'
import { runSeveral } from './runs.js'
import { loadSuite, SUITE_COMMIT, unpackSuite, type RawResults, type Suite } from './suite.js'
import { byTopic, notPassed, scores, type Anchor } from './table.js'
import { chosen, majority, tally, unstable, verdictNamed, type Verdicts } from './verdicts.js'

const HOME = 'benchmarks/conformance'
/** How many other caches the table of topics shows. The table of scores shows all caches. */
const COMPARED = 5

const { values } = parseArgs({
  options: {
    preset: { type: 'string', multiple: true, default: ['default', 'rfc9111'] },
    backend: { type: 'string', multiple: true, default: ['memory'] },
    runs: { type: 'string', default: '3' },
    id: { type: 'string', multiple: true, default: [] },
    suite: { type: 'string', multiple: true, default: [] },
    keep: { type: 'boolean', default: false }
  }
})
const presets = oneOf('preset', values.preset, Object.keys(PRESETS) as Preset[])
const backends = oneOf('backend', values.backend, BACKENDS)
const isWhole = values.id.length === 0 && values.suite.length === 0

const folder = mkdtempSync(join(tmpdir(), 'conformance-suite-'))
try {
  const home = unpackSuite(folder, process.env.CACHE_TESTS_DIR)
  const suite = await loadSuite(home)
  const { asked, run } = chosen(suite, values.id, values.suite)
  const ours: Anchor[] = []
  for (const preset of presets) {
    for (const backend of backends) {
      const order = { suite: home, preset, backend, ids: [...run], dumped: values.id, isPrinted: values.id.length > 0 }
      const raw = await runSeveral(order, isWhole ? Number(values.runs) : 1)
      ours.push(report(suite, { preset, backend, asked, raw }))
    }
  }
  if (isWhole) compare(suite, ours)
} finally {
  rmSync(folder, { recursive: true, force: true })
}

/** Prints the result of one preset on one backend, and saves it with `--keep`. */
function report (
  suite: Suite, { preset, backend, asked, raw }: { preset: Preset, backend: string, asked: ReadonlySet<string>, raw: readonly RawResults[] }
): Anchor {
  const verdicts = raw.map((results): Verdicts =>
    Object.fromEntries([...asked].map((id) => [id, verdictNamed(suite.verdictOf(id, results))])))
  const most = majority(verdicts)
  const ours: Anchor = { name: `${preset}, ${backend}`, version: 'this', ...tally(suite.topics, most) }
  console.log(`\n${ours.name}: ${ours.score} of ${ours.required.of + ours.optimal.of}\n`)
  console.log(isWhole
    ? notPassed(suite.topics, most, (id) => saidOf(raw, id))
    : [...asked].map((id) => `${most[id]}  ${id}  ${saidOf(raw, id)}`).join('\n'))
  const differing = unstable(verdicts)
  for (const [id, given] of Object.entries(differing)) console.log(`the runs differ: ${id} ${given.join(', ')}`)
  if (values.keep && isWhole) {
    const { score, required, optimal, check, topics } = ours
    const kept = {
      suite: SUITE_COMMIT,
      node: process.version,
      preset,
      backend,
      runs: raw.length,
      score,
      required,
      optimal,
      check,
      topics,
      unstable: differing,
      verdicts: most
    }
    writeFileSync(join(HOME, `${preset}-${backend}.json`), JSON.stringify(kept, null, 2) + '\n')
  }
  return ours
}

/** Returns the suite's message for a test, from the first run in which the test did not pass. */
function saidOf (raw: readonly RawResults[], id: string): string {
  const failed = raw.map((results) => results[id])
    .find((result) => result !== true && result !== undefined) as readonly string[] | undefined
  return failed === undefined ? '' : `${failed[0]}: ${failed[1]}`
}

function compare ({ topics }: Suite, ours: readonly Anchor[]): void {
  const { caches } = JSON.parse(readFileSync(join(HOME, 'anchors.json'), 'utf8')) as { caches: Anchor[] }
  console.log(`\n${scores([...ours, ...caches])}`)
  console.log(`\n${byTopic(topics, [...ours, ...caches.slice(0, COMPARED)])}`)
}

function oneOf<T extends string> (option: string, given: readonly string[], known: readonly T[]): T[] {
  return given.map((name) => {
    if (!known.includes(name as T)) throw new Error(`--${option} must be one of ${known.join(', ')}, got ${name}`)
    return name as T
  })
}
