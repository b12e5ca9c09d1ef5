// Public bugs of stores that were removed or have no room.
import assert from 'node:assert/strict'
import { withLevers, type ConformanceCase } from '../case.js'
import { bytesOf, entryOf, LIFE_MS } from '../entries.js'
import { assertHolds, assertMiss } from '../expect.js'
import { answerOf, outcomeOf, soon } from '../outcome.js'

const VALUE_BYTES = 16 * 1024
// Together several times what the store has room for.
const WAVES = 400
const AT_ONCE = 10
const LAST_WAVES = 50

export const roomCases: readonly ConformanceCase[] = [
  withLevers(['remove'], 'a store that was removed is made again', async (backend, subject) => {
    await backend.set('key', entryOf('before', subject))
    await subject.remove()
    await soon(async () => {
      await answerOf('get() after all that the store holds was removed', () => backend.get('key'))
      await answerOf('set() after all that the store holds was removed', () => backend.set('key', entryOf('after', subject)))
      const call = 'get() of what was set after all that the store holds was removed'
      assertHolds(await answerOf(call, () => backend.get('key')), bytesOf('after'), call)
    }, subject.recoveryMs)
  }, {
    reference: 'requests-cache/requests-cache#69', advice: 'A file or a table that is not there is no failure that lasts: make it again'
  }),

  withLevers(['fill'], 'a store without room can be cleared', async (backend, subject) => {
    await backend.set('key', entryOf('value', subject))
    await subject.fill()
    await answerOf('clear() of a store without room', () => backend.clear())
    assertMiss(await answerOf('get()', () => backend.get('key')), 'get() of a store without room that was cleared')
  }, {
    power: 'clear',
    reference: 'ideascube/ideascube#496',
    advice: 'To forget takes no room: remove before anything is written, a log among it'
  }),

  withLevers(
    ['cramped'], 'in a store that the cache itself has filled, new entries take the place of old ones', async (_backend, subject) => {
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
        'get() of what was set last, in a store that the cache has filled')
      await answerOf('delete() in a store that the cache has filled', () => backend.delete(last))
      assertMiss(await backend.get(last), 'get() of what was deleted in a store that the cache has filled')
    }, { reference: 'cvmfs/cvmfs#3083', advice: 'Nobody but the cache can make room that it has taken: evict, and try once more' })
]
