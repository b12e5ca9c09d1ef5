// Cases for public bugs with stores that were removed or are full.
import assert from 'node:assert/strict'
import { withLevers, type ConformanceCase } from '../case.js'
import { bytesOf, entryOf, LIFE_MS } from '../entries.js'
import { assertHolds, assertMiss } from '../expect.js'
import { outcomeOf, resultOf, soon } from '../outcome.js'

const VALUE_BYTES = 16 * 1024
// So many waves of sets that their values together are several times as large as the store.
const WAVES = 400
const AT_ONCE = 10
const LAST_WAVES = 50

export const roomCases: readonly ConformanceCase[] = [
  withLevers(['remove'], 'a store that was removed is created again', async (backend, subject) => {
    await backend.set('key', entryOf('before', subject))
    await subject.remove()
    await soon(async () => {
      await resultOf('get() after the contents of the store were removed', () => backend.get('key'))
      await resultOf('set() after the contents of the store were removed', () => backend.set('key', entryOf('after', subject)))
      const call = 'get() of an entry that was set after the contents of the store were removed'
      assertHolds(await resultOf(call, () => backend.get('key')), bytesOf('after'), call)
    }, subject.recoveryMs)
  }, {
    reference: 'requests-cache/requests-cache#69', advice: 'Create the file or the table again if it does not exist'
  }),

  withLevers(['fill'], 'a full store can be cleared', async (backend, subject) => {
    await backend.set('key', entryOf('value', subject))
    await subject.fill()
    await resultOf('clear() of a full store', () => backend.clear())
    assertMiss(await resultOf('get()', () => backend.get('key')), 'get() after a full store was cleared')
  }, {
    power: 'clear',
    reference: 'ideascube/ideascube#496',
    advice: 'A removal must not need room: remove before you write anything, even a log'
  }),

  withLevers(
    ['cramped'], 'in a store that the cache itself has filled, new entries replace old ones', async (_backend, subject) => {
      const backend = await subject.cramped()
      let refused = 0
      for (let wave = 0; wave < WAVES; wave++) {
        const sets = Array.from({ length: AT_ONCE }, (_, at) => outcomeOf('set() in a store that is filled', () =>
          backend.set(`${wave} ${at}`, { value: new Uint8Array(VALUE_BYTES).fill(wave), expiresAt: subject.now() + LIFE_MS }), LIFE_MS / 4))
        const outcomes = await Promise.all(sets)
        if (wave >= WAVES - LAST_WAVES) refused += outcomes.filter((outcome) => 'error' in outcome).length
      }
      assert.ok(refused === 0,
        `a cache that has filled its store must make room for new entries; ${refused} of the last ${LAST_WAVES * AT_ONCE} sets were refused`)
      const last = `${WAVES - 1} 0`
      assertHolds(await backend.get(last), new Uint8Array(VALUE_BYTES).fill(WAVES - 1),
        'get() of the entry that was set last, in a store that the cache has filled')
      await resultOf('delete() in a store that the cache has filled', () => backend.delete(last))
      assertMiss(await backend.get(last), 'get() of a deleted key in a store that the cache has filled')
    }, { reference: 'cvmfs/cvmfs#3083', advice: 'Only the cache can free the room that it uses: evict entries, and try once more' })
]
