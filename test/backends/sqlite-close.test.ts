// How the SQLite backend closes: waiting writes are written, and every wait is bounded.
import { join } from 'node:path'
import t from 'tap'
import { testClock } from '../support/clock.js'
import { watchLoop } from '../support/loop.js'
import { entry, everyCall, failureOf } from '../support/entries.js'
import { beside, openSqlite } from '../support/sqlite.js'
import { newFolder } from '../support/folder.js'

t.test('sqlite: close writes waiting changes', async (t) => {
  const path = join(newFolder(t), 'cache.db')
  const first = await openSqlite(t, { path })
  for (let at = 0; at < 10_000; at++) first.backend.set(String(at), entry('value', Infinity))
  first.backend.delete('0')
  await first.backend.close()
  const second = await openSqlite(t, { path })
  t.equal(await second.backend.size(), 9_999)
})

t.test('sqlite: close ends within 2 s while another process holds the lock', async (t) => {
  const path = join(newFolder(t), 'cache.db')
  const { backend } = await openSqlite(t, { path })
  const other = beside(t, path)
  other.exec('BEGIN IMMEDIATE')
  const set = failureOf(() => backend.set('key', entry('value', Infinity)))
  const clear = failureOf(() => backend.clear('a'))
  const size = failureOf(() => backend.size())
  const startedAt = performance.now()
  await backend.close()
  t.ok(performance.now() - startedAt < 2_000)
  t.match(await set, { code: 'SQLITE_BUSY' }, 'the write rejects')
  t.ok(await clear)
  t.ok(await size)
})

t.test('sqlite: close may be called twice, and every later call fails with CACHE_ERR_CLOSED', async (t) => {
  const { backend } = await openSqlite(t, { path: join(newFolder(t), 'cache.db') })
  await Promise.all([backend.close(), backend.close()])
  await backend.close()
  for (const [name, call] of Object.entries(everyCall(backend))) {
    t.match(await failureOf(call), { code: 'CACHE_ERR_CLOSED', message: `sqlite.${name}` }, name)
  }
})

t.test('sqlite: close ends a cleanup under way, without an error', async (t) => {
  const clock = testClock()
  const path = join(newFolder(t), 'cache.db')
  const { backend, cleanup } = await openSqlite(t, { path }, clock)
  await Promise.all(Array.from({ length: 20_000 }, (_, at) => backend.set(String(at), entry('value', clock.now() + 1_000))))
  await clock.pass(1_000)
  const ended = watchLoop()
  const cleaning = failureOf(cleanup)
  await backend.close()
  t.equal(await cleaning, undefined)
  await ended()
  t.ok(await (await openSqlite(t, { path }, clock)).backend.size() > 0, 'the cleanup did not run to its end')
})
