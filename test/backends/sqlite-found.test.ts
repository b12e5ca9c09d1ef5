// Files that the SQLite backend finds: the database and the files beside it are used depending on their owner and mode.
import {
  chmodSync, chownSync, copyFileSync, existsSync, lstatSync, readFileSync, renameSync, rmSync, symlinkSync, writeFileSync
} from 'node:fs'
import { dirname, join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import Database from 'better-sqlite3'
import t, { type Test } from 'tap'
import { CacheDatabase } from '../../backends/sqlite/database.js'
import { readOptions } from '../../backends/sqlite/options.js'
import type { Driver } from '../../backends/sqlite/driver.js'
import { runChild } from '../support/child.js'
import { entry, failureOf, textAt } from '../support/entries.js'
import { beside, openSqlite } from '../support/sqlite.js'
import { injecting, needsStrace } from '../support/strace.js'
import { asNobody, needsRoot, needsSetpriv, NOBODY } from '../support/users.js'
import { newFolder } from '../support/folder.js'

t.setTimeout(120_000)

const CHILD = 'support/children/found-files.js'
const BESIDE = ['-wal', '-shm', '-journal'] as const
const ALL = ['', ...BESIDE] as const

/** A database with one entry and the files beside it, as a killed process leaves them. */
async function left (t: Test): Promise<string> {
  const folder = newFolder(t)
  const made = join(folder, 'made.db')
  const path = join(folder, 'cache.db')
  const { backend } = await openSqlite(t, { path: made })
  await backend.set('kept', entry('old'))
  for (const rest of ['', '-wal', '-shm']) copyFileSync(made + rest, path + rest)
  await backend.close()
  // This is how the journal mode TRUNCATE leaves it after a transaction.
  writeFileSync(`${path}-journal`, '')
  for (const rest of ALL) chmodSync(path + rest, 0o600)
  return path
}

const modeOf = (path: string): string => (lstatSync(path).mode & 0o777).toString(8)

t.test('sqlite: the files of a killed process are found and used', async (t) => {
  const path = await left(t)
  const { backend, warnings } = await openSqlite(t, { path })
  t.equal(await textAt(backend, 'kept'), 'old')
  t.same(warnings, [])
})

for (const rest of ALL) {
  const name = `a file cache.db${rest}`

  t.test(`sqlite: ${name} that is a link is refused, and its target is not changed`, async (t) => {
    const path = await left(t)
    const elsewhere = join(dirname(path), 'elsewhere')
    renameSync(path + rest, elsewhere)
    symlinkSync(elsewhere, path + rest)
    const before = readFileSync(elsewhere)
    t.match(await failureOf(() => openSqlite(t, { path })), { code: 'CACHE_ERR_OPTION', message: `cache.db${rest}' (a link)` })
    t.ok(before.equals(readFileSync(elsewhere)))
    rmSync(path + rest)
    symlinkSync(join(dirname(path), 'nowhere'), path + rest)
    t.match(await failureOf(() => openSqlite(t, { path })), { code: 'CACHE_ERR_OPTION', message: `cache.db${rest}' (a link)` })
    t.notOk(existsSync(join(dirname(path), 'nowhere')), 'nothing is created at the link\'s target')
  })

  t.test(`sqlite: ${name} of another user is refused`, { skip: needsRoot }, async (t) => {
    const path = await left(t)
    chownSync(path + rest, NOBODY, NOBODY)
    const why = `cache.db${rest}' (it belongs to the user ${NOBODY}, this process to 0)`
    t.match(await failureOf(() => openSqlite(t, { path })), { code: 'CACHE_ERR_OPTION', message: why })
    t.match(await failureOf(() => openSqlite(t, { path })), { message: /change the owner/ })
  })

  for (const mode of [0o640, 0o660, 0o620, 0o604, 0o644]) {
    t.test(`sqlite: ${name} with the mode ${mode.toString(8)} is made private to its owner again and used`, async (t) => {
      const path = await left(t)
      chmodSync(path + rest, mode)
      const { backend, warnings } = await openSqlite(t, { path })
      t.equal(await textAt(backend, 'kept'), 'old')
      await backend.set('new', entry('value'))
      for (const each of ALL.filter((each) => existsSync(path + each))) t.equal(modeOf(path + each), '600', each)
      t.same(warnings, [])
    })
  }

  for (const mode of [0o602, 0o606, 0o666, 0o777]) {
    t.test(`sqlite: ${name} with the mode ${mode.toString(8)} is deleted with those beside it, and a new file is created`, async (t) => {
      const path = await left(t)
      chmodSync(path + rest, mode)
      const { backend, warnings } = await openSqlite(t, { path })
      t.equal(await textAt(backend, 'kept'), undefined)
      await backend.set('new', entry('value'))
      t.equal(await textAt(backend, 'new'), 'value')
      for (const each of ['', '-wal', '-shm']) t.equal(modeOf(path + each), '600', each)
      t.notOk(existsSync(`${path}-journal`))
      t.match(warnings, [{ path, file: path + rest, message: /everybody could write/ }])
      t.equal(warnings.length, 1)
      t.equal(beside(t, path).pragma('integrity_check', { simple: true }), 'ok')
    })
  }
}

t.test('sqlite: a file that becomes a link, or writable by everybody, is detected when it is opened again', async (t) => {
  const path = await left(t)
  const { backend, cleanup, warnings } = await openSqlite(t, { path })
  t.equal(await textAt(backend, 'kept'), 'old')
  renameSync(path, `${path}.moved`)
  symlinkSync(`${path}.moved`, path)
  t.match(await failureOf(cleanup), { code: 'CACHE_ERR_OPTION', message: 'a link' })
  rmSync(path)
  writeFileSync(path, readFileSync(`${path}.moved`))
  chmodSync(path, 0o666)
  t.equal(await textAt(backend, 'kept'), undefined)
  t.equal(warnings.length, 1)
})

t.test('sqlite: if a link replaces the file while it is opened, nothing is written to the link\'s target', async (t) => {
  const path = join(newFolder(t), 'cache.db')
  const victim = join(dirname(path), 'victim.db')
  const made = new Database(victim)
  made.exec('CREATE TABLE orders (id)')
  made.close()
  const before = readFileSync(victim)
  const driver = class extends Database {
    constructor (file: string, options: Database.Options) {
      rmSync(file)
      symlinkSync(victim, file)
      super(file, options)
    }
  } as unknown as Driver
  const database = new CacheDatabase({ settings: readOptions({ path }), driver, log: { debug () {}, info () {}, warn () {}, error () {} } })
  t.match(await failureOf(() => database.use(() => {})), { code: 'CACHE_ERR_OPTION', message: 'a link' })
  t.ok(before.equals(readFileSync(victim)))
})

t.test('sqlite: a file in a directory that is a link is used', async (t) => {
  const path = await left(t)
  symlinkSync(dirname(path), `${dirname(path)}-link`)
  t.teardown(() => rmSync(`${dirname(path)}-link`))
  const { backend } = await openSqlite(t, { path: join(`${dirname(path)}-link`, 'cache.db') })
  t.equal(await textAt(backend, 'kept'), 'old')
})

t.test('sqlite: the file of a caller-owned database is not checked', async (t) => {
  const path = join(newFolder(t), 'app.db')
  const database = beside(t, path)
  chmodSync(path, 0o666)
  const { backend, warnings } = await openSqlite(t, { database })
  await backend.set('key', entry('value'))
  t.equal(await textAt(backend, 'key'), 'value')
  t.equal(modeOf(path), '666')
  t.same(warnings, [])
})

t.test('sqlite: an ordinary user\'s process refuses root\'s file, and treats its own by their modes', { skip: needsSetpriv }, async (t) => {
  const cases: ReadonlyArray<readonly [mode: number, owner: number, stdout: object | string]> = [
    [0o644, 0, ''],
    [0o666, 0, ''],
    [0o666, NOBODY, { kept: 'nothing', set: 'one', warnings: 1 }],
    [0o660, NOBODY, { kept: 'old', set: 'one', warnings: 0 }]
  ]
  await Promise.all(cases.map(async ([mode, owner, expected]) => {
    const path = await left(t)
    chownSync(dirname(path), NOBODY, NOBODY)
    for (const rest of ALL) chownSync(path + rest, NOBODY, NOBODY)
    chmodSync(path, mode)
    chownSync(path, owner, owner)
    const { stdout, stderr } = await runChild(CHILD, { args: ['sqlite', JSON.stringify({ path }), 'one'], under: asNobody })
    const what = `${mode.toString(8)} of ${owner}`
    t.same(stdout === '' ? '' : JSON.parse(stdout), expected, what)
    if (expected === '') t.match(stderr, /CACHE_ERR_OPTION[^]*it belongs to the user 0, this process to 65534/, what)
    else t.equal(modeOf(path), '600', what)
  }))
})

t.test('sqlite: a process opens the file though another one removes the journal that SQLite is about to remove', {
  skip: needsStrace
}, async (t) => {
  const path = join(newFolder(t), 'cache.db')
  const { stdout, stderr } = await runChild(CHILD, {
    args: ['sqlite', JSON.stringify({ path }), 'one'], under: injecting('unlink:error=ENOENT:when=1')
  })
  t.match(JSON.parse(stdout === '' ? '{}' : stdout), { kept: 'nothing', set: 'one', warnings: 0 }, stderr)
})

t.test('sqlite: several processes that find a file writable by everybody create one new file together', async (t) => {
  const names = ['one', 'two', 'three']
  const path = await left(t)
  chmodSync(path, 0o666)
  const signal = join(dirname(path), 'go')
  const ends = Promise.all(names.map((name) => runChild(CHILD, { args: ['sqlite', JSON.stringify({ path }), name, signal] })))
  // Processes start slowly on a busy machine, and may take longer than `until` waits.
  const hasEnded = ends.then(() => true)
  while (!names.every((name) => existsSync(`${signal}-${name}`)) && !await Promise.race([hasEnded, wait(10, false)]));
  writeFileSync(signal, '')
  for (const { stdout, stderr } of await ends) t.match(JSON.parse(stdout === '' ? '{}' : stdout), { kept: 'nothing' }, stderr)
  const { backend, warnings } = await openSqlite(t, { path })
  for (const name of names) t.equal(await textAt(backend, name), name)
  t.equal(await textAt(backend, 'kept'), undefined)
  t.same(warnings, [])
  t.equal(beside(t, path).pragma('integrity_check', { simple: true }), 'ok')
})
