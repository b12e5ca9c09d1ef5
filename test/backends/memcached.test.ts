// The Memcached backend on a real server: conformance, its options, its limits, and a server that is stopped, killed or missing.
import { createServer, connect, type AddressInfo, type Socket } from 'node:net'
import { once } from 'node:events'
import mcc from 'memcache-client'
import t, { type Test } from 'tap'
import { builtIns } from '../../backends/index.js'
import memcached, { type MemcachedOptions } from '../../backends/memcached.js'
import { openClient } from '../../backends/memcached/driver.js'
import { lifetimeOf } from '../../backends/memcached/byte-store.js'
import { nameOf, storedKey } from '../../registry/codec.js'
import { testClock } from '../support/clock.js'
import { conforms } from '../support/conformance.js'
import { newMemcached, startMemcached, type MemcachedServer } from '../support/memcached-server.js'
import { until } from '../support/redis-server.js'
import { failureOf, textAt } from '../support/entries.js'
import { entry } from '../support/redis.js'
import { open, SHORT, type Opened } from '../support/stores.js'
import { fileNeeds } from '../support/programs.js'

fileNeeds(t, 'memcached')

const DAY_MS = 86_400_000
const MEBIBYTE = 1024 * 1024

const openMemcached = (t: Test, options: MemcachedOptions): Promise<Opened> => open(t, memcached, options)

/** Sends a command of the server's protocol about a key's entry. */
const ask = (server: MemcachedServer, command: string, key: string, flags = ''): Promise<string> =>
  server.say(`${command} frc:${nameOf(storedKey(key))}${flags}\r\n`)

let prefixes = 0

t.test('memcached conforms on a server that accepts values of slightly more than 1 MiB', async (t) => {
  const { server } = await startMemcached(t, ['-I', '2m'])
  const clock = testClock()
  await conforms(t, {
    ...clock, open: () => builtIns().open({ backend: 'memcached', options: { server, prefix: `p${prefixes++}` } }, { now: clock.now })
  })
})

t.test('memcached: an option that is invalid, unknown, missing or one too many is refused, and no password is shown', async (t) => {
  const client = { get () {}, set () {}, delete () {}, shutdown () {} }
  const wrong: ReadonlyArray<readonly [options: object, message: RegExp]> = [
    [{}, /exactly one of server, client, got none/],
    [{ server: 'localhost:11211', client }, /exactly one of server, client, got server and client/],
    ...[
      'localhost', 'localhost:', 'localhost:0', 'localhost:65536', 'a b:1', 'memcached://localhost:11211', 'user:secret@host:11211', 11211
    ].map((server) => [{ server }, /memcached\.server' must be a server as 'host:port'/] as const),
    [{ client: { password: 'secret' } }, /memcached\.client' must be a client of memcache-client/],
    [{ client, prefix: 'a b' }, /memcached\.prefix' must be 1 to 64 of/],
    [{ client, prefix: 'a'.repeat(65) }, /memcached\.prefix'/],
    [{ client, timeout: '0s' }, /memcached\.timeout'/],
    [{ client, servers: ['user:secret@host'] }, /memcached\.servers' must be absent/]
  ]
  for (const [options, message] of wrong) {
    const failure = await failureOf(() => openMemcached(t, options as MemcachedOptions))
    t.match(failure, { code: 'CACHE_ERR_OPTION', message })
    t.notMatch(failure?.message, /secret/)
  }
})

t.test('memcached: without memcache-client the error says what to install', async (t) => {
  const load = async (): Promise<never> => { throw Object.assign(new Error('not there'), { code: 'ERR_MODULE_NOT_FOUND' }) }
  const failure = await failureOf(() => openClient({ server: 'localhost:11211', client: undefined, prefix: 'frc', timeoutMs: 5 }, load))
  t.match(failure, {
    code: 'CACHE_ERR_DEPENDENCY_MISSING', message: /npm install memcache-client/, cause: { code: 'ERR_MODULE_NOT_FOUND' }
  })
})

t.test('memcached: a caller-owned client is used and stays open', async (t) => {
  const { server } = await startMemcached(t)
  const client = new mcc.MemcacheClient({ server })
  t.teardown(() => client.shutdown())
  const { backend } = await openMemcached(t, { client })
  await backend.set('key', entry('value'))
  t.equal(await textAt(backend, 'key'), 'value')
  await backend.close()
  t.match(await client.get(`frc:${nameOf(storedKey('key'))}`), { tokens: ['VALUE'] })
})

t.test('memcached: a value over 1 MB is refused, the previous entry is removed, and the connection stays usable', async (t) => {
  const { server } = await startMemcached(t)
  const { backend } = await openMemcached(t, { server })
  await backend.set('key', entry('small'))
  const value = Buffer.alloc(MEBIBYTE, 0x61)
  t.match(await failureOf(() => backend.set('key', { value, expiresAt: entry('').expiresAt })), { message: /too large/ })
  t.equal(await backend.get('key'), undefined)
  await backend.set('key', entry('small again'))
  t.equal(await textAt(backend, 'key'), 'small again')
})

t.test('memcached: a key over 250 bytes and a key that looks like a command are stored like others', async (t) => {
  const server = await startMemcached(t)
  const { backend } = await openMemcached(t, { server: server.server })
  for (const key of ['k'.repeat(300), 'a 0 0 1\r\nx\r\nflush_all\r\n', ' ']) await backend.set(key, entry(key))
  for (const key of ['k'.repeat(300), 'a 0 0 1\r\nx\r\nflush_all\r\n', ' ']) t.equal(await textAt(backend, key), key)
})

t.test('memcached: 40 days are stored as 40 days, 1 ms does not become forever, and an expired entry is not stored', async (t) => {
  const server = await startMemcached(t)
  const clock = { now: Date.now }
  const backend = await builtIns().open({ backend: 'memcached', options: { server: server.server } }, clock)
  t.teardown(() => backend.close())
  const secondsLeft = async (lifeMs: number): Promise<number> => {
    await backend.set('key', { value: Buffer.from('value'), expiresAt: Date.now() + lifeMs })
    return Number(/^HD t(-?\d+)/.exec(await ask(server, 'mg', 'key', ' t'))?.[1])
  }
  for (const [lifeMs, least, most] of [[5, 1, 2], [999, 1, 2], [1_001, 2, 3], [40 * DAY_MS, 40 * 86_400, 40 * 86_400 + 3]] as const) {
    const seconds = await secondsLeft(lifeMs)
    t.ok(seconds >= least && seconds <= most, `${lifeMs} ms became ${seconds} s`)
  }
  await backend.set('key', { value: Buffer.from('value'), expiresAt: Date.now() - 1 })
  t.match(await ask(server, 'mg', 'key', ' t'), /^EN/)
})

t.test('memcached: a lifetime is in seconds up to 30 days and a date beyond, and the server can hold that date', async (t) => {
  t.equal(lifetimeOf(1, 0), 2)
  t.equal(lifetimeOf(30 * DAY_MS - 1_000, 5e12), 30 * 86_400)
  t.equal(lifetimeOf(30 * DAY_MS, 1_000_000), 1_000 + 30 * 86_400 + 1)
  t.equal(lifetimeOf(3_650 * DAY_MS, Date.UTC(2031, 0)), 30 * 86_400)
})

t.test('memcached: a foreign value is a miss, and a failure is not', async (t) => {
  const server = await startMemcached(t)
  const { backend } = await openMemcached(t, { server: server.server })
  t.match(await ask(server, 'set', 'key', ' 0 60 5\r\nhello'), /^STORED/)
  t.equal(await backend.get('key'), undefined)
  t.same(await backend.getMany!(['key', 'nothing']), [undefined, undefined])
  t.match(await backend.stats!(), { foreignValues: 2 })
  await server.kill()
  t.match(await failureOf(() => backend.get('key')), { message: /./ })
  t.match(await failureOf(() => backend.getMany!(['key', 'other'])), { message: /./ })
})

t.test('memcached: a server that is stopped costs the timeout, and is used again once it resumes', async (t) => {
  const server = await startMemcached(t)
  const { backend } = await openMemcached(t, { server: server.server, timeout: SHORT })
  await backend.set('key', entry('value'))
  server.stop()
  const beganAt = performance.now()
  for (const call of [() => backend.get('key'), () => backend.set('other', entry('value')), () => backend.delete('another')]) {
    t.match(await failureOf(call), { message: /./ })
  }
  t.ok(performance.now() - beganAt < 3 * 500)
  server.goOn()
  // One more call may fail with those that still hung on the connection.
  await until('it responds again', async () => await textAt(backend, 'key').catch(() => undefined) === 'value')
})

t.test('memcached: without a server the backend opens and fails at once, and it uses a server that starts, or starts again',
  async (t) => {
    const server = await newMemcached(t)
    const { backend } = await openMemcached(t, { server: server.server })
    t.match(await failureOf(() => backend.get('key')), { code: 'ECONNREFUSED' })
    await server.start()
    await backend.set('key', entry('value'))
    await server.kill()
    t.match(await failureOf(() => backend.get('key')), { message: /./ })
    await server.start()
    await backend.set('key', entry('again'))
    t.equal(await textAt(backend, 'key'), 'again')
  })

t.test('memcached: a response that breaks off in the middle is a failure, and the next one is complete', async (t) => {
  const server = await startMemcached(t)
  let left = Infinity
  const sockets = new Set<Socket>()
  const proxy = createServer((near) => {
    const far = connect(server.port, '127.0.0.1')
    for (const socket of [near, far]) sockets.add(socket.on('error', () => {}))
    near.pipe(far)
    far.on('data', (chunk) => {
      near.write(chunk.subarray(0, left))
      left -= chunk.length
      if (left <= 0) near.end()
    })
  }).listen(0, '127.0.0.1')
  await once(proxy, 'listening')
  t.teardown(() => {
    for (const socket of sockets) socket.destroy()
    proxy.close()
  })
  const { backend } = await openMemcached(t, { server: `127.0.0.1:${(proxy.address() as AddressInfo).port}` })
  const big = { value: Buffer.alloc(900_000, 0x62), expiresAt: entry('').expiresAt }
  await backend.set('big', big)
  left = 500_000
  t.match(await failureOf(() => backend.get('big')), { message: /./ })
  left = Infinity
  t.equal((await backend.get('big'))?.value.byteLength, 900_000)
})

t.test('memcached: close ends pending calls, also while a connection is being made', async (t) => {
  const server = await startMemcached(t)
  server.stop()
  const { backend } = await openMemcached(t, { server: server.server })
  const pending = failureOf(() => backend.get('key'))
  await backend.close()
  t.match(await pending, { code: 'CACHE_ERR_CLOSED' })
  t.match(await failureOf(() => backend.get('key')), { code: 'CACHE_ERR_CLOSED' })
})
