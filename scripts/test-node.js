// npm run test:node -- VERSION [FILE...]: runs the core of the tests, or these files, on another version of Node.
// The checkout is copied without node_modules, and that Node and the packages are installed there, so that SQLite is compiled for it.
import { spawnSync } from 'node:child_process'
import { cpSync, existsSync, mkdirSync, readFileSync } from 'node:fs'
import { basename, delimiter, dirname, join } from 'node:path'
import { main, root, StepFailed } from './prepare.js'

const HELP = `npm run test:node -- VERSION [FILE...]

VERSION is what npm knows of the package node: 22, 24, 25.1.0, latest. Without files, npm run test:quick runs there, then the tests of
SQLite. The copy and its packages stay in .nodes/VERSION, so that the next run is quick; remove that folder to begin anew.`

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

await main(() => {
  const [version, ...files] = process.argv.slice(2)
  if (version === undefined || version.startsWith('-')) return console.log(HELP)
  const folder = join(root, '.nodes', version)
  const home = installNode(version, join(folder, 'node'))
  const copy = join(folder, 'copy')
  const { version: installed } = JSON.parse(readFileSync(join(home, 'package.json'), 'utf8'))
  console.log(`> Node ${installed}, in ${copy}`)
  cpSync(root, copy, { recursive: true, filter: (path) => dirname(path) !== root || !LEFT_OUT.has(basename(path)) })
  const env = { ...process.env, PATH: join(home, 'bin') + delimiter + process.env.PATH, npm_config_nodedir: home, npm_execpath: '' }
  for (const args of files.length > 0 ? [files] : CORE) {
    run(`tests on Node ${installed}`, 'node', [join('scripts', 'test.js'), ...args], { cwd: copy, env })
  }
})
