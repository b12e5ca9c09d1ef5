// The stores that peers share: a SQLite file, a Redis server, a Cluster, and a server that Sentinel watches.
import { t as root, type Test } from 'tap'
import type { BackendChoice } from '../../registry/names.js'
import { databasePath } from './app.js'
import { serverPrograms, startCluster, startSentinel, startServer, type RedisServer } from './redis-server.js'
import { isFull } from './size.js'

export interface PeerStore {
  readonly name: 'SQLite' | 'Redis' | 'a Redis Cluster' | 'Redis behind Sentinel'
  readonly choice: BackendChoice
  /** The Redis server, or the first of them. */
  readonly server?: RedisServer
}

/** A new SQLite file. */
export function sqliteStore (t: Test): PeerStore {
  return { name: 'SQLite', choice: { backend: 'sqlite', options: { path: databasePath(t) } } }
}

/** A new Redis server. */
export async function redisStore (t: Test, args: readonly string[] = []): Promise<PeerStore & { readonly server: RedisServer }> {
  const server = await startServer(t, { args })
  return { name: 'Redis', choice: { backend: 'redis', options: { url: server.url } }, server }
}

/** Three masters. */
async function clusterStore (t: Test): Promise<PeerStore> {
  const { nodes, servers } = await startCluster(t)
  return { name: 'a Redis Cluster', choice: { backend: 'redis', options: { connection: { cluster: nodes } } }, server: servers[0]! }
}

/** A master with a replica that is found through Sentinel. */
async function sentinelStore (t: Test): Promise<PeerStore> {
  const { master, sentinel } = await startSentinel(t)
  const connection = { sentinels: [{ host: '127.0.0.1', port: sentinel.port }], name: 'main' }
  return { name: 'Redis behind Sentinel', choice: { backend: 'redis', options: { connection } }, server: master }
}

type Maker = (t: Test) => PeerStore | Promise<PeerStore>

const started = new Map<Maker, Promise<PeerStore>>()

/** The servers are started once for a file. */
const once = (maker: Maker): Maker => async () => {
  const store = started.get(maker) ?? Promise.resolve(maker(root))
  started.set(maker, store)
  return await store
}

const hasRedis = serverPrograms().includes('redis-server')

/** Returns the stores on Redis that are tested: with FULL=1, also a Cluster and a server behind Sentinel. */
export async function redisStores (t: Test): Promise<PeerStore[]> {
  const makers = hasRedis ? [redisStore, ...(isFull ? [clusterStore, sentinelStore] : [])] : []
  return await Promise.all(makers.map(async (maker) => await once(maker)(t)))
}

/** Runs a test on SQLite and on Redis. */
export async function onTwoStores (t: Test, run: (t: Test, store: PeerStore) => Promise<void>): Promise<void> {
  await onStores(t, [sqliteStore, ...(hasRedis ? [once(redisStore)] : [])], run)
}

/** Runs a test on all stores. Without FULL=1, on SQLite, on Redis and, `withCluster`, on a Cluster. */
export async function onAllStores (
  t: Test, run: (t: Test, store: PeerStore) => Promise<void>, { withCluster = false }: { withCluster?: boolean } = {}
): Promise<void> {
  await onTwoStores(t, run)
  if (!hasRedis) return
  if (isFull || withCluster) await onStores(t, [once(clusterStore)], run)
  if (isFull) await onStores(t, [once(sentinelStore)], run)
}

async function onStores (t: Test, makers: readonly Maker[], run: (t: Test, store: PeerStore) => Promise<void>): Promise<void> {
  for (const make of makers) {
    const store = await make(t)
    await t.test(store.name, async (t) => await run(t, store))
  }
}
