// npm test: packages, servers, lint, types and build, tests, and coverage in full size. It stops at the first step that fails, and
// names it.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { parseArgs } from 'node:util'
import { getServers } from './servers.js'
import { build, install, isBuilt, main, root, runNode, StepFailed } from './prepare.js'
import { filesNamed, filesOf, noteTimes } from './test-files.js'

const HELP = `npm test                   lint, types, build, every test; with FULL=1 coverage, too
npm test -- FILE ...       build, then these files: test/docs.test.ts, or a part of the path
npm run test:quick         build, then the files that find breakage fastest, on the backend memory only: half a minute
npm run test:processes     build, then the files whose tests start several processes on one store
npm run test:package       build, then the files that use the packed package, the docs and the examples as users do

Environment:
FULL=1                     random and large cases in full size, and each test of the plugin on each of its backends,
                           as continuous integration runs them
CI=1                       missing programs that the tests start (redis-server, ...) are installed by apt-get
BACKENDS=memory            tests that run on several backends run on this one only
FUZZ_SEED, FUZZ_SECONDS    the model fuzzer plays one seed again, or plays for longer

A test that needs a missing program is skipped, and its name is printed. Watching and debugging: see CONTRIBUTING.md.`

const LEAST_LINES_PERCENT = 95
const SUMMARY = join(root, '.tap', 'report', 'coverage-summary.json')
const COVERED_ROOMS = ['plugin.ts', 'registry', 'backends', 'response']

const started = performance.now()
const totals = { passed: 0, failed: 0, skipped: 0 }

function step (name) {
  console.log(`\n> ${name} (at ${((performance.now() - started) / 1_000).toFixed(1)} s)`)
}

// A file that passed is one line. After one that failed come the lines of what did not pass.
function printFile ({ name, ok, tests, seconds, lines }) {
  console.log(`${ok ? 'ok' : 'NOT OK'}  ${name}  (${tests} tests, ${seconds.toFixed(1)} s)`)
  if (!ok) console.log(lines.join('\n'))
}

// Replaces a compiled file at the start of a name by its source.
function sourceOf (name) {
  return name.replace(/^dist\/(\S+)\.js/, '$1.ts')
}

// The time limit of a file, and how many files run concurrently.
const { timeout: SECONDS, jobs: JOBS } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')).tap
// Files that start several processes are given more time and less company.
const PROCESSES_SECONDS = 200
const PROCESSES_JOBS = 2
const tap = (...args) => [join('node_modules', 'tap', 'dist', 'esm', 'run.mjs'), ...args]

async function runTap (files, { isCovered = false, env = {}, jobs = JOBS } = {}) {
  // Imported here, because its parser is a package that may just have been installed.
  const { Results } = await import('./results.js')
  const seconds = {}
  const results = new Results((file) => {
    const name = sourceOf(file.name)
    seconds[name] = file.seconds
    printFile({ ...file, name })
  })
  const compiled = files.map((path) => join('dist', path.replace(/\.ts$/, '.js')))
  const how = { cwd: root, stdio: ['ignore', 'pipe', 'inherit'], env: { TAP_TIMEOUT: SECONDS, NODE_ENV: 'test', ...process.env, ...env } }
  // The run that leaves tap's plug-ins out for the first time still loads them in every process.
  if (isCovered) await once(spawn(process.execPath, tap('build'), { cwd: root, stdio: ['ignore', 'ignore', 'inherit'] }), 'close')
  const program = isCovered ? tap('run', '--reporter=tap', ...compiled) : [join('scripts', 'run-files.js'), SECONDS, jobs, ...compiled]
  const child = spawn(process.execPath, program, how)
  const exited = new Promise((resolve) => child.on('close', resolve))
  for await (const text of child.stdout.setEncoding('utf8')) results.write(text)
  results.end()
  noteTimes(seconds)
  check(results, await exited)
}

function check (results, exitCode) {
  const { passed, failed, skipped, failures, skips } = results
  for (const outcome in totals) totals[outcome] += results[outcome]
  for (const name of skips) console.log(`skipped: ${sourceOf(name)}`)
  for (const name of failures) console.log(`failed: ${sourceOf(name)}`)
  if (failed > 0) throw new StepFailed(`tests failed: ${failed} of ${passed + failed}`)
  if (passed === 0) throw new StepFailed(`tests failed: none passed, ${skipped} were skipped`)
  if (exitCode !== 0) throw new StepFailed(`tests failed: the run ended with exit code ${exitCode}`)
}

function sourcesIn (path) {
  if (path.endsWith('.ts')) return existsSync(join(root, path)) ? [path] : []
  return readdirSync(join(root, path)).flatMap((name) => sourcesIn(join(path, name)))
}

// A file that contains only types is compiled to nothing, and no test can load it.
function isOnlyTypes (source) {
  const code = readFileSync(join(root, 'dist', source.replace(/\.ts$/, '.js')), 'utf8')
  return code.replace(/^\s*\/\/.*$/gm, '').replace(/\/\*[^]*?\*\//g, '').trim() === 'export {};'
}

function checkCoverage () {
  const summary = JSON.parse(readFileSync(SUMMARY, 'utf8'))
  const seen = new Set(Object.keys(summary).map((path) => relative(root, path)))
  const unseen = COVERED_ROOMS.flatMap(sourcesIn).filter((source) => !seen.has(source) && !isOnlyTypes(source))
  if (unseen.length > 0) throw new StepFailed(`coverage failed: no test loads ${unseen.join(', ')}`)
  const { lines } = summary.total
  console.log(`lines covered: ${lines.covered} of ${lines.total}, ${lines.pct} %`)
  if (!(lines.pct >= LEAST_LINES_PERCENT)) {
    throw new StepFailed(`coverage failed: ${lines.pct} % of lines, at least ${LEAST_LINES_PERCENT} % are required`)
  }
}

const isFull = process.env.FULL === '1'

function buildChanges () {
  step('types and build')
  if (!isFull && isBuilt()) console.log('nothing has changed since the last build')
  else build()
}

/** Each of these files starts as many processes as the machine can bear. */
async function testProcesses () {
  await runTap(filesOf('processes'), { jobs: PROCESSES_JOBS, env: { TAP_TIMEOUT: PROCESSES_SECONDS } })
}

/** The package is packed once for all these files. */
async function testPackage () {
  const { pack } = await import('../dist/test/support/packed.js')
  const folder = mkdtempSync(join(tmpdir(), 'packed-once-'))
  try {
    pack(folder)
    await runTap(filesOf('package'), { env: { PACKED: folder } })
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

async function testAll () {
  step('lint')
  runNode('lint', [
    'node_modules/eslint/bin/eslint.js', '--cache', '--cache-strategy', 'content', '--cache-location', 'node_modules/.cache/eslint/', '.'
  ])
  buildChanges()
  step('tests')
  if (isFull) rmSync(SUMMARY, { force: true })
  await runTap(filesOf('rest'), { isCovered: isFull })
  if (isFull) {
    step('coverage')
    checkCoverage()
  }
  step('tests with several processes')
  await testProcesses()
  step('tests of the package')
  await testPackage()
}

async function testSome ({ values, positionals }) {
  buildChanges()
  step('tests')
  if (values.quick) await runTap(filesOf('quick'), { env: { BACKENDS: 'memory' } })
  else if (values.package) await testPackage()
  else if (values.processes) await testProcesses()
  else await runTap(filesNamed(positionals))
}

function readArguments () {
  try {
    return parseArgs({
      allowPositionals: true,
      options: {
        help: { type: 'boolean', short: 'h' }, quick: { type: 'boolean' }, package: { type: 'boolean' }, processes: { type: 'boolean' }
      }
    })
  } catch (err) {
    throw new StepFailed(`${err.message}\n\n${HELP}`)
  }
}

await main(async () => {
  const given = readArguments()
  if (given.values.help) return console.log(HELP)
  const { quick, package: isPackage, processes } = given.values
  const isAll = given.positionals.length === 0 && !quick && !isPackage && !processes
  install()
  if (isAll) getServers()
  await (isAll ? testAll() : testSome(given))
})

const { passed, failed, skipped } = totals
if (passed + failed + skipped > 0) console.log(`\n${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`)
