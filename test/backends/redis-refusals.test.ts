// What Redis refuses: no memory, a replica, no rights, a wrong password; and that no log tells a secret of it.
import t, { type Test } from 'tap'
import type { RedisOptions } from '../../backends/redis.js'
import { build, type TestApp } from '../support/app.js'
import { startServer, until, type RedisServer } from '../support/redis-server.js'
import { openRedis } from '../support/redis.js'

const SECRETS = { password: 'pa55-planted', body: 'b0dy-planted', bearer: 'bear3r-planted', cookie: 'co0kie-planted', key: 'k3y-planted' }

async function start (t: Test, server: RedisServer, options: RedisOptions = { url: server.url }): Promise<TestApp> {
  await server.admin.ping().catch(() => {})
  return await build(t, {
    backend: 'redis',
    options,
    routes (app) {
      app.get('/:id', { config: { cache: { ttl: '1h', credentials: 'ignore', tags: ['all'], key: { headers: ['x-key'] } } } }, async (_request, reply) =>
        await reply.type('text/plain').header('cache-control', 'public').send(SECRETS.body.repeat(40)))
    }
  })
}

const headers = { authorization: `Bearer ${SECRETS.bearer}`, cookie: `a=${SECRETS.cookie}`, 'x-key': SECRETS.key }

async function refuses (t: Test, app: TestApp, code: string, url = '/a'): Promise<void> {
  t.equal((await app.ask({ url, headers })).status, 200)
  await until(`the log tells ${code}`, async () => {
    await app.clock.pass(31_000)
    await app.ask({ url, headers })
    return app.warnings().some(({ err }) => err?.code === code)
  })
  await app.cache.invalidate('all').catch(() => {})
  await app.cache.set(SECRETS.key, { body: SECRETS.body }, { ttl: 60 }).catch((err) => t.notMatch(JSON.stringify([err.message, err.cause, err.cause?.message, Object.entries(err.cause ?? {})]), /planted/))
  const alike = app.warnings().filter(({ err, operation }) => err?.code === code && operation === 'get')
  t.ok(alike.every(({ suppressed }, at) => at === 0 || suppressed !== 0), 'one line of a kind at a time')
  // The key of a request stands in the log; what is in its value and what came with the request doesn't.
  for (const [name, secret] of Object.entries(SECRETS)) if (name !== 'key') t.notMatch(JSON.stringify(app.warnings()), secret, name)
}

t.test('B09, E34: where there is no memory left sets fail quietly, and gets go on', async (t) => {
  const server = await startServer(t)
  const app = await start(t, server)
  await app.ask({ url: '/kept', headers })
  await server.admin.config('SET', 'maxmemory', '1mb')
  await refuses(t, app, 'OOM', '/b')
  t.match((await app.ask({ url: '/kept', headers })).cacheStatus, /; hit/)
})

t.test('B11, E34: a replica that may not be written to answers what it has', async (t) => {
  const server = await startServer(t)
  const app = await start(t, server)
  await app.ask({ url: '/kept', headers })
  await server.admin.replicaof('127.0.0.1', 1)
  await refuses(t, app, 'READONLY', '/b')
  await until('it is connected again', async () => {
    await app.clock.pass(31_000)
    return /; hit/.test((await app.ask({ url: '/kept', headers })).cacheStatus ?? '')
  })
  await server.admin.config('SET', 'replica-serve-stale-data', 'no')
  await refuses(t, app, 'MASTERDOWN', '/c')
})

t.test('B11, E34: without or with a wrong password, and without the right, requests are served', async (t) => {
  const server = await startServer(t)
  await server.admin.config('SET', 'requirepass', 'another')
  await refuses(t, await start(t, server), 'NOAUTH')
  await refuses(t, await start(t, server, { url: `redis://:${SECRETS.password}@127.0.0.1:${server.port}` }), 'WRONGPASS')
  await refuses(t, await start(t, server, { connection: { host: '127.0.0.1', port: server.port, username: 'nobody', password: SECRETS.password } }), 'WRONGPASS')
  await server.admin.call('ACL', 'SETUSER', 'reader', 'on', '>pw', '~*', '+@all', '-eval')
  const app = await start(t, server, { connection: { host: '127.0.0.1', port: server.port, username: 'reader', password: 'pw' } })
  await refuses(t, app, 'NOPERM')
})

t.test('B11: while the server loads its data, requests are served', async (t) => {
  const server = await startServer(t)
  const filler = await openRedis(t, { url: server.url })
  await Promise.all(Array.from({ length: 200 }, (_, at) => filler.set(`${at}`, { value: Buffer.alloc(100), expiresAt: Infinity })))
  await server.admin.call('SAVE')
  await server.kill()
  const app = await start(t, server)
  await server.start(['--key-load-delay', '2000'])
  t.equal((await app.ask('/a')).status, 200)
  await until('there are hits', async () => {
    await app.clock.pass(31_000)
    return /; hit/.test((await app.ask('/a')).cacheStatus ?? '')
  })
  await app.app.close()
  await server.kill()
})

t.test('B10: where any key may be evicted, no entry is served whose tag was invalidated', async (t) => {
  const server = await startServer(t, { args: ['--maxmemory', '2mb', '--maxmemory-policy', 'allkeys-lru'] })
  await server.admin.ping()
  let made = 0
  const { cache } = await build(t, { backend: 'redis', options: { url: server.url }, routes () {} })
  const value = 'v'.repeat(1_000)
  for (let at = 0; at < 1_500; at++) await cache.set(`key ${at}`, { at, value }, { ttl: 60, tags: [`tag ${at % 10}`] })
  for (let tag = 0; tag < 10; tag++) await cache.invalidate(`tag ${tag}`)
  for (let at = 0; at < 1_500; at++) if (await cache.get(`key ${at}`) !== undefined) made++
  t.equal(made, 0)
  t.match(await server.admin.info('stats'), /evicted_keys:[1-9]/)
})
