// The clock jumps, forward and back.
import { withLevers, type ConformanceCase } from '../case.js'
import { bytesOf, entryOf, LIFE_MS } from '../entries.js'
import { assertHolds, assertMiss } from '../expect.js'
import { answerOf, soon } from '../outcome.js'

const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS
const SEEN_MS = 2_000

const ADVICE =
  'Compare expiresAt with now() whenever you are asked; keep neither how long an entry has left nor the latest time that was ever seen'

export const jumpCases: readonly ConformanceCase[] = [
  withLevers(['jump'], 'jump: a clock that is set on by a day ends what is over by it', async (backend, subject) => {
    await backend.set('short', entryOf('short', subject))
    await backend.set('long', entryOf('long', subject, 2 * DAY_MS))
    await subject.jump(DAY_MS)
    assertMiss(await backend.get('short'), 'get() of an entry that is over since the clock was set on')
    assertHolds(await backend.get('long'), bytesOf('long'), 'get() of an entry that is not over though the clock was set on')
  }, { advice: ADVICE }),

  withLevers(['jump'], 'jump: a clock that is set back by an hour ends nothing early and prolongs nothing', async (backend, subject) => {
    const entry = entryOf('value', subject)
    await backend.set('key', entry)
    await subject.jump(-HOUR_MS)
    assertHolds(await backend.get('key'), bytesOf('value'), 'get() after the clock was set back')
    await backend.set('new', entryOf('new', subject))
    assertHolds(await backend.get('new'), bytesOf('new'), 'get() of what was set after the clock was set back')
    await subject.pass(LIFE_MS)
    assertMiss(await backend.get('new'), 'get() at expiresAt of what was set after the clock was set back')
    await subject.jump(entry.expiresAt - subject.now())
    assertMiss(await backend.get('key'), 'get() at expiresAt, after the clock was set back and on')
  }, { advice: ADVICE }),

  withLevers(['jump'], 'jump: after a day ahead and back, entries are kept as before', async (backend, subject) => {
    await backend.set('key', entryOf('value', subject))
    await subject.jump(DAY_MS)
    assertMiss(await backend.get('key'), 'get() of an entry that is over since the clock was set on')
    await answerOf('set() while the clock is ahead', () => backend.set('ahead', entryOf('ahead', subject)))
    await subject.jump(-DAY_MS)
    await answerOf('set() after the clock was set on and back', () => backend.set('after', entryOf('after', subject)))
    assertHolds(await backend.get('after'), bytesOf('after'), 'get() of what was set after the clock was set on and back')
    await subject.pass(LIFE_MS)
    assertMiss(await backend.get('after'), 'get() at expiresAt of what was set after the clock was set on and back')
  }, { advice: ADVICE }),

  withLevers(
    ['jump', 'share'], 'jump: after a day ahead and back, what another backend of the store changes is seen', async (backend, subject) => {
      const other = await subject.share()
      await subject.jump(DAY_MS)
      await backend.set('key', entryOf('value', subject))
      assertHolds(await backend.get('key'), bytesOf('value'), 'get() while the clock is ahead')
      await subject.jump(-DAY_MS)
      await other.set('key', entryOf('other', subject))
      await subject.pass(SEEN_MS)
      const seen = 'get() after the clock was set on and back, of a key that another backend of the store'
      await soon(async () => {
        assertHolds(await answerOf(`${seen} set`, () => backend.get('key')), bytesOf('other'), `${seen} set`)
      }, SEEN_MS)
      await other.delete('key')
      await subject.pass(SEEN_MS)
      await soon(async () => { assertMiss(await answerOf(`${seen} deleted`, () => backend.get('key')), `${seen} deleted`) }, SEEN_MS)
    }, { advice: 'Measure how long ago the store was looked at by a clock that is never set, such as performance.now()' })
]
