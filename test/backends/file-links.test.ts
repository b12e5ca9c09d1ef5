// The file backend where an entry is a hard link to somebody else's file: no call changes that file.
import { chmodSync, linkSync, lstatSync, mkdirSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import t, { type Test } from 'tap'
import type { FileOptions } from '../../backends/file.js'
import { testClock, type TestClock } from '../support/clock.js'
import { entry, textAt } from '../support/entries.js'
import { filesIn, openFiles, pathIn, type OpenedFiles } from '../support/files.js'
import { newFolder } from '../support/folder.js'

const KEY = 'GET /products/1'
const VALUE = 'the value'

// In seconds, with a fraction that none of our entries has.
const LONG_AGO = 1_000_000_000.123456
const FAR_AHEAD = 2_900_000_000.123456

/** The victim's bytes and its mtime, which the backend takes for the entry's expiry. */
const VICTIMS: Readonly<Record<string, (bytes: Buffer) => readonly [bytes: Buffer, changedAt: number]>> = {
  'a text': () => [Buffer.from('untouched'.repeat(50)), LONG_AGO],
  'a text with an mtime in the future': () => [Buffer.from('untouched'.repeat(50)), FAR_AHEAD],
  'an entry': (bytes) => [bytes, FAR_AHEAD],
  'an entry that seems to have expired': (bytes) => [bytes, LONG_AGO],
  'a large file': () => [Buffer.alloc(200_000, 'untouched'), FAR_AHEAD]
}

interface Linked extends OpenedFiles { readonly dir: string, readonly clock: TestClock }

const ACTS: Readonly<Record<string, (linked: Linked) => unknown>> = {
  'a get': async ({ backend }) => await backend.get(KEY),
  'a get long after': async ({ backend, clock }) => { await clock.pass(3_600_000); await backend.get(KEY); await backend.get(KEY) },
  'has, keys, size and stats': async ({ backend }) => {
    backend.has(KEY)
    await backend.keys()
    await backend.size()
    await backend.stats()
  },
  'a set': async ({ backend }) => { await backend.set(KEY, entry('new')) },
  'a large set': async ({ backend }) => { await backend.set(KEY, { value: Buffer.alloc(100_000, 'new'), expiresAt: Infinity }) },
  'a set of an expired entry': async ({ backend }) => { await backend.set(KEY, entry('new', 1)) },
  'a delete': async ({ backend }) => { await backend.delete(KEY) },
  'a clear': async ({ backend }) => { await backend.clear() },
  'a clear by prefix': async ({ backend }) => { await backend.clear('GET ') },
  'the cleanup': async ({ cleanup }) => { await cleanup() },
  'an eviction': async ({ backend, dir }) => {
    for (let at = 0; at < 20; at++) await backend.set(`key-${at}`, entry('v'.repeat(30_000)))
    if (filesIn(dir).length > 20) throw new Error('nothing was evicted')
  }
}

/** All metadata of a file except for its number of links. */
function known (path: string): object {
  const { dev, ino, mode, uid, gid, size, mtimeNs, atimeNs } = lstatSync(path, { bigint: true })
  return { dev, ino, mode, uid, gid, size, mtimeNs, atimeNs }
}

/** A folder with an entry whose file is replaced by a hard link to the victim. */
async function linked (
  t: Test, victim: typeof VICTIMS[string], options: Partial<FileOptions>
): Promise<Linked & { path: string, bytes: Buffer }> {
  const dir = join(newFolder(t), 'cache')
  const path = join(dirname(dir), 'victim')
  const clock = testClock()
  const opened = await openFiles(t, { dir, ...options }, clock)
  await opened.backend.set(KEY, entry(VALUE))
  const [bytes, changedAt] = victim(readFileSync(pathIn(dir, KEY)))
  writeFileSync(path, bytes)
  chmodSync(path, 0o644)
  utimesSync(path, LONG_AGO, changedAt)
  rmSync(pathIn(dir, KEY))
  mkdirSync(dirname(pathIn(dir, KEY)), { recursive: true })
  linkSync(path, pathIn(dir, KEY))
  return { ...opened, dir, clock, path, bytes }
}

for (const [act, run] of Object.entries(ACTS)) {
  t.test(`file: ${act} does not change a file that is hard-linked under an entry's name`, async (t) => {
    for (const [name, victim] of Object.entries(VICTIMS)) {
      await t.test(name, async (t) => {
        const opened = await linked(t, victim, act === 'an eviction' ? { maxBytes: 500_000 } : {})
        const before = known(opened.path)
        await run(opened)
        t.same(known(opened.path), before)
        t.ok(opened.bytes.equals(readFileSync(opened.path)))
      })
    }
  })
}

t.test('file: a hard link to a file that is not an entry is a miss and is removed; the next set creates a new file', async (t) => {
  for (const [name, victim] of Object.entries(VICTIMS)) {
    await t.test(name, async (t) => {
      const { backend, dir, path } = await linked(t, victim, {})
      const isEntry = name.startsWith('an entry')
      t.equal(await textAt(backend, KEY), isEntry ? VALUE : undefined, 'a link does not tell who wrote the bytes')
      t.equal(lstatSync(path).nlink, isEntry ? 2 : 1)
      await backend.set(KEY, entry('new'))
      t.equal(await textAt(backend, KEY), 'new')
      t.match(lstatSync(pathIn(dir, KEY)), { nlink: 1, mode: 0o100600 })
      t.not(lstatSync(pathIn(dir, KEY)).ino, lstatSync(path).ino)
    })
  }
})
