// Commands that Redis refuses: out of memory, on a replica, without rights, with a wrong password; no log shows a secret.
import t, { type Test } from 'tap'
import type { RedisOptions } from '../../backends/redis.js'
import { build, type TestApp } from '../support/app.js'
import { startServer, until, type RedisServer } from '../support/redis-server.js'
import { entry, openRedis } from '../support/redis.js'
import { source } from '../support/sources.js'
import { fileNeeds } from '../support/programs.js'

fileNeeds(t, 'redis-server')

const SECRETS = { password: 'pa55-planted', body: 'b0dy-planted', bearer: 'bear3r-planted', cookie: 'co0kie-planted', key: 'k3y-planted' }

async function start (t: Test, server: RedisServer, options: RedisOptions = { url: server.url }): Promise<TestApp> {
  await server.admin.ping().catch(() => {})
  return await build(t, {
    backend: 'redis',
    options,
    routes (app) {
      app.get('/:id', { config: { cache: { ttl: '1h', credentials: 'ignore', tags: ['all'], key: { headers: ['x-key'] } } } },
        async (_request, reply) =>
          await reply.type('text/plain').header('cache-control', 'public').send(SECRETS.body.repeat(40)))
    }
  })
}

const headers = { authorization: `Bearer ${SECRETS.bearer}`, cookie: `a=${SECRETS.cookie}`, 'x-key': SECRETS.key }

async function refuses (t: Test, app: TestApp, code: string, url = '/a'): Promise<void> {
  t.equal((await app.ask({ url, headers })).status, 200)
  await until(`the log shows ${code}`, async () => {
    await app.clock.pass(31_000)
    await app.ask({ url, headers })
    return app.warnings().some(({ err }) => err?.code === code)
  })
  await app.cache.invalidate('all').catch(() => {})
  await app.cache.set(SECRETS.key, { body: SECRETS.body }, { ttl: 60 })
    .catch((err) => t.notMatch(JSON.stringify([err.message, err.cause, err.cause?.message, Object.entries(err.cause ?? {})]), /planted/))
  const alike = app.warnings().filter(({ err, operation }) => err?.code === code && operation === 'get')
  t.ok(alike.every(({ suppressed }, at) => at === 0 || suppressed !== 0), 'one line of a kind at a time')
  // The log contains the request's key, but not the value and nothing else from the request.
  for (const [name, secret] of Object.entries(SECRETS)) if (name !== 'key') t.notMatch(JSON.stringify(app.warnings()), secret, name)
}

t.test('redis: on a server without free memory sets fail quietly, and gets succeed', async (t) => {
  const server = await startServer(t)
  const app = await start(t, server)
  await app.ask({ url: '/kept', headers })
  await server.admin.config('SET', 'maxmemory', '1mb')
  await app.ask({ url: '/b', headers })
  t.match((await app.ask({ url: '/kept', headers })).cacheStatus, /; hit/)
  await refuses(t, app, 'OOM', '/b')
})

t.test('redis: on a server without free memory invalidations succeed, by tag and by route, softly too', async (t) => {
  const server = await startServer(t)
  const app = await start(t, server)
  const isHit = async (url: string) => /; hit/.test((await app.ask({ url, headers })).cacheStatus ?? '')
  await app.ask({ url: '/kept', headers })
  await until('it is stored', async () => await isHit('/kept'))
  await server.admin.config('SET', 'maxmemory', '1mb')
  t.ok(await isHit('/kept'))
  await app.cache.invalidate({ tags: ['all'] })
  t.notOk(await isHit('/kept'))

  for (const target of [{ tags: ['all'], soft: true }, { route: '/:id' }]) {
    await server.admin.config('SET', 'maxmemory', '0')
    await until('it is stored again', async () => {
      await app.clock.pass(31_000)
      return await isHit('/kept')
    })
    await server.admin.config('SET', 'maxmemory', '1mb')
    await app.cache.invalidate(target)
    t.notOk(await isHit('/kept'), JSON.stringify(target))
  }
})

t.test('redis: a user with the rights that the docs name can do everything, needs each of them, and nothing is printed',
  async (t) => {
    // How the lines of the paragraph are wrapped is not compared.
    const named = /needs permission for [^.]+`SCAN`/.exec(source('docs/backends.md').text)?.[0] ?? ''
    const rights = [...named.matchAll(/`(\w+)`/g)].map(([, right]) => (right as string).toLowerCase())
    t.equal(rights.length, 11)
    const server = await startServer(t)
    const printed: unknown[] = []
    for (const way of ['log', 'warn', 'error'] as const) t.intercept(console, way, { value: (...words: unknown[]) => printed.push(words) })
    /** The calls that fail for a user with these rights. */
    const failing = async (name: string, allowed: readonly string[]): Promise<string[]> => {
      await server.admin.call('ACL', 'SETUSER', name, 'on', '>pw', '~frc:*', '-@all', ...allowed.map((right) => `+${right}`))
      const backend = await openRedis(t, { connection: { host: '127.0.0.1', port: server.port, username: name, password: 'pw' } })
      await server.admin.script('FLUSH')
      const value = Buffer.alloc(2_000_000)
      const leases = { leaseMs: 1_000, fillMs: 120_000 }
      const calls: Record<string, () => unknown> = {
        set: () => backend.set('a', entry('value')),
        'a large set': () => backend.set('b', { ...entry(''), value }),
        get: () => backend.get('a'),
        claim: async () => await backend.claim('a', { ...leases, seen: (await backend.get('a'))?.expiresAt }),
        settle: async () => {
          const claim = await backend.claim('c', leases) as { token: string }
          await backend.settle('c', claim.token, { entry: entry('value') })
          await backend.settle('c', claim.token, { aloneMs: 1 })
        },
        version: () => backend.version('name', true),
        has: () => backend.has('a'),
        keys: () => backend.keys(),
        delete: () => backend.delete('a'),
        clear: () => backend.clear()
      }
      const failures: string[] = []
      for (const [call, act] of Object.entries(calls)) await (async () => await act())().catch(() => { failures.push(call) })
      return failures
    }
    t.same(await failing('all', rights), [])
    for (const right of rights) t.not((await failing(`without-${right}`, rights.filter((other) => other !== right))).length, 0, right)
    t.same(printed, [])
  })

t.test('redis: a replica that refuses writes still serves its entries', async (t) => {
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

t.test('redis: without a password, with a wrong one, or without the right, requests are served', async (t) => {
  const server = await startServer(t)
  await server.admin.config('SET', 'requirepass', 'another')
  await refuses(t, await start(t, server), 'NOAUTH')
  await refuses(t, await start(t, server, { url: `redis://:${SECRETS.password}@127.0.0.1:${server.port}` }), 'WRONGPASS')
  await refuses(
    t,
    await start(t, server, { connection: { host: '127.0.0.1', port: server.port, username: 'nobody', password: SECRETS.password } }),
    'WRONGPASS')
  await server.admin.call('ACL', 'SETUSER', 'reader', 'on', '>pw', '~*', '+@all', '-eval')
  const app = await start(t, server, { connection: { host: '127.0.0.1', port: server.port, username: 'reader', password: 'pw' } })
  await refuses(t, app, 'NOPERM')
})

t.test('redis: while the server loads its data, requests are served', async (t) => {
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

t.test('redis: on a server that may evict any key, no entry with an invalidated tag is served', async (t) => {
  const server = await startServer(t, { args: ['--maxmemory', '2mb', '--maxmemory-policy', 'allkeys-lru'] })
  await server.admin.ping()
  let made = 0
  const { cache } = await build(t, { backend: 'redis', options: { url: server.url }, deadline: '10s', routes () {} })
  const value = 'v'.repeat(1_000)
  for (let at = 0; at < 1_500; at++) await cache.set(`key ${at}`, { at, value }, { ttl: 60, tags: [`tag ${at % 10}`] })
  for (let tag = 0; tag < 10; tag++) await cache.invalidate(`tag ${tag}`)
  for (let at = 0; at < 1_500; at++) if (await cache.get(`key ${at}`) !== undefined) made++
  t.equal(made, 0)
  t.match(await server.admin.info('stats'), /evicted_keys:[1-9]/)
})
