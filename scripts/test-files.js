// Which files npm test runs, and in which order.
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { root, StepFailed } from './prepare.js'

/** How many seconds each file took in its last run. */
const TIMES = join(root, 'dist', '.times.json')

/** Files that pack the package, or follow the docs and the examples as users do. */
const PACKAGE = /^test\/(?:package|outsider|docs-run[\w-]*|examples|api|benchmarks\/cache-bench[\w-]*)\.test\.ts$/
/** Files whose tests start several processes that share a store. They need the machine for themselves. */
const PROCESSES = /^test\/processes\//
/** Files that find breakage fastest. */
const QUICK =
  /^test\/(?:response|registry)\/|^test\/plugin\/(?:serve\/hooks-before-handler|serve\/hooks-behind-handler|stale\/when-served|invalidation\/unsafe-methods|close\/under-way|application\/data-cache)\.test\.ts$/
/** The files that take longest, the slowest first. In a fresh checkout there are no times yet. */
const LONG = [
  'backends/keys', 'fuzz', 'plugin/close/leaks-sqlite', 'kit-faults', 'backends/faults', 'plugin/close/leaks-memory', 'kit',
  'plugin/fill/proxied-responses', 'backends/sqlite-faults', 'plugin/close/process-sqlite', 'plugin/close/process-memory', 'backends/large',
  'backends/keyv-conformance', 'plugin/fill/small-pieces', 'backends/conformance', 'plugin/attacks/targets', 'backends/http-faults',
  'plugin/failures/clocks'
].map((name) => `test/${name}.test.ts`)

const FAR_MORE_SECONDS = 1_000

/** All test files, as paths of sources. */
function allFiles () {
  return readdirSync(join(root, 'test'), { recursive: true, withFileTypes: true })
    .filter(({ name }) => name.endsWith('.test.ts'))
    .map(({ parentPath, name }) => join(parentPath, name).slice(root.length + 1).split('\\').join('/'))
    .sort()
}

/**
 * The files of `set`: `quick`, `package`, `processes`, or `rest`, which is everything that is not in the latter two. The slowest come
 * first, so that none of them runs alone at the end.
 */
export function filesOf (set) {
  const files = allFiles().filter((path) => set === 'quick' ? QUICK.test(path) : set === setOf(path))
  const seconds = readTimes()
  const of = (path) => seconds[path] ?? (LONG.includes(path) ? FAR_MORE_SECONDS - LONG.indexOf(path) : 0)
  return files.sort((one, other) => of(other) - of(one))
}

function setOf (path) {
  return PACKAGE.test(path) ? 'package' : PROCESSES.test(path) ? 'processes' : 'rest'
}

/**
 * The files with these names. A name is a part of the path of a source or of a compiled file. Throws StepFailed if no file matches.
 */
export function filesNamed (names) {
  const all = allFiles()
  return [...new Set(names.flatMap((name) => {
    const path = name.replace(/^\.\//, '').replace(/^dist\//, '').replace(/\.js$/, '.ts')
    const meant = all.filter((file) => file === path)
    const similar = all.filter((file) => file.includes(path))
    if (meant.length > 0 || similar.length > 0) return meant.length > 0 ? meant : similar
    throw new StepFailed(`no test file matches ${name}: paths look like ${all[0]}, and a part of one is enough`)
  }))]
}

function readTimes () {
  return existsSync(TIMES) ? JSON.parse(readFileSync(TIMES, 'utf8')) : {}
}

/** Saves how long files took. */
export function noteTimes (seconds) {
  writeFileSync(TIMES, JSON.stringify({ ...readTimes(), ...seconds }, null, 1))
}
