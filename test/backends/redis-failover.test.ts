// The Redis backend behind one address that now leads to another server, while connections to the old server stay open.
import { Redis } from 'ioredis'
import t, { type Test } from 'tap'
import { build, type TestApp } from '../support/app.js'
import { failureOf, textAt } from '../support/entries.js'
import { startCluster, startServer, until, type RedisServer } from '../support/redis-server.js'
import { follow, startRelay, type Relay } from '../support/redis-relay.js'
import { entry, openRedis } from '../support/redis.js'
import { fileNeeds } from '../support/programs.js'

fileNeeds(t, 'redis-server')

interface Pair { readonly master: RedisServer, readonly other: RedisServer, readonly relay: Relay }

const AT_ONCE = ['--repl-diskless-sync-delay', '0']

/** A master behind a relay, and its replica. */
async function startPair (t: Test): Promise<Pair> {
  const [master, other] = [await startServer(t, { args: AT_ONCE }), await startServer(t, { args: AT_ONCE })]
  await master.admin.ping()
  await follow(other, master)
  return { master, other, relay: await startRelay(t, master) }
}

/** Makes the other server the master. */
async function failOver ({ master, other, relay }: Pair): Promise<void> {
  await other.admin.replicaof('NO', 'ONE')
  await follow(master, other)
  relay.leadTo(other)
}

async function applicationOn (t: Test, options: object): Promise<TestApp> {
  return await build(t, {
    backend: 'redis',
    options,
    deadline: '500ms',
    routes (app, { ran }) {
      app.get('/:id', { config: { cache: { ttl: '1h', tags: ['all'] } } }, async (request) =>
        `response ${ran()} ${(request.params as { id: string }).id}`)
    },
    compare: false
  })
}

t.test('redis: after READONLY the connection is closed, and the new master behind the same address is found', async (t) => {
  const pair = await startPair(t)
  const { ask, cache } = await applicationOn(t, { connection: { host: '127.0.0.1', port: pair.relay.port } })
  await ask('/a')
  t.match((await ask('/a')).cacheStatus, /; hit/)
  await failOver(pair)
  await t.rejects(cache.invalidate('all'), { code: 'CACHE_ERR_BACKEND_FAILED', message: /READONLY/ })
  await until('an invalidation holds', async () => await failureOf(() => cache.invalidate('all')) === undefined)
  t.match((await ask('/a')).cacheStatus, /fwd=miss; stored/)
  await until('new responses are stored', async () => /; hit/.test((await ask('/a')).cacheStatus ?? ''))
  t.equal(pair.relay.made(), 2, 'one connection was given up for another')
})

t.test('redis: a command is not repeated after READONLY, and the new master does not store a set that failed', async (t) => {
  const pair = await startPair(t)
  const backend = await openRedis(t, { connection: { host: '127.0.0.1', port: pair.relay.port } })
  await backend.set('key', entry('before'))
  await until('the replica has it', async () => await pair.other.admin.exists('frc:key') === 1)
  await failOver(pair)
  t.match(await failureOf(() => backend.set('key', entry('after'))), { code: 'READONLY' })
  await until('the new master is reached', async () => await failureOf(() => backend.set('other', entry('after'))) === undefined)
  t.equal(await textAt(backend, 'key'), 'before')
})

t.test('redis: while the address leads to a replica, reconnects become rarer and reads return the replica\'s entries', async (t) => {
  const { other: replica } = await startPair(t)
  const relay = await startRelay(t, replica)
  const backend = await openRedis(t, { connection: { host: '127.0.0.1', port: relay.port } })
  const beganAt = performance.now()
  for (let time = 0; time < 20; time++) {
    t.ok(await failureOf(() => backend.set('key', entry('value'))))
    await until('it is connected', async () => await failureOf(() => backend.get('key')) === undefined)
  }
  const seconds = (performance.now() - beganAt) / 1_000
  t.ok(relay.made() <= 2 + Math.log2(seconds + 1), `${relay.made()} connections in ${seconds} s`)
})

t.test('redis: after MASTERDOWN the connection is closed, and the other server is found', async (t) => {
  const pair = await startPair(t)
  const backend = await openRedis(t, { connection: { host: '127.0.0.1', port: pair.relay.port } })
  await backend.set('key', entry('before'))
  await until('the replica has it', async () => await pair.other.admin.exists('frc:key') === 1)
  await pair.other.admin.replicaof('NO', 'ONE')
  await pair.master.admin.config('SET', 'replica-serve-stale-data', 'no')
  await pair.master.admin.replicaof('127.0.0.1', 1)
  pair.relay.leadTo(pair.other)
  t.match(await failureOf(() => backend.get('key')), { code: 'MASTERDOWN' })
  await until('the other server responds', async () => await textAt(backend, 'key').catch(() => '') === 'before')
})

t.test('redis: after LOADING the connection is closed, and the other server is found', async (t) => {
  const [loading, other] = [await startServer(t), await startServer(t)]
  const filler = await openRedis(t, { url: loading.url })
  await Promise.all(Array.from({ length: 2_000 }, (_, at) => filler.set(`${at}`, { value: Buffer.alloc(100), expiresAt: Infinity })))
  await loading.admin.call('SAVE')
  await loading.kill()
  // Loading takes longer than the test.
  await loading.start(['--key-load-delay', '20000', '--loading-process-events-interval-bytes', '1024'])
  const relay = await startRelay(t, loading)
  const backend = await openRedis(t, { connection: { host: '127.0.0.1', port: relay.port } })
  t.match(await failureOf(() => backend.get('key')), { code: /LOADING|ENOTCONN/ })
  relay.leadTo(other)
  await until('the other one stores', async () => await failureOf(() => backend.set('key', entry('value'))) === undefined)
  t.equal(await textAt(backend, 'key'), 'value')
})

t.test('redis: a Cluster that was down is used again when it is whole', async (t) => {
  const { servers, nodes } = await startCluster(t)
  const backend = await openRedis(t, { connection: { cluster: nodes } })
  const keys = Array.from({ length: 30 }, (_, at) => `key ${at}`)
  for (const key of keys) await backend.set(key, entry(key))
  await servers[0]!.kill()
  const areAll = async (state: string): Promise<boolean> => {
    const said = await Promise.all(servers.slice(1).map(({ admin }) => admin.call('CLUSTER', 'INFO')))
    return said.every((info) => String(info).includes(`cluster_state:${state}`))
  }
  await until('the others refuse', async () => await areAll('fail'))
  const down = await Promise.allSettled(keys.map((key) => backend.set(key, entry('again'))))
  t.ok(down.every(({ status }) => status === 'rejected'))
  await servers[0]!.start()
  await until('it is whole', async () => await areAll('ok'))
  await until('all keys can be changed', async () =>
    (await Promise.allSettled(keys.map((key) => backend.set(key, entry('again'))))).every(({ status }) => status === 'fulfilled'))
  for (const key of keys) t.equal(await textAt(backend, key), 'again')
})

t.test('redis: a caller-owned client is not changed, the log says what to do, and reconnectOnError finds the new master', async (t) => {
  const pair = await startPair(t)
  for (const reconnectOnError of [undefined, (error: Error) => error.message.startsWith('READONLY')]) {
    const client = new Redis({ host: '127.0.0.1', port: pair.relay.port, ...(reconnectOnError !== undefined && { reconnectOnError }) })
      .on('error', () => {})
    t.teardown(() => client.disconnect())
    await client.ping()
    const { ask, cache, warnings, app } = await applicationOn(t, { client })
    await ask('/a')
    await failOver(pair)
    const made = pair.relay.made()
    await t.rejects(cache.invalidate('all'), { code: 'CACHE_ERR_BACKEND_FAILED', message: /READONLY.*reconnectOnError/ })
    t.equal(warnings().filter(({ err }) => /reconnectOnError/.test(err?.message ?? '')).length, 1, 'one line')
    if (reconnectOnError === undefined) {
      await t.rejects(cache.invalidate('all'), { message: /READONLY/ })
      t.equal(pair.relay.made(), made)
    } else await until('an invalidation holds', async () => await failureOf(() => cache.invalidate('all')) === undefined)
    await app.close()
    await failOver({ master: pair.other, other: pair.master, relay: pair.relay })
  }
})
