// How the SQLite backend writes: in batches, in order, within bounds, and with waits for locks.
import { once } from 'node:events'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import Database from 'better-sqlite3'
import t from 'tap'
import { LONGEST_PAUSE_MS, LONGEST_WORK_MS, watchLoop } from '../support/loop.js'
import { entry, failureOf, textAt } from '../support/entries.js'
import { beside, openSqlite } from '../support/sqlite.js'
import { newFolder } from '../support/folder.js'

const MEBIBYTE = 1024 * 1024

const count = (database: Database.Database) => database.prepare('SELECT count(*) FROM cache_entries').pluck().get()

t.test('sqlite: a set is visible at once to its own process, and to others when its promise settles', async (t) => {
  const path = join(newFolder(t), 'cache.db')
  const { backend } = await openSqlite(t, { path })
  const other = beside(t, path)
  const set = backend.set('key', entry('value', Infinity))
  t.equal(await textAt(backend, 'key'), 'value')
  t.equal(backend.has('key'), true)
  t.equal(count(other), 0, 'not written yet')
  await set
  t.equal(count(other), 1, 'written')
  const deleted = backend.delete('key')
  t.equal(backend.get('key'), undefined)
  t.equal(backend.has('key'), false)
  t.equal(count(other), 1)
  await deleted
  t.equal(count(other), 0)
})

t.test('sqlite: many sets of one turn are one transaction', async (t) => {
  const path = join(newFolder(t), 'cache.db')
  const { backend } = await openSqlite(t, { path })
  const other = beside(t, path)
  const first = backend.set('0', entry('value', Infinity))
  for (let at = 1; at < 50; at++) t.equal(backend.set(String(at), entry('value', Infinity)), first, 'one promise for all')
  await first
  t.equal(count(other), 50)
})

t.test('sqlite: of several writes to one key the last one wins', async (t) => {
  const { backend } = await openSqlite(t, { path: ':memory:' })
  backend.set('kept', entry('first', Infinity))
  backend.delete('kept')
  const kept = backend.set('kept', entry('last', Infinity))
  backend.set('gone', entry('first', Infinity))
  await Promise.all([kept, backend.delete('gone')])
  t.equal(await textAt(backend, 'kept'), 'last')
  t.equal(await backend.get('gone'), undefined)
  t.equal(await backend.size(), 1)
})

t.test('sqlite: a write that follows a settled write settles too', async (t) => {
  const { backend } = await openSqlite(t, { path: ':memory:' })
  for (let at = 0; at < 20; at++) {
    await backend.set('key', entry(String(at), Infinity))
    await Promise.resolve()
  }
  await Promise.resolve(backend.delete('key')).then(() => backend.set('key', entry('last', Infinity)))
  t.equal(await textAt(backend, 'key'), 'last')
})

t.test('sqlite: a loop that never awaits does not make the queue grow without bound', async (t) => {
  const { backend } = await openSqlite(t, { path: join(newFolder(t), 'cache.db') })
  const value = Buffer.alloc(20_000)
  const sets: unknown[] = []
  for (let at = 0; at < 5_000; at++) sets.push(backend.set(String(at), { value, expiresAt: Infinity }))
  await Promise.all(sets)
  t.equal(await backend.size(), 5_000, '100 MB were set in one turn')
})

t.test('sqlite: a lock of another process delays writes, but neither reads nor the event loop', async (t) => {
  const path = join(newFolder(t), 'cache.db')
  const { backend } = await openSqlite(t, { path })
  await backend.set('old', entry('value', Infinity))
  const other = beside(t, path)
  other.exec('BEGIN IMMEDIATE')
  const ended = watchLoop()
  let settled = false
  const set = Promise.resolve(backend.set('new', entry('value', Infinity))).then(() => { settled = true })
  await wait(300)
  t.equal(settled, false)
  t.equal(await textAt(backend, 'old'), 'value')
  t.equal(await textAt(backend, 'new'), 'value')
  const { longestWorkMs, longestPauseMs } = await ended()
  t.ok(longestWorkMs < LONGEST_WORK_MS && longestPauseMs < LONGEST_PAUSE_MS)
  other.exec('COMMIT')
  await set
  t.equal(count(other), 2)
})

t.test('sqlite: a caller-owned database with a busy timeout does not block the event loop', async (t) => {
  const path = join(newFolder(t), 'app.db')
  const database = new Database(path, { timeout: 2_000 })
  t.teardown(() => { database.close() })
  database.pragma('journal_mode = WAL')
  const { backend } = await openSqlite(t, { database })
  const other = beside(t, path)
  other.exec('BEGIN IMMEDIATE')
  const set = backend.set('key', entry('value', Infinity))
  const startedAt = performance.now()
  await wait(50)
  t.ok(performance.now() - startedAt < 1_000)
  other.exec('COMMIT')
  await set
  t.equal(database.pragma('busy_timeout', { simple: true }), 2_000, 'the busy timeout is the owner\'s')
})

t.test('sqlite: a read that a lock keeps out returns later', async (t) => {
  const path = join(newFolder(t), 'app.db')
  const { backend } = await openSqlite(t, { database: beside(t, path) })
  await backend.set('key', entry('value', Infinity))
  const other = beside(t, path)
  // Without a write-ahead log a writer keeps readers out.
  other.exec('BEGIN EXCLUSIVE')
  const reads = [textAt(backend, 'key'), backend.getMany(['key', 'none']), backend.has('key')]
  await wait(20)
  other.exec('COMMIT')
  t.match(await Promise.all(reads), ['value', [{ expiresAt: Number.MAX_SAFE_INTEGER }, undefined], true])
})

t.test('sqlite: writes that wait too long for a lock are given up, and later ones succeed', async (t) => {
  const path = join(newFolder(t), 'cache.db')
  const { backend } = await openSqlite(t, { path })
  const other = beside(t, path)
  other.exec('BEGIN IMMEDIATE')
  t.match(await failureOf(() => backend.set('lost', entry('value', Infinity))), { code: 'SQLITE_BUSY' })
  t.equal(await backend.get('lost'), undefined)
  other.exec('COMMIT')
  await backend.set('key', entry('value', Infinity))
  t.equal(await textAt(backend, 'key'), 'value')
})

t.test('sqlite: a write beyond the bound on waiting bytes is refused, and the waiting ones are written', async (t) => {
  const path = join(newFolder(t), 'cache.db')
  const { backend } = await openSqlite(t, { path })
  const other = beside(t, path)
  other.exec('BEGIN IMMEDIATE')
  const value = Buffer.alloc(MEBIBYTE)
  const sets = Array.from({ length: 70 }, (_, at) => backend.set(String(at), { value, expiresAt: Infinity }))
  const refused = await failureOf(() => sets.at(-1))
  t.match(refused, { code: 'CACHE_ERR_BACKEND_FAILED', message: 'too many writes' })
  other.exec('COMMIT')
  const kept = (await Promise.allSettled(sets)).filter(({ status }) => status === 'fulfilled').length
  t.ok(kept > 50 && kept < 65, `${kept} MiB waited`)
  t.equal(await backend.size(), kept)
})

t.test('sqlite: a full disk refuses writes and serves reads, and writes succeed once there is room', async (t) => {
  const database = new Database(join(newFolder(t), 'app.db'))
  t.teardown(() => { database.close() })
  database.pragma('journal_mode = WAL')
  const { backend } = await openSqlite(t, { database })
  await backend.set('old', entry('value', Infinity))
  database.pragma('max_page_count = 20')
  const value = Buffer.alloc(100_000)
  t.match(await failureOf(() => backend.set('new', { value, expiresAt: Infinity })), { code: 'SQLITE_FULL' })
  t.equal(await textAt(backend, 'old'), 'value')
  t.equal(await backend.get('new'), undefined)
  database.pragma('max_page_count = 1000')
  await backend.set('new', { value, expiresAt: Infinity })
  t.equal((await backend.get('new'))?.value.byteLength, 100_000)
})

t.test('O4: a failed write that is never awaited causes no unhandled rejection', async (t) => {
  const unhandled: unknown[] = []
  const listen = (error: unknown) => unhandled.push(error)
  process.on('unhandledRejection', listen)
  t.teardown(() => { process.off('unhandledRejection', listen) })
  const database = new Database(':memory:')
  const { backend } = await openSqlite(t, { database })
  database.close()
  backend.set('key', entry('value', Infinity))
  await wait(30)
  t.same(unhandled, [])
  t.match(await failureOf(() => backend.set('key', entry('value', Infinity))), { message: 'not open' }, 'an awaited write rejects')
})

t.test('sqlite: the first write of an idle event loop is written without another event', async (t) => {
  const { backend } = await openSqlite(t, { path: ':memory:' })
  const settled = backend.set('key', entry('value', Infinity))
  await Promise.race([settled, once(AbortSignal.timeout(1_000), 'abort').then(() => t.fail('it did not settle'))])
})
