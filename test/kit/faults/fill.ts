// Cases in which the store is full, that is, has no room for anything new.
import type { StoredEntry } from '../../../registry/backend.js'
import { withLevers, type ConformanceCase } from '../case.js'
import { bytesOf, entryOf, LIFE_MS } from '../entries.js'
import { assertHolds, assertMiss } from '../expect.js'
import { outcomeOf, resultOf, soon } from '../outcome.js'
import type { ConformanceSubject } from '../subject.js'

const VALUE_BYTES = 100_000
const SETS = 10
const PAUSE_MS = 100

const REMOVES = 'A removal must not need room: remove before you write, truncate logs, and start the store anew if that is not enough. ' +
  'A full store must not cause invalidated entries to be served'

const large = (subject: Pick<ConformanceSubject, 'now'>, byte: number): StoredEntry =>
  ({ value: new Uint8Array(VALUE_BYTES).fill(byte), expiresAt: subject.now() + LIFE_MS })

export const fillCases: readonly ConformanceCase[] = [
  withLevers(['fill'], 'fill: entries that were set before the store was full are returned', async (backend, subject) => {
    await backend.set('key', entryOf('value', subject))
    await subject.fill()
    assertHolds(await resultOf('get() from a full store', () => backend.get('key')), bytesOf('value'),
      'get() from a full store')
  }, { advice: 'A read must not need room: it must not fail because something can not be written' }),

  withLevers(['fill'], 'fill: a set fails, or its entry is stored', async (backend, subject) => {
    await subject.fill()
    for (let at = 0; at < SETS; at++) {
      const { value, expiresAt } = large(subject, at)
      const outcome = await outcomeOf('set() in a full store', () => backend.set(`key ${at}`, { value, expiresAt }))
      const found = await resultOf('get() after a set() in a full store', () => backend.get(`key ${at}`))
      if (!('error' in outcome)) assertHolds(found, value, 'get() after a set() that succeeded in a full store')
      else if (found !== undefined) assertHolds(found, value, 'get() after a set() that failed in a full store, unless it is a miss,')
    }
  }, { advice: 'Throw what the store throws, and leave no part of an entry that was not written whole' }),

  withLevers(['fill'], 'fill: a delete removes the entry', async (backend, subject) => {
    for (const key of ['deleted', 'set again']) await backend.set(key, entryOf('value', subject))
    await subject.fill()
    await outcomeOf('set() in a full store', () => backend.set('set again', large(subject, 0)))
    for (const key of ['deleted', 'set again']) {
      await resultOf('delete() from a full store', () => backend.delete(key))
      const call = 'get() of a key that was deleted from a full store'
      assertMiss(await resultOf(call, () => backend.get(key)), call)
    }
  }, { advice: REMOVES }),

  withLevers(['fill'], 'fill: clear removes the entries', async (backend, subject) => {
    for (const key of ['a 1', 'a 2', 'b']) await backend.set(key, entryOf('value', subject))
    await subject.fill()
    await resultOf('clear() of a prefix in a full store', () => backend.clear('a '))
    for (const key of ['a 1', 'a 2']) assertMiss(await backend.get(key), 'get() of a key that was cleared from a full store')
    await resultOf('clear() in a full store', () => backend.clear())
    assertMiss(await backend.get('b'), 'get() of a key that was cleared from a full store')
  }, { power: 'clear', advice: REMOVES }),

  withLevers(['fill'], 'fill: entries are stored when there is room again', async (backend, subject) => {
    const heal = await subject.fill()
    for (let at = 0; at < SETS; at++) await outcomeOf('set() in a full store', () => backend.set(`key ${at}`, large(subject, at)))
    await heal()
    await soon(async () => {
      await subject.pass(PAUSE_MS)
      await resultOf('set() when there is room again', () => backend.set('after', entryOf('after', subject)))
      assertHolds(await resultOf('get() when there is room again', () => backend.get('after')), bytesOf('after'),
        'get() when there is room again')
    }, subject.recoveryMs)
  }, { advice: 'Try the store again with each set, even after it was full' })
]
