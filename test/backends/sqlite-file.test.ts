// The SQLite backend's file: private, told apart, set aside when damaged, opened again when it is gone.
import { chmodSync, copyFileSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync, statSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import Database from 'better-sqlite3'
import t from 'tap'
import type { Test } from 'tap'
import { Home } from '../../backends/sqlite/home.js'
import { readOptions } from '../../backends/sqlite/options.js'
import { beside, entry, failureOf, openSqlite, textAt } from '../support/sqlite.js'

const PAGE_BYTES = 4096
const ENTRIES = 500
const VALUE = 'v'.repeat(400)

/** A closed database file with entries `key-0` to `key-499`. */
async function filled (t: Test): Promise<string> {
  const path = join(t.testdir(), 'cache.db')
  const { backend } = await openSqlite(t, { path })
  await Promise.all(Array.from({ length: ENTRIES }, (_, at) => backend.set(`key-${at}`, entry(VALUE, Infinity))))
  await backend.close()
  return path
}

function change (path: string, how: (bytes: Buffer) => Buffer | undefined): void {
  const bytes = readFileSync(path)
  writeFileSync(path, how(bytes) ?? bytes)
}

/** Uses every entry once and sets one. Answers how many were found; what is found must be right. */
async function serve (t: Test, options: { path: string }): Promise<{ found: number, warnings: ReadonlyArray<Record<string, unknown>> }> {
  const { backend, warnings } = await openSqlite(t, options)
  let found = 0
  for (let at = 0; at < ENTRIES; at++) {
    const text = await textAt(backend, `key-${at}`)
    if (text !== undefined && text !== VALUE) t.fail(`wrong bytes under key-${at}`)
    if (text !== undefined) found++
  }
  await backend.set('fresh', entry('value', Infinity))
  t.equal(await textAt(backend, 'fresh'), 'value', 'what is set now is kept')
  await backend.close()
  return { found, warnings }
}

for (const mask of [0, 0o077, 0o777]) {
  t.test(`E31: the file and those beside it are their owner's alone under umask ${mask.toString(8)}`, async (t) => {
    const path = join(t.testdir(), 'cache.db')
    const before = process.umask(mask)
    t.teardown(() => { process.umask(before) })
    const { backend } = await openSqlite(t, { path })
    await backend.set('key', entry('value', Infinity))
    for (const rest of ['', '-wal', '-shm']) t.equal(statSync(path + rest).mode & 0o777, 0o600, rest)
  })
}

t.test('E31: a file that was there keeps the rights that it was given', async (t) => {
  const path = await filled(t)
  chmodSync(path, 0o640)
  await openSqlite(t, { path })
  t.equal(statSync(path).mode & 0o777, 0o640)
})

t.test('sqlite: a path at which nothing can be kept is refused with what to do', async (t) => {
  const folder = t.testdir({ folder: {}, file: '' })
  const made = await openSqlite(t, { path: join(folder, 'log.db') })
  await made.backend.close()
  mkdirSync(join(folder, 'log.db-wal'))
  symlinkSync(join(folder, 'nowhere'), join(folder, 'dangling'))
  const paths = ['folder', 'missing/cache.db', 'file/cache.db', 'dangling', 'nul\0byte', 'log.db'].map((name) => join(folder, name))
  for (const path of [...paths, '/dev/null']) {
    t.match(await failureOf(() => openSqlite(t, { path })), { code: 'CACHE_ERR_OPTION', message: /sqlite\.path.*create the directory/ }, path)
  }
})

t.test('A07: a file or a directory that may not be written is refused', { skip: process.getuid?.() === 0 ? 'root may write everywhere' : false }, async (t) => {
  const path = await filled(t)
  chmodSync(path, 0o400)
  t.match(await failureOf(() => openSqlite(t, { path })), { code: 'CACHE_ERR_OPTION', message: 'sqlite.path' })
  chmodSync(path, 0o600)
  chmodSync(join(path, '..'), 0o500)
  t.teardown(() => { chmodSync(join(path, '..'), 0o700) })
  t.match(await failureOf(() => openSqlite(t, { path })), { code: 'CACHE_ERR_OPTION', message: 'sqlite.path' })
})

const DAMAGES: ReadonlyArray<readonly [name: string, (path: string) => void, isSetAside: boolean]> = [
  ['a file of garbage', (path) => change(path, (bytes) => Buffer.alloc(bytes.length, 0xA5)), true],
  ['a text file', (path) => writeFileSync(path, 'not a database\n'), true],
  ['half a file', (path) => truncateSync(path, Math.floor(statSync(path).size / 2)), true],
  ['a file without its last page', (path) => truncateSync(path, statSync(path).size - PAGE_BYTES), true],
  ['a flipped header', (path) => change(path, (bytes) => { bytes[3]! ^= 0xFF; return undefined }), true],
  ['a flipped page size', (path) => change(path, (bytes) => { bytes[16]! ^= 0xFF; return undefined }), true],
  ['flipped pages', (path) => change(path, (bytes) => {
    for (let at = 3 * PAGE_BYTES; at < bytes.length; at += PAGE_BYTES) bytes[at]! ^= 0xFF
    return undefined
  }), true],
  ['pages of zeros', (path) => change(path, (bytes) => bytes.fill(0, 2 * PAGE_BYTES)), true],
  ['a file of no bytes', (path) => truncateSync(path, 0), false]
]

for (const [name, damage, isSetAside] of DAMAGES) {
  t.test(`A13: ${name} is ${isSetAside ? 'set aside, one line says where,' : 'begun anew'} and the next start is sound`, async (t) => {
    const path = await filled(t)
    damage(path)
    const bytes = readFileSync(path)
    const { found, warnings } = await serve(t, { path })
    t.ok(found < ENTRIES)
    t.match(warnings, isSetAside ? [{ path, aside: `${path}.damaged`, message: 'aside' }] : [])
    t.equal(warnings.length, isSetAside ? 1 : 0)
    if (isSetAside) t.equal(statSync(`${path}.damaged`).size, bytes.length, 'the old file is there')
    t.equal(statSync(path).mode & 0o777, 0o600)
    const again = await serve(t, { path })
    t.same(again.warnings, [], 'no loop')
  })
}

t.test('A13: half a file is set aside before anything is read from it or written into its gap', async (t) => {
  const path = await filled(t)
  truncateSync(path, Math.floor(statSync(path).size / 2))
  const { warnings } = await openSqlite(t, { path })
  t.equal(warnings.length, 1)
})

t.test('A13: the log of a file that was damaged before is not left beside the one damaged now', async (t) => {
  const path = join(t.testdir(), 'cache.db')
  writeFileSync(`${path}.damaged-wal`, 'older')
  writeFileSync(path, 'damaged'.padEnd(8192))
  await openSqlite(t, { path })
  t.ok(existsSync(`${path}.damaged`))
  t.notOk(existsSync(`${path}.damaged-wal`))
})

t.test('A13: a disk that damages every file makes errors, and not files without end', async (t) => {
  const path = join(t.testdir(), 'cache.db')
  let warnings = 0
  class Broken {
    readonly inTransaction = false
    prepare (): never { throw Object.assign(new Error('malformed'), { code: 'SQLITE_CORRUPT' }) }
    exec () {}
    pragma () {}
    close () {}
  }
  const log = { debug () {}, info () {}, error () {}, warn () { warnings++ } }
  const home = new Home({ settings: readOptions({ path }), driver: Broken, log })
  for (let use = 0; use < 20; use++) t.match(await failureOf(() => home.use(() => {})), { code: 'SQLITE_CORRUPT' })
  t.equal(warnings, 1)
})

t.test('A13: a second damaged file takes the place of the first', async (t) => {
  const path = await filled(t)
  for (const text of ['first', 'second']) {
    writeFileSync(path, text.padEnd(1000))
    const { backend } = await openSqlite(t, { path })
    await backend.close()
    t.match(readFileSync(`${path}.damaged`, 'utf8'), text)
  }
})

t.test('A13: damage while the file is open is a miss, and writes go on', async (t) => {
  const path = await filled(t)
  const { backend, warnings } = await openSqlite(t, { path })
  t.equal(await textAt(backend, 'key-1'), VALUE)
  change(path, (bytes) => bytes.fill(0xA5, 2 * PAGE_BYTES))
  const found: unknown[] = []
  for (let at = 0; at < ENTRIES; at++) found.push(await textAt(backend, `key-${at}`))
  t.ok(found.includes(undefined))
  t.ok(found.every((text) => text === undefined || text === VALUE))
  await backend.set('fresh', entry('value', Infinity))
  t.equal(await textAt(backend, 'fresh'), 'value')
  t.equal(warnings.length, 1)
  t.equal((await backend.stats()).rebuilds, 1)
})

t.test('A13: damage that a write meets is set aside, and the write is kept', async (t) => {
  const path = await filled(t)
  const { backend, warnings } = await openSqlite(t, { path })
  change(path, (bytes) => bytes.fill(0xA5, 2 * PAGE_BYTES))
  await Promise.all(Array.from({ length: 50 }, (_, at) => backend.set(`key-${at * 10}`, entry('value', Infinity))))
  t.equal(await textAt(backend, 'key-490'), 'value')
  t.equal(warnings.length, 1)
})

t.test("S16: an index that points to another key's row answers nothing", async (t) => {
  const path = await filled(t)
  const LEAF_OF_INDEX = 0x0A
  let changed = 0
  change(path, (bytes) => {
    for (let at = bytes.indexOf('key-99'); at >= 0; at = bytes.indexOf('key-99', at + 1)) {
      const isIndex = bytes[at - at % PAGE_BYTES] === LEAF_OF_INDEX
      if (isIndex) changed += bytes.write('key-9z', at)
    }
    return undefined
  })
  t.equal(changed, 6, 'one entry of the index was changed')
  const { backend } = await openSqlite(t, { path })
  t.equal(await backend.get('key-9z'), undefined)
  t.equal(await textAt(backend, 'key-98'), VALUE)
})

t.test('A14: a file that was unlinked while open is made again, and what is set then is kept', async (t) => {
  const path = await filled(t)
  const { backend, cleanup, warnings } = await openSqlite(t, { path })
  rmSync(path)
  t.equal(await textAt(backend, 'key-1'), VALUE, 'served meanwhile')
  await cleanup()
  t.equal(await backend.get('key-1'), undefined)
  await backend.set('fresh', entry('value', Infinity))
  t.equal(beside(t, path).prepare('SELECT count(*) FROM cache_entries').pluck().get(), 1)
  t.same(warnings, [])
})

t.test('A14: a file that was replaced while open is noticed by a write', async (t) => {
  const path = await filled(t)
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
  const path = await filled(t)
  const one = await openSqlite(t, { path })
  const two = await openSqlite(t, { path })
  await one.backend.set('one', entry('value', Infinity))
  change(path, (bytes) => bytes.fill(0xA5, 2 * PAGE_BYTES))
  for (const { backend } of [one, two]) for (let at = 0; at < ENTRIES; at++) await backend.get(`key-${at}`)
  await one.cleanup()
  await two.cleanup()
  await one.backend.set('shared', entry('value', Infinity))
  t.equal(await textAt(two.backend, 'shared'), 'value')
  t.equal(one.warnings.length + two.warnings.length, 1)
  t.ok(existsSync(`${path}.damaged-wal`), 'the log that the other still had open went with the damaged file')
})

t.test('A14: a directory that takes the place of the file is an error, and the next file is used', async (t) => {
  const path = await filled(t)
  const { backend, cleanup } = await openSqlite(t, { path })
  rmSync(path)
  mkdirSync(path)
  t.match(await failureOf(cleanup), { code: 'CACHE_ERR_OPTION' })
  t.match(await failureOf(() => backend.get('key')), { code: 'CACHE_ERR_OPTION' })
  rmSync(path, { recursive: true })
  await backend.set('fresh', entry('value', Infinity))
  t.equal(await textAt(backend, 'fresh'), 'value')
})

t.test("sqlite: somebody else's table of the same name is never touched", async (t) => {
  const path = join(t.testdir(), 'app.db')
  for (const [name, sql] of [['orders', 'CREATE TABLE orders (key TEXT, value BLOB)'], ['seen', 'CREATE VIEW seen AS SELECT 1'], ['by_key', 'CREATE INDEX by_key ON orders (key)']]) {
    const database = new Database(path)
    database.exec(sql!)
    database.close()
    for (const table of [name!, name!.toUpperCase()]) {
      t.match(await failureOf(() => openSqlite(t, { path, table })), { code: 'CACHE_ERR_OPTION', message: 'sqlite.table' }, table)
    }
  }
  t.equal(new Database(path).prepare('SELECT count(*) FROM sqlite_master').pluck().get(), 3)
})

t.test('sqlite: a table that can only be made in part is not made', async (t) => {
  const path = join(t.testdir(), 'app.db')
  const database = beside(t, path)
  database.exec('CREATE TABLE cache_entries_used_at (id)')
  t.match(await failureOf(() => openSqlite(t, { database })), { code: 'SQLITE_ERROR' })
  t.same(database.prepare('SELECT name FROM sqlite_master').pluck().all(), ['cache_entries_used_at'])
  t.notOk(database.inTransaction)
})

t.test('A13: our table of another format is made anew, and the tables beside it stay', async (t) => {
  const path = join(t.testdir(), 'cache.db')
  const database = beside(t, path)
  database.exec('CREATE TABLE cache_entries ( /* fastify-response-cache format 999 */ k, v); CREATE TABLE other (id); INSERT INTO other VALUES (1)')
  const { backend } = await openSqlite(t, { path })
  await backend.set('key', entry('value', Infinity))
  t.equal(await textAt(backend, 'key'), 'value')
  t.equal(database.prepare('SELECT count(*) FROM other').pluck().get(), 1)
  t.notOk(existsSync(`${path}.damaged`))
})

t.test('sqlite: what was set before is there after the next start, two tables in one file apart', async (t) => {
  const path = join(t.testdir(), 'cache.db')
  for (const table of ['one', 'two']) {
    const { backend } = await openSqlite(t, { path, table })
    await backend.set('key', entry(table, Infinity))
    await backend.close()
  }
  t.equal(await textAt((await openSqlite(t, { path, table: 'one' })).backend, 'key'), 'one')
  t.equal(await textAt((await openSqlite(t, { path, table: 'two' })).backend, 'key'), 'two')
})
