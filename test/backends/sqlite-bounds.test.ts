// The SQLite backend's bounds: by entries and by bytes, expired first, then the least recently used, never in one long step.
import { join } from 'node:path'
import { mock } from 'node:test'
import { setTimeout as wait } from 'node:timers/promises'
import t from 'tap'
import { testClock } from '../support/clock.js'
import { LONGEST_WORK_MS, watchLoop } from '../support/loop.js'
import { entry, failureOf, textAt } from '../support/entries.js'
import { beside, openSqlite } from '../support/sqlite.js'
import { newFolder } from '../support/folder.js'

// 200 000 rows take long on a busy machine.
t.setTimeout(120_000)

const MINUTE_MS = 60_000
const HOUR_MS = 60 * MINUTE_MS
const MEBIBYTE = 1024 * 1024

t.test('sqlite: there are never more than maxEntries entries, and the newest are among them', async (t) => {
  const clock = testClock()
  const { backend } = await openSqlite(t, { path: ':memory:', maxEntries: 100 }, clock)
  for (let wave = 0; wave < 10; wave++) {
    await Promise.all(Array.from({ length: 30 }, (_, at) => backend.set(`${wave}-${at}`, entry('value', Infinity))))
    await clock.pass(1)
    t.ok(await backend.size() <= 100)
  }
  t.equal(await backend.size(), 100, 'exactly maxEntries')
  t.ok(backend.has('9-0'))
  t.notOk(backend.has('0-0'))
  t.equal((await backend.stats()).evictions, 200)
})

t.test('sqlite: an overwrite never evicts another key', async (t) => {
  const { backend } = await openSqlite(t, { path: ':memory:', maxEntries: 3 })
  for (const key of ['a', 'b', 'c']) await backend.set(key, entry('first', Infinity))
  for (let round = 0; round < 20; round++) await Promise.all(['a', 'c'].map((key) => backend.set(key, entry(`round ${round}`, Infinity))))
  t.equal(await textAt(backend, 'b'), 'first')
  await backend.delete('a')
  await backend.set('d', entry('first', Infinity))
  t.same((await backend.keys()).sort(), ['b', 'c', 'd'], 'the deleted entry made room')
})

t.test('sqlite: expired entries are evicted before live ones', async (t) => {
  const clock = testClock()
  const { backend } = await openSqlite(t, { path: ':memory:', maxEntries: 3 }, clock)
  await backend.set('live', entry('value', clock.now() + HOUR_MS))
  await clock.pass(1)
  await backend.set('expired', entry('value', clock.now() + 1_000))
  await clock.pass(1_000)
  for (const key of ['a', 'b']) await backend.set(key, entry('value', clock.now() + HOUR_MS))
  t.same((await backend.keys()).sort(), ['a', 'b', 'live'])
})

t.test('sqlite: the least recently used entry is evicted first, and a get counts as use', async (t) => {
  const clock = testClock()
  const { backend } = await openSqlite(t, { path: ':memory:', maxEntries: 3 }, clock)
  for (const key of ['a', 'b', 'c']) {
    await backend.set(key, entry('value', Infinity))
    await clock.pass(1)
  }
  await clock.pass(2 * MINUTE_MS)
  await backend.get('a')
  await backend.set('d', entry('value', Infinity))
  t.same((await backend.keys()).sort(), ['a', 'c', 'd'])
  await clock.pass(-HOUR_MS)
  await backend.get('c')
  await clock.pass(1)
  await backend.get('d')
  await backend.set('e', entry('value', Infinity))
  t.same((await backend.keys()).sort(), ['c', 'd', 'e'], 'also after the clock was set back')
})

t.test('sqlite: a get counts as use on a machine that is so slow that each step has no time left after one write', async (t) => {
  const clock = testClock()
  const { backend } = await openSqlite(t, { path: ':memory:', maxEntries: 2 }, clock)
  for (const key of ['a', 'b']) {
    await backend.set(key, entry('value', Infinity))
    await clock.pass(1)
  }
  await clock.pass(2 * MINUTE_MS)
  await backend.get('a')
  const steady = performance.now.bind(performance)
  let later = 0
  const now = mock.method(performance, 'now', () => steady() + (later += LONGEST_WORK_MS))
  t.teardown(() => now.mock.restore())
  await backend.set('c', entry('value', Infinity))
  now.mock.restore()
  t.same((await backend.keys()).sort(), ['a', 'c'])
})

t.test('sqlite: the cleanup stores the times of reads if nothing else is written', async (t) => {
  const clock = testClock()
  const path = join(newFolder(t), 'cache.db')
  const { backend, cleanup } = await openSqlite(t, { path }, clock)
  await backend.set('key', entry('value', Infinity))
  await clock.pass(2 * MINUTE_MS)
  await backend.get('key')
  await cleanup()
  t.equal(beside(t, path).prepare('SELECT used_at FROM cache_entries').pluck().get(), clock.now())
})

t.test('sqlite: the number of reads that are noted is bounded', async (t) => {
  const clock = testClock()
  const path = join(newFolder(t), 'cache.db')
  const { backend, cleanup } = await openSqlite(t, { path }, clock)
  const keys = Array.from({ length: 11_000 }, (_, at) => String(at))
  await Promise.all(keys.map((key) => backend.set(key, entry('value', Infinity))))
  await clock.pass(2 * MINUTE_MS)
  for (const key of keys) backend.get(key)
  await cleanup()
  t.equal(beside(t, path).prepare('SELECT count(*) FROM cache_entries WHERE used_at = ?').pluck().get(clock.now()), 10_000)
})

t.test('sqlite: the used part of the file stays within maxBytes, and the newest entries are stored', async (t) => {
  const clock = testClock()
  const maxBytes = 4 * MEBIBYTE
  const { backend } = await openSqlite(t, { path: join(newFolder(t), 'cache.db'), maxBytes }, clock)
  const ended = watchLoop()
  for (let wave = 0; wave < 50; wave++) {
    await Promise.all(Array.from({ length: 20 }, (_, at) =>
      backend.set(`${wave}-${at}`, { value: Buffer.alloc(20_000), expiresAt: Infinity })))
    await clock.pass(1)
    const { usedBytes } = await backend.stats()
    t.ok(usedBytes! <= maxBytes, `${usedBytes} of ${maxBytes}`)
  }
  t.ok((await ended()).longestWorkMs < LONGEST_WORK_MS)
  t.ok(backend.has('49-0'))
  t.ok(await backend.size() > 150, 'the room is used')
  t.ok((await backend.stats()).bytes! < maxBytes * 1.5, 'the file itself is not much larger')
})

t.test('sqlite: an entry larger than maxBytes is refused, evicts no other, and removes the previous entry', async (t) => {
  const { backend } = await openSqlite(t, { path: ':memory:', maxBytes: MEBIBYTE })
  await backend.set('other', entry('value', Infinity))
  await backend.set('key', entry('old', Infinity))
  const refused = await failureOf(() => backend.set('key', { value: Buffer.alloc(MEBIBYTE), expiresAt: Infinity }))
  t.match(refused, { code: 'CACHE_ERR_BACKEND_FAILED', message: 'sqlite.maxBytes' })
  t.equal(await backend.get('key'), undefined)
  t.equal(await textAt(backend, 'other'), 'value')
})

t.test('sqlite: a caller-owned database full of other data stops the eviction, and its data is not touched', async (t) => {
  const path = join(newFolder(t), 'app.db')
  const database = beside(t, path)
  database.exec('CREATE TABLE orders (body BLOB); INSERT INTO orders VALUES (zeroblob(1000000))')
  const { backend } = await openSqlite(t, { database, maxBytes: 100_000 })
  await backend.set('key', entry('value', Infinity))
  t.equal(await backend.size(), 0)
  t.equal(database.prepare('SELECT length(body) FROM orders').pluck().get(), 1_000_000)
})

t.test('sqlite: entries of another process count too', async (t) => {
  const path = join(newFolder(t), 'cache.db')
  const one = await openSqlite(t, { path, maxEntries: 50 })
  const two = await openSqlite(t, { path })
  await one.backend.set('mine', entry('value', Infinity))
  for (let at = 0; at < 200; at++) two.backend.set(String(at), entry('value', Infinity))
  t.equal(await two.backend.size(), 201)
  await wait(1_100)
  await one.cleanup()
  t.equal(await one.backend.size(), 50)
})

t.test('sqlite: of 200 000 rows the expired are removed, the file shrinks, and the event loop is not blocked', async (t) => {
  const clock = testClock()
  const { backend, cleanup } = await openSqlite(t, { path: join(newFolder(t), 'cache.db') }, clock)
  for (let at = 0; at < 200_000; at++) {
    backend.set(`GET:/items/${at}`,
      entry('v'.repeat(300), clock.now() + (at % 10 === 0 ? MINUTE_MS : at % 2 === 0 ? HOUR_MS : 2 * HOUR_MS)))
  }
  t.equal(await backend.size(), 200_000)
  for (const [passMs, left] of [[MINUTE_MS, 180_000], [HOUR_MS, 100_000], [HOUR_MS, 0]] as const) {
    const { bytes: before } = await backend.stats()
    await clock.pass(passMs)
    const ended = watchLoop()
    await cleanup()
    const { longestWorkMs, longestPauseMs } = await ended()
    t.comment(`left ${left}: longest work ${longestWorkMs.toFixed(1)} ms, longest pause ${longestPauseMs.toFixed(1)} ms`)
    t.ok(longestWorkMs < LONGEST_WORK_MS, `the event loop was blocked for ${longestWorkMs.toFixed(1)} ms`)
    t.equal(await backend.size(), left)
    const { bytes: after } = await backend.stats()
    if (left === 180_000) t.equal(after, before, 'a little free room is kept for new entries')
    else t.ok(left > 0 ? after! <= before! : after! < before! * 0.1, `of ${before} bytes ${after} are left`)
  }
})
