// Leases of the SQLite backend when the database is locked, full, replaced, damaged or changed by others, and when it closes.
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import Database from 'better-sqlite3'
import t from 'tap'
import type { CacheBackend, ClaimOptions } from '../../registry/backend.js'
import { isRefusal } from '../../registry/refusal.js'
import { until } from '../support/barrier.js'
import { entry, failureOf, textAt } from '../support/entries.js'
import { LONGEST_PAUSE_MS, LONGEST_WORK_MS, watchLoop } from '../support/loop.js'
import { newFolder } from '../support/folder.js'
import { beside, changeFile, FILLED, filledFile, openSqlite } from '../support/sqlite.js'

const LEASE: ClaimOptions = { leaseMs: 60_000, fillMs: 60_000 }
const PAGE_BYTES = 4_096

async function take (backend: Required<CacheBackend>, key: string, options = LEASE): Promise<string> {
  return (await backend.claim(key, options) as { token: string }).token
}

t.test('sqlite: a claim that a lock keeps waiting returns a promise and does not block the loop; one that is busy waits for no lock',
  async (t) => {
    const path = join(newFolder(t), 'cache.db')
    const { backend } = await openSqlite(t, { path })
    const { backend: other } = await openSqlite(t, { path })
    await take(backend, 'busy')
    await backend.set('there', entry('value'))
    const version = backend.version('tags')
    const lock = beside(t, path)
    lock.exec('BEGIN IMMEDIATE')
    const ended = watchLoop()
    const claim = backend.claim('key', LEASE)
    t.ok(claim instanceof Promise)
    const raised = backend.version('tags', true)
    t.match(other.claim('busy', LEASE), { busyMs: Number })
    t.match(other.claim('there', LEASE), { entry: { value: Buffer.from('value') } })
    t.equal(other.version('tags'), version)
    await wait(200)
    const { longestWorkMs, longestPauseMs } = await ended()
    t.ok(longestWorkMs < LONGEST_WORK_MS && longestPauseMs < LONGEST_PAUSE_MS)
    lock.exec('COMMIT')
    t.match(await claim, { token: String })
    t.equal(await raised, version as number + 1)
    t.match(other.claim('key', LEASE), { busyMs: Number })
  })

t.test('sqlite: a pending settlement is not read, and a later write of its key makes it invalid', async (t) => {
  const { backend } = await openSqlite(t, { path: join(newFolder(t), 'cache.db') })
  const settle = (key: string, token: string) => backend.settle(key, token, { entry: entry('settled') })
  const tokens = Object.fromEntries(await Promise.all(['stored', 'deleted', 'set', 'cleared', 'before'].map(async (key) =>
    [key, await take(backend, key)] as const)))
  const stored = settle('stored', tokens['stored']!)
  t.equal(backend.get('stored'), undefined)
  t.equal(backend.has('stored'), false)
  const deleted = settle('deleted', tokens['deleted']!)
  backend.delete('deleted')
  const set = settle('set', tokens['set']!)
  backend.set('set', entry('set'))
  backend.set('before', entry('before'))
  const before = settle('before', tokens['before']!)
  t.same(await Promise.all([stored, deleted, set, before]), [true, false, false, false])
  const left = await Promise.all(['stored', 'deleted', 'set', 'before'].map((key) => textAt(backend, key)))
  t.same(left, ['settled', undefined, 'set', 'before'])
  const cleared = settle('cleared', tokens['cleared']!)
  await backend.clear('c')
  await cleared
  t.equal(backend.get('cleared'), undefined, 'stored and cleared, or not stored')
})

t.test('sqlite: a claim after a write that is still pending gets a token that this write does not make invalid', async (t) => {
  const { backend } = await openSqlite(t, { path: join(newFolder(t), 'cache.db') })
  for (const first of [() => backend.delete('key'), () => backend.set('key', entry('old', Date.now() * 2))]) {
    await take(backend, 'key')
    first()
    const { expiresAt: seen } = await backend.get('key') ?? {}
    const token = await take(backend, 'key', { ...LEASE, seen })
    t.equal(await backend.settle('key', token, { entry: entry('new') }), true)
    t.equal(await textAt(backend, 'key'), 'new')
    await backend.delete('key')
  }
  backend.set('key', entry('pending'))
  t.match(backend.claim('key', LEASE), { entry: { value: Buffer.from('pending') } })
})

t.test('sqlite: a clear that replaces the table makes tokens invalid, and settlements during a clear bring nothing back', async (t) => {
  const path = join(newFolder(t), 'cache.db')
  const { backend } = await openSqlite(t, { path })
  const { backend: other } = await openSqlite(t, { path })
  const keys = Array.from({ length: 3_000 }, (_, at) => `ns:${at}`)
  for (const kept of [0, 400]) {
    // With more others than fit, the entries are deleted one after another.
    for (let at = 0; at < kept; at++) backend.set(`other:${at}`, entry('other'))
    await Promise.all(keys.map((key) => backend.set(key, entry('old', 4e12))))
    const tokens = await Promise.all(keys.map(async (key) => await take(backend, key, { ...LEASE, seen: 4e12 })))
    const settles: Array<Promise<boolean>> = []
    const store = async (backend: Required<CacheBackend>, from: number): Promise<void> => {
      for (let at = from; at < keys.length; at += 300) {
        settles.push(backend.settle(keys[at]!, tokens[at]!, { entry: entry('stale') }) as Promise<boolean>)
        await wait(1)
      }
    }
    const storing = [store(backend, 1), store(other, 2)]
    await Promise.all([backend.clear('ns:'), ...storing])
    await store(other, 3)
    const outcomes = await Promise.all(settles)
    t.comment(`${outcomes.filter(Boolean).length} of ${outcomes.length} were stored before they were cleared`)
    t.same(await Promise.all(keys.filter((key) => backend.has(key))), [])
    t.equal(await backend.size(), kept)
  }
})

t.test('sqlite: a settlement that is committed while a clear waits for a lock is cleared', async (t) => {
  const path = join(newFolder(t), 'cache.db')
  const { backend } = await openSqlite(t, { path })
  const lock = beside(t, path)
  for (let round = 0; round < 10; round++) {
    const token = await take(backend, 'key')
    lock.exec('BEGIN IMMEDIATE')
    const settled = backend.settle('key', token, { entry: entry('stale') })
    const cleared = backend.clear(round % 2 === 0 ? '' : 'k')
    await wait(10)
    lock.exec('COMMIT')
    await Promise.all([settled, cleared])
    t.equal(backend.get('key'), undefined)
  }
})

for (const [name, sql, lost] of [
  ['leases was dropped', 'DROP TABLE "cache_entries leases"', 'cache_entries leases'],
  ['leases was altered', 'ALTER TABLE "cache_entries leases" RENAME COLUMN given TO other', 'cache_entries leases'],
  ['counters was dropped', 'DROP TABLE "cache_entries counters"', 'cache_entries counters'],
  ['entries was dropped', 'DROP TABLE cache_entries', 'cache_entries']
] as const) {
  t.test(`sqlite: if the table of ${name}, it is created again with one warning`, async (t) => {
    const path = join(newFolder(t), 'cache.db')
    const { backend, warnings } = await openSqlite(t, { path })
    await backend.set('there', entry('value'))
    const version = backend.version('tags', true) as number
    const token = await take(backend, 'key')
    beside(t, path).exec(sql)
    const isStored = await backend.settle('key', token, { entry: entry('old') })
    t.equal(isStored, lost === 'cache_entries counters', 'tokens are lost with the leases, and with the entries')
    t.ok(await backend.version('tags') >= version)
    t.ok(await backend.version('tags', true) > version)
    const next = await take(backend, 'next')
    t.equal(await backend.settle('next', next, { entry: entry('new') }), true)
    t.equal(await textAt(backend, 'there'), lost === 'cache_entries' ? undefined : 'value')
    t.match(warnings, [{ table: lost, message: /dropped or altered/ }])
    t.equal(warnings.length, 1)
  })
}

t.test('sqlite: a foreign table in the place of the leases is an error and is not changed', async (t) => {
  const path = join(newFolder(t), 'cache.db')
  beside(t, path).exec('CREATE TABLE "cache_entries leases" (theirs)')
  t.match(await failureOf(() => openSqlite(t, { path })), { code: 'CACHE_ERR_OPTION', message: /'cache_entries leases'/ })
})

for (const way of ['replaced', 'damaged'] as const) {
  t.test(`sqlite: after the file was ${way}, former tokens are not valid, and a version is larger`, async (t) => {
    const path = await filledFile(t)
    const { backend, cleanup } = await openSqlite(t, { path })
    const version = backend.version('tags', true) as number
    const token = await take(backend, 'key')
    await cleanup()
    if (way === 'replaced') for (const rest of ['', '-wal', '-shm']) rmSync(path + rest)
    else changeFile(path, (bytes) => bytes.fill(0xA5, 2 * PAGE_BYTES))
    const { backend: other } = await openSqlite(t, { path })
    for (let at = 0; at < FILLED.entries; at++) await other.get(`key-${at}`)
    const next = await take(other, 'key')
    t.equal(await backend.settle('key', token, { entry: entry('old') }), false)
    t.equal(await backend.settle('key', next, { entry: entry('new') }), true)
    t.equal(await textAt(other, 'key'), 'new')
    t.ok(await backend.version('tags', true) > version)
  })
}

t.test('sqlite: if the disk is full, claims and settlements are refused, and entries are still read', async (t) => {
  const database = new Database(join(newFolder(t), 'app.db'))
  t.teardown(() => { database.close() })
  database.pragma('journal_mode = WAL')
  const { backend } = await openSqlite(t, { database })
  await backend.set('there', entry('value'))
  const token = await take(backend, 'key')
  database.pragma(`max_page_count = ${database.pragma('page_count', { simple: true })}`)
  const settled = await failureOf(() => backend.settle('key', token, { entry: { value: Buffer.alloc(100_000), expiresAt: 4e12 } }))
  t.ok(isRefusal(settled))
  t.match(settled, { code: 'CACHE_ERR_BACKEND_FAILED' })
  t.match(await backend.claim('key', LEASE), { token: String }, 'the lease was given back')
  let refused: unknown
  for (let at = 0; at < 10_000 && refused === undefined; at++) refused = await failureOf(() => backend.claim(`key ${at}`, LEASE))
  t.ok(isRefusal(refused))
  t.equal(await textAt(backend, 'there'), 'value')
  database.pragma('max_page_count = 1000')
  t.match(await backend.claim('last', LEASE), { token: String })
})

t.test('sqlite: an entry that is too large is refused, and the lease is given back', async (t) => {
  const { backend } = await openSqlite(t, { path: ':memory:', maxBytes: 65_536 })
  const token = await take(backend, 'key')
  const refused = await failureOf(() => backend.settle('key', token, { entry: { value: Buffer.alloc(65_536), expiresAt: 4e12 } }))
  t.ok(isRefusal(refused))
  t.match(await backend.claim('key', LEASE), { token: String })
})

t.test('sqlite: close ends within 2 s while another process holds the lock, and settles claims and settlements', async (t) => {
  const path = join(newFolder(t), 'cache.db')
  const { backend } = await openSqlite(t, { path })
  const token = await take(backend, 'key')
  beside(t, path).exec('BEGIN IMMEDIATE')
  const calls = [() => backend.claim('other', LEASE), () => backend.settle('key', token, { entry: entry('value') }),
    () => backend.version('tags', true)].map((call) => failureOf(call))
  backend.delete('deleted')
  calls.push(failureOf(() => backend.claim('deleted', LEASE)))
  const startedAt = performance.now()
  await backend.close()
  t.ok(performance.now() - startedAt < 2_000)
  t.equal((await Promise.all(calls)).filter((failure) => failure !== undefined).length, 4)
  for (const call of [() => backend.claim('key', LEASE), () => backend.settle('key', token, {}), () => backend.version('tags')]) {
    t.match(await failureOf(call), { code: 'CACHE_ERR_CLOSED' })
  }
})

t.test('sqlite: close writes pending settlements', async (t) => {
  const path = join(newFolder(t), 'cache.db')
  const { backend } = await openSqlite(t, { path })
  const settled = backend.settle('key', await take(backend, 'key'), { entry: entry('value') })
  await backend.close()
  t.equal(await settled, true)
  t.equal(await textAt((await openSqlite(t, { path })).backend, 'key'), 'value')
})

t.test('sqlite: many settlements that are called without a pause are written within the bounds of the queue', async (t) => {
  const { backend } = await openSqlite(t, { path: join(newFolder(t), 'cache.db') })
  const value = Buffer.alloc(20_000)
  const tokens = await Promise.all(Array.from({ length: 2_000 }, (_, at) => take(backend, `${at}`)))
  const settles = tokens.map((token, at) => backend.settle(`${at}`, token, { entry: { value, expiresAt: 4e12 } }))
  t.ok((await Promise.all(settles)).every(Boolean))
  t.equal(await backend.size(), 2_000)
  await until(async () => (await backend.stats())['waitingWrites'] === 0)
})
