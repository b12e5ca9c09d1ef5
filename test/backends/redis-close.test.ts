// Closing the Redis backend: at once, whatever the server does, with nothing left open.
import t, { type Test } from 'tap'
import type { RedisOptions } from '../../backends/redis.js'
import type { CacheBackend } from '../../registry/backend.js'
import { runChild } from '../support/child.js'
import { freePort } from '../../benchmarks/backends/free-port.js'
import { startCluster, startServer } from '../support/redis-server.js'
import { failureOf } from '../support/entries.js'
import { entry, openRedis } from '../support/redis.js'
import { fileNeeds } from '../support/programs.js'

fileNeeds(t, 'redis-server')

const SOON_MS = 1_000

const coordination = (backend: Required<CacheBackend>): Array<() => unknown> => [
  () => backend.claim('key', { leaseMs: 1, fillMs: 1 }), () => backend.claim('key', { leaseMs: 1, fillMs: 1, token: '' }),
  () => backend.settle('key', TOKEN, { entry: entry('a') }), () => backend.settle('key', TOKEN, {}), () => backend.version('name')
]

/** The backend can't know whether it has given out this token. */
const TOKEN = `1.1.${'0'.repeat(8)}`

t.test('redis: close ends hanging calls at once', async (t) => {
  const server = await startServer(t)
  const backend = await openRedis(t, { url: server.url })
  await backend.set('key', entry('value'))
  server.stop()
  const calls = [
    () => backend.get('key'), () => backend.set('key', entry('other')), () => backend.delete('key'), () => backend.clear(),
    () => backend.keys(), () => backend.size(), ...coordination(backend)
  ].map(failureOf)
  const beganAt = performance.now()
  await backend.close()
  for (const call of calls) t.match(await call, { code: 'CACHE_ERR_CLOSED' })
  t.ok(performance.now() - beganAt < SOON_MS)
})

t.test('redis: after close every call fails with CACHE_ERR_CLOSED, and close may be called again', async (t) => {
  const server = await startServer(t)
  const backend = await openRedis(t, { url: server.url })
  await Promise.all([backend.close(), backend.close()])
  for (const call of [
    () => backend.get('key'), () => backend.getMany(['key']), () => backend.has('key'), () => backend.set('key', entry('a')),
    () => backend.delete('key'), () => backend.clear(), () => backend.keys(), () => backend.size(), ...coordination(backend)
  ]) {
    t.match(await failureOf(call), { code: 'CACHE_ERR_CLOSED' })
  }
  await backend.close()
})

const LONGEST_END_MS = 3_000

/** Runs such a process, checks that it ended by itself, and returns what it printed. */
async function run (t: Test, options: RedisOptions, way: string): Promise<string> {
  const { exitCode, signal, stdout, stderr } = await runChild('support/children/redis.js', {
    args: [JSON.stringify(options), way], timeoutMs: 60_000
  })
  t.same({ exitCode, signal, stderr }, { exitCode: 0, signal: null, stderr: '' })
  t.ok(Number(/ended after (\d+) ms/.exec(stdout)?.[1]) < LONGEST_END_MS, stdout)
  return stdout
}

for (const way of ['close', 'leave'] as const) {
  t.test(
    `redis: a process that ${way === 'close' ? 'closes the cache' : 'never closes it'} ends by itself, with a working Redis and with one that is ${way === 'close' ? 'stopped' : 'missing'}`,
    async (t) => {
      const [server, stopped] = [await startServer(t), await startServer(t)]
      stopped.stop()
      const [end, other] = await Promise.all([
        server.port, way === 'close' ? stopped.port : await freePort()
      ].map((port) => run(t, { url: `redis://127.0.0.1:${port}` }, way)))
      t.match(end, /stored\n.*; hit/)
      t.match(other, /unavailable/)
    })
}

t.test('redis: a process with a client of a Cluster ends by itself, whether it closes the cache or not', async (t) => {
  const { nodes } = await startCluster(t)
  for (const way of ['close', 'leave']) {
    t.match(await run(t, { connection: { cluster: nodes }, prefix: `${way}:` }, way), /stored\n.*; hit/, way)
  }
})
