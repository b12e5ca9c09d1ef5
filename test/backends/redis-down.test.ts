// The application on a Redis that is down, killed, stopped, silent or full, through the plugin with all oracles.
import { createServer, type AddressInfo } from 'node:net'
import { once } from 'node:events'
import t, { type Test } from 'tap'
import type { RedisOptions } from '../../backends/redis.js'
import { build, type TestApp } from '../support/app.js'
import { freePort } from '../../benchmarks/backends/free-port.js'
import { newServer, startProxy, startServer, until } from '../support/redis-server.js'
import { openRedis, soon } from '../support/redis.js'
import { fileNeeds } from '../support/programs.js'

fileNeeds(t, 'redis-server')

// Far below the time that a Redis client waits for a connection, and far above what a busy machine takes.
const BOOT_MS = 5_000

/** An application with a cached route, and how long it took to boot. */
async function start (t: Test, options: RedisOptions, more: object = {}): Promise<TestApp & { bootMs: number }> {
  const beganAt = performance.now()
  const app = await build(t, {
    backend: 'redis',
    options,
    deadline: '100ms',
    routes (app, { ran }) {
      app.get('/:id', { config: { cache: { ttl: '1h', tags: ['all'] } } }, async (request) => {
        ran()
        return `the response to ${(request.params as { id: string }).id}`
      })
    },
    ...more
  })
  return Object.assign(app, { bootMs: performance.now() - beganAt })
}

/** Repeats a request until it is a hit. The clock advances, so that the breaker lets probes pass. */
async function untilHit ({ ask, clock }: TestApp, url: string): Promise<void> {
  await until('there are hits', async () => {
    await clock.pass(31_000)
    return /; hit/.test((await ask(url)).cacheStatus ?? '')
  })
}

t.test('redis: with Redis down the application boots at once and serves, and it caches once Redis is up', async (t) => {
  const server = await newServer(t)
  const app = await start(t, { url: server.url })
  t.ok(app.bootMs < BOOT_MS, `${app.bootMs} ms`)
  for (let time = 0; time < 8; time++) t.equal((await app.ask({ url: '/a', slow: true })).status, 200)
  t.equal(app.runs(), 8)
  t.match(app.warnings()[0], { err: { code: 'ECONNREFUSED' }, backend: 'redis' })
  await server.start()
  await untilHit(app, '/a')
  await app.app.close()
  await server.kill()
})

t.test('redis: a Redis that is killed under load costs no response, and is used again once it is restarted', async (t) => {
  const server = await startServer(t)
  const app = await start(t, { url: server.url })
  await app.ask('/a')
  t.match((await app.ask('/a')).cacheStatus, /; hit/)
  const load = Array.from({ length: 40 }, async (_, at) => {
    if (at === 20) await server.kill()
    return (await app.ask(`/${at % 4}`)).status
  })
  t.ok((await Promise.all(load)).every((status) => status === 200))
  for (let time = 0; time < 10; time++) await app.ask({ url: '/b', slow: true })
  const counted = async (): Promise<number> => Object.values((await app.cache.stats()).errors).reduce((sum, count) => sum + count, 0)
  const before = await counted()
  for (let time = 0; time < 50; time++) t.equal((await app.ask('/b')).status, 200)
  // The call to `stats` for these counts succeeded too.
  t.ok(await counted() - before <= 5, 'the breaker is open, so Redis is not called')
  await server.start()
  await untilHit(app, '/b')
})

t.test('redis: a Redis that is stopped costs at most the deadline, and does not delay close', async (t) => {
  const server = await startServer(t)
  const app = await start(t, soon(server.port))
  await app.ask('/a')
  server.stop()
  for (let time = 0; time < 8; time++) t.equal((await app.ask({ url: '/a', slow: true })).status, 200)
  await t.rejects(app.cache.invalidate('all'), { code: 'CACHE_ERR_BACKEND_FAILED' })
})

t.test('redis: a server that accepts connections and never responds delays neither boot nor responses nor close', async (t) => {
  const sockets: Array<{ destroy (): void }> = []
  const silent = createServer((socket) => { sockets.push(socket.on('error', () => {})) }).listen(0, '127.0.0.1')
  await once(silent, 'listening')
  t.teardown(() => {
    for (const socket of sockets) socket.destroy()
    silent.close()
  })
  const app = await start(t, soon((silent.address() as AddressInfo).port), { compare: false })
  t.ok(app.bootMs < BOOT_MS, `${app.bootMs} ms`)
  for (let time = 0; time < 4; time++) t.equal((await app.ask({ url: '/a', slow: true })).status, 200)
  // The backend gives up and tries again, with at most one connection at a time.
  await until('a second connection was tried', () => sockets.length >= 2)
  await app.app.close()
  for (const socket of sockets) socket.destroy()
})

t.test('redis: a dead connection is detected, given up and replaced', async (t) => {
  const server = await startServer(t)
  const proxy = await startProxy(t, server)
  const app = await start(t, soon(proxy.port))
  await app.ask('/a')
  proxy.hold()
  t.equal((await app.ask({ url: '/a', slow: true })).status, 200)
  await until('the dead connection was given up', () => proxy.connections() === 0)
  proxy.release()
  await untilHit(app, '/a')
  t.equal(proxy.connections(), 1)
})

t.test('redis: a server that is paused does not receive more and more calls', async (t) => {
  const server = await startServer(t)
  await server.admin.ping()
  const app = await start(t, { url: server.url })
  await app.ask('/a')
  await server.admin.call('CLIENT', 'PAUSE', 400, 'ALL')
  for (let time = 0; time < 8; time++) await app.ask({ url: '/a', slow: true })
  const warnings = app.warnings().length
  await Promise.all(Array.from({ length: 50 }, () => app.ask('/a')))
  t.equal(app.warnings().length, warnings)
  await untilHit(app, '/a')
})

t.test('redis: a server that was emptied gives misses', async (t) => {
  const server = await startServer(t)
  await server.admin.ping()
  const app = await start(t, { url: server.url }, { deadline: '5s' })
  await app.ask('/a')
  await server.admin.flushall()
  t.match((await app.ask('/a')).cacheStatus, /fwd=miss; stored/)
  await until('there are hits', async () => /; hit/.test((await app.ask('/a')).cacheStatus ?? ''))
  t.same(app.warnings(), [])
})

t.test('redis: fifty backends reconnect with one connection each, and repeat no command', async (t) => {
  const port = await freePort()
  const server = await newServer(t, { port })
  const backends = await Promise.all(Array.from({ length: 50 }, () => openRedis(t, { connection: { host: '127.0.0.1', port } })))
  const calls = await Promise.allSettled(backends.flatMap((backend) => [
    backend.get('a'), backend.delete('a'), backend.get('b'), backend.set('a', { value: Buffer.from('a'), expiresAt: Infinity })
  ]))
  t.ok(calls.every(({ status }) => status === 'rejected'))
  await server.start()
  await until('all are connected', async () =>
    (await Promise.allSettled(backends.map((backend) => backend.get('a')))).every(({ status }) => status === 'fulfilled'))
  const clients = String(await server.admin.client('LIST')).split('\n').filter((line) => line.includes('cmd=get'))
  t.equal(clients.length, backends.length)
  t.notMatch(await server.admin.info('commandstats'), /cmdstat_(unlink|set):/)
})
