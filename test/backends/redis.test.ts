// The Redis backend on a healthy server: options, keys and values, other people's keys, what it counts.
import { Redis } from 'ioredis'
import t from 'tap'
import { loadDriver } from '../../backends/redis/driver.js'
import { failureOf as wrapped } from '../../backends/redis/errors.js'
import { keyOf, storedText } from '../../backends/redis/codec.js'
import type { RedisOptions } from '../../backends/redis.js'
import { build } from '../support/app.js'
import { testClock } from '../support/clock.js'
import { startServer } from '../support/redis-server.js'
import { failureOf, textAt } from '../support/entries.js'
import { entry, openRedis } from '../support/redis.js'
import { fileNeeds } from '../support/programs.js'

fileNeeds(t, 'redis-server')

t.test('redis: exactly one source of a client is required, and an unknown option is refused', async (t) => {
  const open = (options: object) => failureOf(() => openRedis(t, options as RedisOptions))
  const url = 'redis://127.0.0.1:1'
  t.match(await open({}), { code: 'CACHE_ERR_OPTION', message: /exactly one of client, namespace, url, connection, got none/ })
  t.match(await open({ url, namespace: 'a' }), { code: 'CACHE_ERR_OPTION', message: /got namespace and url/ })
  for (const options of [{ url: 'http://a' }, { url: '' }, { url: 'redis://[' }, { client: {} }, { client: 5 }, { namespace: '' },
    { connection: [] }, { connection: { cluster: [] } },
    { connection: { cluster: 'a' } }, { connection: { commandTimeout: 0 } }, { connection: { enableOfflineQueue: true } },
    { url, prefix: '' }, { url, unheardOf: 1 }, { url, prefix: 5 }]) {
    t.match(await open(options), { code: 'CACHE_ERR_OPTION', message: /^cache: 'redis\./ }, Object.keys(options).join())
  }
})

t.test('redis: the value of an invalid option is not shown, because it may contain a password', async (t) => {
  for (const options of [{ url: 'http://:s3cret@a' }, { password: 's3cret' }, { connection: 's3cret' },
    { connection: { password: 's3cret', lazyConnect: false } },
    { url: 'redis://:s3cret@a', connection: { password: 's3cret' } }, { client: { password: 's3cret' } },
    { connection: { cluster: [{}, 's3cret'] } }]) {
    const error = await failureOf(() => openRedis(t, options as RedisOptions))
    t.equal(error?.code, 'CACHE_ERR_OPTION')
    t.notMatch(error?.message, /s3cret/)
  }
})

t.test('redis: without @fastify/redis a coded error says what to install', async (t) => {
  const cause = new Error('Cannot find module')
  t.throws(() => loadDriver(() => { throw cause }), {
    code: 'CACHE_ERR_DEPENDENCY_MISSING', message: /'@fastify\/redis'; run npm install @fastify\/redis/, cause
  })
  t.equal(loadDriver(), Redis)
})

t.test('redis: an error keeps its name, code and first line, and loses the arguments of its command', async (t) => {
  const reply = (message: string) => wrapped(Object.assign(new Error(message), { name: 'ReplyError', command: { args: ['s3cret'] } }))
  t.match(reply("OOM command not allowed when used memory > 'maxmemory'. script: 1, on @user_script:4."), { code: 'OOM' })
  t.match(reply('ERR Error running script (call to f_1): @user_script:4: @user_script: 4: -OOM command not allowed'), { code: 'OOM' })
  t.match(reply("ERR unknown command 'x', with args beginning with: 's3cret'"), { code: 'ERR', message: "ERR unknown command 'x'" })
  t.match(reply('ERR Error running script: @user_script:4: ERR syntax error'), { code: 'ERR', message: /Redis 6\.2 or later/ })
  t.match(reply('nonsense'), { code: 'ERR' })
  t.match(wrapped(new Error('Command timed out')), { code: 'ETIMEDOUT' })
  t.match(wrapped(Object.assign(new Error(''), { code: 'ECONNREFUSED' })), { code: 'ECONNREFUSED', message: 'ECONNREFUSED' })
  t.match(wrapped(Object.assign(new Error('all failed'), { lastNodeError: new Error('Connection is closed.') })), {
    code: 'ECONNLOST', message: 'Connection is closed.'
  })
  t.match(wrapped('s3cret'), { code: 'UNKNOWN', message: /^(?!.*s3cret)/ })
  t.notOk('command' in reply('OOM'))
})

t.test('redis: two different keys are never stored as the same text', async (t) => {
  const parts = [
    '', 'a', '\0', '\0utf16:', 'utf16:', '\ud800', '\udc00', '\ud83d\udddd', '\ufffd', 'é', 'e\u0301', '*', '\\', '{a}', 'AAA='
  ]
  const keys = new Set(parts.flatMap((first) => parts.flatMap((second) => parts.map((third) => first + second + third))))
  const stored = new Set([...keys].map((key) => Buffer.from(storedText(key)).toString('hex')))
  t.equal(stored.size, keys.size)
  for (const key of keys) if (keyOf(storedText(key)) !== key) t.fail(JSON.stringify(key))
})

t.test('redis: 16 MiB of bytes come back unchanged', async (t) => {
  const server = await startServer(t)
  const backend = await openRedis(t, { url: server.url, maxValueBytes: 32 * 1024 * 1024 })
  const value = Buffer.alloc(16 * 1024 * 1024, Uint8Array.from({ length: 251 }, (_, at) => at))
  // On a busy machine, a call with so many bytes may end at its timeout.
  const patiently = async <T>(call: () => Promise<T>): Promise<T> => {
    for (let tries = 1; ; tries++) {
      try {
        return await call()
      } catch (err) {
        if (tries === 20 || (err as { code?: string }).code !== 'ETIMEDOUT') throw err
      }
    }
  }
  await patiently(async () => await backend.set('key', { ...entry(''), value }))
  t.ok(value.equals((await patiently(async () => await backend.get('key')))!.value))
})

t.test('redis: with a longer commandTimeout, the connection is not closed while the server is silent for that long', async (t) => {
  const server = await startServer(t)
  const backend = await openRedis(t, { connection: { port: server.port, host: '127.0.0.1', commandTimeout: 20_000 } })
  await backend.set('key', entry('value'))
  await server.admin.call('CLIENT', 'PAUSE', '2500', 'ALL')
  t.equal(await textAt(backend, 'key'), 'value')
})

t.test('redis: a foreign value under our key is a miss, is counted, and is replaced by the next set', async (t) => {
  const server = await startServer(t)
  const backend = await openRedis(t, { url: server.url })
  await backend.set('ours', entry('value'))
  const bytes = await server.admin.getBuffer('frc:ours') as Buffer
  await server.admin.set('frc:text', 'somebody else\'s')
  await server.admin.set('frc:empty', '')
  await server.admin.set('frc:cut', bytes.subarray(0, 8))
  await server.admin.set('frc:magic', Buffer.from(bytes).fill(0, 0, 1))
  await server.admin.lpush('frc:list', 'a')
  await server.admin.hset('frc:hash', 'a', 'b')
  const keys = ['text', 'empty', 'cut', 'magic', 'list', 'hash']
  for (const key of keys) t.equal(await textAt(backend, key), undefined, key)
  t.equal((await backend.stats()).foreignValues, keys.length)
  for (const key of keys) t.equal(await backend.has(key), false, key)
  t.same(await backend.keys(), ['ours'])
  for (const key of keys) {
    await backend.set(key, entry('again'))
    t.equal(await textAt(backend, key), 'again', key)
  }
  await server.admin.lpush('frc:other list', 'a')
  await backend.delete('other list')
  t.equal(await server.admin.exists('frc:other list'), 0)
})

t.test('redis: an entry with a flipped bit and an entry of another key are misses', async (t) => {
  const server = await startServer(t)
  await server.admin.ping()
  const { ask, cache, runs } = await build(t, {
    backend: 'redis',
    options: { url: server.url },
    routes (app, { ran }) {
      app.get('/:id', { config: { cache: { ttl: '1m' } } }, async (request) => {
        ran()
        return `the response to ${(request.params as { id: string }).id}`
      })
    }
  })
  const keyAt = async (id: string) => (await server.admin.keys(`frc:*${id}*`))[0] as string
  for (const id of ['aaaa', 'bbbb']) await ask(`/${id}`)
  const a = await server.admin.getBuffer(await keyAt('aaaa')) as Buffer
  await server.admin.set(await keyAt('bbbb'), a)
  t.equal((await ask('/bbbb')).body.toString(), 'the response to bbbb')
  t.equal(runs(), 3)
  a[a.length - 1]! ^= 1
  await server.admin.set(await keyAt('aaaa'), a)
  t.equal((await ask('/aaaa')).body.toString(), 'the response to aaaa')
  t.equal(runs(), 4)
  t.equal((await cache.stats()).damaged, 2)
})

t.test('redis: clear and keys reach no key of another prefix, whatever the prefix contains', async (t) => {
  const server = await startServer(t)
  const prefixes = ['a:', 'a*', 'a?', 'a[b]', 'ab', '\\a', 'a{b}:']
  const backends = await Promise.all(prefixes.map((prefix) => openRedis(t, { url: server.url, prefix })))
  await server.admin.set('application', 'data')
  for (const backend of backends) for (const key of ['1', '*', 'x?', 'x']) await backend.set(key, entry('value'))
  const before = await server.admin.dbsize()
  for (const [at, backend] of backends.entries()) {
    const prefix = prefixes[at] as string
    t.same((await backend.keys()).sort(), ['*', '1', 'x', 'x?'], prefix)
    await backend.clear('x?')
    t.same((await backend.keys()).sort(), ['*', '1', 'x'], prefix)
    await backend.clear()
    t.equal(await backend.size(), 0)
  }
  t.equal(await server.admin.dbsize(), before - 4 * prefixes.length)
  await openRedis(t, { url: server.url, prefix: 'a' }).then((backend) => backend.clear('1'))
  t.equal(await server.admin.get('application'), 'data')
  const used = await server.admin.info('commandstats')
  for (const command of ['keys', 'flushall', 'flushdb']) t.notMatch(used, `cmdstat_${command}:`)
})

t.test('redis: clear, keys and size scan in small steps, and no other call scans', async (t) => {
  const server = await startServer(t)
  const backend = await openRedis(t, { url: server.url })
  const keys = Array.from({ length: 1_500 }, (_, at) => `key ${at}`)
  for (let at = 0; at < keys.length; at += 100) {
    const some = keys.slice(at, at + 100)
    await Promise.all(some.map((key) => backend.set(key, entry('value'))))
    await backend.getMany(some)
  }
  await backend.stats()
  const calls = async (command: string) =>
    Number(new RegExp(`cmdstat_${command}:calls=(\\d+)`).exec(await server.admin.info('commandstats'))?.[1] ?? 0)
  t.equal(await calls('scan'), 0)
  t.equal(await backend.size(), keys.length)
  t.ok(await calls('scan') >= 2)
  await backend.clear()
  t.equal(await server.admin.dbsize(), 0)
  t.ok(await calls('unlink') >= 2 && await calls('unlink') <= 20, 'many keys in one command')
})

t.test('redis: an entry has a native expiry, and setting an expired entry removes the key', async (t) => {
  const server = await startServer(t)
  const now = () => Date.now()
  const backend = await openRedis(t, { url: server.url }, { now })
  const expiresAt = Date.now() + 60_000
  await backend.set('key', { value: Buffer.from('value'), expiresAt })
  const native = await server.admin.pexpiretime('frc:key')
  t.ok(Math.abs(native - expiresAt) < 1_000, `${native - expiresAt} ms`)
  await backend.set('for ever', { value: Buffer.from('value'), expiresAt: Infinity })
  t.ok(await server.admin.pttl('frc:for ever') > 0)
  await backend.set('key', { value: Buffer.from('value'), expiresAt: Date.now() })
  t.equal(await server.admin.exists('frc:key'), 0)
})

t.test('redis: an entry past its expiresAt has expired, whatever the server\'s clock says', async (t) => {
  const server = await startServer(t)
  const clock = testClock()
  const backend = await openRedis(t, { url: server.url }, clock)
  await backend.set('key', entry('value', 1_000))
  await clock.pass(1_000)
  t.equal(await textAt(backend, 'key'), undefined)
  t.equal(await backend.has('key'), false)
  t.equal(await server.admin.exists('frc:key'), 1, 'the server still has it, and will remove it by itself')
})

t.test('redis: gets of one turn are sent together, also by a caller-owned client that would send each by itself', async (t) => {
  const server = await startServer(t)
  const client = new Redis(server.url)
  t.teardown(() => client.disconnect())
  await client.ping()
  const backend = await openRedis(t, { client })
  const keys = Array.from({ length: 100 }, (_, at) => `key ${at}`)
  await Promise.all(keys.map((key) => backend.set(key, entry(key))))
  await server.admin.del('frc:key 7')
  await server.admin.hset('frc:key 7', 'a', 'hash')
  const reads = async () => Number(/total_reads_processed:(\d+)/.exec(await server.admin.info('stats'))?.[1])
  const before = await reads()
  const found = await Promise.all(keys.map(async (key) => await textAt(backend, key)))
  const after = await reads()
  t.same(found, keys.map((key) => key === 'key 7' ? undefined : key), 'a value of another type is a miss, and the only one')
  t.ok(after - before < 10, `the server read ${after - before} times from its sockets`)
})

t.test('redis: an entry written by 0.1.0 is read, and is written in the same format', async (t) => {
  const server = await startServer(t)
  const backend = await openRedis(t, { url: server.url })
  const value = Buffer.from('value')
  const fixture = Buffer.from('RlJDMUKN2WYewDgAdmFsdWU=', 'base64')
  const expiresAt = fixture.readDoubleBE(4)
  await server.admin.set('frc:key', fixture)
  t.same(await backend.get('key'), { value, expiresAt })
  await backend.set('again', { value, expiresAt })
  t.same(await server.admin.getBuffer('frc:again'), fixture)
})
