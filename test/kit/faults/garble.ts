// Cases in which the store returns garbage, or its contents are damaged.
import assert from 'node:assert/strict'
import type { CacheBackend } from '../../../registry/backend.js'
import { withLevers, type ConformanceCase } from '../case.js'
import { bytesOf, entryOf, LIFE_MS } from '../entries.js'
import { assertEntry, assertHolds, assertMiss } from '../expect.js'
import { outcomeOf, resultOf, show } from '../outcome.js'
import type { Heal, SubjectWith } from '../subject.js'

const KEYS = ['a', 'b', 'c', 'd']

/** Sets the keys and damages the store. Returns a backend that uses the store, and a function that makes the store work again. */
async function damaged (backend: CacheBackend, subject: SubjectWith<'garble'>): Promise<{ backend: CacheBackend, heal: Heal }> {
  for (const key of KEYS) await backend.set(key, { value: new Uint8Array(500).fill(0x61), expiresAt: subject.now() + LIFE_MS })
  if (subject.reopen === undefined) return { backend, heal: await subject.garble() }
  await backend.close()
  const heal = await subject.garble()
  return { backend: await subject.reopen(), heal }
}

const ADVICE =
  'Check what you read before you return it. If it is not an entry, return undefined or fail, and let the next set replace it'

export const garbleCases: readonly ConformanceCase[] = [
  withLevers(['garble'], 'garble: a get returns an entry or undefined, or it fails', async (given, subject) => {
    const { backend } = await damaged(given, subject)
    for (const key of KEYS) {
      const outcome = await outcomeOf('get() of a damaged entry', () => backend.get(key))
      if ('error' in outcome) {
        assert.ok(outcome.error instanceof Error,
          `get() of a damaged entry must throw an Error, if it throws; it threw ${show(outcome.error)}`)
      } else if (outcome.result !== undefined) {
        assertEntry(outcome.result, 'get() of a damaged entry')
        assert.ok(outcome.result.expiresAt > subject.now(),
          `get() of a damaged entry must not return an expired entry; got ${show(outcome.result)}`)
      }
    }
  }, { advice: ADVICE }),

  withLevers(['garble'], 'garble: a key with a damaged entry can be set again', async (given, subject) => {
    const { backend, heal } = await damaged(given, subject)
    for (const key of KEYS) await outcomeOf('get() of a damaged entry', () => backend.get(key))
    await heal()
    for (const key of KEYS) {
      await resultOf('set() of a key with a damaged entry', () => backend.set(key, entryOf(`new ${key}`, subject)))
      assertHolds(await resultOf('get() after the set', () => backend.get(key)), bytesOf(`new ${key}`),
        'get() of a key that was set again after its entry was damaged')
    }
  }, { advice: ADVICE }),

  withLevers(['garble'], 'garble: a key with a damaged entry can be deleted', async (given, subject) => {
    const { backend, heal } = await damaged(given, subject)
    await heal()
    for (const key of KEYS) {
      await resultOf('delete() of a key with a damaged entry', () => backend.delete(key))
      const call = 'get() of a key that was deleted after its entry was damaged'
      assertMiss(await resultOf(call, () => backend.get(key)), call)
    }
  }, { advice: ADVICE }),

  withLevers(['garble'], 'garble: clear removes damaged entries too', async (given, subject) => {
    const { backend, heal } = await damaged(given, subject)
    await heal()
    await resultOf('clear() of damaged entries', () => backend.clear!())
    for (const key of KEYS) {
      assertMiss(await resultOf('get() after clear()', () => backend.get(key)), 'get() after clear() of damaged entries')
    }
    await resultOf('set() after clear()', () => backend.set('after', entryOf('after', subject)))
    assertHolds(await backend.get('after'), bytesOf('after'), 'get() of an entry that was set after clear()')
  }, { power: 'clear', advice: ADVICE }),

  withLevers(['garble'], 'garble: close settles', async (given, subject) => {
    const { backend } = await damaged(given, subject)
    await outcomeOf('get() of a damaged entry', () => backend.get('a'))
    await resultOf('close() with damaged entries', () => backend.close())
  })
]
