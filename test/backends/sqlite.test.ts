// The SQLite backend: the contract, its options, its driver, and what its methods return.
import { cpSync, existsSync, readdirSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { pathToFileURL } from 'node:url'
import Database from 'better-sqlite3'
import fc from 'fast-check'
import t, { type Test } from 'tap'
import { builtIns } from '../../backends/index.js'
import { SQLITE_CLEANUP_INTERVAL_MS, SQLITE_MAX_BYTES, SQLITE_PATH, SQLITE_TABLE, type SqliteOptions } from '../../backends/sqlite.js'
import { driverVersion, driverWarning, loadDriver, type Loading } from '../../backends/sqlite/driver.js'
import { leaseClock } from '../../backends/sqlite/lease-rules.js'
import { readOptions } from '../../backends/sqlite/options.js'
import { testClock } from '../support/clock.js'
import { conformance } from '../kit/index.js'
import { conforms } from '../support/conformance.js'
import { entry, failureOf, textAt } from '../support/entries.js'
import { someOf } from '../support/size.js'
import { beside, openSqlite } from '../support/sqlite.js'
import { newFolder } from '../support/folder.js'

const MINUTE_MS = 60_000
const MEBIBYTE = 1024 * 1024

t.test('sqlite conforms in a file, in memory, and in a caller-owned database', async (t) => {
  const folder = newFolder(t)
  let files = 0
  const places: Record<string, () => SqliteOptions> = {
    file: () => ({ path: join(folder, `${files++}.db`) }),
    memory: () => ({ path: ':memory:' }),
    'caller-owned': () => ({ database: new Database(':memory:') })
  }
  for (const [name, options] of Object.entries(places)) {
    await t.test(name, async (t) => {
      const clock = testClock()
      await conforms(t, { ...clock, open: async () => (await openSqlite(t, options(), clock)).backend }, someOf(conformance))
    })
  }
})

t.test('sqlite: the defaults are those of the named constants', async (t) => {
  t.same(readOptions({}), {
    path: SQLITE_PATH,
    database: undefined,
    table: SQLITE_TABLE,
    format: 1,
    leaseNow: leaseClock,
    maxEntries: Infinity,
    maxBytes: SQLITE_MAX_BYTES,
    cleanupIntervalMs: SQLITE_CLEANUP_INTERVAL_MS
  })
  t.equal(readOptions({ cleanupInterval: '40d' }).cleanupIntervalMs, 40 * 86_400_000, 'a long interval is not shortened')
})

t.test('sqlite: an invalid option is refused by name', async (t) => {
  const lent = new Database(':memory:')
  const closed = new Database(':memory:').close()
  const wrong: Array<[option: string, value: unknown]> = [
    ['path', ''], ['path', 1], ['maxEntries', 0], ['maxEntries', 1.5], ['maxEntries', Infinity], ['maxBytes', '64mb'], ['maxBytes', 1024],
    ['cleanupInterval', 0], ['cleanupInterval', '5 m'], ['cleanupInterval', NaN], ['unknown', 1],
    ['database', {}], ['database', closed], ['database', { prepare () {}, exec () {}, open: true }]
  ]
  for (const [option, value] of wrong) {
    const error = await failureOf(() => openSqlite(t, { [option]: value }))
    t.match(error, { code: 'CACHE_ERR_OPTION', message: `sqlite.${option}` }, `${option}: ${String(value)}`)
  }
  t.match(await failureOf(() => openSqlite(t, { path: ':memory:', database: lent })), { code: 'CACHE_ERR_OPTION' })
})

t.test('sqlite: a table name that is not a plain name is refused', async (t) => {
  for (const table of ['x; drop', '"a b"', '(select 1)', 'a'.repeat(64), 'été', '', '1a', 'sqlite_master', 'SQLite_x']) {
    t.match(await failureOf(() => openSqlite(t, { path: ':memory:', table })), { code: 'CACHE_ERR_OPTION', message: 'sqlite.table' }, table)
  }
  const { backend } = await openSqlite(t, { path: ':memory:', table: 'select' })
  await backend.set('key', entry('value', Infinity))
  t.equal(await textAt(backend, 'key'), 'value', 'a word of SQL is a name like any other')
})

t.test('sqlite: a driver that can abort the process on this Node.js causes a warning that says what to install', async (t) => {
  for (const node of ['24.19.0', '24.21.0', '26.0.0']) {
    t.match(driverWarning('12.11.1', node), /better-sqlite3 12\.11\.1 can abort the process .* run npm install better-sqlite3@13/)
  }
  for (const [driver, node] of [['12.11.1', '24.18.9'], ['12.11.1', '20.20.2'], ['13.0.0', '24.21.0'], [undefined, '24.21.0']] as const) {
    t.equal(driverWarning(driver, node), undefined)
  }
  t.match(driverVersion(), /^\d+\.\d+\.\d+$/)
  const warned: string[] = []
  const version = Object.getOwnPropertyDescriptor(process.versions, 'node')!
  Object.defineProperty(process.versions, 'node', { ...version, value: '24.21.0' })
  t.teardown(() => Object.defineProperty(process.versions, 'node', version))
  const log = { debug () {}, info () {}, error () {}, warn: (_fields: object, text: string) => { warned.push(text) } }
  await (await builtIns().open({ backend: 'sqlite', options: { path: ':memory:' } }, { log })).close()
  t.equal(warned.length, Number(driverVersion()!.split('.')[0]) < 13 ? 1 : 0)
})

/** A copy of the driver's package, whose binary `spoil` may change. Returns a function that loads it. */
function copiedDriver (t: Test, spoil: (binary: string) => void): () => Promise<{ default: unknown }> {
  const from = dirname(createRequire(import.meta.url).resolve('better-sqlite3/package.json'))
  const modules = join(newFolder(t), 'node_modules')
  const to = join(modules, 'better-sqlite3')
  cpSync(from, to, { recursive: true, filter: (path) => !/[/\\](?:deps|src)$|obj\.target/.test(path) })
  const { dependencies = {} } = JSON.parse(readFileSync(join(from, 'package.json'), 'utf8')) as { dependencies?: Record<string, string> }
  for (const name of ['file-uri-to-path', ...Object.keys(dependencies)]) {
    if (existsSync(join(dirname(from), name))) symlinkSync(join(dirname(from), name), join(modules, name))
  }
  for (const path of readdirSync(to, { recursive: true }) as string[]) if (path.endsWith('.node')) spoil(join(to, path))
  return async () => await import(pathToFileURL(join(to, 'lib', 'index.js')).href) as { default: unknown }
}

t.test('sqlite: if the driver can not be loaded, the error says why and what to do', async (t) => {
  const missing = Object.assign(new Error('Cannot find package'), { code: 'ERR_MODULE_NOT_FOUND' })
  const load = (): Promise<never> => Promise.reject(missing)
  const failed = async (given: Loading): Promise<unknown> => await failureOf(() => loadDriver({ builtIn: () => undefined, ...given }))
  const wanted = { code: 'CACHE_ERR_DEPENDENCY_MISSING', cause: missing }
  t.match(await failed({ load, driver: null, node: '22.0.0' }), { ...wanted, message: /it is not installed: run npm install better-sqlite3$/ })
  t.match(await failed({ load, driver: null, node: '20.20.0' }), { ...wanted, message: /it is not installed: run npm install better-sqlite3@12$/ })
  t.match(await failed({ load, driver: '13.2.0', node: '20.20.0' }), {
    ...wanted, message: /version 13\.2\.0 needs Node 22 or later, and this is Node 20\.20\.0: run npm install better-sqlite3@12$/
  })
  t.match(await failed({ load: copiedDriver(t, (binary) => { writeFileSync(binary, 'of another machine') }) }), {
    code: 'CACHE_ERR_DEPENDENCY_MISSING',
    message: /it is installed, but was built for another version of Node or another machine: run npm rebuild better-sqlite3$/,
    cause: { code: 'ERR_DLOPEN_FAILED' }
  })
  t.match(await failed({ load: copiedDriver(t, (binary) => { rmSync(binary) }) }), {
    code: 'CACHE_ERR_DEPENDENCY_MISSING', message: /it is installed, but .*run npm rebuild better-sqlite3$/
  })
  t.ok(await loadDriver({ load: copiedDriver(t, () => {}) }), 'the copy itself works')
})

t.test('sqlite: a read returns synchronously, without a promise', async (t) => {
  const clock = testClock()
  const { backend } = await openSqlite(t, { path: join(newFolder(t), 'cache.db') }, clock)
  const expiresAt = clock.now() + MINUTE_MS
  await backend.set('key', entry('value', expiresAt))
  t.match(backend.get('key'), { value: Buffer.from('value'), expiresAt })
  t.equal(backend.get('other'), undefined)
  t.equal(backend.has('key'), true)
  t.match(backend.getMany(['other', 'key']), [undefined, { expiresAt }])
})

t.test('sqlite: an entry whose expiresAt has passed or is not a number is not stored, and Infinity becomes a finite number', async (t) => {
  const clock = testClock()
  const { backend } = await openSqlite(t, { path: ':memory:' }, clock)
  for (const expiresAt of [NaN, -Infinity, -1, 0, clock.now() - 1, clock.now(), undefined, null, '5', {}] as number[]) {
    await backend.set('key', entry('before', clock.now() + MINUTE_MS))
    await backend.set('key', { value: Buffer.from('value'), expiresAt })
    t.equal(await backend.get('key'), undefined, String(expiresAt))
  }
  for (const expiresAt of [Infinity, 1e308, 2 ** 60]) {
    await backend.set('key', entry('value', expiresAt))
    t.equal((await backend.get('key'))?.expiresAt, Number.MAX_SAFE_INTEGER, String(expiresAt))
  }
  await backend.set('key', entry('value', clock.now() + 1.5))
  t.equal((await backend.get('key'))?.expiresAt, clock.now() + 1, 'a fraction is rounded down')
})

t.test('sqlite: after the clock jumps a day forward and back, expired entries are gone and later sets are kept', async (t) => {
  const clock = testClock()
  const { backend, cleanup } = await openSqlite(t, { path: ':memory:' }, clock)
  await backend.set('before', entry('value', clock.now() + MINUTE_MS))
  await clock.pass(86_400_000)
  await cleanup()
  t.equal(await backend.size(), 0)
  await clock.pass(-86_400_000)
  await backend.set('later', entry('value', clock.now() + MINUTE_MS))
  await cleanup()
  t.equal(await textAt(backend, 'later'), 'value')
  await clock.pass(MINUTE_MS)
  await cleanup()
  t.equal(await backend.size(), 0, 'the cleanup still works')
})

t.test('sqlite: any two different strings are two keys', async (t) => {
  const { backend } = await openSqlite(t, { path: join(newFolder(t), 'cache.db') })
  const unit = fc.oneof(fc.integer({ min: 0, max: 0xFFFF }), fc.integer({ min: 0xD7FE, max: 0xE001 }), fc.constantFrom(0, 0x61, 0xFFFD))
  const anyText = fc.array(unit, { maxLength: 6 }).map((units) => String.fromCharCode(...units))
  // The backend's own encoding of a key that is not valid text.
  const spelledOut = anyText.map((text) => '\u0000utf16:' + Buffer.from(text, 'utf16le').toString('base64'))
  const long = 'k'.repeat(999_999)
  const keys = [...new Set([...fc.sample(fc.oneof(anyText, spelledOut), 10_000), `${long}k`, `${long}\ud800`, `${long}\udfff`])]
  await Promise.all(keys.map((key, at) => backend.set(key, entry(String(at), Infinity))))
  t.equal(await backend.size(), keys.length)
  let wrong = 0
  for (const [at, key] of keys.entries()) if (await textAt(backend, key) !== String(at)) wrong++
  t.equal(wrong, 0)
  t.same(new Set(await backend.keys()), new Set(keys), 'the keys come back unchanged')
})

t.test('sqlite: a value of many megabytes comes back byte for byte, and the log shrinks again', async (t) => {
  const path = join(newFolder(t), 'cache.db')
  const { backend } = await openSqlite(t, { path })
  const value = Buffer.alloc(32 * MEBIBYTE, Buffer.from(Array.from({ length: 251 }, (_, at) => at)))
  await backend.set('large', { value, expiresAt: Infinity })
  t.ok(Buffer.compare((await backend.get('large'))?.value ?? Buffer.alloc(0), value) === 0)
  await backend.set('small', entry('value', Infinity))
  t.ok(statSync(`${path}-wal`).size <= 17 * MEBIBYTE)
})

t.test('sqlite: a caller-owned database is used without touching its other tables, and stays open', async (t) => {
  const database = beside(t, join(newFolder(t), 'app.db'))
  database.exec('CREATE TABLE orders (id INTEGER); INSERT INTO orders VALUES (1)')
  database.defaultSafeIntegers(true)
  const { backend } = await openSqlite(t, { database, table: 'responses' })
  await backend.set('key', entry('value', Number.MAX_SAFE_INTEGER))
  t.match(await backend.get('key'), { value: Buffer.from('value'), expiresAt: Number.MAX_SAFE_INTEGER })
  t.equal(await backend.size(), 1)
  t.equal((await backend.stats()).maxBytes, undefined, 'its other data does not count')
  await backend.close()
  t.ok(database.open)
  t.equal(database.prepare('SELECT count(*) FROM responses').pluck().get(), 1n)
  t.equal(database.prepare('SELECT count(*) FROM orders').pluck().get(), 1n)
})

t.test('sqlite: a write waits while the owner of a caller-owned database is inside a transaction', async (t) => {
  const database = beside(t, join(newFolder(t), 'app.db'))
  const { backend } = await openSqlite(t, { database })
  database.exec('BEGIN')
  const set = backend.set('key', entry('value', Infinity))
  await new Promise((resolve) => setTimeout(resolve, 20))
  database.exec('ROLLBACK')
  await set
  t.equal(database.prepare('SELECT count(*) FROM cache_entries').pluck().get(), 1, 'our write was not rolled back')
})

t.test('sqlite: a damaged caller-owned database is not rebuilt', async (t) => {
  const damage = Object.assign(new Error('malformed'), { code: 'SQLITE_CORRUPT' })
  const broken = { prepare () { throw damage }, exec () {}, pragma () {}, open: true }
  t.equal(await failureOf(() => openSqlite(t, { database: broken })), damage)
})

t.test('sqlite: stats returns entries, live and expired, and the size of the file', async (t) => {
  const clock = testClock()
  const path = join(newFolder(t), 'cache.db')
  const { backend } = await openSqlite(t, { path, maxEntries: 100 }, clock)
  await backend.set('short', entry('value', clock.now() + 1_000))
  await backend.set('long', entry('value', clock.now() + MINUTE_MS))
  await clock.pass(1_000)
  const database = beside(t, path)
  t.match(await backend.stats(), {
    entries: 2,
    activeEntries: 1,
    expiredEntries: 1,
    bytes: (database.pragma('page_count', { simple: true }) as number) * (database.pragma('page_size', { simple: true }) as number),
    maxEntries: 100,
    maxBytes: SQLITE_MAX_BYTES,
    rebuilds: 0
  })
})
