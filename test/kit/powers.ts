// Powers that count and look: has, size, stats, getMany.
import assert from 'node:assert/strict'
import { assertHolds, assertMiss, bytesOf, entryOf, withPower, type ConformanceCase } from './case.js'

export const powerCases: readonly ConformanceCase[] = [
  withPower('has', 'true for an entry, also for an empty one', async (backend, subject) => {
    await backend.set('key', entryOf('value', subject))
    await backend.set('empty', entryOf('', subject))
    assert.equal(await backend.has('key'), true, 'key')
    assert.equal(await backend.has('empty'), true, 'empty')
  }),

  withPower('has', 'false for what was never set, and for what was deleted', async (backend, subject) => {
    assert.equal(await backend.has('nonexistent'), false, 'nonexistent')
    assert.equal(await backend.has('__proto__'), false, '__proto__')
    await backend.set('key', entryOf('value', subject))
    await backend.delete('key')
    assert.equal(await backend.has('key'), false, 'key')
  }),

  withPower('has', 'false from expiresAt on', async (backend, subject) => {
    await backend.set('key', entryOf('value', subject, 1_000))
    await subject.pass(1_000)
    assert.equal(await backend.has('key'), false)
  }),

  withPower('size', 'the number of entries held', async (backend, subject) => {
    assert.equal(await backend.size(), 0, 'at first')
    for (const key of ['a', 'b', 'c']) await backend.set(key, entryOf('value', subject))
    assert.equal(await backend.size(), 3, 'after three sets')
    await backend.set('a', entryOf('other', subject))
    assert.equal(await backend.size(), 3, 'after a key was set again')
    await backend.delete('a')
    await backend.delete('nonexistent')
    assert.equal(await backend.size(), 2, 'after a delete')
  }),

  withPower('stats', 'what it tells is a number that is not negative', async (backend, subject) => {
    await backend.set('key', entryOf('value', subject))
    for (const [name, number] of Object.entries(await backend.stats())) {
      assert.ok(number === undefined || (Number.isFinite(number) && number >= 0), `${name}: expected a number, got ${String(number)}`)
    }
  }),

  withPower('stats', 'entries and bytes, where it knows them, are those that were set', async (backend, subject) => {
    assert.equal((await backend.stats()).entries ?? 0, 0, 'entries at first')
    for (const key of ['a', 'b', 'c']) await backend.set(key, entryOf('value', subject))
    const { entries = 3, bytes = 1 } = await backend.stats()
    assert.equal(entries, 3, 'entries after three sets')
    assert.ok(bytes > 0, 'expected bytes after three sets')
  }),

  withPower('getMany', 'the answers stand in the order of the keys, a miss as undefined', async (backend, subject) => {
    for (const key of ['a', 'b', 'c']) await backend.set(key, entryOf(`value ${key}`, subject))
    const answers = await backend.getMany(['c', 'nonexistent', 'a', 'b', 'c'])
    assert.equal(answers.length, 5, 'as many answers as keys')
    for (const [at, key] of [[0, 'c'], [2, 'a'], [3, 'b'], [4, 'c']] as const) assertHolds(answers[at], bytesOf(`value ${key}`), `answer ${at}`)
    assertMiss(answers[1], 'answer 1')
  }),

  withPower('getMany', 'an entry is gone from its expiresAt on', async (backend, subject) => {
    await backend.set('short', entryOf('value', subject, 1_000))
    await backend.set('long', entryOf('value', subject))
    await subject.pass(1_000)
    const [short, long] = await backend.getMany(['short', 'long'])
    assertMiss(short, 'short')
    assertHolds(long, bytesOf('value'), 'long')
  }),

  withPower('getMany', 'of no keys answers an empty list', async (backend) => {
    assert.deepEqual(await backend.getMany([]), [])
  })
]
