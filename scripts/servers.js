// The programs that the tests start. Continuous integration (`CI`) installs what is missing, on Debian and its like; nobody else is asked
// to have them.
import { spawnSync } from 'node:child_process'
import { StepFailed } from './prepare.js'

/**
 * Programs by the package that brings them, how each is asked whether it is there, and what is wanted. The tests that need
 * one that is missing are skipped; continuous integration does not go without one that is required.
 */
export const PROGRAMS = [
  { name: 'redis', package: 'redis-server', program: 'redis-server', asks: '--version', wanted: 'Redis 6.2 or later', isRequired: true },
  { name: 'memcached', package: 'memcached', program: 'memcached', asks: '--version', wanted: 'Memcached 1.6 or later', isRequired: true },
  { name: 'nginx', package: 'nginx', program: 'nginx', asks: '-v', wanted: 'nginx 1.18 or later with its slice module' },
  { name: 'varnish', package: 'varnish', program: 'varnishd', asks: '-V', wanted: 'Varnish 7 or later' },
  { name: 'chromium', package: 'chromium', program: 'chromium', asks: '--version', wanted: 'Chromium 112 or later' },
  { name: 'aria2', package: 'aria2', program: 'aria2c', asks: '--version', wanted: 'aria2 1.36 or later' },
  { name: 'wget', package: 'wget', program: 'wget', asks: '--version', wanted: 'GNU Wget 1.20 or later' },
  { name: 'curl', package: 'curl', program: 'curl', asks: '--version', wanted: 'curl 7.84 or later' },
  { name: 'faketime', package: 'faketime', program: 'faketime', asks: '--version', wanted: 'faketime 0.9.10 or later' }
]

/** As programs are looked for: servers stand where the PATH of an ordinary user may not look. */
export const env = { ...process.env, PATH: `${process.env.PATH}:/usr/local/sbin:/usr/sbin` }

/** Why a program can't be used, and how to get it; undefined where it can. */
export function missing ({ package: from, program, asks, wanted }) {
  if (succeeds(program, [asks])) return undefined
  return `the tests start ${program} themselves and it is not in PATH; install ${wanted}, on Debian and its like: apt-get install -y ${from}`
}

function succeeds (command, args, stdio = 'ignore') {
  return spawnSync(command, args, { stdio, env: { ...env, DEBIAN_FRONTEND: 'noninteractive' } }).status === 0
}

/** Says which of them are missing. With `CI` it installs them, and throws StepFailed when one that is required can't be had. */
export function getServers () {
  for (const server of PROGRAMS) {
    const failure = process.env.CI ? getServer(server) : missing(server)
    if (failure === undefined) continue
    if (server.isRequired && process.env.CI) throw new StepFailed(`${server.name} failed: ${failure}`)
    console.log(`> ${server.name}: its tests are skipped: ${failure}`)
  }
}

function getServer (server) {
  const failure = missing(server)
  if (failure === undefined || !succeeds('apt-get', ['--version'])) return failure
  const isRoot = process.getuid?.() === 0
  if (!isRoot && !succeeds('sudo', ['-n', 'true'])) return `${failure} (as root)`
  const { name, package: from, program } = server
  const aptGet = isRoot ? ['apt-get'] : ['sudo', '-n', 'apt-get']
  console.log(`> ${name}: ${program} is missing, ${aptGet.join(' ')} install -y ${from}`)
  const run = (...args) => succeeds(aptGet[0], [...aptGet.slice(1), '-qq', ...args], ['ignore', 'ignore', 'inherit'])
  run('update')
  // Where services are started after they are installed, this one is not needed: the tests have ports of their own.
  run('install', '-y', '--no-install-recommends', from)
  const left = missing(server)
  return left === undefined ? undefined : `${left} (which did not work just now)`
}
