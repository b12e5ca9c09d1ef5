// The Redis backend on a Cluster, also while slots move, and behind a Sentinel, also when it fails over.
import t from 'tap'
import { build } from '../support/app.js'
import { startCluster, startSentinel, until } from '../support/redis-server.js'
import { failureOf, textAt } from '../support/entries.js'
import { entry, openRedis } from '../support/redis.js'
import { fileNeeds } from '../support/programs.js'

fileNeeds(t, 'redis-server')

t.test('redis: on a Cluster, keys, tags and clear work on all nodes', async (t) => {
  const { servers, nodes } = await startCluster(t)
  for (const { admin } of servers) await admin.ping()
  const { ask, cache, runs } = await build(t, {
    backend: 'redis',
    options: { connection: { cluster: nodes.slice(0, 1), commandTimeout: 900 } },
    deadline: '900ms',
    routes (app, { ran }) {
      app.get('/:id', { config: { cache: { ttl: '1m', tags: ['a', 'b', 'c', 'd', 'e'] } } }, async (request) =>
        `response ${ran()} ${(request.params as { id: string }).id}`)
    },
    compare: false
  })
  const urls = Array.from({ length: 30 }, (_, at) => `/${at}`)
  for (const url of urls) await ask(url)
  for (const url of urls) t.match((await ask(url)).cacheStatus, /; hit/, url)
  for (const { admin } of servers) t.ok(await admin.dbsize() > 3, 'each node has some keys')
  await cache.invalidate('c')
  for (const url of urls) t.match((await ask(url)).cacheStatus, /fwd=miss/)
  t.equal(runs(), 60)
  await cache.clear()
  // Versions only grow, so clear leaves them.
  for (const { admin } of servers) t.same((await admin.keys('*')).filter((key) => !key.startsWith('frc:\0version:')), [])
})

t.test('redis: while slots move to another node, gets, sets and deletes succeed', async (t) => {
  const { servers, nodes } = await startCluster(t)
  const backend = await openRedis(t, { connection: { cluster: nodes } })
  const keys = Array.from({ length: 60 }, (_, at) => `key ${at}`)
  for (const key of keys) await backend.set(key, entry(key))
  const ids = await Promise.all(servers.map(async ({ admin }) => String(await admin.call('CLUSTER', 'MYID'))))
  // One node takes all slots, with the newest epoch. If several nodes did, an older claim might arrive late and win.
  const to = 2
  await servers[to]!.admin.call('CLUSTER', 'BUMPEPOCH')
  const claims = async () => await Promise.all(servers.map(async ({ admin }) =>
    new RegExp(`^${ids[to]}(?: \\S+){5} (\\d+)`, 'm').exec(String(await admin.call('CLUSTER', 'NODES')))?.[1]))
  await until('all nodes know of the claim', async () => new Set(await claims()).size === 1)
  const failures: unknown[] = []
  let moved = 0
  for (const [at, key] of keys.entries()) {
    const slot = Number(await servers[0]!.admin.call('CLUSTER', 'KEYSLOT', `frc:${key}`))
    const owner = [0, 1, 2].find((one) => slot >= Math.floor(16_384 * one / 3) && slot < Math.floor(16_384 * (one + 1) / 3)) as number
    if (owner !== to) {
      const migrate = async () => await servers[owner]!.admin.call('MIGRATE', '127.0.0.1', servers[to]!.port, `frc:${key}`, 0, 1_000)
      await servers[to]!.admin.call('CLUSTER', 'SETSLOT', slot, 'IMPORTING', ids[owner]!)
      await servers[owner]!.admin.call('CLUSTER', 'SETSLOT', slot, 'MIGRATING', ids[to]!)
      // Half of the keys are accessed while they move, some of them when they have moved already (ASK), the others later (MOVED).
      if (moved % 2 === 0) await migrate()
      if (moved % 4 < 2) failures.push(await failureOf(async () => t.equal(await textAt(backend, key), key)))
      if (moved % 2 === 1) await migrate()
      for (const node of [to, owner, 1 - owner]) await servers[node]!.admin.call('CLUSTER', 'SETSLOT', slot, 'NODE', ids[to]!)
      moved++
    }
    failures.push(await failureOf(async () => await backend.set(key, entry(`${key} again`))))
    failures.push(await failureOf(async () => t.equal(await textAt(backend, key), `${key} again`)))
    if (at % 3 === 0) failures.push(await failureOf(async () => await backend.delete(key)))
  }
  t.ok(moved > 20, `${moved} keys have moved`)
  t.same(failures.filter((failure) => failure !== undefined), [])
  t.same((await backend.keys()).sort(), keys.filter((_, at) => at % 3 !== 0).sort())
  await backend.clear()
  t.equal(await backend.size(), 0)
})

t.test('redis: a node that hangs costs the deadline, and the other nodes respond', async (t) => {
  const { servers, nodes } = await startCluster(t)
  const backend = await openRedis(t, { connection: { cluster: nodes, commandTimeout: 150, socketTimeout: 300, connectTimeout: 300 } })
  const keys = Array.from({ length: 30 }, (_, at) => `key ${at}`)
  await until('all keys are stored', async () =>
    (await Promise.allSettled(keys.map((key) => backend.set(key, entry(key))))).every(({ status }) => status === 'fulfilled'))
  servers[0]!.stop()
  const beganAt = performance.now()
  const reads = await Promise.allSettled(keys.map((key) => backend.get(key)))
  t.ok(performance.now() - beganAt < 1_000)
  t.ok(reads.some(({ status }) => status === 'rejected'))
  t.ok(reads.some(({ status }) => status === 'fulfilled'))
  await backend.close()
})

t.test('redis: after a failover of a Sentinel the new master is used', async (t) => {
  const { master, replica, sentinel } = await startSentinel(t)
  const backend = await openRedis(t, { connection: { sentinels: [{ host: '127.0.0.1', port: sentinel.port }], name: 'main' } })
  await backend.set('key', entry('before'))
  await until('the replica has it', async () => await replica.admin.exists('frc:key') === 1)
  await master.kill()
  await until('it can be written to again', async () => await failureOf(() => backend.set('key', entry('after'))) === undefined)
  t.equal(await textAt(backend, 'key'), 'after')
  t.match(await replica.admin.info('replication'), /role:master/)
})
