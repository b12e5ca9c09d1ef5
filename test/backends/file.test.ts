// The file backend: its options, its bounds, its keys and values.
import { existsSync, lstatSync, readdirSync, readFileSync, renameSync, rmSync, statSync, utimesSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import t from 'tap'
import { testClock } from '../support/clock.js'
import { entry, failureOf, textAt } from '../support/entries.js'
import { filesIn, openFiles, pathIn } from '../support/files.js'
import { LONGEST_WORK_MS, watchLoop } from '../support/loop.js'
import { newFolder } from '../support/folder.js'

t.test('file: an invalid option is refused by name', async (t) => {
  const wrong: ReadonlyArray<readonly [options: object, who: string]> = [
    [{ dir: '' }, 'file.dir'], [{ dir: 1 }, 'file.dir'], [{ maxBytes: 0 }, 'file.maxBytes'], [{ maxBytes: '1' }, 'file.maxBytes'],
    [{ cleanupInterval: 0 }, 'file.cleanupInterval'], [{ fsync: 1 }, 'file.fsync'], [{ path: 'x' }, 'file.path']
  ]
  for (const [options, who] of wrong) t.match(await failureOf(() => openFiles(t, options)), { code: 'CACHE_ERR_OPTION', message: who })
})

t.test('file: a file\'s mtime is the expiry of its entry, and an entry past it is a miss and is removed',
  async (t) => {
    const dir = join(newFolder(t), 'cache')
    const clock = testClock()
    const { backend } = await openFiles(t, { dir }, clock)
    const expiresAt = clock.now() + 1_500
    await backend.set('key', entry('value', expiresAt + 0.7))
    await backend.set('for ever', entry('value'))
    t.equal(Math.round(statSync(pathIn(dir, 'key')).mtimeMs), expiresAt)
    t.equal((await backend.get('key'))?.expiresAt, expiresAt)
    utimesSync(pathIn(dir, 'key'), 1, clock.now() / 1_000)
    t.equal(backend.has('key'), false)
    const { backend: other } = await openFiles(t, { dir }, clock)
    t.equal(other.get('key'), undefined, 'synchronously, in a backend that has not read it just before')
    t.notOk(existsSync(pathIn(dir, 'key')))
    t.equal((await backend.get('for ever'))?.expiresAt, Number.MAX_SAFE_INTEGER)
  })

t.test('file: the cleanup removes expired entries and nothing else, in short steps', async (t) => {
  const dir = join(newFolder(t), 'cache')
  const clock = testClock()
  const { backend, cleanup } = await openFiles(t, { dir }, clock)
  await Promise.all(Array.from({ length: 3_000 }, (_, at) =>
    backend.set(`key-${at}`, entry('value', clock.now() + (at % 3 === 0 ? 5_000 : 1_000)))))
  await clock.pass(1_000)
  t.match(await backend.stats(), { entries: 3_000, activeEntries: 1_000, expiredEntries: 2_000 })
  const ended = watchLoop()
  await cleanup()
  t.ok((await ended()).longestWorkMs < LONGEST_WORK_MS)
  t.match(await backend.stats(), { entries: 1_000, expiredEntries: 0, evictions: 0, damagedFiles: 0 })
  t.equal(await backend.size(), 1_000)
  t.equal(filesIn(dir).length, 1_000)
})

t.test('file: a full folder stays within maxBytes: expired entries go first, then the least recently used', async (t) => {
  const dir = join(newFolder(t), 'cache')
  const clock = testClock()
  const { backend } = await openFiles(t, { dir, maxBytes: 20_000 }, clock)
  const used = () => filesIn(dir).reduce((sum, path) => sum + lstatSync(path).size, 0)
  const value = 'v'.repeat(1_800)
  await backend.set('expires', entry(value, clock.now() + 1_000))
  for (let at = 0; at < 8; at++) await backend.set(`key-${at}`, entry(value))
  await clock.pass(120_000)
  t.equal(await textAt(backend, 'key-0'), value, 'used again')
  await backend.set('key-8', entry(value))
  await backend.set('key-9', entry(value))
  await backend.set('key-10', entry(value))
  t.ok(used() <= 20_000, `${used()} bytes`)
  t.same((await backend.keys()).sort(), ['key-0', 'key-10', 'key-3', 'key-4', 'key-5', 'key-6', 'key-7', 'key-8', 'key-9'].sort(),
    'without the expired entry, key-1 and key-2')
  t.equal((await backend.stats()).evictions, 2, 'a tenth of maxBytes is freed at once')
  for (let at = 0; at < 50; at++) await backend.set('key-10', entry(value))
  t.equal((await backend.stats()).evictions, 2, 'setting one key again does not add to the used bytes')
  await Promise.all(Array.from({ length: 200 }, (_, at) => backend.set(`more-${at}`, entry(value))))
  t.ok(used() <= 20_000, `${used()} bytes`)
  t.equal(await textAt(backend, 'more-199'), value, 'the last entry is stored')
})

t.test('file: entries that another process left are counted from the first write on', async (t) => {
  const dir = join(newFolder(t), 'cache')
  const first = await openFiles(t, { dir })
  for (let at = 0; at < 20; at++) await first.backend.set(`key-${at}`, entry('v'.repeat(1_000)))
  await first.backend.close()
  const second = await openFiles(t, { dir, maxBytes: 10_000 })
  await second.backend.set('key', entry('value'))
  t.ok(((await second.backend.stats()).bytes ?? Infinity) <= 10_000)
  t.equal(await textAt(second.backend, 'key'), 'value')
})

t.test('file: an entry that can never fit is refused, and the previous entry of its key is removed', async (t) => {
  const { backend } = await openFiles(t, { dir: join(newFolder(t), 'cache'), maxBytes: 1_000 })
  await backend.set('key', entry('value'))
  t.match(await failureOf(() => backend.set('key', entry('v'.repeat(1_001)))), {
    code: 'CACHE_ERR_BACKEND_FAILED', message: 'file.maxBytes'
  })
  t.equal(await textAt(backend, 'key'), undefined)
})

t.test('file: large values come back byte for byte, and the event loop is not blocked', async (t) => {
  const dir = join(newFolder(t), 'cache')
  const { backend } = await openFiles(t, { dir })
  for (const bytes of [65_535, 65_536, 65_537, 40_000_000]) {
    const value = Buffer.alloc(bytes, 'pattern')
    await backend.set('key', { value, expiresAt: Infinity })
    const found = backend.get('key')
    if (bytes > 65_536) t.ok(found instanceof Promise, 'asynchronously')
    t.ok(value.equals((await found)!.value), `${bytes} bytes`)
  }
  const value = Buffer.from('small')
  await backend.set('key', { value, expiresAt: Infinity })
  t.notOk(backend.get('key') instanceof Promise, 'synchronously')
})

t.test('file: two different keys are two files, whatever the keys contain', async (t) => {
  const dir = join(newFolder(t), 'cache')
  const { backend } = await openFiles(t, { dir })
  const units = fc.oneof(fc.constantFrom('\ud800', '\udfff', '\ufffd', '\u00ff', '\0', '/', '..', 'e\u0301', '\u00e9'),
    fc.string({ unit: 'binary' }))
  const keys = fc.uniqueArray(fc.array(units, { maxLength: 4 }).map((parts) => parts.join('')), { minLength: 2, maxLength: 40 })
  await fc.assert(fc.asyncProperty(keys, async (keys) => {
    await Promise.all(keys.map((key, at) => backend.set(key, entry(String(at)))))
    for (const [at, key] of keys.entries()) if (await textAt(backend, key) !== String(at)) return false
    const kept = (await backend.keys()).sort()
    await backend.clear()
    return JSON.stringify(kept) === JSON.stringify([...keys].sort())
  }), { numRuns: 40 })
  t.equal(filesIn(dir).length, 0)
  const long = 'k'.repeat(1_000_000)
  await backend.set(long, entry('long'))
  await backend.set(long + 'k', entry('longer'))
  t.equal(await textAt(backend, long), 'long')
  t.same((await backend.keys('*')).map((key) => key.length).sort(), [1_000_000, 1_000_001])
})

t.test('file: a key never becomes a path', async (t) => {
  const parent = t.testdir({ victim: 'untouched' })
  const dir = join(parent, 'cache')
  const { backend } = await openFiles(t, { dir })
  for (const key of ['../../victim', '..\\..\\victim', join(parent, 'victim'), '..', '.', 'a\0b', 'C:\\victim', 'CON']) {
    await backend.set(key, entry('value'))
    await backend.delete(key)
    await backend.set(key, entry('value'))
  }
  t.equal(readFileSync(join(parent, 'victim'), 'utf8'), 'untouched')
  t.same(readdirSync(parent).sort(), ['cache', 'victim'])
  t.same(readdirSync(dir).sort(), ['CACHEDIR.TAG', 'v1'])
  for (const path of filesIn(dir)) t.match(path, /\/v1\/([0-9a-f]{2})\/\1[0-9a-f]{62}$/)
  t.match(readFileSync(join(dir, 'CACHEDIR.TAG'), 'utf8'), /^Signature: 8a477f597d28d172789f06886806bc55\n/)
})

t.test('file: entries of another format version are neither read nor cleared', async (t) => {
  const dir = join(newFolder(t), 'cache')
  const { backend: other } = await openFiles(t, { dir })
  await other.set('key', entry('of the other version'))
  await other.close()
  renameSync(join(dir, 'v1'), join(dir, 'v2'))
  const { backend, cleanup } = await openFiles(t, { dir })
  t.equal(await textAt(backend, 'key'), undefined)
  await backend.set('key', entry('ours'))
  await cleanup()
  t.equal((await backend.stats()).entries, 1)
  await backend.clear()
  t.equal(await textAt(backend, 'key'), undefined)
  await backend.close()
  rmSync(join(dir, 'v1'), { recursive: true })
  renameSync(join(dir, 'v2'), join(dir, 'v1'))
  t.equal(await textAt((await openFiles(t, { dir })).backend, 'key'), 'of the other version')
})
