// Prepares a run: installs the packages of package-lock.json, and builds if a source is newer than the build.
import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync, readdirSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** The folder of package.json. */
export const root = dirname(dirname(fileURLToPath(import.meta.url)))

const DIST = join(root, 'dist')
const STAMP = join(DIST, '.built')

// Called by its path, because node_modules/.bin/tsc belongs to the alias of TypeScript 7.
const TSC = join('node_modules', 'typescript', 'bin', 'tsc')

/** Thrown if a step fails; the message is one line that names the step. */
export class StepFailed extends Error {}

/** Runs a program in the project's folder, and passes its output on. Throws StepFailed, which names `step`. */
export function run (step, command, args) {
  const { status, signal, error } = spawnSync(command, args, { cwd: root, stdio: 'inherit' })
  if (error !== undefined) throw new StepFailed(`${step} failed: ${error.message}`)
  if (status !== 0) throw new StepFailed(`${step} failed (${signal ?? `exit code ${status}`})`)
}

/** Runs one of the project's programs with this Node. */
export function runNode (step, args) {
  run(step, process.execPath, args)
}

/** Compiles a tsconfig with the project's TypeScript. */
export function compile (step, args) {
  runNode(step, [TSC, ...args])
}

/** Whether node_modules matches package-lock.json; without that file, whether there is a node_modules. */
export function isInstalled () {
  const wanted = readPackages(join(root, 'package-lock.json'))
  const installed = readPackages(join(root, 'node_modules', '.package-lock.json'))
  if (wanted === undefined || installed === undefined) return wanted === undefined && existsSync(join(root, 'node_modules'))
  return Object.entries(wanted).every(([path, { version, optional, link }]) =>
    path === '' || optional === true || link === true || installed[path]?.version === version ||
    (path === DRIVER && isNewerDriver()))
}

function isNewerDriver () {
  return readPackages(join(root, 'node_modules', '.package-lock.json'))?.[DRIVER]?.version.startsWith(`${NEWER_DRIVER}.`) === true
}

const DRIVER = 'node_modules/better-sqlite3'
const NEWER_DRIVER = 13

// better-sqlite3 12 ends the process on Node 24.19 and later, and 13 needs Node 22. package-lock.json has the version for Node 20.
function needsNewerDriver () {
  const [major, minor] = process.versions.node.split('.').map(Number)
  return major > 24 || (major === 24 && minor >= 19)
}

function readPackages (path) {
  return existsSync(path) ? JSON.parse(readFileSync(path, 'utf8')).packages : undefined
}

/** Installs the packages if they are missing or differ from package-lock.json, and the newer driver if this Node needs it. */
export function install () {
  if (!isInstalled()) installAll()
  if (needsNewerDriver() && !isNewerDriver()) runNpm('install', '--no-save', '--no-audit', '--no-fund', `better-sqlite3@${NEWER_DRIVER}`)
}

function installAll () {
  const verb = existsSync(join(root, 'package-lock.json')) ? 'ci' : 'install'
  console.log(`> install: npm ${verb} (better-sqlite3 and sqlite3 may be compiled, which takes about three minutes)`)
  runNpm(verb, '--include=dev', '--no-audit', '--no-fund')
}

function runNpm (...args) {
  const npm = process.env.npm_execpath
  if (npm?.endsWith('.js')) runNode('install', [npm, ...args])
  else run('install', process.platform === 'win32' ? 'npm.cmd' : 'npm', args)
}

/** Checks the types of everything, tests included, and compiles what has changed to dist/. */
export function build () {
  const startedAt = new Date()
  compile('build', ['-p', 'tsconfig.json'])
  for (const path of withoutSource()) rmSync(join(DIST, path))
  writeEntries()
  writeFileSync(STAMP, '')
  // The stamp is set to the start, so that a source that changes while the compiler runs counts as newer.
  utimesSync(STAMP, startedAt, startedAt)
}

/** Builds everything anew for the package, without what only the project's tests and debuggers need. */
function buildPackage () {
  rmSync(DIST, { recursive: true, force: true })
  compile('build', ['-p', 'tsconfig.json', '--incremental', 'false', '--tsBuildInfoFile', 'null', '--sourceMap', 'false'])
  writeEntries()
  runNode('build', ['scripts/lean.js', 'dist'])
}

/** Writes the entry points for CommonJS. */
function writeEntries () {
  runNode('build', ['scripts/commonjs.js', 'dist/plugin.js', 'dist/test/kit/index.js'])
}

/** The compiled files whose sources no longer exist. */
function withoutSource () {
  const compiled = /\.(js|d\.ts|js\.map)$/
  return readdirSync(DIST, { recursive: true }).filter((path) =>
    compiled.test(path) && !existsSync(join(root, path.replace(compiled, '.ts'))))
}

/** Whether dist/ was built after the last change of a source or a package. */
export function isBuilt () {
  if (!existsSync(STAMP)) return false
  const builtAtMs = statSync(STAMP).mtimeMs
  const { include } = JSON.parse(readFileSync(join(root, 'tsconfig.json'), 'utf8'))
  return [
    'tsconfig.json', 'package.json', join('node_modules', '.package-lock.json'), ...include
  ].every((path) => newestMs(join(root, path)) <= builtAtMs)
}

function newestMs (path) {
  if (!existsSync(path)) return 0
  const stat = statSync(path)
  if (!stat.isDirectory()) return stat.mtimeMs
  return Math.max(stat.mtimeMs, ...readdirSync(path).map((name) => newestMs(join(path, name))))
}

/** Runs `work`. A failed step becomes one line and an exit code. */
export async function main (work) {
  try {
    await work()
  } catch (err) {
    if (!(err instanceof StepFailed)) throw err
    console.error(`\nFAILED: ${err.message}`)
    process.exitCode = 1
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  await main(() => {
    install()
    if (process.argv.includes('--package')) buildPackage()
    else build()
  })
}
