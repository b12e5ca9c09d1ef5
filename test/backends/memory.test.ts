// The memory backend beyond conformance: its bounds in bytes and entries, and which entries are evicted first.
import t from 'tap'
import { MEMORY_MAX_BYTES } from '../../backends/memory.js'
import { builtIns, type MemoryOptions } from '../../backends/index.js'
import { runChild } from '../support/child.js'
import { turns } from '../support/barrier.js'
import { testClock } from '../support/clock.js'
import { LONGEST_WORK_MS, watchLoop } from '../support/loop.js'
import { sized } from '../support/size.js'
import type { CacheBackend } from '../../registry/backend.js'
import type { MapBackend } from '../support/map-backend.js'

const LIFE_MS = 60_000
const MEBIBYTE = 1024 * 1024
const MANY = 300_000

type Opened = Omit<MapBackend, 'clear'> & Pick<Required<CacheBackend>, 'clear'>

async function setUp (options: MemoryOptions = {}) {
  const clock = testClock()
  // Every method is synchronous, which these tests rely on.
  const backend = await builtIns().open({ backend: 'memory', options }, { now: clock.now }) as Opened
  const put = (key: string, bytes = 1, lifeMs = LIFE_MS) =>
    backend.set(key, { value: Buffer.alloc(bytes), expiresAt: clock.now() + lifeMs })
  const kept = (...keys: string[]) => keys.filter((key) => backend.has(key))
  return { clock, backend, put, kept }
}

t.test('memory: methods return synchronously', async (t) => {
  const { backend, put } = await setUp()
  t.equal(put('key'), undefined)
  t.ok(backend.get('key')?.value instanceof Uint8Array)
  t.equal(backend.has('key'), true)
  t.equal(backend.delete('key'), undefined)
  t.equal(backend.get('key'), undefined)
  t.equal(backend.close(), undefined)
})

/** Half of the keys have the prefix 'a:'. A clear takes some hundred milliseconds. */
async function setUpMany () {
  const many = await setUp({ maxBytes: 1024 * MEBIBYTE })
  for (let at = 0; at < MANY; at++) many.put(`${at % 2 === 0 ? 'a' : 'b'}:${at}`)
  return many
}

t.test('memory: a clear of very many entries blocks the event loop for no longer than a few milliseconds at a time', async (t) => {
  const { backend } = await setUpMany()
  const watched = watchLoop()
  await backend.clear('a:')
  const { longestWorkMs } = await watched()
  t.ok(longestWorkMs < LONGEST_WORK_MS, `${longestWorkMs} ms of work between two turns`)
  t.same([backend.size(), backend.keys('a:*').length], [MANY / 2, 0])
})

t.test('memory: entries set while clear runs stay, and hits and deletes meanwhile hide no entry from it', async (t) => {
  const { backend, put, kept } = await setUpMany()
  const steps: number[] = []
  const cleared = backend.clear('a:', { onProgress: (removed) => { steps.push(removed) } })
  for (let at = 0; steps.length === 0 && at < 20_000; at += 2) {
    // The first and the last of them, in the order of sets and in the order of use.
    backend.get(`a:${at}`)
    backend.get(`a:${MANY - 2 - at}`)
    backend.delete(`a:${MANY / 2 + at}`)
    put(`a:later ${at % 100}`)
    put(`a:${MANY - 2}`)
    if (at % 200 === 0) await turns(1)
  }
  await cleared
  t.same(kept('a:0', 'a:2', `a:${MANY / 2}`, `a:${MANY - 4}`, `a:${MANY - 2}`, 'a:later 0', 'b:1'), [`a:${MANY - 2}`, 'a:later 0', 'b:1'])
  t.ok(backend.keys('a:*').every((key) => key === `a:${MANY - 2}` || key.startsWith('a:later')))
  t.ok(steps.length > 1 && steps.some((removed) => removed > 0), 'it reports progress')
})

t.test('memory: a clear of everything is synchronous, and so is a close while entries are cleared', async (t) => {
  const { backend, put, kept } = await setUpMany()
  const cleared = backend.clear('a:')
  t.equal(backend.clear(), undefined)
  put('a:1')
  await cleared
  t.same([backend.size(), kept('a:1')], [1, ['a:1']])
  t.equal(backend.close(), undefined)
})

t.test('memory: a hit is the same entry object that was set, not a copy', async (t) => {
  const { backend, clock } = await setUp()
  const entry = { value: Buffer.from('value'), expiresAt: clock.now() + LIFE_MS }
  backend.set('key', entry)
  t.equal(backend.get('key'), entry)
})

t.test('memory: the default bound is 64 MiB', async (t) => {
  const { backend } = await setUp()
  t.equal(MEMORY_MAX_BYTES, 64 * MEBIBYTE)
  t.match(backend.stats(), { entries: 0, bytes: 0, maxBytes: 64 * MEBIBYTE })
})

t.test('memory: bytes count values, keys and the overhead of entries, and never exceed maxBytes', async (t) => {
  const maxBytes = MEBIBYTE
  const { backend, put } = await setUp({ maxBytes })
  const bytes = () => Number((backend.stats() as { bytes?: number }).bytes)
  put('key', 1_000)
  const withKey = bytes()
  t.ok(withKey > 1_000 + 'key'.length)
  put('key', 2_000)
  t.equal(bytes(), withKey + 1_000, 'a value that is set again counts once')
  put('a longer key', 0)
  t.ok(bytes() > withKey + 1_000 + 'a longer key'.length, 'an empty value has a cost too')
  let most = 0
  for (let number = 0; number < 3_000; number++) {
    put(`key ${number}`, number)
    most = Math.max(most, bytes())
  }
  t.ok(most <= maxBytes, `${most} bytes at most`)
  t.ok(backend.size() > 100, 'this does not empty the backend')
  backend.clear()
  t.equal(bytes(), 0)
})

t.test('memory: the least recently used entry is evicted first, and a get counts as use', async (t) => {
  const { backend, put, kept } = await setUp({ maxEntries: 3 })
  for (const key of ['a', 'b', 'c']) put(key)
  backend.get('a')
  put('d')
  t.same(kept('a', 'b', 'c', 'd'), ['a', 'c', 'd'])
  put('c')
  put('e')
  t.same(kept('a', 'b', 'c', 'd', 'e'), ['c', 'd', 'e'])
})

t.test('memory: has and keys do not count as use', async (t) => {
  const { backend, put, kept } = await setUp({ maxEntries: 2 })
  put('a')
  put('b')
  backend.has('a')
  backend.keys()
  put('c')
  t.same(kept('a', 'b', 'c'), ['b', 'c'])
})

t.test('memory: an entry that is set again never evicts another one', async (t) => {
  const entries = await setUp({ maxEntries: 3 })
  for (const key of ['a', 'b', 'c', 'a', 'a', 'b']) entries.put(key)
  t.same(entries.kept('a', 'b', 'c'), ['a', 'b', 'c'])
  const bytes = await setUp({ maxBytes: 10_000 })
  for (const key of ['a', 'b', 'c', 'a', 'a', 'b']) bytes.put(key, 2_000)
  t.same(bytes.kept('a', 'b', 'c'), ['a', 'b', 'c'])
})

t.test('memory: an entry larger than the bound is not stored, evicts no other, and removes the previous entry', async (t) => {
  const { backend, put, kept } = await setUp({ maxBytes: 10_000 })
  put('a', 100)
  put('b', 100)
  put('a', 20_000)
  t.same(kept('a', 'b'), ['b'])
  t.equal(backend.get('a'), undefined)
})

t.test('memory: an expired entry is dropped when it is read', async (t) => {
  const { backend, clock, put } = await setUp()
  put('key', 1, 1_000)
  await clock.pass(1_000)
  t.equal(backend.size(), 1)
  t.equal(backend.get('key'), undefined)
  t.equal(backend.size(), 0)
})

t.test('memory: a hundred thousand keys that are numbers or share a prefix are found quickly', async (t) => {
  const { backend, put } = await setUp({ maxBytes: 1024 * MEBIBYTE })
  for (let number = 0; number < 100_000; number++) put(String(number))
  t.equal(backend.size(), 100_000)
  t.equal(backend.has('99999'), true)
  t.equal(backend.has('100000'), false)
})

t.test('memory: a bound that is not a positive integer is refused', async (t) => {
  for (const name of ['maxBytes', 'maxEntries']) {
    for (const value of [0, -5, 1.5, NaN, Infinity, '64mb', null, true, 1n]) {
      await t.rejects(setUp({ [name]: value }), { code: 'CACHE_ERR_OPTION', message: `cache: 'memory.${name}' must be a positive integer` })
    }
  }
})

/** Measures the backend's memory in a process of its own. */
async function measure (count: number, valueBytes: number, maxBytes: number) {
  const { exitCode, stdout, stderr } = await runChild('support/children/memory.js', {
    nodeArgs: ['--expose-gc'], args: [String(count), String(valueBytes), String(maxBytes)]
  })
  if (exitCode !== 0) throw new Error(stderr)
  return JSON.parse(stdout) as { entries: number, bytes: number, usedBytes: number }
}

t.test('memory: values of 20 KB in 50 MB take 50 MB, however many are set', async (t) => {
  const maxBytes = 50 * MEBIBYTE
  const { entries, bytes, usedBytes } = await measure(sized(100_000), 20_000, maxBytes)
  t.ok(bytes <= maxBytes)
  t.ok(entries > 2_000)
  t.ok(usedBytes <= maxBytes * 1.1, `${usedBytes} bytes`)
})

t.test('memory: values of one byte take maxBytes, keys and overhead included, however many are set', async (t) => {
  const maxBytes = 64 * MEBIBYTE
  const { entries, bytes, usedBytes } = await measure(sized(1_000_000), 1, maxBytes)
  t.ok(bytes <= maxBytes)
  t.ok(entries > 40_000, `${entries} entries`)
  // Entries that are dropped faster than garbage is collected leave room behind in the collector's tables.
  t.ok(usedBytes <= maxBytes * 1.5, `${usedBytes} bytes are not far above the bound`)
  t.ok(usedBytes >= maxBytes * 0.5, `${usedBytes} bytes are not far below it`)
})
