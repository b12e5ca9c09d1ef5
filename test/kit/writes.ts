// Cases for writes: the last one wins, values are whole, and hits that were returned earlier don't change.
import assert from 'node:assert/strict'
import { setImmediate as turn } from 'node:timers/promises'
import { always, type ConformanceCase } from './case.js'
import type { StoredEntry } from '../../registry/backend.js'
import { bytesOf, entryOf } from './entries.js'
import { assertEntry, assertHolds, assertMiss } from './expect.js'

const WRITERS = 8
const WRITTEN_BYTES = 64 * 1024

// The values have different lengths, so that the start of one joined to the end of another never equals one of them.
const patterns = Array.from({ length: WRITERS }, (_, writer) => new Uint8Array(WRITTEN_BYTES + writer * 1_024).fill(0x61 + writer))

/** Fails if `hit` has the value of one of `entries` and a later expiresAt than that entry. */
function assertOwnInstant (hit: StoredEntry | undefined, entries: readonly StoredEntry[]): void {
  const own = entries.find(({ value }) => hit !== undefined && Buffer.compare(value, hit.value) === 0)
  assert.ok(own === undefined || hit!.expiresAt <= own.expiresAt,
    `get() must return a value with its own expiresAt, ${own?.expiresAt} at most; got ${hit?.expiresAt}`)
}

/** Settles when all changes have settled. Until then, `look` is called again and again. */
async function meanwhile (changes: ReadonlyArray<Promise<unknown>>, look: () => Promise<void>): Promise<void> {
  const state = { isPending: true }
  const all = Promise.all(changes).finally(() => { state.isPending = false })
  while (state.isPending) {
    await look()
    await turn()
  }
  await all
}

const WHOLE = 'Put the whole value in place in one step, such as a rename, a transaction or one command'

function assertIsOnePattern (value: Uint8Array, when: string): void {
  assert.ok(patterns.some((pattern) => Buffer.compare(pattern, value) === 0),
    `get() ${when} must return the whole value of one set(); got a mixture of several`)
}

export const writeCases: readonly ConformanceCase[] = [
  always('the last set wins', async (backend, subject) => {
    await backend.set('key', entryOf('a longer first value', subject))
    await backend.set('key', entryOf('second', subject))
    assertHolds(await backend.get('key'), bytesOf('second'), 'get()')
  }),

  always('a set replaces expiresAt too', async (backend, subject) => {
    await backend.set('shorter', entryOf('first', subject, 60_000))
    await backend.set('shorter', entryOf('second', subject, 1_000))
    await backend.set('longer', entryOf('first', subject, 1_000))
    await backend.set('longer', entryOf('second', subject, 60_000))
    await subject.pass(1_000)
    assertMiss(await backend.get('shorter'), 'get() of the entry that lived longer at first')
    assertHolds(await backend.get('longer'), bytesOf('second'), 'get() of the entry that lived shorter at first')
  }),

  always('a deleted key can be set again', async (backend, subject) => {
    await backend.set('key', entryOf('first', subject))
    await backend.delete('key')
    await backend.set('key', entryOf('second', subject))
    assertHolds(await backend.get('key'), bytesOf('second'), 'get()')
  }),

  always('a delete removes only its own key', async (backend, subject) => {
    for (const key of ['key', 'key2', 'ke']) await backend.set(key, entryOf(key, subject))
    await backend.delete('key')
    assertMiss(await backend.get('key'), "get('key'), which was deleted,")
    assertHolds(await backend.get('key2'), bytesOf('key2'), "get('key2'), which was not deleted,")
    assertHolds(await backend.get('ke'), bytesOf('ke'), "get('ke'), which was not deleted,")
  }),

  always('later sets and deletes do not change the value of an earlier hit', async (backend, subject) => {
    await backend.set('key', entryOf('first', subject))
    const hit = await backend.get('key')
    await backend.set('key', entryOf('other', subject))
    await backend.delete('key')
    await backend.set('other', entryOf('again', subject))
    assertHolds(hit, bytesOf('first'), 'the hit of a get() before other sets')
  }, { advice: 'The caller owns the bytes that get returns: do not return a buffer that you use again' }),

  always('concurrent sets of one key leave the whole value of one of them', async (backend, subject) => {
    const expiresAt = subject.now() + 60_000
    await Promise.all(patterns.map(async (value) => backend.set('key', { value, expiresAt })))
    const hit = await backend.get('key')
    assertEntry(hit, 'get() after the sets')
    assertIsOnePattern(hit.value, 'after the sets')
  }, { advice: WHOLE }),

  always('a get during a set of its key returns a whole value or a miss', async (backend, subject) => {
    const expiresAt = subject.now() + 60_000
    const hits = await Promise.all(patterns.flatMap((value) => [
      (async () => { await backend.set('key', { value, expiresAt }) })(),
      (async () => backend.get('key'))()
    ]))
    for (const hit of hits) {
      if (hit !== undefined) assertIsOnePattern(hit.value, 'while the key was set')
    }
  }, { advice: WHOLE }),

  always('changes of one key take effect in the order of the calls', async (backend, subject) => {
    const changes = patterns.map(async (value) => backend.set('set', { value, expiresAt: subject.now() + 60_000 }))
    changes.push((async () => backend.set('deleted', entryOf('value', subject)))(), (async () => backend.delete('deleted'))())
    changes.push((async () => backend.delete('again'))(), (async () => backend.set('again', entryOf('value', subject)))())
    await Promise.all(changes)
    assertHolds(await backend.get('set'), patterns.at(-1)!, 'get() of a key that was set several times concurrently')
    assertMiss(await backend.get('deleted'), 'get() of a key that was set, and deleted before the set settled,')
    assertHolds(await backend.get('again'), bytesOf('value'), 'get() of a key that was deleted, and set before the delete settled,')
  }, { advice: 'Queue the changes of each key: begin one when the previous one has settled' }),

  always('a new value is never returned with the expiresAt of an older one', async (backend, subject) => {
    const livesMs = patterns.map((_, at) => (at + 1) * 60_000)
    for (const [key, lives] of [['longer', livesMs], ['shorter', livesMs.toReversed()]] as const) {
      const entries = patterns.map((value, at) => ({ value, expiresAt: subject.now() + lives[at]! }))
      const read = async (): Promise<void> => {
        for (const hit of [await backend.get(key), ...await backend.getMany?.([key]) ?? []]) assertOwnInstant(hit, entries)
      }
      for (const entry of entries) {
        await meanwhile([(async () => backend.set(key, entry))()], read)
        await read()
      }
      await meanwhile(entries.map(async (entry) => backend.set(key, entry)), read)
      await read()
    }
  }, { advice: 'Write a value and its expiresAt in one step, and keep neither in memory without the other' }),

  always('a set replaces expiresAt even if the value is the same', async (backend, subject) => {
    for (const [key, lifeMs] of [['shorter', 60_000], ['longer', 1_000]] as const) await backend.set(key, entryOf('value', subject, lifeMs))
    for (const [key, lifeMs] of [['shorter', 1_000], ['longer', 60_000]] as const) await backend.set(key, entryOf('value', subject, lifeMs))
    await subject.pass(1_000)
    assertMiss(await backend.get('shorter'), 'get() of the entry that lived longer at first')
    assertHolds(await backend.get('longer'), bytesOf('value'), 'get() of the entry that lived shorter at first')
  }, { advice: 'An entry is its value and its expiresAt: it has changed if either has' })
]
