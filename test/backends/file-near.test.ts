// The file backend's near entries: read once, and never taken for what lies there now unless that is the same file.
import { linkSync, renameSync, rmSync, symlinkSync, truncateSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { Near } from '../../backends/file/near.js'
import { testClock } from '../support/clock.js'
import { entry, openFiles, pathIn } from '../support/files.js'

// As long as a file counts as changed just now, by the clock of the file system, and a little.
const UNTIL_SETTLED_MS = 2_100
const later = () => Date.now() + 60_000

function held (t: Test): { path: string, near: Near, found: ReturnType<Near['get']> } {
  const path = join(t.testdir({ file: 'bytes', other: 'bytes' }), 'file')
  const near = new Near(later)
  const found = entry('value')
  t.equal(near.get(path), undefined)
  t.equal(near.read(path, () => found), found, 'what was read is answered')
  t.equal(near.get(path)?.value, found.value, 'and held')
  return { path, near, found }
}

const CHANGES: ReadonlyArray<readonly [name: string, change: (path: string) => void]> = [
  ['replaced by a file of the same size and times', (path) => {
    const other = join(path, '..', 'other')
    utimesSync(other, 1, 1)
    renameSync(other, path)
  }],
  ['written anew in its place', (path) => { writeFileSync(path, 'BYTES') }],
  ['cut off', (path) => { truncateSync(path, 1) }],
  ['removed', (path) => { rmSync(path) }],
  ['given another instant', (path) => { utimesSync(path, 1, 1) }],
  ['linked to', (path) => { linkSync(path, `${path}-link`) }],
  ['replaced by a link to the very file', (path) => {
    renameSync(path, `${path}-moved`)
    symlinkSync(`${path}-moved`, path)
  }]
]

for (const [name, change] of CHANGES) {
  t.test(`file: of a file that was ${name}, nothing is held`, async (t) => {
    const { path, near } = held(t)
    utimesSync(path, 1, 1)
    near.read(path, () => entry('value'))
    change(path)
    t.equal(near.get(path), undefined)
    t.equal(near.get(path), undefined, 'and not the next time either')
  })
}

t.test('file: what comes in place of a file while it is read is not taken for it', async (t) => {
  const { path, near } = held(t)
  near.drop(path)
  near.read(path, () => {
    renameSync(join(path, '..', 'other'), path)
    return entry('value')
  })
  t.equal(near.get(path), undefined)
})

t.test('file: a file that was changed just now is not held: it may change within the same instant', async (t) => {
  const path = join(t.testdir({ file: 'bytes' }), 'file')
  const near = new Near()
  near.read(path, () => entry('value'))
  t.equal(near.get(path), undefined)
})

t.test('file: what does not lie there is not held', async (t) => {
  const near = new Near(later)
  const path = join(t.testdir({ folder: {} }), 'none', 'file')
  t.equal(near.read(path, () => undefined), undefined)
  t.equal(near.read(path, () => entry('value'))?.expiresAt, Infinity)
  t.equal(near.get(path), undefined)
})

t.test('file: a near entry is read once, and what another process changes is seen at once', async (t) => {
  const dir = join(t.testdir(), 'cache')
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
  t.equal(await read(), undefined, 'and it ends at its instant')
})
