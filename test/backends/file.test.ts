// The file backend: its options, its bounds, its life, its keys and changes.
import { existsSync, lstatSync, readdirSync, readFileSync, rmSync, statSync, utimesSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import t from 'tap'
import { testClock } from '../support/clock.js'
import { runChild } from '../support/child.js'
import { asideIn, entry, failureOf, filesIn, openFiles, pathIn, textAt } from '../support/files.js'
import { LONGEST_WORK_MS, watchLoop } from '../support/loop.js'

const CHILD = 'support/children/file.ts'

t.test('A19: an option that is wrong is refused by name', async (t) => {
  const wrong: ReadonlyArray<readonly [options: object, who: string]> = [
    [{ dir: '' }, 'file.dir'], [{ dir: 1 }, 'file.dir'], [{ maxBytes: 0 }, 'file.maxBytes'], [{ maxBytes: '1' }, 'file.maxBytes'],
    [{ cleanupInterval: 0 }, 'file.cleanupInterval'], [{ fsync: 1 }, 'file.fsync'], [{ path: 'x' }, 'file.path']
  ]
  for (const [options, who] of wrong) t.match(await failureOf(() => openFiles(t, options)), { code: 'CACHE_ERR_OPTION', message: who })
})

t.test('D11: expiry is known from the outside: the time of change is the instant, and an entry whose time is past is a miss and removed', async (t) => {
  const dir = join(t.testdir(), 'cache')
  const clock = testClock()
  const { backend } = await openFiles(t, { dir }, clock)
  const expiresAt = clock.now() + 1_500
  await backend.set('key', entry('value', expiresAt + 0.7))
  await backend.set('for ever', entry('value'))
  t.equal(Math.round(statSync(pathIn(dir, 'key')).mtimeMs), expiresAt)
  t.equal((await backend.get('key'))?.expiresAt, expiresAt)
  utimesSync(pathIn(dir, 'key'), 1, clock.now() / 1_000)
  t.equal(backend.has('key'), false)
  t.equal(backend.get('key'), undefined, 'at once')
  t.notOk(existsSync(pathIn(dir, 'key')))
  t.equal((await backend.get('for ever'))?.expiresAt, Number.MAX_SAFE_INTEGER)
})

t.test('D11: the cleanup removes what is expired, in short steps, and only that', async (t) => {
  const dir = join(t.testdir(), 'cache')
  const clock = testClock()
  const { backend, cleanup } = await openFiles(t, { dir }, clock)
  await Promise.all(Array.from({ length: 3_000 }, (_, at) => backend.set(`key-${at}`, entry('value', clock.now() + (at % 3 === 0 ? 5_000 : 1_000)))))
  await clock.pass(1_000)
  t.match(await backend.stats(), { entries: 3_000, activeEntries: 1_000, expiredEntries: 2_000 })
  const ended = watchLoop()
  await cleanup()
  t.ok((await ended()).longestWorkMs < LONGEST_WORK_MS)
  t.match(await backend.stats(), { entries: 1_000, expiredEntries: 0, evictions: 0, damagedFiles: 0 })
  t.equal(await backend.size(), 1_000)
  t.equal(filesIn(dir).length, 1_000)
})

t.test('file: a full folder stays within maxBytes: the expired go first, then the least recently used', async (t) => {
  const dir = join(t.testdir(), 'cache')
  const clock = testClock()
  const { backend } = await openFiles(t, { dir, maxBytes: 20_000 }, clock)
  const used = () => filesIn(dir).reduce((sum, path) => sum + lstatSync(path).size, 0)
  const value = 'v'.repeat(1_800)
  await backend.set('expires', entry(value, clock.now() + 1_000))
  for (let at = 0; at < 8; at++) await backend.set(`key-${at}`, entry(value))
  await clock.pass(120_000)
  t.equal(await textAt(backend, 'key-0'), value, 'used anew')
  await backend.set('key-8', entry(value))
  await backend.set('key-9', entry(value))
  await backend.set('key-10', entry(value))
  t.ok(used() <= 20_000, `${used()} bytes`)
  t.same((await backend.keys()).sort(), ['key-0', 'key-10', 'key-3', 'key-4', 'key-5', 'key-6', 'key-7', 'key-8', 'key-9'].sort(), 'without the expired, key-1 and key-2')
  t.equal((await backend.stats()).evictions, 2, 'a tenth is given back at once')
  for (let at = 0; at < 50; at++) await backend.set('key-10', entry(value))
  t.equal((await backend.stats()).evictions, 2, 'setting one key again makes nothing grow')
  await Promise.all(Array.from({ length: 200 }, (_, at) => backend.set(`more-${at}`, entry(value))))
  t.ok(used() <= 20_000, `${used()} bytes`)
  t.equal(await textAt(backend, 'more-199'), value, 'the last one is there')
})

t.test('file: what another process left is counted from the first write on', async (t) => {
  const dir = join(t.testdir(), 'cache')
  const first = await openFiles(t, { dir })
  for (let at = 0; at < 20; at++) await first.backend.set(`key-${at}`, entry('v'.repeat(1_000)))
  await first.backend.close()
  const second = await openFiles(t, { dir, maxBytes: 10_000 })
  await second.backend.set('key', entry('value'))
  t.ok(((await second.backend.stats()).bytes ?? Infinity) <= 10_000)
  t.equal(await textAt(second.backend, 'key'), 'value')
})

t.test('A23: an entry that can never fit is refused, and what was there before is gone', async (t) => {
  const { backend } = await openFiles(t, { dir: join(t.testdir(), 'cache'), maxBytes: 1_000 })
  await backend.set('key', entry('value'))
  t.match(await failureOf(() => backend.set('key', entry('v'.repeat(1_001)))), { code: 'CACHE_ERR_BACKEND_FAILED', message: 'file.maxBytes' })
  t.equal(await textAt(backend, 'key'), undefined)
})

t.test('A23: large values come back byte for byte, while the loop turns', async (t) => {
  const dir = join(t.testdir(), 'cache')
  const { backend } = await openFiles(t, { dir })
  for (const bytes of [65_535, 65_536, 65_537, 40_000_000]) {
    const value = Buffer.alloc(bytes, 'pattern')
    await backend.set('key', { value, expiresAt: Infinity })
    const found = backend.get('key')
    if (bytes > 65_536) t.ok(found instanceof Promise, 'later')
    t.ok(value.equals((await found)!.value), `${bytes} bytes`)
  }
  const value = Buffer.from('small')
  await backend.set('key', { value, expiresAt: Infinity })
  t.notOk(backend.get('key') instanceof Promise, 'at once')
})

t.test('A22: two different keys are two files, whatever stands in them', async (t) => {
  const dir = join(t.testdir(), 'cache')
  const { backend } = await openFiles(t, { dir })
  const units = fc.oneof(fc.constantFrom('\ud800', '\udfff', '\ufffd', '\u00ff', '\0', '/', '..', 'e\u0301', '\u00e9'), fc.string({ unit: 'binary' }))
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

t.test('E29: a key never becomes a path', async (t) => {
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

t.test('C05: changes of one key take effect in the order of the calls, awaited or not', async (t) => {
  const dir = join(t.testdir(), 'cache')
  const { backend } = await openFiles(t, { dir })
  for (let round = 0; round < 50; round++) {
    const done: unknown[] = []
    for (let at = 0; at < 10; at++) {
      done.push(backend.set('key', entry(`${round}-${at}`)), backend.delete('key'))
      if (round % 3 === at % 3) await backend.set('other', entry('value'))
    }
    t.equal(await textAt(backend, 'key'), undefined, 'what was called last is what is read')
    if (round % 2 === 0) done.push(backend.set('key', entry(`${round}`)))
    await Promise.all(done)
    t.equal(existsSync(pathIn(dir, 'key')), round % 2 === 0)
    t.equal(await textAt(backend, 'key'), round % 2 === 0 ? String(round) : undefined)
  }
  t.same(asideIn(dir), [])
})

t.test('C05: a clear forgets what was put before it, by keys and not by names, and leaves what is put after it', async (t) => {
  const dir = join(t.testdir(), 'cache')
  const { backend } = await openFiles(t, { dir })
  await Promise.all(Array.from({ length: 500 }, (_, at) => backend.set(`a${at}`, entry('value'))))
  const done = [backend.set('a-new', entry('before')), backend.set('b-new', entry('before'))]
  const cleared = backend.clear('a')
  done.push(backend.set('a0', entry('after')), backend.set('a-new', entry('after')))
  await Promise.all([cleared, ...done])
  t.same((await backend.keys()).sort(), ['a-new', 'a0', 'b-new'])
  t.equal(await textAt(backend, 'a-new'), 'after')
  await backend.set('c', entry('before'))
  await backend.set('d', entry('before'))
  const all = backend.clear()
  const later = backend.set('c', entry('after'))
  await Promise.all([all, later])
  t.same(await backend.keys(), ['c'])
})

t.test('C06: a clear and a delete reach what another process holds', async (t) => {
  const dir = join(t.testdir(), 'cache')
  const one = (await openFiles(t, { dir })).backend
  const other = (await openFiles(t, { dir })).backend
  for (const key of ['a', 'b', 'c']) await one.set(key, entry(key))
  await other.delete('a')
  t.equal(await textAt(one, 'a'), undefined)
  await other.clear('b')
  t.equal(await textAt(one, 'b'), undefined)
  t.equal(await textAt(other, 'c'), 'c')
  await other.clear()
  t.equal(await textAt(one, 'c'), undefined)
})

t.test('file: the bytes that wait for the disk are bounded', async (t) => {
  const { backend } = await openFiles(t, { dir: join(t.testdir(), 'cache') })
  const value = Buffer.alloc(10_000_000)
  const sets = Array.from({ length: 10 }, (_, at) => failureOf(() => backend.set(String(at), { value, expiresAt: Infinity })))
  const failures = (await Promise.all(sets)).filter((failure) => failure !== undefined)
  t.equal(failures.length, 4)
  t.match(failures[0], { code: 'CACHE_ERR_BACKEND_FAILED', message: 'waiting' })
  t.equal(await failureOf(() => backend.set('again', entry('value'))), undefined)
})

t.test('C23: close may be called twice, lets what was called settle, and every later call is an error that says so', async (t) => {
  const dir = join(t.testdir(), 'cache')
  const { backend, cleanup } = await openFiles(t, { dir })
  await Promise.all(Array.from({ length: 500 }, (_, at) => backend.set(`key-${at}`, entry('value'))))
  const big = backend.set('big', { value: Buffer.alloc(100_000), expiresAt: Infinity })
  await big
  const running = [failureOf(cleanup), failureOf(() => backend.clear('key')), failureOf(() => backend.keys())]
  const read = backend.get('big')
  const set = backend.set('last', entry('value'))
  await Promise.all([backend.close(), backend.close()])
  await set
  t.equal((await read)?.value.byteLength, 100_000)
  const [cleaned, ...others] = await Promise.all(running)
  t.equal(cleaned, undefined, 'a cleanup ends without an error')
  for (const failure of others) if (failure !== undefined) t.match(failure, { code: 'CACHE_ERR_CLOSED' })
  const calls: Record<string, () => unknown> = {
    get: () => backend.get('key'),
    set: () => backend.set('key', entry('value')),
    delete: () => backend.delete('key'),
    has: () => backend.has('key'),
    getMany: () => backend.getMany(['key']),
    clear: () => backend.clear(),
    keys: () => backend.keys(),
    size: () => backend.size(),
    stats: () => backend.stats()
  }
  for (const [name, call] of Object.entries(calls)) {
    t.match(await failureOf(call), { code: 'CACHE_ERR_CLOSED', message: name === 'getMany' ? 'file.get' : `file.${name}` }, name)
  }
  t.equal(await textAt((await openFiles(t, { dir })).backend, 'last'), 'value')
})

t.test('D08: a process that closes its cache ends by itself, and leaves no file open', async (t) => {
  const { exitCode, stdout } = await runChild(CHILD, { args: [join(t.testdir(), 'cache'), 'set and close'], timeoutMs: 20_000 })
  t.equal(exitCode, 0)
  t.match(JSON.parse(stdout), { resources: [], left: 0 })
})

t.test('D09: a process that never closes its cache ends by itself, and what it set is kept', async (t) => {
  const dir = join(t.testdir(), 'cache')
  const { exitCode } = await runChild(CHILD, { args: [dir, 'set and leave'], timeoutMs: 20_000 })
  t.equal(exitCode, 0)
  const { backend } = await openFiles(t, { dir })
  t.equal(backend.has('key'), true)
})

t.test('A15: a folder that is removed while it is used is a miss, and comes back with the next set', async (t) => {
  const parent = t.testdir()
  const dir = join(parent, 'a', 'cache')
  const { backend, cleanup } = await openFiles(t, { dir })
  for (const gone of [join(parent, 'a'), dir, join(dir, 'v1')]) {
    await backend.set('key', entry('value'))
    rmSync(gone, { recursive: true })
    t.equal(await textAt(backend, 'key'), undefined)
    t.equal(await backend.size(), 0)
    t.same(await backend.keys(), [])
    await backend.delete('key')
    await backend.clear('k')
    await cleanup()
    await Promise.all(Array.from({ length: 20 }, (_, at) => backend.set(`key-${at}`, entry('value'))))
    t.equal(await backend.size(), 20)
    await backend.clear()
  }
  t.ok(existsSync(join(dir, 'CACHEDIR.TAG')))
})
