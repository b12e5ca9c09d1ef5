// The servers that the tests start: installed where they are missing, on Debian and its like.
import { spawnSync } from 'node:child_process'
import { StepFailed } from './prepare.js'

/** Programs by the package that brings them, and what is asked for. */
const SERVERS = [
  { name: 'redis', program: 'redis-server', wanted: 'Redis 6.2 or later' },
  { name: 'memcached', program: 'memcached', wanted: 'Memcached 1.6 or later' }
]

function succeeds (command, args, stdio = 'ignore') {
  return spawnSync(command, args, { stdio, env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' } }).status === 0
}

/** Sees to it that all of them are there. Throws StepFailed when one is not and can't be had. */
export function getServers () {
  for (const server of SERVERS) getServer(server)
}

function getServer ({ name, program, wanted }) {
  const advice = `the tests start ${program} themselves and it is not in PATH; install ${wanted}`
  if (succeeds(program, ['--version'])) return
  if (!succeeds('apt-get', ['--version'])) throw new StepFailed(`${name} failed: ${advice}`)
  const isRoot = process.getuid?.() === 0
  if (!isRoot && !succeeds('sudo', ['-n', 'true'])) throw new StepFailed(`${name} failed: ${advice}, as root: apt-get install -y ${program}`)
  const aptGet = isRoot ? ['apt-get'] : ['sudo', '-n', 'apt-get']
  console.log(`> ${name}: ${program} is missing, ${aptGet.join(' ')} install -y ${program}`)
  const run = (...args) => succeeds(aptGet[0], [...aptGet.slice(1), '-qq', ...args], ['ignore', 'ignore', 'inherit'])
  run('update')
  // Where services are started after they are installed, this one is not needed: the tests have ports of their own.
  if (!run('install', '-y', '--no-install-recommends', program) || !succeeds(program, ['--version'])) {
    throw new StepFailed(`${name} failed: ${advice}; apt-get install -y ${program} did not work`)
  }
}
