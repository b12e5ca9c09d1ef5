// Cases for the optional methods has, size, stats and getMany.
import assert from 'node:assert/strict'
import type { BackendStats } from '../../registry/backend.js'
import { withPower, type ConformanceCase } from './case.js'
import { bytesOf, entryOf, LIFE_MS } from './entries.js'
import { assertHolds, assertMiss } from './expect.js'
import { resultOf, show } from './outcome.js'

function assertIs (came: unknown, expected: unknown, what: string): void {
  assert.ok(came === expected, `${what} must be ${show(expected)}; got ${show(came)}`)
}

function assertNumbers (stats: BackendStats): void {
  for (const [name, number] of Object.entries(stats)) {
    assert.ok(number === undefined || (Number.isFinite(number) && number >= 0),
      `stats().${name} must be a number, not negative, or absent; got ${show(number)}`)
  }
}

const NOT_PROLONGED = 'Only a set changes the life of an entry: no sliding expiry'

export const powerCases: readonly ConformanceCase[] = [
  withPower('has', 'returns true for an entry, even for an empty one', async (backend, subject) => {
    await backend.set('key', entryOf('value', subject))
    await backend.set('empty', entryOf('', subject))
    assertIs(await backend.has('key'), true, "has('key')")
    assertIs(await backend.has('empty'), true, "has('empty')")
  }),

  withPower('has', 'returns false for a key that was never set, and for a deleted one', async (backend, subject) => {
    assertIs(await backend.has('nonexistent'), false, "has('nonexistent')")
    assertIs(await backend.has('__proto__'), false, "has('__proto__')")
    await backend.set('key', entryOf('value', subject))
    await backend.delete('key')
    assertIs(await backend.has('key'), false, "has('key')")
  }),

  withPower('has', 'distinguishes keys as get does', async (backend, subject) => {
    await backend.set('a', entryOf('value', subject))
    for (const key of [' a', 'a ', 'a\n', '\na', 'a\0', '\ufeffa', 'a\ufeff', 'A', '\u0141', '\uff41']) {
      assertIs(await backend.has(key), false, `has(${JSON.stringify(key)}), after "a" was set,`)
    }
  }),

  withPower('has', 'returns false at and after expiresAt', async (backend, subject) => {
    await backend.set('key', entryOf('value', subject, 1_000))
    await subject.pass(1_000)
    assertIs(await backend.has('key'), false, 'has() at expiresAt')
  }),

  withPower('has', 'does not extend the life of its entry', async (backend, subject) => {
    await backend.set('key', entryOf('value', subject, 1_000))
    await subject.pass(600)
    await backend.has('key')
    await subject.pass(400)
    assertMiss(await backend.get('key'), 'get() at expiresAt, after an earlier has()')
  }, { advice: NOT_PROLONGED }),

  withPower('size', 'returns the number of entries', async (backend, subject) => {
    assertIs(await backend.size(), 0, 'size() at first')
    for (const key of ['a', 'b', 'c']) await backend.set(key, entryOf('value', subject))
    assertIs(await backend.size(), 3, 'size() after three sets')
    await backend.set('a', entryOf('other', subject))
    assertIs(await backend.size(), 3, 'size() after a key was set again')
    await backend.delete('a')
    await backend.delete('nonexistent')
    assertIs(await backend.size(), 2, 'size() after a delete')
  }),

  withPower('stats', 'each value is a number that is not negative', async (backend, subject) => {
    await backend.set('key', entryOf('value', subject))
    assertNumbers(await backend.stats())
  }),

  withPower('stats', 'entries and bytes, if present, agree with what was set', async (backend, subject) => {
    assertIs((await backend.stats()).entries ?? 0, 0, 'stats().entries at first')
    for (const key of ['a', 'b', 'c']) await backend.set(key, entryOf('value', subject))
    const { entries = 3, bytes = 1 } = await backend.stats()
    assertIs(entries, 3, 'stats().entries after three sets')
    assert.ok(bytes > 0, `stats().bytes after three sets must be more than 0; got ${show(bytes)}. Leave out what the backend does not know`)
  }),

  withPower('stats', 'works after clear, or after everything was deleted', async (backend, subject) => {
    const removeAll = backend.clear === undefined ? () => backend.delete('key') : () => backend.clear!()
    for (const prefix of [undefined, 'k']) {
      await backend.set('key', entryOf('value', subject))
      await backend.stats()
      await (prefix === undefined ? removeAll() : backend.clear?.(prefix))
      assertNumbers(await resultOf('stats() when nothing is left', () => backend.stats()))
    }
  }),

  withPower('getMany', 'returns entries in the order of the keys, and undefined for a miss', async (backend, subject) => {
    for (const key of ['a', 'b', 'c']) await backend.set(key, entryOf(`value ${key}`, subject))
    const hits = await backend.getMany(['c', 'nonexistent', 'a', 'b', 'c'])
    assertIs(hits.length, 5, 'the length of the array that getMany() returns for five keys')
    for (const [at, key] of [[0, 'c'], [2, 'a'], [3, 'b'], [4, 'c']] as const) {
      assertHolds(hits[at], bytesOf(`value ${key}`), `getMany()[${at}]`)
    }
    assertMiss(hits[1], 'getMany()[1], for a key that does not exist,')
  }),

  withPower('getMany', 'returns each value unchanged, for its own key', async (backend, subject) => {
    const keys = ['a', 'a\n', ' a', 'a\0', '\ufeffa']
    const values = ['a\n', ' a ', '\ufeffa', 'a\0', '\r\n'].map(bytesOf)
    for (const [at, key] of keys.entries()) await backend.set(key, { value: values[at]!, expiresAt: subject.now() + LIFE_MS })
    const hits = await backend.getMany(keys)
    for (const [at, value] of values.entries()) assertHolds(hits[at], value, `getMany()[${at}]`)
  }),

  withPower('getMany', 'does not return an entry at or after its expiresAt', async (backend, subject) => {
    await backend.set('short', entryOf('value', subject, 1_000))
    await backend.set('long', entryOf('value', subject))
    await subject.pass(1_000)
    const [short, long] = await backend.getMany(['short', 'long'])
    assertMiss(short, 'getMany() of an expired entry')
    assertHolds(long, bytesOf('value'), 'getMany() of an entry that has not expired')
  }),

  withPower('getMany', 'does not extend the lives of its entries', async (backend, subject) => {
    await backend.set('key', entryOf('value', subject, 1_000))
    await subject.pass(600)
    await backend.getMany(['key'])
    await subject.pass(400)
    assertMiss(await backend.get('key'), 'get() at expiresAt, after an earlier getMany()')
  }, { advice: NOT_PROLONGED }),

  withPower('getMany', 'returns an empty array for no keys', async (backend) => {
    assertIs((await backend.getMany([])).length, 0, 'the length of the array that getMany([]) returns')
  })
]
