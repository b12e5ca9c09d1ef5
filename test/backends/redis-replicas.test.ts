// The Redis backend on a Cluster with replicas: no replica is read, because it may lag behind an invalidation.
import { Cluster, Redis } from 'ioredis'
import Fastify from 'fastify'
import t, { type Test } from 'tap'
import responseCache from '../../plugin.js'
import { failureOf, textAt } from '../support/entries.js'
import { startCluster, startServer, until, type RedisCluster, type RedisServer } from '../support/redis-server.js'
import { freePort } from '../../benchmarks/backends/free-port.js'
import { entry, openRedis } from '../support/redis.js'
import { fileNeeds } from '../support/programs.js'

fileNeeds(t, 'redis-server')

/** Three masters, each with a replica. */
async function withReplicas (t: Test): Promise<RedisCluster & { replicas: readonly RedisServer[] }> {
  const cluster = await startCluster(t)
  const replicas: RedisServer[] = []
  for (const master of cluster.servers) {
    const busPort = await freePort()
    const replica = await startServer(t, {
      args: [
        '--cluster-enabled', 'yes', '--cluster-config-file', 'nodes.conf', '--cluster-node-timeout', '2000', '--cluster-port',
        String(busPort), '--repl-diskless-sync-delay', '0'
      ]
    })
    await master.admin.config('SET', 'repl-diskless-sync-delay', '0')
    await master.admin.call('CLUSTER', 'MEET', '127.0.0.1', replica.port, busPort)
    const id = String(await master.admin.call('CLUSTER', 'MYID'))
    await until('it may follow', async () => await replica.admin.call('CLUSTER', 'REPLICATE', id).then(() => true, () => false))
    await until('it follows', async () => (await replica.admin.info('replication')).includes('master_link_status:up'))
    replicas.push(replica)
  }
  for (const { admin } of cluster.servers) {
    await until('all know the replicas', async () =>
      (await admin.call('CLUSTER', 'SLOTS') as unknown[][]).every((range) => range.length === 4))
  }
  return { ...cluster, replicas }
}

/** Disconnects all replicas from their masters. Each goes on serving the entries it has. */
async function cutOff ({ servers, replicas }: { servers: readonly RedisServer[], replicas: readonly RedisServer[] }): Promise<void> {
  for (const { admin } of servers) {
    await admin.call('ACL', 'SETUSER', 'default', '-psync', '-sync')
    await admin.call('CLIENT', 'KILL', 'TYPE', 'replica')
  }
  for (const { admin } of replicas) {
    await until('it is cut off', async () => (await admin.info('replication')).includes('master_link_status:down'))
  }
}

t.test('redis: a caller-owned client that reads from replicas is refused at registration, with advice', async (t) => {
  const { nodes } = await withReplicas(t)
  for (const scaleReads of ['slave', 'all', () => []] as const) {
    const client = new Cluster([...nodes], { scaleReads } as object)
    t.teardown(() => client.disconnect())
    const message = /'redis\.client' must be a client that reads from masters.*scaleReads: 'master'/
    const app = Fastify()
    t.teardown(() => app.close())
    t.match(await failureOf(async () => await app.register(responseCache, { backend: 'redis', options: { client } })), {
      code: 'CACHE_ERR_OPTION', message
    })
    const decoration = () => ({ store: client })
    t.match(await failureOf(() => openRedis(t, { namespace: 'store' }, { decoration })), {
      code: 'CACHE_ERR_OPTION', message: /'redis\.namespace' must be a client that reads from masters/
    })
  }
})

t.test('redis: a client of a namespace registered later, and connection options that read from replicas, are refused too', async (t) => {
  const client = new Cluster([{ port: 1 }], { lazyConnect: true, scaleReads: 'slave' })
  const found: Record<string, unknown> = {}
  const backend = await openRedis(t, { namespace: 'store' }, { decoration: () => found })
  found.store = client
  t.match(await failureOf(() => backend.get('key')), { code: 'CACHE_ERR_OPTION', message: /reads from masters/ })
  const sentinels = [{ host: '127.0.0.1', port: 1 }]
  const replica = new Redis({ sentinels, name: 'main', role: 'slave', lazyConnect: true })
  for (const options of [
    { client: replica },
    { connection: { sentinels, name: 'main', role: 'slave' } },
    { connection: { cluster: [{ port: 1 }], scaleReads: 'all' } }
  ]) {
    t.match(await failureOf(() => openRedis(t, options)), { code: 'CACHE_ERR_OPTION', message: /reads from masters/ })
  }
})

t.test('redis: no replica of a Cluster is read, and deleted entries stay deleted while the replicas lag behind', async (t) => {
  const cluster = await withReplicas(t)
  const lent = new Cluster([...cluster.nodes])
  t.teardown(() => lent.disconnect())
  const backends = [await openRedis(t, { connection: { cluster: cluster.nodes } }), await openRedis(t, { client: lent })]
  const keys = Array.from({ length: 30 }, (_, at) => `key ${at}`)
  const [writer] = backends
  await until('all are stored', async () =>
    (await Promise.allSettled(keys.map((key) => writer!.set(key, entry(key))))).every(({ status }) => status === 'fulfilled'))
  for (const backend of backends) t.equal(await textAt(backend, keys[0]!), keys[0])
  for (const { admin } of cluster.servers) await admin.wait(1, 10_000)
  await cutOff(cluster)
  for (const key of keys) await writer!.delete(key)
  const behind = await Promise.all(cluster.replicas.map(async ({ admin }) => await admin.dbsize()))
  t.equal(behind.reduce((sum, each) => sum + each, 0), keys.length, 'the replicas still have the entries')
  for (const backend of backends) {
    for (const key of keys) t.equal(await backend.get(key), undefined)
    t.same(await backend.keys(), [])
  }
  for (const { admin } of cluster.replicas) t.notMatch(await admin.info('commandstats'), /cmdstat_get:/)
})
