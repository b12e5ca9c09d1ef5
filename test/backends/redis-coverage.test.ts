// Deletion of many keys on a Cluster: either every slot was reached or the call rejects, also while slots move.
import { setTimeout as sleep } from 'node:timers/promises'
import { Cluster, type Redis } from 'ioredis'
import t, { type Test } from 'tap'
import type { CacheBackend } from '../../registry/backend.js'
import { build } from '../support/app.js'
import { failureOf } from '../support/entries.js'
import { startCluster, until, type RedisCluster } from '../support/redis-server.js'
import { entry, openRedis } from '../support/redis.js'
import { fileNeeds } from '../support/programs.js'

fileNeeds(t, 'redis-server')

const AOF = ['--appendonly', 'yes', '--appendfsync', 'always', '--cluster-require-full-coverage', 'no']

async function clusterOfFiles (t: Test): Promise<RedisCluster> {
  const cluster = await startCluster(t)
  for (const { admin } of cluster.servers) {
    await admin.config('SET', 'appendonly', 'yes')
    await admin.config('SET', 'cluster-require-full-coverage', 'no')
    await until('its file is written', async () => /aof_rewrite_in_progress:0/.test(await admin.info('persistence')))
  }
  return cluster
}

async function comesBack ({ servers }: RedisCluster, at: number): Promise<void> {
  await servers[at]!.start(AOF)
  for (const { admin } of servers) {
    await until('the Cluster is whole', async () => String(await admin.call('CLUSTER', 'INFO')).includes('cluster_slots_ok:16384'))
  }
}

const AWAY_ASKED = 10

/** Repeats a call that must be refused while a master is away: at first the driver still knows that master, later it doesn't. */
async function rejectsEachTime (t: Test, act: () => unknown, failure: object): Promise<void> {
  for (let time = 0; time < AWAY_ASKED; time++) {
    t.match(await failureOf(act) ?? 'acknowledged', failure)
    await sleep(200)
  }
}

async function filled (backend: CacheBackend, keys: readonly string[]): Promise<void> {
  await until('all are stored', async () =>
    (await Promise.allSettled(keys.map((key) => backend.set(key, entry(key))))).every(({ status }) => status === 'fulfilled'))
}

t.test('redis: clear rejects while a master is away, clears the other nodes, and succeeds once the master is back',
  async (t) => {
    const cluster = await clusterOfFiles(t)
    const backend = await openRedis(t, { connection: { cluster: cluster.nodes } })
    const keys = Array.from({ length: 30 }, (_, at) => `key ${at}`)
    await filled(backend, keys)
    await cluster.servers[0]!.kill()
    await rejectsEachTime(t, () => backend.clear(), { code: /^E/ })
    for (const server of cluster.servers.slice(1)) t.equal(await server.admin.dbsize(), 0)
    await comesBack(cluster, 0)
    t.ok(await cluster.servers[0]!.admin.dbsize() > 0, 'it still has its entries')
    await until('clear succeeds', async () => await failureOf(() => backend.clear()) === undefined)
    t.equal(await cluster.servers[0]!.admin.dbsize(), 0)
  })

t.test('redis: an invalidation that needs a master that is away rejects, and confirmed invalidations hold',
  async (t) => {
    const cluster = await clusterOfFiles(t)
    const { ask, cache } = await build(t, {
      backend: 'redis',
      options: { connection: { cluster: cluster.nodes } },
      deadline: '900ms',
      routes (app, { ran }) {
        const by = (request: { params: unknown }) => (request.params as { id: string }).id
        app.get('/plain/:id', { config: { cache: { ttl: '1h' } } }, async (request) => `response ${ran()} ${by(request)}`)
        app.get('/tagged/:id', { config: { cache: { ttl: '1h', tags: (request: { params: unknown }) => [by(request)] } } } as object,
          async (request) => `response ${ran()} ${by(request)}`)
      },
      compare: false
    })
    const ids = Array.from({ length: 30 }, (_, at) => `${at}`)
    const urls = ids.flatMap((id) => [`/plain/${id}`, `/tagged/${id}`])
    for (const url of urls) await ask(url)
    const are = async (what: RegExp): Promise<string[]> => {
      const found: string[] = []
      for (const url of urls) if (what.test((await ask(url)).cacheStatus ?? '')) found.push(url)
      return found
    }
    t.same(await are(/; hit/), urls)
    await cluster.servers[0]!.kill()
    await rejectsEachTime(t, () => cache.invalidate({ route: '/plain/:id' }), { code: 'CACHE_ERR_BACKEND_FAILED' })
    const tags = await Promise.allSettled(ids.map((id) => cache.invalidate(id)))
    t.ok(tags.some(({ status }) => status === 'rejected') && tags.some(({ status }) => status === 'fulfilled'))
    await comesBack(cluster, 0)
    const confirmed = ids.filter((_, at) => tags[at]!.status === 'fulfilled').map((id) => `/tagged/${id}`)
    await until('the driver has found it', async () => await failureOf(() => cache.invalidate({ route: '/plain/:id' })) === undefined)
    const hits = await are(/; hit/)
    t.same(hits.filter((url) => url.startsWith('/plain')), [], 'the acknowledged invalidation holds')
    t.same(hits.filter((url) => confirmed.includes(url)), [])
  })

/** Makes the scan of the node at `port` begin only after `first` has settled. */
function scansLast (client: Cluster, port: number, first: () => Promise<unknown>): Cluster {
  const nodes = client.nodes.bind(client)
  let done: Promise<unknown> | undefined
  const late = (node: Redis): Redis =>
    Object.assign(Object.create(node), { scan: async (...args: [string]) => await (done ??= first()).then(() => node.scan(...args)) })
  return Object.assign(client, { nodes: (role?: 'master') => nodes(role).map((node) => node.options.port === port ? late(node) : node) })
}

t.test('redis: clear reaches keys that move from a node not yet scanned to one already scanned', async (t) => {
  const { servers, nodes } = await startCluster(t)
  const client = new Cluster([...nodes])
  t.teardown(() => client.disconnect())
  const [source, target] = [servers[2]!, servers[0]!]
  const [from, to] = [source.admin, target.admin]
  const move = async (): Promise<void> => {
    // The target's own scan, which is a single step, was sent before.
    await to.ping()
    for (const [slot, keys] of slots) {
      await to.call('CLUSTER', 'SETSLOT', slot, 'IMPORTING', ids[0]!)
      await from.call('CLUSTER', 'SETSLOT', slot, 'MIGRATING', ids[1]!)
      await from.call('MIGRATE', '127.0.0.1', target.port, '', 0, 5_000, 'KEYS', ...keys)
    }
  }
  const backend = await openRedis(t, { client: scansLast(client, source.port, move) })
  const keys = Array.from({ length: 60 }, (_, at) => `key ${at}`)
  await filled(backend, keys)
  const ids = await Promise.all([from, to].map(async (admin) => String(await admin.call('CLUSTER', 'MYID'))))
  const slots = new Map<number, string[]>()
  for (const key of await from.keys('*')) {
    const slot = Number(await from.call('CLUSTER', 'KEYSLOT', key))
    slots.set(slot, [...slots.get(slot) ?? [], key])
  }
  t.ok(slots.size > 5)
  await backend.clear()
  for (const { admin } of servers) t.equal(await admin.dbsize(), 0)
})

t.test('redis: while slots of a Cluster move, all calls of one turn succeed', async (t) => {
  const { servers, nodes } = await startCluster(t)
  const backend = await openRedis(t, { connection: { cluster: nodes } })
  const keys = Array.from({ length: 60 }, (_, at) => `key ${at}`)
  await filled(backend, keys)
  const [from, to] = [servers[2]!, servers[0]!]
  const ids = await Promise.all([from, to].map(async ({ admin }) => String(await admin.call('CLUSTER', 'MYID'))))
  for (const key of await from.admin.keys('*')) {
    const slot = Number(await from.admin.call('CLUSTER', 'KEYSLOT', key))
    await to.admin.call('CLUSTER', 'SETSLOT', slot, 'IMPORTING', ids[0]!)
    await from.admin.call('CLUSTER', 'SETSLOT', slot, 'MIGRATING', ids[1]!)
    await from.admin.call('MIGRATE', '127.0.0.1', to.port, key, 0, 5_000)
  }
  const changes = await Promise.allSettled(keys.map((key, at) =>
    at % 2 === 0 ? backend.delete(key) : backend.set(key, entry(`${key} again`))))
  t.same(changes.filter(({ status }) => status === 'rejected'), [])
  t.same((await backend.keys()).sort(), keys.filter((_, at) => at % 2 === 1).sort())
})
