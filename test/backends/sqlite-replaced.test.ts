// The SQLite backend's file when it is removed or replaced while it is open.
import { copyFileSync, existsSync, mkdirSync, renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { runChild } from '../support/child.js'
import { entry, failureOf, textAt } from '../support/entries.js'
import { beside, changeFile, FILLED, filledFile, openSqlite } from '../support/sqlite.js'

// Processes start slowly on a busy machine.
t.setTimeout(120_000)

const PAGE_BYTES = 4096

/** How long a process that only reads may take to notice. */
const NOTICED_WITHIN_MS = 1_000

/** Replaces the file in another process, in the way `way`; sets `changed` in the new file, and deletes `invalidated` from it. */
async function replaceElsewhere (t: Test, path: string, way: 'removal' | 'replacement' | 'remove the log'): Promise<void> {
  const { exitCode, stderr } = await runChild('support/children/sqlite-replace.js', { args: [path, way] })
  t.equal(exitCode, 0, stderr)
}

t.test('sqlite: a file that was unlinked while open is created again, and later sets are stored', async (t) => {
  const path = await filledFile(t)
  const { backend, cleanup, warnings } = await openSqlite(t, { path })
  rmSync(path)
  await cleanup()
  t.equal(await backend.get('key-1'), undefined)
  await backend.set('fresh', entry('value', Infinity))
  t.equal(beside(t, path).prepare('SELECT count(*) FROM cache_entries').pluck().get(), 1)
  t.same(warnings, [])
})

t.test('sqlite: a write notices that the file was replaced while open', async (t) => {
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
  await backend.set('fresh', entry('value', Infinity))
  t.equal(await textAt(backend, 'other'), 'other value')
  t.equal(await textAt(backend, 'fresh'), 'value')
  t.equal(await backend.get('old'), undefined)
  await backend.close()
  t.equal(beside(t, here).pragma('integrity_check', { simple: true }), 'ok', 'the old log was not applied to the new file')
  t.same(warnings, [])
})

t.test('sqlite: two backends on one damaged file end up on one new file', async (t) => {
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
  t.ok(existsSync(`${path}.damaged-wal`), 'the log that the other backend still had open was set aside with the damaged file')
})

t.test('sqlite: a directory in the place of the file is an error, and the next file is used', async (t) => {
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

for (const way of ['removal', 'replacement'] as const) {
  t.test(`sqlite: a process that only reads notices another's invalidation within a second after a ${way} of the file`,
    async (t) => {
      const path = await filledFile(t)
      const { backend, warnings } = await openSqlite(t, { path })
      await backend.set('changed', entry('old'))
      await backend.set('invalidated', entry('old'))
      for (const key of ['changed', 'invalidated', 'key-1']) t.ok(await backend.get(key), 'held in memory from here on')
      await replaceElsewhere(t, path, way)
      await wait(NOTICED_WITHIN_MS)
      t.equal(await textAt(backend, 'invalidated'), undefined)
      t.equal(await textAt(backend, 'changed'), 'new')
      t.same(warnings, [])
    })
}

t.test('sqlite: a backend that only reads notices another\'s invalidation within a second after the other repaired the file',
  async (t) => {
    const path = await filledFile(t)
    const reader = await openSqlite(t, { path })
    const other = await openSqlite(t, { path })
    await other.backend.set('invalidated', entry('old'))
    t.equal(await textAt(reader.backend, 'invalidated'), 'old')
    changeFile(path, (bytes) => bytes.fill(0xA5, 2 * PAGE_BYTES))
    for (let at = 0; at < FILLED.entries; at++) await other.backend.get(`key-${at}`)
    t.ok(existsSync(`${path}.damaged`))
    await other.backend.delete('invalidated')
    await other.backend.set('changed', entry('new'))
    await wait(NOTICED_WITHIN_MS)
    t.equal(await textAt(reader.backend, 'invalidated'), undefined)
    t.equal(await textAt(reader.backend, 'changed'), 'new')
    t.equal(reader.warnings.length + other.warnings.length, 1)
  })

const READS: Record<string, (backend: Awaited<ReturnType<typeof openSqlite>>['backend']) => unknown> = {
  get: async (backend) => await backend.get('key-1') !== undefined,
  'get of a key not read before': async (backend) => await backend.get('key-2') !== undefined,
  getMany: async (backend) => (await backend.getMany(['key-1', 'key-2'])).some((found) => found !== undefined),
  has: (backend) => backend.has('key-1'),
  keys: async (backend) => (await backend.keys()).length > 0,
  size: async (backend) => await backend.size() > 0
}

for (const [name, reads] of Object.entries(READS)) {
  t.test(`sqlite: ${name} finds nothing, within a second, after the file, its log and its index were removed`, async (t) => {
    const path = await filledFile(t)
    const { backend, warnings } = await openSqlite(t, { path })
    await backend.get('key-1')
    t.equal(await reads(backend), true)
    for (const rest of ['', '-wal', '-shm']) rmSync(path + rest)
    await wait(NOTICED_WITHIN_MS)
    t.equal(await reads(backend), false)
    t.ok(existsSync(path), 'a new file is created')
    t.same(warnings, [])
  })
}

t.test('sqlite: an acknowledged write is in the file at the path, even if that file was created just before', async (t) => {
  const path = await filledFile(t)
  const { backend } = await openSqlite(t, { path })
  for (let round = 0; round < 5; round++) {
    await backend.set('before', entry('value'))
    for (const rest of ['', '-wal', '-shm']) rmSync(path + rest)
    const other = await openSqlite(t, { path })
    await other.backend.set('invalidated', entry('old'))
    await backend.delete('invalidated')
    t.equal(await textAt(other.backend, 'invalidated'), undefined)
    await backend.set('fresh', entry(`value ${round}`))
    t.equal(await textAt(other.backend, 'fresh'), `value ${round}`)
    await other.backend.close()
  }
})

t.test('sqlite: if the log of an open file is removed, the file is replaced, with a warning, and no change is lost between processes',
  async (t) => {
    const path = await filledFile(t)
    const { backend, warnings } = await openSqlite(t, { path })
    await backend.set('invalidated', entry('old'))
    t.equal(await textAt(backend, 'invalidated'), 'old')
    await replaceElsewhere(t, path, 'remove the log')
    await wait(NOTICED_WITHIN_MS)
    t.equal(await textAt(backend, 'invalidated'), undefined)
    await backend.set('shared', entry('value'))
    await backend.close()
    const { backend: next } = await openSqlite(t, { path })
    t.equal(await textAt(next, 'shared'), 'value')
    t.equal(await textAt(next, 'invalidated'), undefined)
    t.match(warnings, [{ path, message: /the log beside the SQLite file was removed/ }])
    t.equal(warnings.length, 1)
    t.equal(beside(t, path).pragma('integrity_check', { simple: true }), 'ok')
  })
