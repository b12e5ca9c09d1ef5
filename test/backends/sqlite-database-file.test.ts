// The SQLite backend's file: private, at a path that can hold it, and only our own table in it is changed.
import { chmodSync, mkdirSync, statSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import t from 'tap'
import { builtIns } from '../../backends/index.js'
import { entry, failureOf, textAt } from '../support/entries.js'
import { beside, filledFile, openSqlite } from '../support/sqlite.js'
import { newFolder } from '../support/folder.js'

for (const mask of [0, 0o077, 0o777]) {
  t.test(`sqlite: the file, its log and its index are accessible to their owner only under umask ${mask.toString(8)}`, async (t) => {
    const path = join(newFolder(t), 'cache.db')
    const before = process.umask(mask)
    t.teardown(() => { process.umask(before) })
    const { backend } = await openSqlite(t, { path })
    await backend.set('key', entry('value', Infinity))
    for (const rest of ['', '-wal', '-shm']) t.equal(statSync(path + rest).mode & 0o777, 0o600, rest)
  })
}

t.test('sqlite: a path that can\'t hold a file is refused with advice', async (t) => {
  const folder = t.testdir({ folder: {}, file: '' })
  const made = await openSqlite(t, { path: join(folder, 'log.db') })
  await made.backend.close()
  mkdirSync(join(folder, 'log.db-wal'))
  symlinkSync(join(folder, 'nowhere'), join(folder, 'dangling'))
  const paths = ['folder', 'missing/cache.db', 'file/cache.db', 'dangling', 'nul\0byte', 'log.db'].map((name) => join(folder, name))
  for (const path of [...paths, '/dev/null']) {
    t.match(await failureOf(() => openSqlite(t, { path })), {
      code: 'CACHE_ERR_OPTION', message: /sqlite\.path.*create the directory/
    }, path)
  }
})

t.test('sqlite: a file or folder that is not writable is refused', { skip: process.getuid?.() === 0 ? 'root may write everywhere' : false },
  async (t) => {
    const path = await filledFile(t)
    chmodSync(path, 0o400)
    t.match(await failureOf(() => openSqlite(t, { path })), { code: 'CACHE_ERR_OPTION', message: 'sqlite.path' })
    chmodSync(path, 0o600)
    chmodSync(join(path, '..'), 0o500)
    const failure = await failureOf(() => openSqlite(t, { path }))
    // Not in a teardown: tap removes the folder before it runs.
    chmodSync(join(path, '..'), 0o700)
    t.match(failure, { code: 'CACHE_ERR_OPTION', message: 'sqlite.path' })
  })

t.test('sqlite: a foreign table of the same name is never changed', async (t) => {
  const path = join(newFolder(t), 'app.db')
  for (const [name, sql] of [
    ['orders', 'CREATE TABLE orders (key TEXT, value BLOB)'],
    ['seen', 'CREATE VIEW seen AS SELECT 1'],
    ['by_key', 'CREATE INDEX by_key ON orders (key)']
  ]) {
    const database = new Database(path)
    database.exec(sql!)
    database.close()
    for (const table of [name!, name!.toUpperCase()]) {
      t.match(await failureOf(() => openSqlite(t, { path, table })), { code: 'CACHE_ERR_OPTION', message: 'sqlite.table' }, table)
    }
  }
  t.equal(new Database(path).prepare('SELECT count(*) FROM sqlite_master').pluck().get(), 3)
})

t.test('sqlite: a table that can only be created in part is not created', async (t) => {
  const path = join(newFolder(t), 'app.db')
  const database = beside(t, path)
  database.exec('CREATE TABLE cache_entries_used_at (id)')
  t.match(await failureOf(() => openSqlite(t, { database })), { code: 'SQLITE_ERROR' })
  t.same(database.prepare('SELECT name FROM sqlite_master').pluck().all(), ['cache_entries_used_at'])
  t.notOk(database.inTransaction)
})

t.test('sqlite: a table whose format does not match its name is not ours', async (t) => {
  const path = join(newFolder(t), 'cache.db')
  const database = beside(t, path)
  database.exec('CREATE TABLE cache_entries ( /* fastify-response-cache format 999 */ k, v)')
  t.match(await failureOf(() => openSqlite(t, { path })), { code: 'CACHE_ERR_OPTION', message: 'sqlite.table' })
})

t.test('sqlite: entries are stored across restarts, and two tables in one file are separate', async (t) => {
  const path = join(newFolder(t), 'cache.db')
  for (const table of ['one', 'two']) {
    const { backend } = await openSqlite(t, { path, table })
    await backend.set('key', entry(table, Infinity))
    await backend.close()
  }
  t.equal(await textAt((await openSqlite(t, { path, table: 'one' })).backend, 'key'), 'one')
  t.equal(await textAt((await openSqlite(t, { path, table: 'two' })).backend, 'key'), 'two')
})

t.test('sqlite: a file written by 0.1.0 is read', async (t) => {
  const path = join(t.testdir({}), 'cache.db')
  const database = new Database(path)
  database.exec(`CREATE TABLE "cache_entries" ( /* fastify-response-cache format 1 */
      id INTEGER PRIMARY KEY, expires_at INTEGER NOT NULL, used_at INTEGER NOT NULL, key TEXT NOT NULL UNIQUE, value BLOB NOT NULL
    );
    INSERT INTO cache_entries (expires_at, used_at, key, value) VALUES (9007199254740991, 0, 'key', x'76616c7565');
    INSERT INTO cache_entries (expires_at, used_at, key, value) VALUES (1, 0, 'over', x'76616c7565')`)
  database.close()
  const backend = await builtIns().open({ backend: 'sqlite', options: { path } })
  t.teardown(() => backend.close())
  t.same((await backend.get('key'))?.value, Buffer.from('value'))
  t.equal(await backend.get('over'), undefined)
})
