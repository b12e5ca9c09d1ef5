// A platform gives a group rights on what the store holds, as Kubernetes does for fsGroup before each start.
import { withLevers, type ConformanceCase } from '../case.js'
import { bytesOf, entryOf } from '../entries.js'
import { assertHolds } from '../expect.js'
import { answerOf } from '../outcome.js'

const STARTS = 3

export const loosenCases: readonly ConformanceCase[] = [
  withLevers(
    ['loosen', 'reopen'], 'loosen: each opening after a group was given rights on the store works as the first', async (first, subject) => {
      let backend = first
      for (let start = 0; start < STARTS; start++) {
        await backend.set('key', entryOf(`start ${start}`, subject))
        await backend.close()
        await subject.loosen()
        backend = await answerOf('opening a store on which a group was given rights', () => subject.reopen())
        const found = await answerOf('get() of what was set before a group was given rights on the store', () => backend.get('key'))
        if (found !== undefined) {
          assertHolds(found, bytesOf(`start ${start}`), 'get() of what was set before a group was given rights on the store')
        }
        await answerOf('set() in a store on which a group was given rights', () => backend.set('new', entryOf('new', subject)))
        assertHolds(await backend.get('new'), bytesOf('new'), 'get() of what was set in a store on which a group was given rights')
      }
    }, { advice: 'Take the rights back from what is yours; refuse only what belongs to somebody else, or what you can not make private' })
]
