// Values that are too large for Redis: refused before they are sent, so that they don't close a connection that other calls share.
import t, { type Test } from 'tap'
import { REDIS_MAX_VALUE_BYTES, type RedisOptions } from '../../backends/redis.js'
import { build, type TestApp } from '../support/app.js'
import { failureOf, textAt } from '../support/entries.js'
import { startServer, until, type RedisServer } from '../support/redis-server.js'
import { entry, openRedis } from '../support/redis.js'
import { fileNeeds } from '../support/programs.js'

fileNeeds(t, 'redis-server')

const MIB = 1024 * 1024
const sized = (bytes: number) => ({ ...entry(''), value: Buffer.alloc(bytes, 'v') })

async function connectionsMade (server: RedisServer): Promise<number> {
  return Number(/total_connections_received:(\d+)/.exec(await server.admin.info('stats'))?.[1])
}

t.test('redis: a value larger than maxValueBytes is not sent, deletes the previous entry, rejects and is counted', async (t) => {
  const server = await startServer(t)
  const backend = await openRedis(t, { url: server.url, maxValueBytes: 1_000 })
  await backend.set('key', entry('before'))
  t.match(await failureOf(() => backend.set('key', sized(1_000))), {
    code: 'ETOOLARGE', message: /1012 bytes is not sent: redis\.maxValueBytes allows 1000/
  })
  t.equal(await server.admin.dbsize(), 0)
  t.match(await backend.stats(), { refusedWrites: 1 })
  await backend.set('key', sized(988))
  t.equal((await backend.get('key'))?.value.byteLength, 988)
  t.notMatch(await server.admin.info('commandstats'), /cmdstat_config/, 'the limit is not requested for a value that any server accepts')
})

t.test("redis: maxValueBytes defaults to 8 MiB, and the server's own limit is requested once", async (t) => {
  const server = await startServer(t)
  const backend = await openRedis(t, { url: server.url })
  t.equal(REDIS_MAX_VALUE_BYTES, 8 * MIB)
  await backend.set('key', sized(8 * MIB - 12))
  t.equal((await backend.get('key'))?.value.byteLength, 8 * MIB - 12)
  t.match(await failureOf(() => backend.set('key', sized(8 * MIB))), { code: 'ETOOLARGE', message: /maxValueBytes/ })
  t.match(await server.admin.info('commandstats'), /cmdstat_config\|get:calls=1,/)
})

/** An application with a route whose bodies are too large for the server, and one whose bodies are not. */
async function starved (t: Test, options: RedisOptions): Promise<TestApp> {
  return await build(t, {
    backend: 'redis',
    options,
    deadline: '900ms',
    routes (app) {
      app.get('/small/:id', { config: { cache: { ttl: '1h' } } }, async () => 'small')
      app.get('/large/:id', { config: { cache: { ttl: '1h', maxBodyBytes: 4 * MIB } } }, async () => 'l'.repeat(2 * MIB))
    },
    compare: false
  })
}

/** Returns how many of 20 requests for small responses are hits, while as many large ones are requested. */
async function hitsOf ({ ask }: TestApp): Promise<number> {
  let hits = 0
  for (let id = 0; id < 20; id++) {
    const [small] = await Promise.all([ask(`/small/${id % 4}`), ask(`/large/${id}`), ask(`/large/${id}-again`)])
    if (/; hit/.test(small.cacheStatus ?? '')) hits++
  }
  return hits
}

t.test('redis: a route whose responses are too large for the server costs other routes no hit', async (t) => {
  const server = await startServer(t)
  await server.admin.config('SET', 'proto-max-bulk-len', '1mb')
  const app = await starved(t, { url: server.url })
  for (let id = 0; id < 4; id++) await app.ask(`/small/${id}`)
  const before = await connectionsMade(server)
  t.equal(await hitsOf(app), 20)
  t.equal(await connectionsMade(server), before)
  await until('all are counted', async () => (await app.backends.at(-1)!.stats!()).refusedWrites === 40)
  t.equal(app.warnings().length, 1, 'one line')
  t.match(app.warnings()[0], {
    err: { code: 'ETOOLARGE', message: /proto-max-bulk-len allows 1048576; raise that, or lower maxBodyBytes/ }
  })
})

t.test('redis: if the limit can\'t be requested, one value that closes the connection reveals it', async (t) => {
  const server = await startServer(t)
  await server.admin.config('SET', 'proto-max-bulk-len', '1mb')
  await server.admin.call('ACL', 'SETUSER', 'cache', 'on', '>pw', '~*', '+@all', '-config')
  const backend = await openRedis(t, { connection: { host: '127.0.0.1', port: server.port, username: 'cache', password: 'pw' } })
  await backend.set('small', entry('small'))
  // The connection may be lost before the server's error is read.
  await until('the error was read', async () => (await failureOf(() => backend.set('large', sized(2 * MIB))))?.code === 'ETOOLARGE')
  await until('it is connected again', async () => await failureOf(() => backend.get('small')) === undefined)
  const before = await connectionsMade(server)
  for (let time = 0; time < 10; time++) t.match(await failureOf(() => backend.set('large', sized(2 * MIB))), { code: 'ETOOLARGE' })
  t.equal(await textAt(backend, 'small'), 'small')
  t.equal(await connectionsMade(server), before)
})
