// The redis-server that the tests start: installed where it is missing, on Debian and its like.
import { spawnSync } from 'node:child_process'
import { StepFailed } from './prepare.js'

const ADVICE = 'the tests start redis-server themselves and it is not in PATH; install Redis 6.2 or later'

function succeeds (command, args, stdio = 'ignore') {
  return spawnSync(command, args, { stdio, env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' } }).status === 0
}

/** Sees to it that there is a redis-server. Throws StepFailed when there is none and none can be had. */
export function getRedis () {
  if (succeeds('redis-server', ['--version'])) return
  if (!succeeds('apt-get', ['--version'])) throw new StepFailed(`redis failed: ${ADVICE}`)
  const isRoot = process.getuid?.() === 0
  if (!isRoot && !succeeds('sudo', ['-n', 'true'])) throw new StepFailed(`redis failed: ${ADVICE}, as root: apt-get install -y redis-server`)
  const aptGet = isRoot ? ['apt-get'] : ['sudo', '-n', 'apt-get']
  console.log(`> redis: redis-server is missing, ${aptGet.join(' ')} install -y redis-server`)
  const run = (...args) => succeeds(aptGet[0], [...aptGet.slice(1), '-qq', ...args], ['ignore', 'ignore', 'inherit'])
  run('update')
  // Where services are started after they are installed, this one is not needed: the tests have ports of their own.
  if (!run('install', '-y', '--no-install-recommends', 'redis-server') || !succeeds('redis-server', ['--version'])) {
    throw new StepFailed(`redis failed: ${ADVICE}; apt-get install -y redis-server did not work`)
  }
}
