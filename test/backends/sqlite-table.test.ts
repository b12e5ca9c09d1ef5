// The SQLite backend's table when another tool drops or alters it, and beside the tables of other versions.
import { join } from 'node:path'
import Fastify from 'fastify'
import t, { type Test } from 'tap'
import responseCache from '../../plugin.js'
import { testClock } from '../support/clock.js'
import { entry, failureOf, textAt } from '../support/entries.js'
import { beside, openSqlite } from '../support/sqlite.js'
import { newFolder } from '../support/folder.js'

const DAY_MS = 86_400_000

const pathIn = (t: Test): string => join(newFolder(t), 'cache.db')

/** The table as 0.1.0 created it. */
const FIRST_FORMAT = `CREATE TABLE "cache_entries" ( /* fastify-response-cache format 1 */
    id INTEGER PRIMARY KEY,
    expires_at INTEGER NOT NULL, -- epoch milliseconds
    used_at INTEGER NOT NULL, -- epoch milliseconds, coarse
    key TEXT NOT NULL UNIQUE,
    value BLOB NOT NULL
  );
  CREATE INDEX "cache_entries_expires_at" ON "cache_entries" (expires_at);
  CREATE INDEX "cache_entries_used_at" ON "cache_entries" (used_at);`

const ALTERATIONS: Record<string, string> = {
  dropped: 'DROP TABLE cache_entries',
  renamed:
    'ALTER TABLE cache_entries RENAME TO elsewhere; DROP INDEX cache_entries_used_at; DROP INDEX cache_entries_expires_at',
  'altered by renaming a column': 'ALTER TABLE cache_entries RENAME COLUMN value TO body',
  'altered by dropping a column': 'DROP INDEX cache_entries_used_at; ALTER TABLE cache_entries DROP COLUMN used_at',
  'replaced by one with an additional NOT NULL column': `DROP TABLE cache_entries;
    CREATE TABLE cache_entries ( /* fastify-response-cache format 1 */ id INTEGER PRIMARY KEY, expires_at, used_at, key UNIQUE, value, owner NOT NULL)`,
  'replaced by one in which keys are not unique': `DROP TABLE cache_entries;
    CREATE TABLE cache_entries ( /* fastify-response-cache format 1 */ id INTEGER PRIMARY KEY, expires_at, used_at, key, value)`
}

for (const [name, sql] of Object.entries(ALTERATIONS)) {
  for (const first of ['read', 'write', 'listing'] as const) {
    t.test(`sqlite: a table that was ${name} is created again by the next ${first}, with one warning`, async (t) => {
      const path = pathIn(t)
      const { backend, warnings } = await openSqlite(t, { path })
      const other = await openSqlite(t, { path })
      await backend.set('key', entry('old'))
      t.equal(await textAt(backend, 'key'), 'old', 'held in memory from here on')
      beside(t, path).exec(sql)
      if (first === 'read') for (const key of ['key', 'other']) t.equal(await textAt(backend, key), undefined)
      if (first === 'listing') await backend.keys()
      await backend.set('key', entry('new'))
      t.equal(await textAt(backend, 'key'), 'new')
      t.equal(await textAt(other.backend, 'key'), 'new')
      t.equal(await backend.size(), 1)
      t.match(warnings, [{ table: 'cache_entries', message: /dropped or altered/ }])
      t.equal(warnings.length, 1)
    })
  }
}

t.test('sqlite: a table that was altered before is created again, with a warning; one of 0.1.0 is used', async (t) => {
  const path = pathIn(t)
  beside(t, path).exec(`${FIRST_FORMAT} INSERT INTO cache_entries VALUES (1, ${Number.MAX_SAFE_INTEGER}, 0, 'key', CAST('old' AS BLOB))`)
  const first = await openSqlite(t, { path })
  t.equal(await textAt(first.backend, 'key'), 'old')
  t.same(first.warnings, [])
  await first.backend.close()
  beside(t, path).exec('DROP INDEX cache_entries_used_at')
  const indexed = await openSqlite(t, { path })
  t.equal(await textAt(indexed.backend, 'key'), 'old')
  t.equal(beside(t, path).prepare("SELECT count(*) FROM sqlite_master WHERE name = 'cache_entries_used_at'").pluck().get(), 1,
    'an index is added')
  await indexed.backend.close()
  beside(t, path).exec('ALTER TABLE cache_entries ADD COLUMN note')
  const second = await openSqlite(t, { path })
  t.equal(await textAt(second.backend, 'key'), undefined)
  t.match(second.warnings, [{ message: /dropped or altered/ }])
  const otherSpelling = await openSqlite(t, { path, table: 'CACHE_Entries' })
  t.same(otherSpelling.warnings, [], 'SQLite takes it for the same name')
})

t.test('sqlite: in a caller-owned database a table that its owner drops is created again', async (t) => {
  const database = beside(t, pathIn(t))
  const { backend, warnings } = await openSqlite(t, { database })
  await backend.set('key', entry('old'))
  database.exec('DROP TABLE cache_entries')
  t.equal(await textAt(backend, 'key'), undefined)
  database.exec('DROP TABLE cache_entries')
  await backend.set('key', entry('new'))
  t.equal(await textAt(backend, 'key'), 'new')
  t.equal(warnings.length, 1, 'one line in a minute')
  t.ok(database.open)
})

t.test('sqlite: a foreign table in the place of ours is an error and is not changed, until it is gone', async (t) => {
  const path = pathIn(t)
  const { backend } = await openSqlite(t, { path })
  await backend.set('key', entry('old'))
  const database = beside(t, path)
  database.exec('DROP TABLE cache_entries; CREATE TABLE cache_entries (theirs); INSERT INTO cache_entries VALUES (1)')
  t.match(await failureOf(() => backend.get('key')), { code: 'CACHE_ERR_OPTION', message: /something else created/ })
  t.match(await failureOf(() => backend.set('key', entry('new'))), { code: 'CACHE_ERR_OPTION' })
  t.same(database.prepare('SELECT * FROM cache_entries').all(), [{ theirs: 1 }])
  database.exec('DROP TABLE cache_entries')
  await backend.set('key', entry('new'))
  t.equal(await textAt(backend, 'key'), 'new')
})

t.test('sqlite: a row that another tool changed is a miss', async (t) => {
  const path = pathIn(t)
  const { backend } = await openSqlite(t, { path })
  const database = beside(t, path)
  for (const change of ["value = 'text'", 'value = 5', "expires_at = 'never'"]) {
    await backend.set('key', entry('value'))
    t.equal(await textAt(backend, 'key'), 'value')
    database.exec(`UPDATE cache_entries SET ${change}`)
    t.equal(await backend.get('key'), undefined, change)
    t.equal(await backend.get('key'), undefined, change)
  }
})

t.test('sqlite: a route is a hit again on the second request after its table was dropped', async (t) => {
  const path = pathIn(t)
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(responseCache, { backend: 'sqlite', options: { path } })
  app.get('/', { config: { cache: { ttl: '1m' } } }, async () => 'body')
  const ask = async () => {
    const { statusCode, headers } = await app.inject('/')
    return `${statusCode} ${/;\s*(hit|fwd=[a-z-]+)/.exec(String(headers['cache-status']))?.[1]}`
  }
  t.equal(await ask(), '200 fwd=miss')
  await app.cache.set('written', 'behind it', { ttl: '1m' })
  t.equal(await ask(), '200 hit')
  beside(t, path).exec('DROP TABLE cache_entries')
  t.equal(await ask(), '200 fwd=miss')
  await app.cache.set('written', 'behind it', { ttl: '1m' })
  t.equal(await ask(), '200 hit')
})

t.test('sqlite: versions with different formats use one file at the same time, each with its own table', async (t) => {
  const path = pathIn(t)
  const present = await openSqlite(t, { path })
  await present.backend.set('key', entry('present'))
  const future = await openSqlite(t, { path }, { format: 2 })
  t.equal(await textAt(future.backend, 'key'), undefined)
  await future.backend.set('key', entry('future'))
  for (const { cleanup } of [present, future]) await cleanup()
  t.equal(await textAt(present.backend, 'key'), 'present')
  t.equal(await textAt(future.backend, 'key'), 'future')
  await future.backend.clear()
  t.equal(await textAt(present.backend, 'key'), 'present')
  t.same([...present.warnings, ...future.warnings], [])
  const tables = beside(t, path).prepare("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name").pluck().all()
  t.same(tables, ['', '_v2'].flatMap((version) => ['', ' counters', ' leases'].map((rest) => `cache_entries${version}${rest}`)),
    'the first format has the name that the option gives')
})

for (const [left, stays] of [[1, 3], [3, 1]] as const) {
  t.test(`sqlite: a table of format ${left} that no version has used for a day is dropped by a backend of format ${stays}`, async (t) => {
    const clock = testClock()
    const path = pathIn(t)
    const old = await openSqlite(t, { path }, { ...clock, format: left })
    const running = await openSqlite(t, { path }, { ...clock, format: stays })
    const tables = () => beside(t, path).prepare("SELECT count(*) FROM sqlite_master WHERE type = 'table'").pluck().get()
    await Promise.all(Array.from({ length: 100 }, (_, at) => old.backend.set(`key ${at}`, entry('old'))))
    for (let hours = 0; hours < 30; hours += 6) {
      await clock.pass(DAY_MS / 4)
      await old.backend.get('key 1')
      await old.cleanup()
      await running.cleanup()
      t.equal(tables(), 6, 'a read counts as use')
    }
    await old.backend.close()
    await clock.pass(DAY_MS - 1)
    await running.cleanup()
    t.equal(tables(), 6)
    await clock.pass(1)
    await running.cleanup()
    t.equal(tables(), 3)
  })
}

t.test("sqlite: a table that only resembles another version's is never dropped", async (t) => {
  const clock = testClock()
  const path = pathIn(t)
  const beforehand = ['cache_entries_v2 (used_at)', 'cache_entries_v3 ( /* fastify-response-cache format 4 */ used_at)',
    'more_v2 ( /* fastify-response-cache format 2 */ used_at)', 'cache_entries_v5 ( /* fastify-response-cache format 5 */ id)']
  for (const table of beforehand) beside(t, path).exec(`CREATE TABLE ${table}`)
  // A separate cache whose table has such a name.
  const other = await openSqlite(t, { path, table: 'cache_entries_v6' }, clock)
  const { cleanup } = await openSqlite(t, { path }, clock)
  await clock.pass(2 * DAY_MS)
  await cleanup()
  const tables = beside(t, path).prepare("SELECT count(*) FROM sqlite_master WHERE type = 'table'").pluck().get()
  t.equal(tables, beforehand.length + 6)
  await other.backend.close()
  const refused = await failureOf(() => openSqlite(t, { path, table: 'cache_entries' }, { format: 6 }))
  t.match(refused, { code: 'CACHE_ERR_OPTION', message: /'cache_entries_v6', which something else created/ })
})

t.test('sqlite: a version without leases opens, clears and writes a file with leases, and the other way round', async (t) => {
  const path = pathIn(t)
  const old = beside(t, path)
  old.exec(`${FIRST_FORMAT} INSERT INTO cache_entries VALUES (1, ${Number.MAX_SAFE_INTEGER}, 0, 'key', CAST('old' AS BLOB))`)
  const { backend, warnings, cleanup } = await openSqlite(t, { path })
  t.equal(await textAt(backend, 'key'), 'old')
  const sqlOf = () => old.prepare("SELECT sql FROM sqlite_master WHERE tbl_name = 'cache_entries' AND sql IS NOT NULL").pluck().all()
  t.same(sqlOf().map((sql) => `${sql};`.replace(/\s+/g, '')), FIRST_FORMAT.split(/(?<=;)/).map((sql) => sql.replace(/\s+/g, '')),
    'it finds its own tables as it made them, and no more')
  t.same(old.prepare("SELECT name FROM sqlite_master WHERE sql LIKE '%used_at%' AND type = 'table'").pluck().all(), ['cache_entries'])
  const { token } = await backend.claim('next', { leaseMs: 60_000, fillMs: 60_000 }) as { token: string }
  // What it does when it clears many entries.
  old.exec(`BEGIN; DROP INDEX cache_entries_expires_at; DROP INDEX cache_entries_used_at;
    ALTER TABLE cache_entries RENAME TO "cache_entries cleared 00"; ${FIRST_FORMAT}; COMMIT`)
  await cleanup()
  t.equal(backend.get('key'), undefined)
  t.equal(await backend.settle('next', token, { entry: entry('new') }), true, 'only this version makes tokens invalid')
  t.equal(old.prepare('SELECT CAST(value AS TEXT) FROM cache_entries').pluck().get(), 'new')
  t.same(warnings, [])
})
