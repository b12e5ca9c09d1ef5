// What the store holds is removed under the backend, as an operator or another tool does.
import { withLevers, type ConformanceCase } from '../case.js'
import { bytesOf, entryOf } from '../entries.js'
import { assertHolds, assertMiss } from '../expect.js'
import { answerOf, soon } from '../outcome.js'

/** How long it may take until it is noticed. */
const NOTICED_MS = 2_000

const ADVICE = 'Ask now and then, for little, whether what is open is still what lies at the path; what is remembered goes with it'

export const removeCases: readonly ConformanceCase[] = [
  withLevers(['remove'], 'remove: what was removed is soon a miss', async (backend, subject) => {
    for (const key of ['read', 'unread']) await backend.set(key, entryOf(key, subject))
    assertHolds(await backend.get('read'), bytesOf('read'), 'get()')
    await subject.remove()
    await subject.pass(NOTICED_MS)
    for (const key of ['read', 'unread']) {
      const call = `get() of a key that was ${key} before all that the store holds was removed`
      await soon(async () => { assertMiss(await answerOf(call, () => backend.get(key)), call) }, NOTICED_MS)
    }
  }, { advice: ADVICE }),

  withLevers(['remove', 'reopen'], 'remove: what is set afterwards is in the store', async (backend, subject) => {
    await backend.set('key', entryOf('before', subject))
    await subject.remove()
    await soon(async () => {
      await answerOf('set() after all that the store holds was removed', () => backend.set('key', entryOf('after', subject)))
    }, subject.recoveryMs)
    await backend.close()
    const again = await subject.reopen()
    assertHolds(await again.get('key'), bytesOf('after'),
      'get() when the store is opened again, of what was set after all that it holds was removed')
  }, {
    advice: 'A set settles when the entry is in the store that is found at the path; a file that was removed takes writes all the same'
  }),

  withLevers(['remove', 'share'], 'remove: a backend that only reads soon finds what another one sets and deletes afterwards',
    async (backend, subject) => {
      await backend.set('key', entryOf('before', subject))
      assertHolds(await backend.get('key'), bytesOf('before'), 'get()')
      await subject.remove()
      const other = await subject.share()
      await other.set('key', entryOf('after', subject))
      await subject.pass(NOTICED_MS)
      const found = 'get() of a key that another backend, after all that the store holds was removed,'
      await soon(async () => {
        assertHolds(await answerOf(`${found} set`, () => backend.get('key')), bytesOf('after'), `${found} set`)
      }, NOTICED_MS)
      await other.delete('key')
      await subject.pass(NOTICED_MS)
      await soon(async () => { assertMiss(await answerOf(`${found} deleted`, () => backend.get('key')), `${found} deleted`) }, NOTICED_MS)
    }, { advice: ADVICE })
]
