// The Redis backend on caller-owned clients: given as an option, or found by the namespace of @fastify/redis.
import fastifyRedis from '@fastify/redis'
import Fastify, { type FastifyInstance } from 'fastify'
import { Redis } from 'ioredis'
import t, { type Test } from 'tap'
import responseCache from '../../plugin.js'
import { build } from '../support/app.js'
import { startServer } from '../support/redis-server.js'
import { failureOf, textAt } from '../support/entries.js'
import { entry, openRedis } from '../support/redis.js'
import { fileNeeds } from '../support/programs.js'

fileNeeds(t, 'redis-server')

const listeners = (client: Redis): string =>
  client.eventNames().map((name) => `${String(name)} ${client.listenerCount(name)}`).sort().join()

t.test('redis: a caller-owned client stays open, with the listeners that it had', async (t) => {
  const server = await startServer(t)
  const client = new Redis({ port: server.port, host: '127.0.0.1' })
  t.teardown(() => client.disconnect())
  await client.ping()
  const before = listeners(client)
  const { app, ask } = await build(t, {
    backend: 'redis',
    options: { client },
    routes: (app) => { app.get('/', { config: { cache: { ttl: '1m' } } }, async () => 'response') }
  })
  await ask('/')
  t.match((await ask('/')).cacheStatus, /; hit/)
  t.equal(listeners(client), before)
  await app.close()
  t.equal(listeners(client), before)
  t.equal(await client.ping(), 'PONG')
})

t.test('redis: a caller-owned client that is not connected fails at once, and a lazy one connects on the first call', async (t) => {
  const server = await startServer(t)
  const lost = new Redis({ port: 1, host: '127.0.0.1', retryStrategy: () => 60_000 }).on('error', () => {})
  const lazy = new Redis({ port: server.port, host: '127.0.0.1', lazyConnect: true })
  t.teardown(() => [lost, lazy].forEach((client) => client.disconnect()))
  const backend = await openRedis(t, { client: lost })
  t.match(await failureOf(() => backend.get('key')), { code: 'ENOTCONN', message: /its status is/ })
  const lazily = await openRedis(t, { client: lazy })
  await lazily.set('key', entry('value'))
  t.equal(await textAt(lazily, 'key'), 'value')
})

async function application (
  t: Test, register: (app: FastifyInstance) => unknown
): Promise<{ app: FastifyInstance, ask: () => Promise<string> }> {
  const app = Fastify()
  t.teardown(() => app.close())
  await register(app)
  await app.register(async (scope) => { scope.get('/', { config: { cache: { ttl: '1m' } } }, async () => 'response') })
  await app.ready()
  return { app, ask: async () => String((await app.inject('/')).headers['cache-status']) }
}

const options = { backend: 'redis', options: { namespace: 'store' } } as const

t.test('redis: the namespace is found if @fastify/redis was registered before, after, or above', async (t) => {
  const server = await startServer(t)
  const redis = { url: server.url, namespace: 'store' }
  const orders: Array<(app: FastifyInstance) => unknown> = [
    async (app) => await app.register(fastifyRedis, redis).register(responseCache, options),
    async (app) => await app.register(responseCache, options).register(fastifyRedis, redis)
  ]
  for (const register of orders) {
    await server.admin.flushall()
    const { app, ask } = await application(t, register)
    t.match(await ask(), /fwd=miss; stored/)
    t.match(await ask(), /; hit/)
    await app.close()
  }
})

t.test('redis: the error for an unregistered namespace names it, and the known ones', async (t) => {
  const server = await startServer(t)
  const { app, ask } = await application(t, async (app) => {
    await app.register(fastifyRedis, { url: server.url, namespace: 'other' })
    await app.register(responseCache, options)
  })
  t.match(await ask(), /detail=unavailable/)
  const error = await failureOf(() => app.cache.set('key', 1, { ttl: 60 }))
  t.match(error, {
    code: 'CACHE_ERR_BACKEND_FAILED',
    message: /'redis\.namespace' must be that of a registered @fastify\/redis; known are other, got 'store'/
  })
  for (const decoration of [undefined, () => undefined, () => ({ status: 'ready' }), () => ({ store: 5 })]) {
    const backend = await openRedis(t, { namespace: 'store' }, decoration === undefined ? {} : { decoration })
    t.match(await failureOf(() => backend.get('key')), { code: 'CACHE_ERR_OPTION', message: /known are (none|store), got 'store'/ })
  }
})
