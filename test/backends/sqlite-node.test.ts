// The SQLite backend on node:sqlite, which is used if better-sqlite3 is not installed and this Node has it.
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { SqliteBackend } from '../../backends/sqlite/backend.js'
import { isBusy, isDamage, isFull, isNoAccess, isStatementError, loadDriver, type Driver } from '../../backends/sqlite/driver.js'
import { nodeDriver } from '../../backends/sqlite/node-sqlite.js'
import { readOptions, type SqliteOptions } from '../../backends/sqlite/options.js'
import { FORMAT } from '../../backends/sqlite/schema.js'
import type { CacheBackend } from '../../registry/backend.js'
import { conformance, coordination, museum } from '../kit/index.js'
import { byHand } from '../support/by-hand.js'
import { testClock } from '../support/clock.js'
import { entry, textAt } from '../support/entries.js'
import { newFolder } from '../support/folder.js'
import { openSqlite } from '../support/sqlite.js'

const skip = nodeDriver() === undefined && `this Node (${process.versions.node}) has no node:sqlite; it is in Node 22.13 and later`
const missing = { load: () => Promise.reject(new Error('Cannot find package')), driver: null }

async function open (t: Test, options: SqliteOptions, now: () => number = testClock().now): Promise<Required<CacheBackend>> {
  return await SqliteBackend.open({ ...readOptions(options), format: FORMAT }, await loadDriver(missing), {
    now,
    log: { debug () {}, info () {}, error () {}, warn () {} },
    signal: new AbortController().signal,
    background: byHand(t).background,
    open: () => { throw new Error('opens no other backend') }
  }) as Required<CacheBackend>
}

for (const [name, cases] of Object.entries({ conformance, coordination, museum })) {
  t.test(`node:sqlite: the ${name} cases`, { skip }, async (t) => {
    for (const { name, run } of cases) {
      await t.test(name, async (t) => {
        const clock = testClock()
        const path = join(newFolder(t), 'cache.db')
        const opened: CacheBackend[] = []
        t.teardown(async () => { for (const backend of opened) await backend.close() })
        await run({
          now: clock.now,
          isOneStore: true,
          pass: async (ms) => { await clock.pass(ms) },
          async open () {
            const backend = await open(t, { path }, clock.now)
            opened.push(backend)
            return backend
          }
        })
      })
    }
  })
}

t.test('node:sqlite: the file is the same as with better-sqlite3', { skip }, async (t) => {
  const path = join(newFolder(t), 'cache.db')
  const clock = testClock()
  const one = await open(t, { path }, clock.now)
  await one.set('key', entry('of node:sqlite', clock.now() + 60_000))
  await one.close()
  const { backend: other } = await openSqlite(t, { path }, clock)
  t.equal(await textAt(other, 'key'), 'of node:sqlite')
  await other.set('other', entry('of better-sqlite3', clock.now() + 60_000))
  await other.close()
  const again = await open(t, { path }, clock.now)
  t.equal(await textAt(again, 'other'), 'of better-sqlite3')
  await again.close()
})

t.test('node:sqlite: errors have the codes of better-sqlite3', { skip }, async (t) => {
  const NodeDatabase = nodeDriver() as Driver
  const folder = newFolder(t)
  const path = join(folder, 'a.db')
  const failure = (call: () => unknown): unknown => {
    try {
      call()
    } catch (err) {
      return err
    }
    return undefined
  }
  t.ok(isNoAccess(failure(() => new NodeDatabase(join(folder, 'missing', 'a.db'), { timeout: 0 }))), 'CANTOPEN')
  const [one, other] = [new NodeDatabase(path, { timeout: 0 }), new NodeDatabase(path, { timeout: 0 })]
  t.teardown(() => { one.close(); other.close() })
  t.ok(isStatementError(failure(() => one.prepare('SELECT * FROM missing'))), 'ERROR')
  one.exec('CREATE TABLE a (b BLOB UNIQUE)')
  const insert = one.prepare('INSERT INTO a VALUES (?)')
  t.equal(insert.run(Buffer.from('x')).changes, 1)
  t.ok(isStatementError(failure(() => insert.run(Buffer.from('x')))), 'CONSTRAINT')
  t.equal(one.inTransaction, false)
  one.exec('BEGIN IMMEDIATE')
  t.equal(one.inTransaction, true)
  t.ok(isBusy(failure(() => other.exec('BEGIN IMMEDIATE'))), 'BUSY')
  one.exec('ROLLBACK')
  one.pragma('max_page_count = 3')
  t.ok(isFull(failure(() => insert.run(Buffer.alloc(100_000)))), 'FULL')
  t.strictSame(one.prepare('SELECT b, 5 AS five FROM a').raw(true).get(), [Buffer.from('x'), 5])
  t.strictSame(one.prepare('SELECT count(*) FROM a').pluck(true).all(), [1])
  t.equal(one.prepare('SELECT 5').pluck(true).safeIntegers(true).get(), 5n)
  t.notOk(isDamage(new Error('other')))
})

t.test('node:sqlite is used only if better-sqlite3 is not installed', async (t) => {
  const builtIn = class {} as unknown as Driver
  t.equal(await loadDriver({ ...missing, builtIn: () => builtIn }), builtIn)
  t.not(await loadDriver({ builtIn: () => builtIn }), builtIn, 'better-sqlite3 is installed')
  await t.rejects(loadDriver({ ...missing, driver: '12.0.0', builtIn: () => builtIn }), { code: 'CACHE_ERR_DEPENDENCY_MISSING' })
  await t.rejects(loadDriver({ ...missing, builtIn: () => undefined }), { code: 'CACHE_ERR_DEPENDENCY_MISSING' })
})
