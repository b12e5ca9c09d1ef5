// The store has no room for anything new.
import type { StoredEntry } from '../../../registry/backend.js'
import { withLevers, type ConformanceCase } from '../case.js'
import { bytesOf, entryOf, LIFE_MS } from '../entries.js'
import { assertHolds, assertMiss } from '../expect.js'
import { answerOf, outcomeOf, soon } from '../outcome.js'
import type { ConformanceSubject } from '../subject.js'

const VALUE_BYTES = 100_000
const SETS = 10
const PAUSE_MS = 100

const FORGETS = 'To forget takes no room: remove first, truncate what grows, and where that is not enough begin the store anew. ' +
  'What was invalidated must not be served because the store is full'

const large = (subject: Pick<ConformanceSubject, 'now'>, byte: number): StoredEntry =>
  ({ value: new Uint8Array(VALUE_BYTES).fill(byte), expiresAt: subject.now() + LIFE_MS })

export const fillCases: readonly ConformanceCase[] = [
  withLevers(['fill'], 'fill: what was set before there was no room is read', async (backend, subject) => {
    await backend.set('key', entryOf('value', subject))
    await subject.fill()
    assertHolds(await answerOf('get() of a store without room', () => backend.get('key')), bytesOf('value'),
      'get() of a store without room')
  }, { advice: 'A read takes no room: write nothing for it that it could fail with' }),

  withLevers(['fill'], 'fill: a set without room is an error, or its entry is kept', async (backend, subject) => {
    await subject.fill()
    for (let at = 0; at < SETS; at++) {
      const { value, expiresAt } = large(subject, at)
      const outcome = await outcomeOf('set() without room', () => backend.set(`key ${at}`, { value, expiresAt }))
      const found = await answerOf('get() of what was set without room', () => backend.get(`key ${at}`))
      if (!('error' in outcome)) assertHolds(found, value, 'get() of what was set without room and without an error')
      else if (found !== undefined) assertHolds(found, value, 'get() of what was set without room and with an error, if it is no miss,')
    }
  }, { advice: 'Throw what the store throws, and leave nothing of an entry that was not written whole' }),

  withLevers(['fill'], 'fill: what is deleted without room is gone', async (backend, subject) => {
    for (const key of ['deleted', 'set again']) await backend.set(key, entryOf('value', subject))
    await subject.fill()
    await outcomeOf('set() without room', () => backend.set('set again', large(subject, 0)))
    for (const key of ['deleted', 'set again']) {
      await answerOf('delete() without room', () => backend.delete(key))
      assertMiss(await answerOf('get() of what was deleted without room', () => backend.get(key)), 'get() of what was deleted without room')
    }
  }, { advice: FORGETS }),

  withLevers(['fill'], 'fill: what is cleared without room is gone', async (backend, subject) => {
    for (const key of ['a 1', 'a 2', 'b']) await backend.set(key, entryOf('value', subject))
    await subject.fill()
    await answerOf('clear() of a prefix without room', () => backend.clear('a '))
    for (const key of ['a 1', 'a 2']) assertMiss(await backend.get(key), 'get() of what was cleared without room')
    await answerOf('clear() without room', () => backend.clear())
    assertMiss(await backend.get('b'), 'get() of what was cleared without room')
  }, { power: 'clear', advice: FORGETS }),

  withLevers(['fill'], 'fill: when there is room again, what is set is kept', async (backend, subject) => {
    const heal = await subject.fill()
    for (let at = 0; at < SETS; at++) await outcomeOf('set() without room', () => backend.set(`key ${at}`, large(subject, at)))
    await heal()
    await soon(async () => {
      await subject.pass(PAUSE_MS)
      await answerOf('set() when there is room again', () => backend.set('after', entryOf('after', subject)))
      assertHolds(await answerOf('get() when there is room again', () => backend.get('after')), bytesOf('after'),
        'get() when there is room again')
    }, subject.recoveryMs)
  }, { advice: 'A store that was full once is tried again with each set' })
]
