// Cases in which the clock jumps forward and back.
import { withLevers, type ConformanceCase } from '../case.js'
import { bytesOf, entryOf, LIFE_MS } from '../entries.js'
import { assertHolds, assertMiss } from '../expect.js'
import { resultOf, soon } from '../outcome.js'

const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS
const SEEN_MS = 2_000

const ADVICE =
  'Compare expiresAt with now() in each call; store neither the remaining life of an entry nor the latest time that was seen'

export const jumpCases: readonly ConformanceCase[] = [
  withLevers(['jump'], 'jump: when the clock is set forward by a day, entries expire by the new time', async (backend, subject) => {
    await backend.set('short', entryOf('short', subject))
    await backend.set('long', entryOf('long', subject, 2 * DAY_MS))
    await subject.jump(DAY_MS)
    assertMiss(await backend.get('short'), 'get() of an entry that expired when the clock was set forward')
    assertHolds(await backend.get('long'), bytesOf('long'), 'get() of an entry that had not expired when the clock was set forward')
  }, { advice: ADVICE }),

  withLevers(['jump'], 'jump: when the clock is set back by an hour, no entry expires early or lives longer', async (backend, subject) => {
    const entry = entryOf('value', subject)
    await backend.set('key', entry)
    await subject.jump(-HOUR_MS)
    assertHolds(await backend.get('key'), bytesOf('value'), 'get() after the clock was set back')
    await backend.set('new', entryOf('new', subject))
    assertHolds(await backend.get('new'), bytesOf('new'), 'get() of an entry that was set after the clock was set back')
    await subject.pass(LIFE_MS)
    assertMiss(await backend.get('new'), 'get() at expiresAt of an entry that was set after the clock was set back')
    await subject.jump(entry.expiresAt - subject.now())
    assertMiss(await backend.get('key'), 'get() at expiresAt, after the clock was set back and forward')
  }, { advice: ADVICE }),

  withLevers(['jump'], 'jump: after the clock was a day ahead and set back, entries are stored as before', async (backend, subject) => {
    await backend.set('key', entryOf('value', subject))
    await subject.jump(DAY_MS)
    assertMiss(await backend.get('key'), 'get() of an entry that expired when the clock was set forward')
    await resultOf('set() while the clock is ahead', () => backend.set('ahead', entryOf('ahead', subject)))
    await subject.jump(-DAY_MS)
    await resultOf('set() after the clock was set forward and back', () => backend.set('after', entryOf('after', subject)))
    assertHolds(await backend.get('after'), bytesOf('after'), 'get() of an entry that was set after the clock was set forward and back')
    await subject.pass(LIFE_MS)
    assertMiss(await backend.get('after'), 'get() at expiresAt of an entry that was set after the clock was set forward and back')
  }, { advice: ADVICE }),

  withLevers(['jump', 'share'], 'jump: after the clock was a day ahead and set back, changes by another backend are seen',
    async (backend, subject) => {
      const other = await subject.share()
      await subject.jump(DAY_MS)
      await backend.set('key', entryOf('value', subject))
      assertHolds(await backend.get('key'), bytesOf('value'), 'get() while the clock is ahead')
      await subject.jump(-DAY_MS)
      await other.set('key', entryOf('other', subject))
      await subject.pass(SEEN_MS)
      const seen = 'get(), after the clock was set forward and back, of a key that another backend'
      await soon(async () => {
        assertHolds(await resultOf(`${seen} set`, () => backend.get('key')), bytesOf('other'), `${seen} set`)
      }, SEEN_MS)
      await other.delete('key')
      await subject.pass(SEEN_MS)
      await soon(async () => { assertMiss(await resultOf(`${seen} deleted`, () => backend.get('key')), `${seen} deleted`) }, SEEN_MS)
    }, { advice: 'Use a clock that is never set, such as performance.now(), to measure how long ago the store was read' })
]
