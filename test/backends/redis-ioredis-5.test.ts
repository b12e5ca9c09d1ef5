// The Redis backend with ioredis 5: its own client, one that is caller-owned, and a Cluster.
import { createRequire } from 'node:module'
import { Cluster, Redis } from 'ioredis-5'
import t, { type Test } from 'tap'
import { loadDriver } from '../../backends/redis/driver.js'
import { builtIns } from '../../backends/index.js'
import type { RedisOptions } from '../../backends/redis.js'
import { conformance, coordination } from '../kit/index.js'
import { testClock } from '../support/clock.js'
import { conforms } from '../support/conformance.js'
import '../support/ioredis-5.js'
import { fileNeeds } from '../support/programs.js'
import { startCluster, startServer } from '../support/redis-server.js'
import { someOf } from '../support/size.js'

fileNeeds(t, 'redis-server')

const all = [...conformance, ...coordination]

t.test('the backend loads ioredis 5', async (t) => {
  t.match(createRequire(import.meta.url)('ioredis-5/package.json').version, /^5\./)
  t.equal(loadDriver(), createRequire(import.meta.url)('ioredis-5'))
})

const kinds: ReadonlyArray<[string, (t: Test) => Promise<RedisOptions>]> = [
  ['its own client', async (t) => ({ url: (await startServer(t)).url })],
  ['its own client of a Cluster', async (t) => ({ connection: { cluster: (await startCluster(t)).nodes } })],
  ['a caller-owned client', async (t) => {
    const { port } = await startServer(t)
    const client = new Redis({ port, host: '127.0.0.1' })
    t.teardown(() => client.disconnect())
    await client.ping()
    return { client }
  }],
  ['a caller-owned client of a Cluster', async (t) => {
    const client = new Cluster((await startCluster(t)).nodes as Array<{ host: string, port: number }>)
    t.teardown(() => client.disconnect())
    await client.ping()
    return { client }
  }]
]

for (const [name, options] of kinds) {
  t.test(`redis conforms with ioredis 5: ${name}`, async (t) => {
    const clock = testClock()
    const connection = await options(t)
    let prefixes = 0
    const share = () =>
      builtIns().open({ backend: 'redis', options: { ...connection, prefix: `${prefixes}:` } }, { now: clock.now })
    const open = async () => {
      prefixes++
      return await share()
    }
    await conforms(t, { ...clock, open, share }, someOf(all))
  })
}
