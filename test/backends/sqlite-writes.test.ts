// How the SQLite backend writes: gathered, in order, bounded, patient with others, and to the end at close.
import { once } from 'node:events'
import { join } from 'node:path'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { setTimeout as wait } from 'node:timers/promises'
import Database from 'better-sqlite3'
import t from 'tap'
import { beside, entry, failureOf, openSqlite, textAt } from '../support/sqlite.js'

const MEBIBYTE = 1024 * 1024
const count = (database: Database.Database) => database.prepare('SELECT count(*) FROM cache_entries').pluck().get()

t.test('sqlite: a set is seen at once by its own process, and by others when its promise settles', async (t) => {
  const path = join(t.testdir(), 'cache.db')
  const { backend } = await openSqlite(t, { path })
  const other = beside(t, path)
  const set = backend.set('key', entry('value', Infinity))
  t.equal(await textAt(backend, 'key'), 'value')
  t.equal(backend.has('key'), true)
  t.equal(count(other), 0, 'not written yet')
  await set
  t.equal(count(other), 1, 'written')
  const forgotten = backend.delete('key')
  t.equal(backend.get('key'), undefined)
  t.equal(backend.has('key'), false)
  t.equal(count(other), 1)
  await forgotten
  t.equal(count(other), 0)
})

t.test('sqlite: many sets of one turn are one transaction', async (t) => {
  const path = join(t.testdir(), 'cache.db')
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

t.test('sqlite: a write that follows upon a write that settled settles too', async (t) => {
  const { backend } = await openSqlite(t, { path: ':memory:' })
  for (let at = 0; at < 20; at++) {
    await backend.set('key', entry(String(at), Infinity))
    await Promise.resolve()
  }
  await Promise.resolve(backend.delete('key')).then(() => backend.set('key', entry('last', Infinity)))
  t.equal(await textAt(backend, 'key'), 'last')
})

t.test('sqlite: a loop that never awaits does not gather without end', async (t) => {
  const { backend } = await openSqlite(t, { path: join(t.testdir(), 'cache.db') })
  const value = Buffer.alloc(20_000)
  const sets: unknown[] = []
  for (let at = 0; at < 5_000; at++) sets.push(backend.set(String(at), { value, expiresAt: Infinity }))
  await Promise.all(sets)
  t.equal(await backend.size(), 5_000, '100 MB were set in one turn')
})

t.test('sqlite: a lock of another process delays writes, and neither reads nor the event loop', async (t) => {
  const path = join(t.testdir(), 'cache.db')
  const { backend } = await openSqlite(t, { path })
  await backend.set('old', entry('value', Infinity))
  const other = beside(t, path)
  other.exec('BEGIN IMMEDIATE')
  const delay = monitorEventLoopDelay({ resolution: 1 })
  delay.enable()
  let settled = false
  const set = Promise.resolve(backend.set('new', entry('value', Infinity))).then(() => { settled = true })
  await wait(300)
  t.equal(settled, false)
  t.equal(await textAt(backend, 'old'), 'value')
  t.equal(await textAt(backend, 'new'), 'value')
  delay.disable()
  t.ok(delay.max < 250e6, `the loop was kept for ${(delay.max / 1e6).toFixed(1)} ms at most`)
  other.exec('COMMIT')
  await set
  t.equal(count(other), 2)
})

t.test('sqlite: a lent database that was opened to wait for locks is not waited for on the event loop', async (t) => {
  const path = join(t.testdir(), 'app.db')
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
  t.equal(database.pragma('busy_timeout', { simple: true }), 2_000, 'it is as its owner made it')
})

t.test('sqlite: a reader that is kept out is answered later', async (t) => {
  const path = join(t.testdir(), 'app.db')
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

t.test('sqlite: writes that wait too long for a lock are given up, and later ones go on', async (t) => {
  const path = join(t.testdir(), 'cache.db')
  const { backend } = await openSqlite(t, { path })
  const other = beside(t, path)
  other.exec('BEGIN IMMEDIATE')
  t.match(await failureOf(() => backend.set('lost', entry('value', Infinity))), { code: 'SQLITE_BUSY' })
  t.equal(await backend.get('lost'), undefined)
  other.exec('COMMIT')
  await backend.set('key', entry('value', Infinity))
  t.equal(await textAt(backend, 'key'), 'value')
})

t.test('sqlite: more bytes than may wait are refused, and those that wait are written', async (t) => {
  const path = join(t.testdir(), 'cache.db')
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

t.test('A05: a full disk refuses writes and answers reads; with room again, writes go on', async (t) => {
  const database = new Database(join(t.testdir(), 'app.db'))
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

t.test('O4: a failed write that nobody awaits is no unhandled rejection', async (t) => {
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
  t.match(await failureOf(() => backend.set('key', entry('value', Infinity))), { message: 'not open' }, 'whoever awaits it is told')
})

t.test('sqlite: close writes what waits', async (t) => {
  const path = join(t.testdir(), 'cache.db')
  const first = await openSqlite(t, { path })
  for (let at = 0; at < 10_000; at++) first.backend.set(String(at), entry('value', Infinity))
  first.backend.delete('0')
  await first.backend.close()
  const second = await openSqlite(t, { path })
  t.equal(await second.backend.size(), 9_999)
})

t.test('C22: close ends within 2 s while another process holds the lock', async (t) => {
  const path = join(t.testdir(), 'cache.db')
  const { backend } = await openSqlite(t, { path })
  const other = beside(t, path)
  other.exec('BEGIN IMMEDIATE')
  const set = failureOf(() => backend.set('key', entry('value', Infinity)))
  const clear = failureOf(() => backend.clear('a'))
  const size = failureOf(() => backend.size())
  const startedAt = performance.now()
  await backend.close()
  t.ok(performance.now() - startedAt < 2_000)
  t.match(await set, { code: 'SQLITE_BUSY' }, 'whoever awaits the write is told')
  t.ok(await clear)
  t.ok(await size)
})

t.test('C23: close may be called twice, and every later call is an error that says so', async (t) => {
  const { backend } = await openSqlite(t, { path: join(t.testdir(), 'cache.db') })
  await Promise.all([backend.close(), backend.close()])
  await backend.close()
  const calls: Record<string, () => unknown> = {
    get: () => backend.get('key'),
    set: () => backend.set('key', entry('value', Infinity)),
    delete: () => backend.delete('key'),
    has: () => backend.has('key'),
    getMany: () => backend.getMany(['key']),
    clear: () => backend.clear(),
    keys: () => backend.keys(),
    size: () => backend.size(),
    stats: () => backend.stats()
  }
  for (const [name, call] of Object.entries(calls)) {
    t.match(await failureOf(call), { code: 'CACHE_ERR_CLOSED', message: `sqlite.${name}` }, name)
  }
})

t.test('sqlite: clear forgets what was set before it, and nothing that is set after it was called', async (t) => {
  const { backend } = await openSqlite(t, { path: join(t.testdir(), 'cache.db') })
  const keys = Array.from({ length: 20_000 }, (_, at) => `user:${at}`)
  await Promise.all(keys.map((key) => backend.set(key, entry('old', Infinity))))
  await backend.set('other', entry('old', Infinity))
  backend.set('user:waiting', entry('old', Infinity))
  backend.set('user:1', entry('older', Infinity))
  const cleared = backend.clear('user:')
  t.equal(backend.get('user:waiting'), undefined, 'what waits is forgotten at once')
  const set = backend.set('user:7', entry('new', Infinity))
  let turns = 0
  const turning = setInterval(() => { turns++ }, 1)
  await Promise.all([cleared, set])
  clearInterval(turning)
  t.ok(turns > 3, 'the loop turned meanwhile')
  t.same((await backend.keys()).sort(), ['other', 'user:7'])
  t.equal(await textAt(backend, 'user:7'), 'new')
})

t.test('sqlite: a set made while a clear is under way survives it', async (t) => {
  const { backend } = await openSqlite(t, { path: ':memory:' })
  const keys = Array.from({ length: 20_000 }, (_, at) => String(at))
  await Promise.all(keys.map((key) => backend.set(key, entry('old', Infinity))))
  const cleared = backend.clear()
  const later = keys.filter((_, at) => at % 100 === 0)
  for (const key of later) {
    backend.set(key, entry('new', Infinity))
    if (later.indexOf(key) % 20 === 0) await wait(1)
  }
  await cleared
  t.same((await backend.keys()).sort(), later.sort())
})

t.test('sqlite: clear takes half a surrogate pair for what it is, a beginning', async (t) => {
  const { backend } = await openSqlite(t, { path: ':memory:' })
  const keys = ['a\ud83d', 'a\ud83d\ude00', 'a\ud83e', 'a', 'b\ud83d', '\ud83d\ude00', '\ud83d', '\u0000utf16:x', '\u0000']
  for (const prefix of ['a\ud83d', '\ud83d', '\u0000', '\u0000utf', 'a']) {
    await Promise.all(keys.map((key) => backend.set(key, entry('value', Infinity))))
    await backend.clear(prefix)
    t.same((await backend.keys()).sort(), keys.filter((key) => !key.startsWith(prefix)).sort(), JSON.stringify(prefix))
  }
})

t.test('sqlite: the first write of an idle loop is written without another event', async (t) => {
  const { backend } = await openSqlite(t, { path: ':memory:' })
  const settled = backend.set('key', entry('value', Infinity))
  await Promise.race([settled, once(AbortSignal.timeout(1_000), 'abort').then(() => t.fail('it did not settle'))])
})
