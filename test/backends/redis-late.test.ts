// Writes that the Redis backend gave up and that reach the server anyway, because it was stopped or the connection was lost.
import t from 'tap'
import { startProxy, startServer, until } from '../support/redis-server.js'
import { failureOf, textAt } from '../support/entries.js'
import { entry, openRedis, SHORT_MS, soon } from '../support/redis.js'
import { build } from '../support/app.js'
import { fileNeeds } from '../support/programs.js'

fileNeeds(t, 'redis-server')

// The connection is given up too, and on a busy machine before the call is.
const GIVEN_UP = { code: /^(ETIMEDOUT|ECONNLOST)$/ }

t.test('redis: a set that failed while the server was stopped is not applied when the server resumes', async (t) => {
  const server = await startServer(t)
  const backend = await openRedis(t, soon(server.port))
  await backend.set('key', entry('before'))
  await backend.delete('key')
  server.stop()
  t.match(await failureOf(() => backend.set('key', entry('zombie'))), GIVEN_UP)
  server.goOn()
  await until('it can be asked again', async () => await failureOf(() => backend.get('other')) === undefined)
  t.equal(await textAt(backend, 'key'), undefined)
  t.equal(await server.admin.exists('frc:key'), 0)
  await backend.set('key', entry('after'))
  t.equal(await textAt(backend, 'key'), 'after')
})

t.test('redis: a set whose connection was lost is not applied after a later delete by another backend', async (t) => {
  const server = await startServer(t)
  const proxy = await startProxy(t, server)
  const backend = await openRedis(t, soon(proxy.port))
  const other = await openRedis(t, soon(server.port))
  await backend.set('key', entry('before'))
  proxy.hold()
  const set = failureOf(() => backend.set('key', entry('zombie')))
  t.match(await set, GIVEN_UP)
  await other.delete('key')
  // The command was in transit all the time, and arrives now.
  proxy.release()
  await until('it can be asked again', async () => await failureOf(() => backend.get('other')) === undefined)
  t.equal(await textAt(other, 'key'), undefined)
})

t.test('redis: a set by a caller-owned client that queues commands is not applied late', async (t) => {
  const server = await startServer(t)
  const { Redis } = await import('ioredis')
  const client = new Redis({ port: server.port, host: '127.0.0.1', retryStrategy: () => 20 }).on('error', () => {})
  t.teardown(() => client.disconnect())
  await client.ping()
  const backend = await openRedis(t, { client })
  await backend.set('key', entry('before'))
  server.stop()
  const set = failureOf(() => backend.set('key', entry('zombie')))
  t.match(await set, { code: 'ETIMEDOUT' })
  // The client sends its queue of unanswered commands again on the next connection.
  await server.kill()
  await server.start()
  await client.ping()
  t.equal(await textAt(backend, 'key'), undefined)
})

t.test('redis: a later change of a key waits until an unconfirmed one has settled', async (t) => {
  const server = await startServer(t)
  const backend = await openRedis(t, soon(server.port, { commandTimeout: SHORT_MS * 3 }))
  await backend.set('key', entry('before'))
  server.stop()
  const beganAt = performance.now()
  let [setOver, deleteOver] = [0, 0]
  const set = failureOf(() => backend.set('key', entry('zombie'))).then((error) => { setOver = performance.now(); return error })
  const deleted = failureOf(() => backend.delete('key')).then((error) => { deleteOver = performance.now(); return error })
  await server.kill()
  await server.start()
  t.match(await set, { message: /./ })
  // The connection was lost at once. Only at its deadline is it known that the set can't be applied any more.
  t.ok(setOver - beganAt >= SHORT_MS * 3 - 1, `${setOver - beganAt} ms`)
  await deleted
  t.ok(deleteOver >= setOver)
})

t.test('redis: many concurrent changes of one key leave the last one in effect', async (t) => {
  const server = await startServer(t)
  const backend = await openRedis(t, { url: server.url })
  await Promise.all(Array.from({ length: 49 }, (_, at) => at % 5 === 4 ? backend.delete('key') : backend.set('key', entry(String(at)))))
  t.equal(await textAt(backend, 'key'), '48')
})

t.test('redis: a server clock that is wrong by hours expires no entry early and refuses no write', async (t) => {
  const server = await startServer(t)
  for (const skewMs of [-7_200_000, 7_200_000]) {
    const now = () => Math.floor(Date.now() + skewMs)
    const backend = await openRedis(t, { url: server.url, prefix: `${skewMs}:` }, { now })
    await backend.set('key', { value: Buffer.from('value'), expiresAt: now() + 60_000 })
    t.equal(await textAt(backend, 'key'), 'value')
    const leftMs = await server.admin.pttl(`${skewMs}:key`)
    t.ok(leftMs > 50_000 && leftMs < 61_000, `${leftMs} ms`)
  }
})

t.test('redis: a response whose store hung with the server is not served after it was invalidated', async (t) => {
  const server = await startServer(t)
  const { ask, cache, change, clock } = await build(t, {
    backend: 'redis',
    options: soon(server.port),
    deadline: '50ms',
    routes (app, { cached, version }) {
      app.get('/', { config: { cache: { ttl: '1m', tags: ['all'] } } }, async (_request, reply) => {
        // The lookup has ended. The response can't be stored, because the server is stopped.
        if (cached && version() === '1') server.stop()
        return await reply.header('x-version', version()).send({ version: version() })
      })
    }
  })
  await change(async () => await cache.invalidate('all'))
  await ask({ url: '/', compare: false })
  await change(async () => await cache.invalidate('all').catch(() => {}))
  server.goOn()
  await until('it can be asked again', async () => {
    await clock.pass(60_000)
    return await cache.invalidate('all').then(() => true, () => false)
  })
  const { body } = await ask({ url: '/' })
  t.not(JSON.parse(String(body)).version, '1')
})
