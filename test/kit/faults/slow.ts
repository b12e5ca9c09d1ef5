// Cases in which each change takes the store a while, and many sets are pending. A delete, clear or get must not wait for them.
import { withLevers, type ConformanceCase, type WithPower } from '../case.js'
import { bytesOf, entryOf } from '../entries.js'
import { assertHolds, assertMiss } from '../expect.js'
import { outcomeOf, resultOf } from '../outcome.js'
import type { SubjectWith } from '../subject.js'
import type { CacheBackend } from '../../../registry/backend.js'

const SETS = 1_000
// The limit for one call. It is far less than all sets take if the store makes eight changes at a time, but enough for a busy machine.
const IN_TIME_MS = 4_000
const ENDING_MS = 30_000

const ADVICE =
  'Send the store few sets at a time, and other calls before waiting sets: nobody waits for a set, and somebody waits for each other call'

/**
 * Sets `key`, makes the store slow, and starts many concurrent sets. Returns a function that makes the store fast and awaits these sets.
 */
async function beginSets (backend: CacheBackend, subject: SubjectWith<'slow'>): Promise<() => Promise<void>> {
  await backend.set('key', entryOf('value', subject))
  const heal = await subject.slow()
  const sets = Promise.allSettled(Array.from({ length: SETS }, async (_, at) => backend.set(`set ${at}`, entryOf('value', subject))))
  return async () => {
    await heal()
    await outcomeOf('sets when the store is fast again', () => sets, ENDING_MS)
  }
}

export const slowCases: readonly ConformanceCase[] = [
  withLevers(['slow'], 'slow: a delete during many sets settles in time', async (backend, subject) => {
    const end = await beginSets(backend, subject)
    await resultOf('delete() during many sets', () => backend.delete('key'), IN_TIME_MS)
    assertMiss(await resultOf('get()', () => backend.get('key')), 'get() of a key that was deleted during many sets')
    await end()
    assertMiss(await resultOf('get()', () => backend.get('key')), 'get() of a key that was deleted during many sets, after they settled,')
  }, { advice: ADVICE }),

  withLevers(['slow'], 'slow: clear during many sets settles in time', async (backend: WithPower<'clear'>, subject) => {
    const end = await beginSets(backend, subject)
    await resultOf('clear() during many sets', () => backend.clear('key'), IN_TIME_MS)
    assertMiss(await resultOf('get()', () => backend.get('key')), 'get() of a key that was cleared during many sets')
    await end()
    assertMiss(await resultOf('get()', () => backend.get('key')), 'get() of a key that was cleared during many sets, after they settled,')
  }, { power: 'clear', advice: ADVICE }),

  withLevers(['slow'], 'slow: a get during many sets settles in time', async (backend, subject) => {
    const end = await beginSets(backend, subject)
    assertHolds(await resultOf('get() during many sets', () => backend.get('key'), IN_TIME_MS), bytesOf('value'), 'get() during many sets')
    await end()
  }, { advice: ADVICE })
]
