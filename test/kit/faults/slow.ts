// Each change takes the store its time, and many sets are under way: what is done on purpose does not wait for them.
import { withLevers, type ConformanceCase, type WithPower } from '../case.js'
import { bytesOf, entryOf } from '../entries.js'
import { assertHolds, assertMiss } from '../expect.js'
import { answerOf, outcomeOf } from '../outcome.js'
import type { SubjectWith } from '../subject.js'
import type { CacheBackend } from '../../../registry/backend.js'

const SETS = 1_000
// Far from how long all of the sets take on a store that does eight at once, and far enough for a busy machine.
const IN_TIME_MS = 4_000
const ENDING_MS = 30_000

const ADVICE =
  'Give the store few sets at a time, and deletes before those that wait: nobody waits for a set, and somebody for each of the others'

/** A backend with an entry under `key`, that is given so many sets at once. Answers how they come to an end. */
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
  withLevers(['slow'], 'slow: a delete beside many sets is over in time', async (backend, subject) => {
    const end = await beginSets(backend, subject)
    await answerOf('delete() beside many sets', () => backend.delete('key'), IN_TIME_MS)
    assertMiss(await answerOf('get()', () => backend.get('key')), 'get() of what was deleted beside many sets')
    await end()
    assertMiss(await answerOf('get()', () => backend.get('key')), 'get() of what was deleted beside many sets, when they are over,')
  }, { advice: ADVICE }),

  withLevers(['slow'], 'slow: clear beside many sets is over in time', async (backend: WithPower<'clear'>, subject) => {
    const end = await beginSets(backend, subject)
    await answerOf('clear() beside many sets', () => backend.clear('key'), IN_TIME_MS)
    assertMiss(await answerOf('get()', () => backend.get('key')), 'get() of what was cleared beside many sets')
    await end()
    assertMiss(await answerOf('get()', () => backend.get('key')), 'get() of what was cleared beside many sets, when they are over,')
  }, { power: 'clear', advice: ADVICE }),

  withLevers(['slow'], 'slow: a get beside many sets is over in time', async (backend, subject) => {
    const end = await beginSets(backend, subject)
    assertHolds(await answerOf('get() beside many sets', () => backend.get('key'), IN_TIME_MS), bytesOf('value'), 'get() beside many sets')
    await end()
  }, { advice: ADVICE })
]
