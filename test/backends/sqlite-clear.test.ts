// How the SQLite backend clears: at once or in steps, in order with the writes around it.
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import type Database from 'better-sqlite3'
import t from 'tap'
import type { CacheBackend } from '../../registry/backend.js'
import { entry, textAt } from '../support/entries.js'
import { LONGEST_WORK_MS, watchLoop, workedMs } from '../support/loop.js'
import { isFull } from '../support/size.js'
import { beside, openSqlite } from '../support/sqlite.js'
import { newFolder } from '../support/folder.js'

const MANY = isFull ? 200_000 : 50_000

// They take long on a busy machine.
t.setTimeout(120_000)

async function fill (backend: CacheBackend, prefix: string, entries: number): Promise<void> {
  // A prime, so that the keys are not set in the order in which they are stored, as in production.
  for (let at = 0; at < entries; at++) backend.set(`${prefix}${at * 7_919 % entries}`, entry('v'.repeat(300), Infinity))
  await backend.set(`${prefix}last`, entry('old', Infinity))
}

/** How many tables that clears have put aside are left. */
const left = (database: Database.Database): unknown =>
  database.prepare("SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name GLOB '* cleared *'").pluck().get()

t.test('sqlite: clear deletes entries set before the call, and none set after it', async (t) => {
  const { backend } = await openSqlite(t, { path: join(newFolder(t), 'cache.db') })
  const keys = Array.from({ length: 20_000 }, (_, at) => `user:${at}`)
  await Promise.all(keys.map((key) => backend.set(key, entry('old', Infinity))))
  await backend.set('other', entry('old', Infinity))
  backend.set('user:waiting', entry('old', Infinity))
  backend.set('user:1', entry('older', Infinity))
  const cleared = backend.clear('user:')
  t.equal(backend.get('user:waiting'), undefined, 'a waiting set is dropped at once')
  const set = backend.set('user:7', entry('new', Infinity))
  await Promise.all([cleared, set])
  t.same((await backend.keys()).sort(), ['other', 'user:7'])
  t.equal(await textAt(backend, 'user:7'), 'new')
})

t.test('sqlite: an entry set while a clear is under way survives it', async (t) => {
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

t.test('sqlite: clear takes half a surrogate pair as a prefix of the whole pair', async (t) => {
  const { backend } = await openSqlite(t, { path: ':memory:' })
  const keys = [
    'a\ud83d', 'a\ud83d\ude00', 'a\ud83e', 'a', 'b\ud83d', '\ud83d\ude00', '\ud83d', '\u0000utf16:x', '\u0000', '\ud7ff', '\ud7ffa',
    '\ue000'
  ]
  for (const prefix of ['a\ud83d', '\ud83d', '\u0000', '\u0000utf', '\ud7ff', 'a']) {
    await Promise.all(keys.map((key) => backend.set(key, entry('value', Infinity))))
    await backend.clear(prefix)
    t.same((await backend.keys()).sort(), keys.filter((key) => !key.startsWith(prefix)).sort(), JSON.stringify(prefix))
  }
})

t.test(`sqlite: a clear of ${MANY} entries takes a few milliseconds, and their rows are deleted later without blocking the loop`,
  async (t) => {
    const path = join(newFolder(t), 'cache.db')
    const { backend } = await openSqlite(t, { path })
    await fill(backend, 'ns:', MANY)
    await backend.set('other', entry('kept', Infinity))
    const other = beside(t, path)
    const { usedBytes: before } = await backend.stats()
    const ended = watchLoop()
    const workedBefore = workedMs()
    await backend.clear('ns:')
    const clearMs = workedMs() - workedBefore
    t.equal(await backend.size(), 1)
    for (let waits = 0; left(other) !== 0 && waits < 3_000; waits++) await wait(20)
    const { longestWorkMs } = await ended()
    t.comment(`clear worked for ${clearMs.toFixed(1)} ms, longest work between two turns ${longestWorkMs.toFixed(1)} ms`)
    t.ok(clearMs < MANY / 400, 'row by row it would take more than four times as long')
    t.ok(longestWorkMs < LONGEST_WORK_MS)
    t.ok((await backend.stats()).usedBytes! < before! * 0.01, 'the rows are gone')
    t.equal(await textAt(backend, 'other'), 'kept')
  })

t.test('sqlite: a clear of many entries is seen at once by other connections to the file, which can go on writing', async (t) => {
  const path = join(newFolder(t), 'cache.db')
  const { backend: one } = await openSqlite(t, { path })
  const { backend: two } = await openSqlite(t, { path, maxEntries: 5_000 })
  await fill(one, 'ns:', 3_000)
  await one.set('\ud83d', entry('kept', Infinity))
  for (const backend of [one, two]) {
    t.equal(await textAt(backend, 'ns:last'), 'old', 'both have read it, and hold it in memory')
    t.equal(await textAt(backend, '\ud83d'), 'kept')
  }
  await wait(2)
  await one.clear('ns:')
  await wait(2)
  for (const backend of [two, one]) {
    t.equal(await backend.get('ns:last'), undefined)
    t.equal(await textAt(backend, '\ud83d'), 'kept')
    t.equal(await backend.size(), 1)
  }
  await two.set('ns:new', entry('new', Infinity))
  t.equal(await textAt(one, 'ns:new'), 'new')
  await one.delete('ns:new')
  await wait(2)
  t.equal(await two.get('ns:new'), undefined)
})

t.test('sqlite: a clear of many entries that waits for a lock keeps entries that are set meanwhile', async (t) => {
  const path = join(newFolder(t), 'cache.db')
  const { backend } = await openSqlite(t, { path })
  await fill(backend, 'ns:', 3_000)
  const other = beside(t, path)
  other.exec('BEGIN IMMEDIATE')
  const cleared = backend.clear('ns:')
  const set = backend.set('ns:7', entry('new', Infinity))
  await wait(50)
  other.exec('COMMIT')
  await Promise.all([cleared, set])
  t.same(await backend.keys(), ['ns:7'])
  t.equal(await textAt(backend, 'ns:7'), 'new')
})

t.test('sqlite: a clear deletes entries that are being written when it is called, and waits for a lock', async (t) => {
  const path = join(newFolder(t), 'cache.db')
  const { backend } = await openSqlite(t, { path })
  const other = beside(t, path)
  other.exec('BEGIN IMMEDIATE')
  const sets = ['ns:1', 'ns:2', 'other'].map((key) => backend.set(key, entry('old', Infinity)))
  await wait(50)
  const cleared = backend.clear('ns:')
  t.same([backend.get('ns:1'), backend.get('ns:2')], [undefined, undefined], 'at once')
  other.exec('COMMIT')
  await Promise.all([...sets, cleared])
  t.same(await backend.keys(), ['other'])
})

t.test('sqlite: rows that a clear left are deleted by the next cleanup of any process, and before anything is evicted',
  async (t) => {
    const maxBytes = 2 * 1024 * 1024
    const path = join(newFolder(t), 'cache.db')
    const { backend: first } = await openSqlite(t, { path, maxBytes })
    await fill(first, '', 3_000)
    await first.clear()
    await first.close()
    const other = beside(t, path)
    t.equal(left(other), 1, 'the process ended before it could delete them')
    const { backend, cleanup } = await openSqlite(t, { path, maxBytes })
    await fill(backend, '', 3_000)
    t.equal(await backend.size(), 3_001)
    t.equal((await backend.stats()).evictions, 0)
    t.ok((await backend.stats()).usedBytes! <= maxBytes)
    await cleanup()
    t.equal(left(other), 0)
  })
