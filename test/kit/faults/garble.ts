// The store hands out garbage, or what it holds is damaged.
import assert from 'node:assert/strict'
import type { CacheBackend } from '../../../registry/backend.js'
import { withLevers, type ConformanceCase } from '../case.js'
import { bytesOf, entryOf, LIFE_MS } from '../entries.js'
import { assertEntry, assertHolds } from '../expect.js'
import { answerOf, outcomeOf, show } from '../outcome.js'
import type { Heal, SubjectWith } from '../subject.js'

const KEYS = ['a', 'b', 'c', 'd']

/** A backend on a store that was damaged after these keys were set, and how it works again. */
async function damaged (backend: CacheBackend, subject: SubjectWith<'garble'>): Promise<{ backend: CacheBackend, heal: Heal }> {
  for (const key of KEYS) await backend.set(key, { value: new Uint8Array(500).fill(0x61), expiresAt: subject.now() + LIFE_MS })
  if (subject.reopen === undefined) return { backend, heal: await subject.garble() }
  await backend.close()
  const heal = await subject.garble()
  return { backend: await subject.reopen(), heal }
}

const ADVICE =
  'Check what was read before it is handed out; what is no entry is a miss or an error, and removed or replaced by the next set'

export const garbleCases: readonly ConformanceCase[] = [
  withLevers(['garble'], 'garble: a get answers an entry, a miss or an error, and nothing else', async (given, subject) => {
    const { backend } = await damaged(given, subject)
    for (const key of KEYS) {
      const outcome = await outcomeOf('get() of what was damaged', () => backend.get(key))
      if ('error' in outcome) {
        assert.ok(outcome.error instanceof Error,
          `get() of what was damaged must throw an Error, if it throws; it threw ${show(outcome.error)}`)
      } else if (outcome.answer !== undefined) {
        assertEntry(outcome.answer, 'get() of what was damaged')
        assert.ok(outcome.answer.expiresAt > subject.now(),
          `get() of what was damaged must answer no entry that is over; got ${show(outcome.answer)}`)
      }
    }
  }, { advice: ADVICE }),

  withLevers(['garble'], 'garble: a key whose entry was damaged can be set again', async (given, subject) => {
    const { backend, heal } = await damaged(given, subject)
    for (const key of KEYS) await outcomeOf('get() of what was damaged', () => backend.get(key))
    await heal()
    for (const key of KEYS) {
      await answerOf('set() of a key whose entry was damaged', () => backend.set(key, entryOf(`new ${key}`, subject)))
      assertHolds(await answerOf('get() after the set', () => backend.get(key)), bytesOf(`new ${key}`),
        'get() after a key whose entry was damaged was set again')
    }
  }, { advice: ADVICE }),

  withLevers(['garble'], 'garble: a key whose entry was damaged can be deleted', async (given, subject) => {
    const { backend, heal } = await damaged(given, subject)
    await heal()
    for (const key of KEYS) {
      await answerOf('delete() of a key whose entry was damaged', () => backend.delete(key))
      const answer = await answerOf('get() after a key whose entry was damaged was deleted', () => backend.get(key))
      assert.ok(answer === undefined, `get() after a key whose entry was damaged was deleted must answer undefined; got ${show(answer)}`)
    }
  }, { advice: ADVICE }),

  withLevers(['garble'], 'garble: clear forgets damaged entries too, and stops at none', async (given, subject) => {
    const { backend, heal } = await damaged(given, subject)
    await heal()
    await answerOf('clear() of damaged entries', () => backend.clear!())
    for (const key of KEYS) {
      const answer = await answerOf('get() after clear()', () => backend.get(key))
      assert.ok(answer === undefined, `get() after clear() of damaged entries must answer undefined; got ${show(answer)}`)
    }
    await answerOf('set() after clear()', () => backend.set('after', entryOf('after', subject)))
    assertHolds(await backend.get('after'), bytesOf('after'), 'get() of what was set after clear()')
  }, { power: 'clear', advice: ADVICE }),

  withLevers(['garble'], 'garble: close settles', async (given, subject) => {
    const { backend } = await damaged(given, subject)
    await outcomeOf('get() of what was damaged', () => backend.get('a'))
    await answerOf('close() with damaged entries', () => backend.close())
  })
]
