// Entries that the file backend finds: their owner and their mode decide whether they are trusted.
import { chmodSync, chownSync, existsSync, lstatSync, readFileSync, statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import t, { type Test } from 'tap'
import { runChild } from '../support/child.js'
import { entry, textAt } from '../support/entries.js'
import { openFiles, pathIn, type OpenedFiles } from '../support/files.js'
import { asNobody, needsRoot, needsSetpriv, NOBODY } from '../support/users.js'
import { testClock } from '../support/clock.js'
import { newFolder } from '../support/folder.js'

t.setTimeout(120_000)

const CHILD = 'support/children/found-files.js'
const KEY = 'GET /products/1'
const LARGE = 'v'.repeat(100_000)

interface Found extends OpenedFiles { path: string, dir: string, warnings: object[] }

/** Opens a backend on a folder in which another one left an entry, and collects its warnings. */
async function found (t: Test, change: (path: string) => void, value = 'old'): Promise<Found> {
  const dir = join(newFolder(t), 'cache')
  const before = await openFiles(t, { dir })
  await before.backend.set(KEY, entry(value))
  await before.backend.close()
  const path = pathIn(dir, KEY)
  change(path)
  const warnings: object[] = []
  const opened = await openFiles(t, { dir }, testClock(), (details, message) => { warnings.push({ ...details, message }) })
  return { ...opened, path, dir, warnings }
}

const modeOf = (path: string): string => (lstatSync(path).mode & 0o777).toString(8)

/** The calls that may find an entry, and their results if it is trusted and if it is not. */
const LOOKS: Readonly<Record<string, readonly [look: (opened: OpenedFiles) => unknown, trusted: unknown, not: unknown]>> = {
  get: [async ({ backend }) => await textAt(backend, KEY), 'old', undefined],
  has: [({ backend }) => backend.has(KEY), true, false],
  keys: [async ({ backend }) => await backend.keys(), [KEY], []]
}

for (const [name, [look, trusted, not]] of Object.entries(LOOKS)) {
  for (const mode of [0o640, 0o660, 0o620, 0o604, 0o644]) {
    t.test(`file: an entry with the mode ${mode.toString(8)} is made private to its owner again and used, by ${name}`, async (t) => {
      const opened = await found(t, (path) => chmodSync(path, mode))
      t.same(await look(opened), trusted)
      t.equal(modeOf(opened.path), '600')
      t.equal(await textAt(opened.backend, KEY), 'old')
      t.same(opened.warnings, [])
    })
  }

  for (const mode of [0o602, 0o606, 0o666, 0o777]) {
    t.test(`file: an entry with the mode ${mode.toString(8)}, which is writable by everybody, is not trusted, by ${name}`, async (t) => {
      const opened = await found(t, (path) => chmodSync(path, mode))
      t.same(await look(opened), not)
      t.equal(await textAt(opened.backend, KEY), undefined)
      t.notOk(existsSync(opened.path), 'a read deletes it')
      t.match(opened.warnings, [{ path: opened.path, message: /everybody could write/ }])
      await opened.backend.set(KEY, entry('new'))
      t.equal(await textAt(opened.backend, KEY), 'new')
      t.equal(modeOf(opened.path), '600')
    })
  }

  t.test(`file: an entry that belongs to another user is not trusted, by ${name}, and is deleted`, { skip: needsRoot }, async (t) => {
    const opened = await found(t, (path) => chownSync(path, NOBODY, NOBODY))
    t.same(await look(opened), not)
    t.equal(await textAt(opened.backend, KEY), undefined)
    t.notOk(existsSync(opened.path), 'a read deletes it')
    t.same(opened.warnings, [])
    await opened.backend.set(KEY, entry('new'))
    t.match(statSync(opened.path), { uid: 0, mode: 0o100600 })
  })
}

t.test('file: a large entry with an unsafe mode is not trusted either', async (t) => {
  const { backend, warnings } = await found(t, (path) => chmodSync(path, 0o666), LARGE)
  t.equal(await backend.get(KEY), undefined)
  t.equal(warnings.length, 1)
})

t.test('file: an entry in the read cache that becomes writable by everybody is no longer returned', async (t) => {
  const { backend, path } = await found(t, () => {})
  t.equal(await textAt(backend, KEY), 'old')
  // The file must be old enough to be held in the read cache from here on.
  await new Promise((resolve) => setTimeout(resolve, 2_100))
  for (let times = 0; times < 2; times++) t.equal(await textAt(backend, KEY), 'old')
  chmodSync(path, 0o666)
  t.equal(await textAt(backend, KEY), undefined)
})

t.test('file: the cleanup removes other users\' entries and entries with unsafe modes, and warns once', { skip: needsRoot }, async (t) => {
  const { backend, cleanup, dir, warnings } = await found(t, (path) => chmodSync(path, 0o666))
  for (const key of ['spoilt', 'foreign', 'opened', 'private']) await backend.set(key, entry(key))
  chmodSync(pathIn(dir, 'spoilt'), 0o602)
  chownSync(pathIn(dir, 'foreign'), NOBODY, NOBODY)
  chmodSync(pathIn(dir, 'opened'), 0o640)
  await cleanup()
  for (const key of [KEY, 'spoilt', 'foreign']) t.notOk(existsSync(pathIn(dir, key)), key)
  for (const key of ['opened', 'private']) t.equal(await textAt(backend, key), key)
  t.equal(warnings.length, 1)
})

t.test('file: an ordinary user\'s process replaces root\'s entry and its own unsafe entry', { skip: needsSetpriv }, async (t) => {
  const cases: ReadonlyArray<readonly [mode: number, owner: number, kept: string, warnings: number]> = [
    [0o644, 0, 'nothing', 0],
    [0o666, 0, 'nothing', 0],
    [0o666, NOBODY, 'nothing', 1],
    [0o660, NOBODY, 'old', 0]
  ]
  await Promise.all(cases.map(async ([mode, owner, kept, warnings]) => {
    const dir = join(newFolder(t), 'cache')
    const { backend } = await openFiles(t, { dir })
    await backend.set('kept', entry('old'))
    await backend.close()
    const path = pathIn(dir, 'kept')
    for (const each of [dirname(dir), dir, dirname(dirname(path)), dirname(path)]) chownSync(each, NOBODY, NOBODY)
    chmodSync(path, mode)
    chownSync(path, owner, owner)
    const before = readFileSync(path)
    const what = `${mode.toString(8)} of ${owner}`
    const { stdout, stderr } = await runChild(CHILD, { args: ['file', JSON.stringify({ dir }), 'one'], under: asNobody })
    t.same(JSON.parse(stdout || JSON.stringify(stderr)), { kept, set: 'one', warnings }, what)
    if (kept === 'old') t.match(statSync(path), { uid: NOBODY, mode: 0o100600, size: before.byteLength }, what)
  }))
})
