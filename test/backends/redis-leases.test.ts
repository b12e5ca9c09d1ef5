// Claims and settlements on Redis: which rules hold for which keys, on a server, on a Cluster, and on a client with a keyPrefix.
import { Redis } from 'ioredis'
import t, { type Test } from 'tap'
import type { CacheBackend, Claim } from '../../registry/backend.js'
import { isRefusal } from '../../registry/refusal.js'
import { testClock } from '../support/clock.js'
import { failureOf, textAt } from '../support/entries.js'
import { fileNeeds } from '../support/programs.js'
import { startCluster, startProxy, startServer, until } from '../support/redis-server.js'
import { entry, openRedis, soon } from '../support/redis.js'

fileNeeds(t, 'redis-server')

const LONG = { leaseMs: 30_000, fillMs: 60_000 }
const BESIDE = { leaseMs: 0, fillMs: 60_000 }

type Backend = Required<CacheBackend>

function tokenIn (claim: Claim): string {
  if (!('token' in claim)) throw new Error(`no token, but ${JSON.stringify(claim)}`)
  return claim.token
}

const take = async (backend: Backend, key: string, options: object = LONG) =>
  tokenIn(await backend.claim(key, { ...LONG, ...options }))

/** Fails unless somebody else has the lease. */
async function isBusy (t: Test, backend: Backend, key: string, options: object = {}): Promise<void> {
  const claim = await backend.claim(key, { ...LONG, ...options })
  t.ok('busyMs' in claim && claim.busyMs > 0 && claim.busyMs <= LONG.leaseMs, JSON.stringify(claim))
}

async function followsRules (t: Test, backend: Backend, key: string): Promise<void> {
  await backend.delete(key)
  const first = await take(backend, key)
  await isBusy(t, backend, key)
  t.equal(await textAt(backend, key), undefined)
  t.equal(await backend.has(key), false)
  const beside = await take(backend, key, BESIDE)
  t.not(beside, first)
  t.equal(await take(backend, key, { token: first }), first)
  for (const made of [`${first}0`, `0${first}`, 'made up', '', first.replace(/\d+/, '9')]) {
    await isBusy(t, backend, key, { token: made })
    t.equal(await backend.settle(key, made, { entry: entry('forged') }), false)
  }
  t.equal(await backend.settle(key, first, { entry: entry('first') }), true)
  t.equal(await textAt(backend, key), 'first')
  t.equal(await backend.settle(key, first, { entry: entry('again') }), false, 'a token is settled once')
  t.match(await backend.claim(key, { ...LONG, token: first }), { busyMs: 0 })

  const found = await backend.claim(key, LONG)
  t.same('entry' in found && { ...found.entry, value: String(found.entry.value) }, { ...entry(''), value: 'first' })
  const seen = (await backend.get(key))!.expiresAt
  const [older, younger] = [await take(backend, key, { seen }), await take(backend, key, { ...BESIDE, seen })]
  await isBusy(t, backend, key, { seen })
  t.equal(await textAt(backend, key), 'first', 'the entry that was seen is still there')
  t.equal(await backend.settle(key, younger, { entry: entry('younger', 50_000) }), true)
  t.equal(await backend.settle(key, older, { entry: entry('older') }), false)
  t.equal(await backend.settle(key, beside, { entry: entry('beside'), replaces: 1 }), false)
  t.equal(await backend.settle(key, beside, { entry: entry('beside'), replaces: (await backend.get(key))!.expiresAt }), true)
  t.equal(await textAt(backend, key), 'beside')

  const set = await take(backend, key, { seen })
  await backend.set(key, entry('set'))
  t.equal(await backend.settle(key, set, { entry: entry('void') }), false)
  for (const replaces of [0, undefined]) {
    const removed = await take(backend, key, { seen })
    await backend.delete(key)
    t.equal(await backend.settle(key, removed, { entry: entry('void'), replaces }), false)
    const again = await take(backend, key)
    t.equal(await backend.settle(key, removed, { entry: entry('void'), replaces }), false, 'the key was claimed again')
    t.equal(await backend.settle(key, removed, { aloneMs: 60_000 }), false)
    await isBusy(t, backend, key, { token: removed })
    t.equal(await backend.settle(key, again, {}), false)
    t.match(await backend.claim(key, { ...BESIDE, token: removed }), { busyMs: 0 })
    await backend.set(key, entry('next'))
  }
  t.equal(await textAt(backend, key), 'next')

  await backend.delete(key)
  t.equal(await backend.settle(key, await take(backend, key), { aloneMs: 60_000 }), false)
  for (let at = 0; at < 3; at++) await take(backend, key)
  await backend.delete(key)
  t.equal(await backend.settle(key, await take(backend, key), { entry: entry('late', -1) }), false)
  t.equal(await backend.settle(key, await take(backend, key), {}), false)
  await take(backend, key)
  await backend.clear(key.slice(0, 1))
  await take(backend, key)
}

const keys = ['key', 'a{b}c{d}', ' blank s ', 'a\0b', '\0version:a', '\ud800 and \udc00', 'é\u0301\ufffd', '*?[x]\\', 'k'.repeat(2_000)]

t.test('redis: claim and settle follow the rules for every key', async (t) => {
  const server = await startServer(t)
  const backend = await openRedis(t, { url: server.url })
  for (const key of keys) await t.test(JSON.stringify(key.slice(0, 20)), async (t) => await followsRules(t, backend, key))
})

t.test('redis: claim and settle follow the rules on a Cluster of three, and on a client with a keyPrefix', async (t) => {
  const { nodes, servers } = await startCluster(t)
  const cluster = await openRedis(t, { connection: { cluster: nodes } })
  const server = await startServer(t)
  const client = new Redis({ port: server.port, host: '127.0.0.1', keyPrefix: 'theirs{}:', enableAutoPipelining: true })
  t.teardown(() => client.disconnect())
  await client.ping()
  const lent = await openRedis(t, { client })
  for (const backend of [cluster, lent]) for (const key of keys) await followsRules(t, backend, key)
  for (const { admin } of servers) t.ok(await admin.dbsize() > 0, 'each node has some keys')
})

t.test('redis: when two clients claim the same thousand keys, each key has exactly one token', async (t) => {
  const server = await startServer(t)
  const clients = [await openRedis(t, { url: server.url }), await openRedis(t, { url: server.url })]
  const raced = Array.from({ length: 1_000 }, (_, at) => `key ${at}`)
  const claims = await Promise.all(raced.flatMap((key) => clients.map((client) => client.claim(key, LONG))))
  for (const [at, key] of raced.entries()) {
    const kinds = claims.slice(at * 2, at * 2 + 2).map((claim) => 'token' in claim)
    if (kinds[0] === kinds[1]) t.fail(`${key}: ${kinds.join()}`)
  }
  t.equal(claims.filter((claim) => 'token' in claim).length, raced.length)
})

t.test('redis: a key that has only been claimed is not counted, is removed by clear, and is gone after fillMs', async (t) => {
  const server = await startServer(t)
  const backend = await openRedis(t, { url: server.url })
  await backend.set('entry', entry('value'))
  const token = await take(backend, 'claimed')
  await take(backend, 'short', { leaseMs: 10, fillMs: 50 })
  t.equal(await backend.size(), 1)
  t.same(await backend.keys(), ['entry'])
  t.same(await backend.getMany(['claimed', 'short']), [undefined, undefined])
  t.equal((await backend.stats()).foreignValues, 0)
  await until('fillMs has passed', async () => await server.admin.exists('frc:short') === 0)
  await backend.clear('cl')
  t.equal(await server.admin.exists('frc:claimed'), 0)
  t.equal(await backend.settle('claimed', token, { entry: entry('value') }), false)
  await backend.settle('claimed', await take(backend, 'claimed'), {})
  t.equal(await server.admin.exists('frc:claimed'), 0, 'nobody has another token')
  await backend.settle('claimed', await take(backend, 'claimed'), { aloneMs: 10_000 })
  t.ok(await server.admin.pttl('frc:claimed') <= 10_000)
})

t.test('redis: the server\'s clock ends leases and tokens, and the caller\'s clock ends entries', async (t) => {
  const server = await startServer(t)
  const clock = testClock()
  const backend = await openRedis(t, { url: server.url }, clock)
  const token = await take(backend, 'key')
  await clock.pass(90_000)
  await isBusy(t, backend, 'key')
  t.equal(await backend.settle('key', token, { entry: { value: Buffer.from('value'), expiresAt: clock.now() + 1_000 } }), true)
  t.match(await backend.claim('key', LONG), { entry: {} })
  await clock.pass(1_000)
  await take(backend, 'key')
  const [short] = [await take(backend, 'other', { leaseMs: 1, fillMs: 1 }), await take(backend, 'other', BESIDE)]
  await until('fillMs has passed', async () => 'busyMs' in await backend.claim('other', { ...BESIDE, token: short }))
  t.equal(await backend.settle('other', short, { entry: { value: Buffer.from('value'), expiresAt: clock.now() + 1_000 } }), false)
})

t.test('redis: a settle that failed is not applied when it arrives later', async (t) => {
  const server = await startServer(t)
  const proxy = await startProxy(t, server)
  const backend = await openRedis(t, soon(proxy.port))
  const arrived = async () => Number(/cmdstat_time:calls=(\d+)/.exec(await server.admin.info('commandstats'))?.[1])
  // Now the server's clock is known.
  await backend.set('other', entry('value'))
  const token = await take(backend, 'key')
  const before = await arrived()
  proxy.hold()
  t.match(await failureOf(() => backend.settle('key', token, { entry: entry('zombie') })), { code: /^(ETIMEDOUT|ECONNLOST)$/ })
  proxy.release()
  await until('its script has run', async () => await arrived() > before)
  const other = await openRedis(t, { url: server.url })
  t.equal(await textAt(other, 'key'), undefined)
  t.equal(await take(other, 'key', { token }), token, 'nothing else has made the token invalid')
})

t.test('redis: on a server without memory, claim and settle are refused, and reads and busy claims are not', async (t) => {
  const server = await startServer(t)
  const backend = await openRedis(t, { url: server.url })
  const token = await take(backend, 'key')
  await backend.set('kept', entry('value'))
  await server.admin.config('SET', 'maxmemory', '1mb')
  const calls = {
    claim: () => backend.claim('other', LONG),
    'claim of an entry that was seen': async () => await backend.claim('kept', { ...LONG, seen: (await backend.get('kept'))!.expiresAt }),
    prolong: () => backend.claim('key', { ...LONG, token }),
    settle: () => backend.settle('key', token, { entry: entry('value') }),
    release: () => backend.settle('key', token, { aloneMs: 1_000 })
  }
  for (const [name, call] of Object.entries(calls)) {
    const error = await failureOf(call)
    t.equal(error?.code, 'OOM', name)
    t.ok(isRefusal(error), name)
  }
  await isBusy(t, backend, 'key')
  t.match(await backend.claim('kept', LONG), { entry: {} })
  t.equal(await textAt(backend, 'kept'), 'value')
})

t.test('redis: a settle with a value that is too large is refused, and gives the lease back', async (t) => {
  const server = await startServer(t)
  const backend = await openRedis(t, { url: server.url, maxValueBytes: 1_000 })
  const error = await failureOf(async () =>
    await backend.settle('key', await take(backend, 'key'), { entry: { ...entry(''), value: Buffer.alloc(953) } }))
  t.equal(error?.code, 'ETOOLARGE')
  t.ok(isRefusal(error))
  t.equal(await backend.settle('key', await take(backend, 'key'), { entry: { ...entry(''), value: Buffer.alloc(952) } }), true)
})

t.test('redis: a read-only replica refuses a claim with READONLY, which is no refusal of the entry', async (t) => {
  const server = await startServer(t)
  const backend = await openRedis(t, { url: server.url })
  await server.admin.replicaof('127.0.0.1', 1)
  const error = await failureOf(() => backend.claim('key', LONG))
  t.equal(error?.code, 'READONLY')
  t.notOk(isRefusal(error))
})
