// npm test: packages, lint, types, build, tests, coverage; stops at the first step that fails and says which.
import { spawn } from 'node:child_process'
import { existsSync, readFileSync, readdirSync, rmSync } from 'node:fs'
import { join, relative } from 'node:path'
import { createInterface } from 'node:readline'
import { getServers } from './servers.js'
import { build, compile, install, main, root, runNode, StepFailed } from './prepare.js'
import { TapResults } from './tap-results.js'

const LEAST_LINES_PERCENT = 95
const SUMMARY = join(root, '.tap', 'report', 'coverage-summary.json')
const COVERED_ROOMS = ['plugin.ts', 'registry', 'backends', 'response']

const files = process.argv.slice(2)
const started = performance.now()

function step (name) {
  console.log(`\n> ${name} (at ${((performance.now() - started) / 1_000).toFixed(1)} s)`)
}

// A good file is a line; of one that failed, what did not pass follows.
function printFile ({ name, ok, tests, lines }) {
  console.log(`${ok ? 'ok' : 'NOT OK'}  ${name}  (${tests} tests)`)
  if (!ok) console.log(lines.join('\n'))
}

async function runTap () {
  const results = new TapResults(printFile)
  const tap = join('node_modules', 'tap', 'dist', 'esm', 'run.mjs')
  const child = spawn(process.execPath, [tap, 'run', '--reporter=tap', ...files], { cwd: root, stdio: ['ignore', 'pipe', 'inherit'] })
  const exited = new Promise((resolve) => child.on('close', resolve))
  for await (const line of createInterface({ input: child.stdout })) {
    if (/^(-+\|| *[\w./ -]+ *\|)/.test(line)) console.log(line)
    else results.write(line)
  }
  results.end()
  return { results, exitCode: await exited }
}

function checkTests ({ results, exitCode }) {
  const { passed, failed, skipped, failures, skips } = results
  for (const name of skips) console.log(`skipped: ${name}`)
  for (const name of failures) console.log(`failed: ${name}`)
  if (failed > 0) throw new StepFailed(`tests failed: ${failed} of ${passed + failed}`)
  if (passed === 0) throw new StepFailed(`tests failed: none passed, ${skipped} were skipped`)
  if (exitCode !== 0) throw new StepFailed(`tests failed: tap ended with exit code ${exitCode}`)
}

function sourcesIn (path) {
  if (path.endsWith('.ts')) return existsSync(join(root, path)) ? [path] : []
  return readdirSync(join(root, path)).flatMap((name) => sourcesIn(join(path, name)))
}

// What has only types is compiled to nothing, and no test can load it.
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
  if (!(lines.pct >= LEAST_LINES_PERCENT)) throw new StepFailed(`coverage failed: ${lines.pct} % of lines, at least ${LEAST_LINES_PERCENT} % are asked for`)
}

let outcome

await main(async () => {
  install()
  getServers()
  if (files.length === 0) {
    step('lint')
    runNode('lint', ['node_modules/eslint/bin/eslint.js', '.'])
    step('types')
    compile('types', ['-p', 'tsconfig.json', '--noEmit'])
  }
  step('build')
  build()
  step('tests')
  rmSync(SUMMARY, { force: true })
  outcome = await runTap()
  checkTests(outcome)
  if (files.length === 0) {
    step('coverage')
    checkCoverage()
  }
})

if (outcome !== undefined) {
  const { passed, failed, skipped } = outcome.results
  console.log(`\n${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`)
}
