// Backends and their store: apart from each other, unless they are meant to share; there again after a close.
import { always, withLevers, type ConformanceCase } from './case.js'
import { bytesOf, entryOf } from './entries.js'
import { assertHolds, assertMiss } from './expect.js'
import { soon } from './outcome.js'

const SEEN_MS = 2_000

export const storeCases: readonly ConformanceCase[] = [
  always('two backends that were opened do not share entries', async (backend, subject) => {
    if (subject.isOneStore === true) return
    const other = await subject.open()
    await backend.set('key', entryOf('value', subject))
    assertMiss(await other.get('key'), 'get() of a key that was set in another backend')
    await other.set('key', entryOf('other', subject))
    await other.delete('key')
    await other.close()
    assertHolds(await backend.get('key'), bytesOf('value'), 'get() of a key that was deleted in another backend')
  }, {
    advice: 'Keep what belongs to a backend in that backend, not in its module; where open() has one store only, say so with isOneStore'
  }),

  withLevers(['reopen'], 'what was set before a close is there when the store is opened again', async (backend, subject) => {
    const entry = entryOf('value', subject)
    await backend.set('key', entry)
    await backend.set('empty', entryOf('', subject))
    await backend.set('\ud800', entryOf('odd', subject))
    await backend.close()
    const again = await subject.reopen()
    assertHolds(await again.get('key'), entry.value, 'get() after the store was opened again')
    assertHolds(await again.get('empty'), bytesOf(''), 'get() of an empty value after the store was opened again')
    assertHolds(await again.get('\ud800'), bytesOf('odd'), 'get() of a lone surrogate after the store was opened again')
  }, { advice: 'A set settles when the entry is kept: write before it does, at close() at the latest' }),

  withLevers(
    ['reopen'], 'what stands at either end of a key or a value is kept when the store is opened again', async (backend, subject) => {
      const [keys, values] = [['a', 'a\n', ' a', 'a\0', '\ufeffa'], ['a\n', ' a ', 'a\0', '\ufeffa', '\r\n']]
      for (const [at, key] of keys.entries()) await backend.set(key, entryOf(values[at]!, subject))
      await backend.close()
      const again = await subject.reopen()
      for (const [at, key] of keys.entries()) {
        assertHolds(await again.get(key), bytesOf(values[at]!), `get(${JSON.stringify(key)}) after the store was opened again`)
      }
    }, { advice: 'What is remembered hides what is kept: keys and values are kept as they are' }),

  withLevers(['reopen'], 'what was deleted or is over is not there when the store is opened again', async (backend, subject) => {
    for (const key of ['kept', 'deleted']) await backend.set(key, entryOf(key, subject))
    await backend.set('over', entryOf('value', subject, 1_000))
    await backend.delete('deleted')
    await backend.close()
    await subject.pass(1_000)
    const again = await subject.reopen()
    assertMiss(await again.get('deleted'), 'get() of a key that was deleted before the store was opened again')
    assertMiss(await again.get('over'), 'get() of an entry that was over when the store was opened again')
    assertHolds(await again.get('kept'), bytesOf('kept'), 'get() after the store was opened again')
  }, { advice: 'Keep the instant with the entry: how long it still lives can not be told from when it was read' }),

  withLevers(['share'], 'what one backend of a store sets and deletes, another one sees', async (backend, subject) => {
    const other = await subject.share()
    await backend.set('key', entryOf('value', subject))
    await soon(async () =>
      assertHolds(await other.get('key'), bytesOf('value'), 'get() of a key that was set by another backend on the store'), SEEN_MS)
    await backend.set('key', entryOf('second', subject))
    await soon(async () =>
      assertHolds(await other.get('key'), bytesOf('second'), 'get() of a key that was set again by another backend on the store'), SEEN_MS)
    await other.delete('key')
    await soon(async () => assertMiss(await backend.get('key'), 'get() of a key that was deleted by another backend on the store'), SEEN_MS)
  }, { advice: 'What is remembered of a shared store must be asked for again' }),

  withLevers(['share'], 'a backend that is closed leaves another one on its store as it was', async (backend, subject) => {
    const other = await subject.share()
    await backend.set('key', entryOf('value', subject))
    await backend.close()
    await soon(async () =>
      assertHolds(await other.get('key'), bytesOf('value'), 'get() after another backend on the store was closed'), SEEN_MS)
    await other.set('later', entryOf('later', subject))
    assertHolds(await other.get('later'), bytesOf('later'), 'get() of what was set after another backend on the store was closed')
  })
]
