// What the Redis backend stores: the two formats of an entry, values of others, versions, and with which commands.
import { Cluster, Redis } from 'ioredis'
import t from 'tap'
import { decodeValue } from '../../backends/redis/codec.js'
import type { Claim } from '../../registry/backend.js'
import { testClock } from '../support/clock.js'
import { failureOf, textAt } from '../support/entries.js'
import { fileNeeds } from '../support/programs.js'
import { startCluster, startServer, type RedisServer } from '../support/redis-server.js'
import { entry, openRedis } from '../support/redis.js'

fileNeeds(t, 'redis-server')

const LONG = { leaseMs: 30_000, fillMs: 60_000 }

const tokenIn = (claim: Claim): string => (claim as { token: string }).token

/** How an earlier version of this package reads an entry. */
function readBefore (bytes: Buffer): string | undefined {
  return bytes.byteLength >= 12 && bytes.readUInt32BE(0) === 0x46524331 ? bytes.subarray(12).toString() : undefined
}

/** How often the server ran each command, without those of the test. */
async function used ({ admin }: RedisServer): Promise<Record<string, number>> {
  const stats = await admin.info('commandstats')
  const counts = [...stats.matchAll(/cmdstat_(\S+?):calls=(\d+)/g)].map(([, name, calls]) => [name as string, Number(calls)] as const)
  return Object.fromEntries(counts.filter(([name]) => !['info', 'config|resetstat', 'client|setinfo', 'hello'].includes(name)))
}

t.test('redis: an entry that was set is readable for earlier versions, and keeps its value and its life when it is claimed', async (t) => {
  const server = await startServer(t)
  const clock = testClock()
  const backend = await openRedis(t, { url: server.url }, clock)
  await backend.set('key', entry('value', 600_000))
  t.equal(readBefore((await server.admin.getBuffer('frc:key'))!), 'value')
  const { expiresAt } = (await backend.get('key'))!
  t.match(await backend.claim('key', LONG), { entry: { expiresAt } })
  t.match(await backend.claim('key', { ...LONG, seen: expiresAt - 1 }), { entry: { expiresAt } })
  t.match(await backend.claim('key', { ...LONG, seen: expiresAt }), { token: /./ })
  t.same(await backend.get('key'), { value: Buffer.from('value'), expiresAt })
  t.ok(await server.admin.pttl('frc:key') > 500_000, 'a claim shortens no life')
  const bytes = (await server.admin.getBuffer('frc:key'))!
  t.equal(readBefore(bytes), undefined, 'to earlier versions, it is foreign')
  t.equal(bytes.subarray(0, 4).toString(), 'FRC2')
  t.equal(bytes.byteLength, 48 + 'value'.length)
})

t.test('redis: an entry that ends soon is kept for fillMs when it is claimed, and is not returned for longer', async (t) => {
  const server = await startServer(t)
  const clock = testClock()
  const backend = await openRedis(t, { url: server.url }, clock)
  for (const write of ['set', 'settle']) {
    const old = { value: Buffer.from('value'), expiresAt: clock.now() + 5_000 }
    if (write === 'set') await backend.set('key', old)
    else await backend.settle('key', tokenIn(await backend.claim('key', LONG)), { entry: old })
    const seen = (await backend.get('key'))!.expiresAt
    const token = tokenIn(await backend.claim('key', { ...LONG, seen }))
    t.ok(await server.admin.pttl('frc:key') > 50_000)
    await clock.pass(5_000)
    t.equal(await backend.has('key'), false)
    t.equal(await backend.size(), 0)
    const next = { value: Buffer.from('next'), expiresAt: clock.now() + 1_000 }
    t.equal(await backend.settle('key', token, { entry: next }), true)
    t.same(await backend.get('key'), next)
    const leftMs = await server.admin.pttl('frc:key')
    t.ok(leftMs > 0 && leftMs <= 1_100, `${leftMs} ms`)
    await backend.delete('key')
  }
})

t.test('redis: values of others and of another type are claimed as if there were none', async (t) => {
  const server = await startServer(t)
  const backend = await openRedis(t, { url: server.url })
  await server.admin.set('frc:text', 'somebody else\'s')
  await server.admin.set('frc:cut', 'FRC2 and 43 bytes of the head'.padEnd(47))
  await server.admin.set('frc:short', 'FRC1')
  await server.admin.lpush('frc:list', 'a')
  await server.admin.hset('frc:hash', 'a', 'b')
  for (const key of ['text', 'cut', 'short', 'list', 'hash']) {
    t.equal(await backend.has(key), false, key)
    const token = tokenIn(await backend.claim(key, LONG))
    t.equal(await backend.settle(key, token, { entry: entry('ours') }), true, key)
    t.equal(await textAt(backend, key), 'ours', key)
  }
  const token = tokenIn(await backend.claim('replaced', LONG))
  await server.admin.del('frc:replaced')
  await server.admin.lpush('frc:replaced', 'a')
  t.equal(await backend.settle('replaced', token, { entry: entry('ours') }), false)
  t.equal(await backend.settle('replaced', token, {}), false)
  t.match(await backend.claim('replaced', { ...LONG, token }), { busyMs: 0 })
  t.equal(decodeValue(Buffer.from('FRC2'.padEnd(47))), undefined)
})

t.test('redis: a get is one GET, and a claim, a busy claim and a settle are one EVALSHA each', async (t) => {
  const server = await startServer(t)
  const backend = await openRedis(t, { url: server.url })
  for (const round of ['first', 'second']) {
    const token = tokenIn(await backend.claim('key', LONG))
    await backend.claim('key', LONG)
    await backend.settle('key', token, { entry: entry('value') })
    await backend.get('key')
    if (round === 'second') break
    await backend.delete('key')
    await server.admin.config('RESETSTAT')
  }
  t.same(await used(server), { get: 1, evalsha: 3, time: 3, getrange: 3, set: 2, setrange: 1 })
  await server.admin.config('RESETSTAT')
  await backend.get('key')
  t.same(await used(server), { get: 1 })
})

t.test('redis: scripts that the server has forgotten are sent again, also in automatic pipelines and on a Cluster', async (t) => {
  const [server, cluster] = [await startServer(t), await startCluster(t)]
  const clients = [
    new Redis({ port: server.port, host: '127.0.0.1', enableAutoPipelining: true }),
    new Cluster([...cluster.nodes], { enableAutoPipelining: true })
  ]
  t.teardown(() => clients.forEach((client) => client.disconnect()))
  const admins = [server, ...cluster.servers].map(({ admin }) => admin)
  const flush = async () => { await Promise.all(admins.map(async (admin) => await admin.script('FLUSH'))) }
  const backends = [
    await openRedis(t, { client: clients[0]!, prefix: 'a:' }), await openRedis(t, { client: clients[1]!, prefix: 'b:' }),
    await openRedis(t, { url: server.url, prefix: 'c:' }), await openRedis(t, { connection: { cluster: cluster.nodes }, prefix: 'd:' })
  ]
  for (const client of clients) await client.get('any')
  const keys = Array.from({ length: 20 }, (_, at) => `key ${at}`)
  for (const backend of backends) {
    await flush()
    await Promise.all(keys.map((key) => backend.set(key, entry('set'))))
    const seen = entry('').expiresAt
    await flush()
    const claims = await Promise.all(keys.map((key) => backend.claim(key, { ...LONG, seen })))
    await flush()
    await Promise.all(keys.map((key, at) => backend.claim(key, { ...LONG, token: tokenIn(claims[at]!) })))
    await flush()
    const settled = await Promise.all(keys.map((key, at) => backend.settle(key, tokenIn(claims[at]!), { entry: entry('settled') })))
    t.ok(settled.every(Boolean))
    await flush()
    t.ok(await backend.version('name') > 0)
    for (const key of keys) t.equal(await textAt(backend, key), 'settled')
  }
})

t.test('redis: a caller-owned client keeps its methods, and one without EVALSHA sends EVAL', async (t) => {
  const server = await startServer(t)
  const client = new Redis({ port: server.port, host: '127.0.0.1' })
  t.teardown(() => client.disconnect())
  await client.ping()
  const before = Object.keys(client)
  const without = new Proxy(client, { get: (target, name) => name === 'evalshaBuffer' ? undefined : Reflect.get(target, name) })
  for (const [lent, command] of [[client, 'evalsha'], [without, 'eval']] as const) {
    const backend = await openRedis(t, { client: lent })
    for (const key of ['a', 'b']) {
      await backend.set(key, entry('value'))
      const token = tokenIn(await backend.claim(key, { ...LONG, seen: entry('').expiresAt }))
      t.equal(await backend.settle(key, token, { entry: entry('settled') }), true)
    }
    t.ok((await used(server))[command]! > 0)
    await server.admin.config('RESETSTAT')
    if (lent === without) t.notOk('evalsha' in await used(server))
  }
  t.same(Object.keys(client), before)
  t.match(await failureOf(() => openRedis(t, {
    client: new Proxy(client, { get: (target, name) => name === 'evalBuffer' ? undefined : Reflect.get(target, name) })
  })), { code: 'CACHE_ERR_OPTION' })
})
