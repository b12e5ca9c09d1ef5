// Versions in Redis: numbers that only grow, whatever happens to their keys.
import t from 'tap'
import { failureOf, textAt } from '../support/entries.js'
import { fileNeeds } from '../support/programs.js'
import { startCluster, startServer } from '../support/redis-server.js'
import { entry, openRedis } from '../support/redis.js'

fileNeeds(t, 'redis-server')

t.test('redis: processes share a version, and only a raise makes it larger', async (t) => {
  const [server, { nodes }] = [await startServer(t), await startCluster(t)]
  for (const options of [{ url: server.url }, { connection: { cluster: nodes } }]) {
    const [one, other] = [await openRedis(t, options), await openRedis(t, options)]
    for (const name of ['name', '', 'a{b}', '\ud800', '\0', '\0version:name']) {
      const first = await one.version(name)
      t.ok(Number.isSafeInteger(first), `${first}`)
      t.equal(await other.version(name), first)
      t.ok(await other.version('another') > 0)
      const raised = await Promise.all(Array.from({ length: 50 }, (_, at) => (at % 2 === 0 ? one : other).version(name, true)))
      t.equal(new Set([first, ...raised]).size, 51)
      t.equal(await one.version(name), Math.max(...raised))
      t.ok(Math.min(...raised) > first)
    }
  }
})

t.test('redis: a version that was removed, emptied or overtaken by the clock begins with a larger number', async (t) => {
  const server = await startServer(t)
  const backend = await openRedis(t, { url: server.url })
  const first = await backend.version('name', true)
  await server.admin.flushall()
  const second = await backend.version('name')
  t.ok(second > first)
  await server.admin.set('frc:\0version:name', first)
  t.ok(await backend.version('name', true) > second, 'as after a failover that has lost the last raises')
  const ahead = second + 1e12
  await server.admin.set('frc:\0version:name', ahead)
  t.equal(await backend.version('name', true), ahead + 1)
  t.equal(await backend.version('name'), ahead + 1)
})

t.test('redis: the key of a version is no entry, and clear leaves it', async (t) => {
  const server = await startServer(t)
  const backend = await openRedis(t, { url: server.url })
  const version = await backend.version('name', true)
  await backend.set('\0version:name', entry('value'))
  await backend.set('key', entry('value'))
  t.equal(await textAt(backend, '\0version:name'), 'value')
  t.equal(await backend.version('name'), version)
  t.same((await backend.keys()).sort(), ['\0version:name', 'key'])
  t.equal(await backend.size(), 2)
  await backend.delete('\0version:name')
  let removed = 0
  await backend.clear('', { onProgress (more) { removed += more } })
  t.equal(removed, 1)
  t.equal(await backend.version('name'), version)
  t.equal(await server.admin.dbsize(), 1)
})

t.test('redis: on a server without memory, a version can still be raised, and a value that is no number is replaced', async (t) => {
  const server = await startServer(t)
  const backend = await openRedis(t, { url: server.url })
  const first = await backend.version('name', true)
  await server.admin.set('frc:\0version:ahead', first + 1e12)
  await server.admin.set('frc:\0version:text', 'somebody else\'s')
  t.ok(await backend.version('text') > first)
  await server.admin.config('SET', 'maxmemory', '1mb')
  const second = await backend.version('name', true)
  t.ok(second > first)
  t.ok(await backend.version('name') >= second)
  t.match(await failureOf(() => backend.version('ahead', true)), { code: 'OOM' })
  await server.admin.config('SET', 'maxmemory', '0')
  t.ok(await backend.version('name') > second)
  t.equal(await backend.version('ahead'), first + 1e12)
})
