// The option waitReplicas: a change rejects unless enough replicas have confirmed it.
import { Redis } from 'ioredis'
import t, { type Test } from 'tap'
import type { RedisOptions } from '../../backends/redis.js'
import { failureOf, textAt } from '../support/entries.js'
import { fileNeeds } from '../support/programs.js'
import { startCluster, startServer, until, type RedisServer } from '../support/redis-server.js'
import { entry, openRedis } from '../support/redis.js'

fileNeeds(t, 'redis-server')

const waitReplicas = { replicas: 1, timeout: '100ms' } as const
const UNCONFIRMED = { code: 'NOREPLICAS', message: /^NOREPLICAS 0 of 1 replicas confirmed the change within 100 ms$/ }

async function startReplica (t: Test, master: RedisServer): Promise<RedisServer> {
  await master.admin.config('SET', 'repl-diskless-sync-delay', '0')
  const replica = await startServer(t, { args: ['--replicaof', '127.0.0.1', String(master.port)] })
  // The first confirmation of a replica takes up to a second.
  await until('it confirms', async () => {
    await master.admin.set('any', 'value')
    await master.admin.del('any')
    return await master.admin.wait(1, 500) === 1
  })
  await master.admin.config('RESETSTAT')
  return replica
}

t.test('redis: waitReplicas must name a number of replicas, and a positive duration if any', async (t) => {
  const one = { replicas: 1 }
  for (const wrong of [1, {}, { replicas: 0 }, { replicas: 1.5 }, { ...one, timeout: 0 }, { ...one, timeout: '1x' }, { ...one, more: 1 }]) {
    const options = { url: 'redis://127.0.0.1:1', waitReplicas: wrong } as unknown as RedisOptions
    const error = await failureOf(() => openRedis(t, options))
    t.match(error, { code: 'CACHE_ERR_OPTION', message: /^cache: 'redis\.waitReplicas/ }, JSON.stringify(wrong))
  }
})

t.test('redis: with waitReplicas, set, delete and clear settle when the replica has them', async (t) => {
  const server = await startServer(t)
  const replica = await startReplica(t, server)
  const connection = { host: '127.0.0.1', port: server.port, commandTimeout: 20_000 }
  const backend = await openRedis(t, { connection, waitReplicas: { replicas: 1, timeout: '10s' } })
  for (const text of ['first', 'second']) {
    await backend.set('key', entry(text))
    t.match(await replica.admin.getBuffer('frc:key'), new RegExp(text))
  }
  await backend.delete('key')
  t.equal(await replica.admin.exists('frc:key'), 0)
  for (const key of ['a', 'b']) await backend.set(key, entry('value'))
  await backend.clear()
  t.equal(await replica.admin.dbsize(), 0)
  t.match(await server.admin.info('commandstats'), /cmdstat_wait:calls=6/, 'one for each change')
})

t.test('redis: with waitReplicas, a caller-owned client waits for the replica too', async (t) => {
  const server = await startServer(t)
  const replica = await startReplica(t, server)
  const client = new Redis({ port: server.port, host: '127.0.0.1', enableAutoPipelining: true })
  t.teardown(() => client.disconnect())
  await client.ping()
  const backend = await openRedis(t, { client, waitReplicas: { replicas: 1, timeout: '800ms' } })
  // On a busy machine, the replica may be late.
  const patiently = async (change: () => unknown) => { await until('it is confirmed', async () => await failureOf(change) === undefined) }
  await patiently(() => backend.set('key', entry('value')))
  t.match(await replica.admin.getBuffer('frc:key'), /value/)
  await patiently(() => backend.delete('key'))
  t.equal(await replica.admin.exists('frc:key'), 0)
})

t.test('redis: with waitReplicas, a change that no replica confirms rejects, and has changed the master', async (t) => {
  const server = await startServer(t)
  const backend = await openRedis(t, { url: server.url, waitReplicas })
  const without = await openRedis(t, { url: server.url })
  t.match(await failureOf(() => backend.set('key', entry('value'))), UNCONFIRMED)
  t.equal(await textAt(without, 'key'), 'value')
  t.match(await failureOf(() => backend.delete('key')), UNCONFIRMED)
  t.equal(await textAt(without, 'key'), undefined)
  await without.set('key', entry('value'))
  t.match(await failureOf(() => backend.clear()), UNCONFIRMED)
  t.equal(await without.size(), 0)
  const began = performance.now()
  const { token } = await backend.claim('key', { leaseMs: 1_000, fillMs: 1_000 }) as { token: string }
  t.equal(await backend.settle('key', token, { entry: entry('value') }), true)
  t.equal(await textAt(backend, 'key'), 'value')
  t.ok(performance.now() - began < 5_000, 'claims, settlements and reads wait for no replica')
  await server.admin.config('SET', 'maxmemory', '1mb')
  t.match(await failureOf(() => backend.set('key', entry('value'))), { code: 'OOM' })
  await server.admin.call('ACL', 'SETUSER', 'default', '-wait')
  t.match(await failureOf(() => backend.delete('key')), { code: 'NOPERM' })
})

t.test('redis: with waitReplicas on a Cluster, the replicas of the master that has the key must confirm', async (t) => {
  const { nodes, servers } = await startCluster(t)
  const backend = await openRedis(t, { connection: { cluster: nodes }, waitReplicas })
  const without = await openRedis(t, { connection: { cluster: nodes } })
  const keys = Array.from({ length: 10 }, (_, at) => `key ${at}`)
  for (const key of keys) {
    t.match(await failureOf(() => backend.set(key, entry('value'))), UNCONFIRMED)
    t.equal(await textAt(without, key), 'value')
  }
  t.match(await failureOf(() => backend.clear()), UNCONFIRMED)
  t.equal(await without.size(), 0)
  for (const { admin } of servers) t.match(await admin.info('commandstats'), /cmdstat_wait:/)

  // The slot of a key moves, and the client does not know it yet.
  const [from, to] = servers
  const key = keys[0]!
  const slot = Number(await from!.admin.call('CLUSTER', 'KEYSLOT', `frc:${key}`))
  const target = slot < 5_461 ? to! : from!
  const id = String(await target.admin.call('CLUSTER', 'MYID'))
  for (const { admin } of servers) await admin.call('CLUSTER', 'SETSLOT', slot, 'NODE', id)
  t.match(await failureOf(() => backend.set(key, entry('moved'))), UNCONFIRMED)
  t.equal(await target.admin.exists(`frc:${key}`), 1, 'the change has been sent to the new node')
})
