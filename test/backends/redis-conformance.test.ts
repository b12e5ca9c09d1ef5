// The Redis backend runs the conformance cases on every kind of server that is installed.
import { Redis } from 'ioredis'
import t, { type Test } from 'tap'
import { builtIns } from '../../backends/index.js'
import type { RedisOptions } from '../../backends/redis.js'
import { testClock } from '../support/clock.js'
import { conformance, coordination, type ConformanceCase } from '../kit/index.js'
import { conforms } from '../support/conformance.js'
import { needs } from '../support/programs.js'
import { serverPrograms, startCluster, startServer } from '../support/redis-server.js'
import { someOf } from '../support/size.js'

let prefixes = 0

const all: readonly ConformanceCase[] = [...conformance, ...coordination]

/** Each backend has a prefix of its own, so that it is empty, unless it shares that of the last one. */
async function check (t: Test, options: RedisOptions, cases = all): Promise<void> {
  const clock = testClock()
  const share = () => builtIns().open({ backend: 'redis', options: { ...options, prefix: `${prefixes}{*}:` } }, { now: clock.now })
  await conforms(t, {
    ...clock,
    open () {
      prefixes++
      return share()
    },
    share
  }, cases)
}

for (const program of ['redis-server', 'valkey-server']) {
  const skip = serverPrograms().includes(program) ? false : `there is no ${program} installed`
  t.test(`redis conforms on ${program}`, { skip }, async (t) => {
    const { url } = await startServer(t, { program })
    await check(t, { url })
  })
}

t.test('redis conforms on a Cluster of three', needs('redis-server'), async (t) => {
  const { nodes } = await startCluster(t)
  await check(t, { connection: { cluster: nodes } }, someOf(all))
})

t.test('redis conforms on a caller-owned client with a keyPrefix of its own', needs('redis-server'), async (t) => {
  const { port } = await startServer(t)
  const client = new Redis({ port, host: '127.0.0.1', keyPrefix: 'theirs[*]:' })
  t.teardown(() => client.disconnect())
  await client.ping()
  await check(t, { client }, someOf(all))
})
