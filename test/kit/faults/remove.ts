// Cases in which the contents of the store are removed while the backend is open, for example by an operator or another tool.
import { withLevers, type ConformanceCase } from '../case.js'
import { bytesOf, entryOf } from '../entries.js'
import { assertHolds, assertMiss } from '../expect.js'
import { resultOf, soon } from '../outcome.js'

/** How long the backend may take to notice the removal. */
const NOTICED_MS = 2_000

const ADVICE = 'Check now and then, cheaply, whether the open file is still the one at the path; if not, drop the entries in memory too'

export const removeCases: readonly ConformanceCase[] = [
  withLevers(['remove'], 'remove: removed entries are soon misses', async (backend, subject) => {
    for (const key of ['read', 'unread']) await backend.set(key, entryOf(key, subject))
    assertHolds(await backend.get('read'), bytesOf('read'), 'get()')
    await subject.remove()
    await subject.pass(NOTICED_MS)
    for (const key of ['read', 'unread']) {
      const call = `get() of a key that was ${key} before the contents of the store were removed`
      await soon(async () => { assertMiss(await resultOf(call, () => backend.get(key)), call) }, NOTICED_MS)
    }
  }, { advice: ADVICE }),

  withLevers(['remove', 'reopen'], 'remove: entries that are set afterwards are in the store', async (backend, subject) => {
    await backend.set('key', entryOf('before', subject))
    await subject.remove()
    await soon(async () => {
      await resultOf('set() after the contents of the store were removed', () => backend.set('key', entryOf('after', subject)))
    }, subject.recoveryMs)
    await backend.close()
    const again = await subject.reopen()
    assertHolds(await again.get('key'), bytesOf('after'),
      'get() after reopening the store, of an entry that was set after its contents were removed,')
  }, {
    advice: 'A set settles when the entry is in the store that is found at the path; writes to a removed file succeed too'
  }),

  withLevers(['remove', 'share'], 'remove: a backend that only reads soon sees what another backend sets and deletes afterwards',
    async (backend, subject) => {
      await backend.set('key', entryOf('before', subject))
      assertHolds(await backend.get('key'), bytesOf('before'), 'get()')
      await subject.remove()
      const other = await subject.share()
      await other.set('key', entryOf('after', subject))
      await subject.pass(NOTICED_MS)
      const found = 'get(), after the contents of the store were removed, of a key that another backend'
      await soon(async () => {
        assertHolds(await resultOf(`${found} set`, () => backend.get('key')), bytesOf('after'), `${found} set`)
      }, NOTICED_MS)
      await other.delete('key')
      await subject.pass(NOTICED_MS)
      await soon(async () => { assertMiss(await resultOf(`${found} deleted`, () => backend.get('key')), `${found} deleted`) }, NOTICED_MS)
    }, { advice: ADVICE })
]
