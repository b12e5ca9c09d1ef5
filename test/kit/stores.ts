// Cases for backends and their stores: which backends share entries, and whether entries are still there after a close.
import { always, withLevers, type ConformanceCase } from './case.js'
import { bytesOf, entryOf } from './entries.js'
import { assertHolds, assertMiss } from './expect.js'
import { soon } from './outcome.js'

const SEEN_MS = 2_000

export const storeCases: readonly ConformanceCase[] = [
  always('two backends do not share entries', async (backend, subject) => {
    if (subject.isOneStore === true) return
    const other = await subject.open()
    await backend.set('key', entryOf('value', subject))
    assertMiss(await other.get('key'), 'get() of a key that was set in another backend')
    await other.set('key', entryOf('other', subject))
    await other.delete('key')
    await other.close()
    assertHolds(await backend.get('key'), bytesOf('value'), 'get() of a key that was deleted in another backend')
  }, {
    advice: 'Keep entries in the backend, not in its module; if all backends of open() use one store, set isOneStore'
  }),

  withLevers(['reopen'], 'entries are returned after the store was closed and reopened', async (backend, subject) => {
    const entry = entryOf('value', subject)
    await backend.set('key', entry)
    await backend.set('empty', entryOf('', subject))
    await backend.set('\ud800', entryOf('odd', subject))
    await backend.close()
    const again = await subject.reopen()
    assertHolds(await again.get('key'), entry.value, 'get() after the store was reopened')
    assertHolds(await again.get('empty'), bytesOf(''), 'get() of an empty value after the store was reopened')
    assertHolds(await again.get('\ud800'), bytesOf('odd'), 'get() of a lone surrogate after the store was reopened')
  }, { advice: 'Write the entry before its set settles, or in close() at the latest' }),

  withLevers(
    ['reopen'], 'the characters at either end of a key or a value are unchanged after the store was reopened', async (backend, subject) => {
      const [keys, values] = [['a', 'a\n', ' a', 'a\0', '\ufeffa'], ['a\n', ' a ', 'a\0', '\ufeffa', '\r\n']]
      for (const [at, key] of keys.entries()) await backend.set(key, entryOf(values[at]!, subject))
      await backend.close()
      const again = await subject.reopen()
      for (const [at, key] of keys.entries()) {
        assertHolds(await again.get(key), bytesOf(values[at]!), `get(${JSON.stringify(key)}) after the store was reopened`)
      }
    }, { advice: 'Entries in memory can hide what the store lost: store keys and values unchanged' }),

  withLevers(['reopen'], 'deleted and expired entries are not returned after the store was reopened', async (backend, subject) => {
    for (const key of ['kept', 'deleted']) await backend.set(key, entryOf(key, subject))
    await backend.set('expired', entryOf('value', subject, 1_000))
    await backend.delete('deleted')
    await backend.close()
    await subject.pass(1_000)
    const again = await subject.reopen()
    assertMiss(await again.get('deleted'), 'get() of a key that was deleted before the store was reopened')
    assertMiss(await again.get('expired'), 'get() of an entry that had expired when the store was reopened')
    assertHolds(await again.get('kept'), bytesOf('kept'), 'get() after the store was reopened')
  }, { advice: 'Store expiresAt with the entry: the time of reading does not tell how long it still lives' }),

  withLevers(['share'], 'a backend sees what another backend on its store sets and deletes', async (backend, subject) => {
    const other = await subject.share()
    await backend.set('key', entryOf('value', subject))
    await soon(async () =>
      assertHolds(await other.get('key'), bytesOf('value'), 'get() of a key that another backend on the store set'), SEEN_MS)
    await backend.set('key', entryOf('second', subject))
    await soon(async () =>
      assertHolds(await other.get('key'), bytesOf('second'), 'get() of a key that another backend on the store set again'), SEEN_MS)
    await other.delete('key')
    await soon(async () => assertMiss(await backend.get('key'), 'get() of a key that another backend on the store deleted'), SEEN_MS)
  }, { advice: 'Entries of a shared store that are kept in memory must be checked again' }),

  withLevers(['share'], 'closing a backend does not affect another backend on its store', async (backend, subject) => {
    const other = await subject.share()
    await backend.set('key', entryOf('value', subject))
    await backend.close()
    await soon(async () =>
      assertHolds(await other.get('key'), bytesOf('value'), 'get() after another backend on the store was closed'), SEEN_MS)
    await other.set('later', entryOf('later', subject))
    assertHolds(await other.get('later'), bytesOf('later'), 'get() of an entry that was set after another backend on the store was closed')
  })
]
