// The programs that the tests start. Only continuous integration (`CI`) installs missing ones, on Debian and its derivatives. Elsewhere
// they are optional.
import { spawnSync } from 'node:child_process'
import { StepFailed } from './prepare.js'

/**
 * Each program with its package, the argument that tests whether it is installed, and the version that is needed. Tests that need
 * a missing program are skipped. In continuous integration, a missing program that is required is a failure.
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

/** The environment in which programs are looked up. Servers may be in folders that are not in an ordinary user's PATH. */
export const env = { ...process.env, PATH: `${process.env.PATH}:/usr/local/sbin:/usr/sbin` }

/** Why a program can't be used, and how to install it; undefined if it can be used. */
export function missing ({ package: from, program, asks, wanted }) {
  if (succeeds(program, [asks])) return undefined
  return `${program}, which the tests start, is not in PATH; install ${wanted}, on Debian and its derivatives: apt-get install -y ${from}`
}

function succeeds (command, args, stdio = 'ignore') {
  return spawnSync(command, args, { stdio, env: { ...env, DEBIAN_FRONTEND: 'noninteractive' } }).status === 0
}

/** Reports missing programs. With `CI` it installs them, and throws StepFailed if a required one can't be installed. */
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
  // The package may start a service. That does no harm, because the tests use their own ports.
  run('install', '-y', '--no-install-recommends', from)
  const left = missing(server)
  return left === undefined ? undefined : `${left} (installing it has just failed)`
}
