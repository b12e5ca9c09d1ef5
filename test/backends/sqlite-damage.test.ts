// The SQLite backend's file when it is damaged: it is set aside, a new one is created, and no read returns wrong bytes.
import { existsSync, readFileSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import type { Test } from 'tap'
import { isCutShort } from '../../backends/sqlite/database-file.js'
import { CacheDatabase } from '../../backends/sqlite/database.js'
import { readOptions } from '../../backends/sqlite/options.js'
import { entry, failureOf, textAt } from '../support/entries.js'
import { changeFile, FILLED, filledFile, openSqlite } from '../support/sqlite.js'
import { newFolder } from '../support/folder.js'

const PAGE_BYTES = 4096

/** Reads every entry once and sets one. Returns how many were found, and fails if any was wrong. */

async function serve (t: Test, options: { path: string }): Promise<{ found: number, warnings: ReadonlyArray<Record<string, unknown>> }> {
  const { backend, warnings } = await openSqlite(t, options)
  let found = 0
  for (let at = 0; at < FILLED.entries; at++) {
    const text = await textAt(backend, `key-${at}`)
    if (text !== undefined && text !== FILLED.value) t.fail(`wrong bytes under key-${at}`)
    if (text !== undefined) found++
  }
  await backend.set('fresh', entry('value', Infinity))
  t.equal(await textAt(backend, 'fresh'), 'value', 'a new set is stored')
  await backend.close()
  return { found, warnings }
}

const DAMAGES: ReadonlyArray<readonly [name: string, (path: string) => void, isSetAside: boolean]> = [
  ['a file of garbage', (path) => changeFile(path, (bytes) => Buffer.alloc(bytes.length, 0xA5)), true],
  ['a text file', (path) => writeFileSync(path, 'not a database\n'), true],
  ['half a file', (path) => truncateSync(path, Math.floor(statSync(path).size / 2)), true],
  ['a file without its last page', (path) => truncateSync(path, statSync(path).size - PAGE_BYTES), true],
  ['a flipped header', (path) => changeFile(path, (bytes) => { bytes[3]! ^= 0xFF; return undefined }), true],
  ['a flipped page size', (path) => changeFile(path, (bytes) => { bytes[16]! ^= 0xFF; return undefined }), true],
  ['flipped pages', (path) => changeFile(path, (bytes) => {
    for (let at = 3 * PAGE_BYTES; at < bytes.length; at += PAGE_BYTES) bytes[at]! ^= 0xFF
    return undefined
  }), true],
  ['pages of zeros', (path) => changeFile(path, (bytes) => bytes.fill(0, 2 * PAGE_BYTES)), true],
  ['an empty file', (path) => truncateSync(path, 0), false]
]

for (const [name, damage, isSetAside] of DAMAGES) {
  t.test(`sqlite: ${name} is ${isSetAside ? 'set aside with one warning' : 'replaced'}, and the next start is sound`, async (t) => {
    const path = await filledFile(t)
    damage(path)
    const bytes = readFileSync(path)
    const { found, warnings } = await serve(t, { path })
    t.ok(found < FILLED.entries)
    t.match(warnings, isSetAside ? [{ path, aside: `${path}.damaged`, message: 'aside' }] : [])
    t.equal(warnings.length, isSetAside ? 1 : 0)
    if (isSetAside) t.equal(statSync(`${path}.damaged`).size, bytes.length, 'the old file is there')
    t.equal(statSync(path).mode & 0o777, 0o600)
    const again = await serve(t, { path })
    t.same(again.warnings, [], 'no loop')
  })
}

t.test('sqlite: a truncated file is detected before anything is written into its gap', async (t) => {
  const path = await filledFile(t)
  t.equal(isCutShort(path), false)
  truncateSync(path, statSync(path).size - PAGE_BYTES)
  t.equal(isCutShort(path), true)
  const { warnings } = await openSqlite(t, { path })
  t.equal(warnings.length, 1)
})

t.test('sqlite: a file whose last pages are still in its log is not taken for a truncated one', async (t) => {
  const path = await filledFile(t)
  const { backend } = await openSqlite(t, { path })
  await Promise.all(Array.from({ length: 100 }, (_, at) => backend.set(`more-${at}`, entry(FILLED.value, Infinity))))
  t.equal(isCutShort(path), false)
  const other = await openSqlite(t, { path })
  t.same(other.warnings, [])
  t.equal(await other.backend.size(), FILLED.entries + 100)
})

t.test('sqlite: the log of an older damaged file is not left beside the newer damaged file', async (t) => {
  const path = join(newFolder(t), 'cache.db')
  writeFileSync(`${path}.damaged-wal`, 'older')
  writeFileSync(path, 'damaged'.padEnd(8192))
  await openSqlite(t, { path })
  t.ok(existsSync(`${path}.damaged`))
  t.notOk(existsSync(`${path}.damaged-wal`))
})

t.test('sqlite: a disk that damages every file causes errors, and not an endless series of files', async (t) => {
  const path = join(newFolder(t), 'cache.db')
  let warnings = 0
  class Broken {
    readonly inTransaction = false
    prepare (): never { throw Object.assign(new Error('malformed'), { code: 'SQLITE_CORRUPT' }) }
    exec () {}
    pragma () {}
    close () {}
  }
  const log = { debug () {}, info () {}, error () {}, warn () { warnings++ } }
  const home = new CacheDatabase({ settings: readOptions({ path }), driver: Broken, log })
  for (let use = 0; use < 20; use++) t.match(await failureOf(() => home.use(() => {})), { code: 'SQLITE_CORRUPT' })
  t.equal(warnings, 1)
})

t.test('sqlite: a second damaged file replaces the first', async (t) => {
  const path = await filledFile(t)
  for (const text of ['first', 'second']) {
    writeFileSync(path, text.padEnd(1000))
    const { backend } = await openSqlite(t, { path })
    await backend.close()
    t.match(readFileSync(`${path}.damaged`, 'utf8'), text)
  }
})

t.test('sqlite: damage while the file is open is a miss, and writes succeed', async (t) => {
  const path = await filledFile(t)
  const { backend, warnings } = await openSqlite(t, { path })
  t.equal(await textAt(backend, 'key-1'), FILLED.value)
  changeFile(path, (bytes) => bytes.fill(0xA5, 2 * PAGE_BYTES))
  const found: unknown[] = []
  for (let at = 0; at < FILLED.entries; at++) found.push(await textAt(backend, `key-${at}`))
  t.ok(found.includes(undefined))
  t.ok(found.every((text) => text === undefined || text === FILLED.value))
  await backend.set('fresh', entry('value', Infinity))
  t.equal(await textAt(backend, 'fresh'), 'value')
  t.equal(warnings.length, 1)
  t.equal((await backend.stats()).rebuilds, 1)
})

t.test('sqlite: a write that meets damage sets the file aside and is stored in a new one', async (t) => {
  const path = await filledFile(t)
  const { backend, warnings } = await openSqlite(t, { path })
  changeFile(path, (bytes) => bytes.fill(0xA5, 2 * PAGE_BYTES))
  await Promise.all(Array.from({ length: 50 }, (_, at) => backend.set(`key-${at * 10}`, entry('value', Infinity))))
  t.equal(await textAt(backend, 'key-490'), 'value')
  t.equal(warnings.length, 1)
})

t.test("sqlite: an index entry that points to another key's row is a miss", async (t) => {
  const path = await filledFile(t)
  const LEAF_OF_INDEX = 0x0A
  let changed = 0
  changeFile(path, (bytes) => {
    for (let at = bytes.indexOf('key-99'); at >= 0; at = bytes.indexOf('key-99', at + 1)) {
      const isIndex = bytes[at - at % PAGE_BYTES] === LEAF_OF_INDEX
      if (isIndex) changed += bytes.write('key-9z', at)
    }
    return undefined
  })
  t.equal(changed, 6, 'one entry of the index was changed')
  const { backend } = await openSqlite(t, { path })
  t.equal(await backend.get('key-9z'), undefined)
  t.equal(await textAt(backend, 'key-98'), FILLED.value)
})
