// Writes that the Redis backend gave up and that arrive all the same: by a server that was stopped, by a connection that was lost.
import t from 'tap'
import { startProxy, startServer, until } from '../support/redis-server.js'
import { failureOf, textAt } from '../support/entries.js'
import { entry, openRedis, SHORT_MS, soon } from '../support/redis.js'
import { build } from '../support/app.js'
import { fileNeeds } from '../support/programs.js'

fileNeeds(t, 'redis-server')

// The connection is given up as well: on a busy machine before the call is.
const GIVEN_UP = { code: /^(ETIMEDOUT|ECONNLOST)$/ }

t.test('a set that failed while the server was stopped is not there when it goes on', async (t) => {
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

t.test('a set whose connection was lost does not come to pass after a later delete by another one', async (t) => {
  const server = await startServer(t)
  const proxy = await startProxy(t, server)
  const backend = await openRedis(t, soon(proxy.port))
  const other = await openRedis(t, soon(server.port))
  await backend.set('key', entry('before'))
  proxy.hold()
  const set = failureOf(() => backend.set('key', entry('zombie')))
  t.match(await set, GIVEN_UP)
  await other.delete('key')
  // The command was on its way all the time, and arrives now.
  proxy.release()
  await until('it can be asked again', async () => await failureOf(() => backend.get('other')) === undefined)
  t.equal(await textAt(other, 'key'), undefined)
})

t.test('a set by a lent client that keeps commands for later is not carried out late', async (t) => {
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
  // The client's queue of unanswered commands is sent once more to what comes next.
  await server.kill()
  await server.start()
  await client.ping()
  t.equal(await textAt(backend, 'key'), undefined)
})

t.test('a later change of a key waits until an uncertain one is over', async (t) => {
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
  // The connection was lost at once; that the set can't come to pass any more is known only at its deadline.
  t.ok(setOver - beganAt >= SHORT_MS * 3 - 1, `${setOver - beganAt} ms`)
  await deleted
  t.ok(deleteOver >= setOver)
})

t.test('many changes of one key at once leave what the last one said', async (t) => {
  const server = await startServer(t)
  const backend = await openRedis(t, { url: server.url })
  await Promise.all(Array.from({ length: 49 }, (_, at) => at % 5 === 4 ? backend.delete('key') : backend.set('key', entry(String(at)))))
  t.equal(await textAt(backend, 'key'), '48')
})

t.test('a clock of the server that differs by hours ends no entry early and refuses no write', async (t) => {
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

t.test('an answer whose store hung with the server is not served after it was invalidated', async (t) => {
  const server = await startServer(t)
  const { ask, cache, change, clock } = await build(t, {
    backend: 'redis',
    options: soon(server.port),
    deadline: '50ms',
    routes (app, { cached, version }) {
      app.get('/', { config: { cache: { ttl: '1m', tags: ['all'] } } }, async (_request, reply) => {
        // The answer was looked for; it will be stored into nothing.
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
