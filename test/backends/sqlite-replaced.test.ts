// The SQLite backend's file when it is gone, or another one is there, while it is open.
import { copyFileSync, existsSync, mkdirSync, renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import t from 'tap'
import { entry, failureOf, textAt } from '../support/entries.js'
import { beside, changeFile, FILLED, filledFile, openSqlite } from '../support/sqlite.js'

const PAGE_BYTES = 4096

t.test('A14: a file that was unlinked while open is made again, and what is set then is kept', async (t) => {
  const path = await filledFile(t)
  const { backend, cleanup, warnings } = await openSqlite(t, { path })
  rmSync(path)
  t.equal(await textAt(backend, 'key-1'), FILLED.value, 'served meanwhile')
  await cleanup()
  t.equal(await backend.get('key-1'), undefined)
  await backend.set('fresh', entry('value', Infinity))
  t.equal(beside(t, path).prepare('SELECT count(*) FROM cache_entries').pluck().get(), 1)
  t.same(warnings, [])
})

t.test('A14: a file that was replaced while open is noticed by a write', async (t) => {
  const path = await filledFile(t)
  const other = join(t.testdir({ other: {} }), 'other', 'cache.db')
  const made = await openSqlite(t, { path: other })
  await made.backend.set('other', entry('other value', Infinity))
  await made.backend.close()
  const here = join(other, '..', 'here.db')
  const { backend, warnings } = await openSqlite(t, { path: here })
  await backend.set('old', entry('value', Infinity))
  copyFileSync(other, `${path}.new`)
  renameSync(`${path}.new`, here)
  await wait(1_100)
  await backend.set('fresh', entry('value', Infinity))
  t.equal(await textAt(backend, 'other'), 'other value')
  t.equal(await textAt(backend, 'fresh'), 'value')
  t.equal(await backend.get('old'), undefined)
  await backend.close()
  t.equal(beside(t, here).pragma('integrity_check', { simple: true }), 'ok', 'the old log was not played into the new file')
  t.same(warnings, [])
})

t.test('A14: two backends on one damaged file end on one new file', async (t) => {
  const path = await filledFile(t)
  const one = await openSqlite(t, { path })
  const two = await openSqlite(t, { path })
  await one.backend.set('one', entry('value', Infinity))
  changeFile(path, (bytes) => bytes.fill(0xA5, 2 * PAGE_BYTES))
  for (const { backend } of [one, two]) for (let at = 0; at < FILLED.entries; at++) await backend.get(`key-${at}`)
  await one.cleanup()
  await two.cleanup()
  await one.backend.set('shared', entry('value', Infinity))
  t.equal(await textAt(two.backend, 'shared'), 'value')
  t.equal(one.warnings.length + two.warnings.length, 1)
  t.ok(existsSync(`${path}.damaged-wal`), 'the log that the other still had open went with the damaged file')
})

t.test('A14: a directory that takes the place of the file is an error, and the next file is used', async (t) => {
  const path = await filledFile(t)
  const { backend, cleanup } = await openSqlite(t, { path })
  rmSync(path)
  mkdirSync(path)
  t.match(await failureOf(cleanup), { code: 'CACHE_ERR_OPTION' })
  t.match(await failureOf(() => backend.get('key')), { code: 'CACHE_ERR_OPTION' })
  rmSync(path, { recursive: true })
  await backend.set('fresh', entry('value', Infinity))
  t.equal(await textAt(backend, 'fresh'), 'value')
})
