// The file backend's read cache: a file is read once, and a held value is used only while the path names the same file.
import { linkSync, renameSync, rmSync, symlinkSync, truncateSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import t, { type Test } from 'tap'
import { Folder } from '../../backends/file/folder.js'
import { FileReadCache, type CachedPath } from '../../backends/file/read-cache.js'
import { EntryPaths } from '../../backends/file/paths.js'
import { testClock } from '../support/clock.js'
import { entry } from '../support/entries.js'
import { openFiles, pathIn } from '../support/files.js'
import { newFolder } from '../support/folder.js'

// How long a file counts as changed just now, by the clock of the file system, plus a little.
const UNTIL_SETTLED_MS = 2_100
const later = () => Date.now() + 60_000

const entryPathAt = (path: string): CachedPath => ({ path, held: undefined })

function held (t: Test): { entryPath: CachedPath, cache: FileReadCache } {
  const entryPath = entryPathAt(join(t.testdir({ file: 'bytes', other: 'bytes' }), 'file'))
  const cache = new FileReadCache(later)
  const found = entry('value')
  t.equal(cache.get(entryPath), undefined)
  t.equal(cache.read(entryPath, () => found), found, 'the entry that was read is returned')
  t.equal(cache.get(entryPath)?.value, found.value, 'the entry is held')
  return { entryPath, cache }
}

const CHANGES: ReadonlyArray<readonly [name: string, change: (path: string) => void]> = [
  ['replaced by a file of the same size and times', (path) => {
    const other = join(path, '..', 'other')
    utimesSync(other, 1, 1)
    renameSync(other, path)
  }],
  ['rewritten in place', (path) => { writeFileSync(path, 'BYTES') }],
  ['truncated', (path) => { truncateSync(path, 1) }],
  ['removed', (path) => { rmSync(path) }],
  ['given another mtime', (path) => { utimesSync(path, 1, 1) }],
  ['linked to', (path) => { linkSync(path, `${path}-link`) }],
  ['replaced by a link to the same file', (path) => {
    renameSync(path, `${path}-moved`)
    symlinkSync(`${path}-moved`, path)
  }]
]

for (const [name, change] of CHANGES) {
  t.test(`file: an entry is not held after its file was ${name}`, async (t) => {
    const { entryPath, cache } = held(t)
    utimesSync(entryPath.path, 1, 1)
    cache.read(entryPath, () => entry('value'))
    change(entryPath.path)
    t.equal(cache.get(entryPath), undefined)
    t.equal(cache.get(entryPath), undefined, 'the second read does not find it either')
  })
}

t.test('file: a file that replaces another while it is read is not mistaken for it', async (t) => {
  const { entryPath, cache } = held(t)
  cache.drop(entryPath)
  cache.read(entryPath, () => {
    renameSync(join(entryPath.path, '..', 'other'), entryPath.path)
    return entry('value')
  })
  t.equal(cache.get(entryPath), undefined)
})

t.test('file: a file that was changed just now is not held, because it may change again within the same instant', async (t) => {
  const entryPath = entryPathAt(join(t.testdir({ file: 'bytes' }), 'file'))
  const cache = new FileReadCache()
  cache.read(entryPath, () => entry('value'))
  t.equal(cache.get(entryPath), undefined)
})

t.test('file: nothing is held for a missing file', async (t) => {
  const cache = new FileReadCache(later)
  const entryPath = entryPathAt(join(t.testdir({ folder: {} }), 'none', 'file'))
  t.equal(cache.read(entryPath, () => undefined), undefined)
  t.equal(cache.read(entryPath, () => entry('value'))?.expiresAt, Infinity)
  t.equal(cache.get(entryPath), undefined)
})

t.test('file: an entry in the read cache is read once, and changes by another process are seen at once', async (t) => {
  const dir = join(newFolder(t), 'cache')
  const clock = testClock()
  const { backend: one } = await openFiles(t, { dir }, clock)
  const { backend: two } = await openFiles(t, { dir }, clock)
  const read = async (key = 'key') => (await one.get(key))?.value
  await one.set('key', entry('first', clock.now() + 1_000))
  await one.set('gone', entry('first'))
  await wait(UNTIL_SETTLED_MS)
  const first = await read()
  const gone = await read('gone')
  t.equal(await read(), first, 'the same bytes, not read again')
  t.equal(await read('gone'), gone)
  await two.set('key', entry('second', clock.now() + 1_000))
  t.equal(String(await read()), 'second')
  await two.delete('gone')
  t.equal(await read('gone'), undefined)
  utimesSync(pathIn(dir, 'key'), clock.now() / 1_000, (clock.now() + 1_000) / 1_000)
  await wait(UNTIL_SETTLED_MS)
  const second = await read()
  t.equal(await read(), second)
  await clock.pass(1_000)
  t.equal(await read(), undefined, 'the entry expires at its instant')
})

t.test('file: the paths of keys are remembered up to a bound; a path that is computed again is the same', async (t) => {
  const dropped = new Set<string>()
  const paths = new EntryPaths(new Folder(newFolder(t), Date.now), ({ key }) => { dropped.add(String(key)) })
  const first = paths.of('first')
  const hot = paths.of('hot')
  for (let number = 0; number < 60_000; number++) {
    paths.of(`key ${number}`)
    if (paths.of('hot') !== hot) t.fail('a path in constant use is not dropped')
  }
  const again = paths.of('first')
  t.not(again, first, 'dropped in between')
  for (const part of ['text', 'key', 'name', 'path'] as const) t.same(again[part], first[part], part)
  t.ok(dropped.has('first') && dropped.has('key 0'))
  t.notOk(dropped.has('hot') || dropped.has('key 59999'))
  const long = 'x'.repeat(1_000_000)
  t.not(paths.of(long), paths.of(long), 'a key that would take the room of all others is never remembered')
  t.equal(paths.of('first'), again)
})

t.test('file: paths are dropped even if all of them are in constant use', async (t) => {
  let dropped = 0
  const paths = new EntryPaths(new Folder(newFolder(t), Date.now), () => { dropped++ })
  for (let number = 0; number < 60_000; number++) {
    paths.of(`key ${number}`)
    paths.of(`key ${number}`)
  }
  t.ok(dropped > 10_000)
})

t.test('file: no value is held for a key whose path was dropped', async (t) => {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  const { backend } = await openFiles(t, { dir: join(newFolder(t), 'cache') })
  const keys = ['one', 'two']
  for (const key of keys) await backend.set(key, entry(key.repeat(100)))
  await wait(UNTIL_SETTLED_MS)
  // The first read looks at the file; the second may hold what it finds.
  const seen = async (key: string) => new WeakRef((await backend.get(key))!.value)
  for (const key of keys) await backend.get(key)
  const [one, two] = [await seen('one'), await seen('two')]
  // Twice as many keys as are remembered, because a key that was read again is spared once.
  for (let number = 0; number < 100_000; number++) {
    await backend.get(`absent ${number}`)
    if (number % 1_000 === 0) await backend.get('one')
  }
  await wait(0)
  collect()
  t.ok(one.deref())
  t.equal(two.deref(), undefined)
})
