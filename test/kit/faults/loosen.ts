// A case in which a platform gives a group access to the store's contents, as Kubernetes does before each start because of fsGroup.
import { withLevers, type ConformanceCase } from '../case.js'
import { bytesOf, entryOf } from '../entries.js'
import { assertHolds } from '../expect.js'
import { resultOf } from '../outcome.js'

const STARTS = 3

export const loosenCases: readonly ConformanceCase[] = [
  withLevers(
    ['loosen', 'reopen'], 'loosen: the store can be reopened each time a group was given access to it', async (first, subject) => {
      let backend = first
      for (let start = 0; start < STARTS; start++) {
        await backend.set('key', entryOf(`start ${start}`, subject))
        await backend.close()
        await subject.loosen()
        backend = await resultOf('opening the store after a group was given access to it', () => subject.reopen())
        const call = 'get() of an entry that was set before a group was given access to the store'
        const found = await resultOf(call, () => backend.get('key'))
        if (found !== undefined) assertHolds(found, bytesOf(`start ${start}`), call)
        await resultOf('set() after a group was given access to the store', () => backend.set('new', entryOf('new', subject)))
        assertHolds(await backend.get('new'), bytesOf('new'), 'get() of an entry that was set after a group was given access to the store')
      }
    }, { advice: 'Remove that access from your own files; refuse only files of other users, or files that you can not make private' })
]
