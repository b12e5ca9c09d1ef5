// Writes: the last one wins, whole, and what was handed out before stays as it was.
import assert from 'node:assert/strict'
import { setImmediate as turn } from 'node:timers/promises'
import { always, type ConformanceCase } from './case.js'
import type { StoredEntry } from '../../registry/backend.js'
import { bytesOf, entryOf } from './entries.js'
import { assertEntry, assertHolds, assertMiss } from './expect.js'

const WRITERS = 8
const WRITTEN_BYTES = 64 * 1024

// Of different lengths, so that the head of one with the tail of another is none of them.
const patterns = Array.from({ length: WRITERS }, (_, writer) => new Uint8Array(WRITTEN_BYTES + writer * 1_024).fill(0x61 + writer))

/** Fails when `hit` is the value of one of `entries` under a later instant than that one's. */
function assertOwnInstant (hit: StoredEntry | undefined, entries: readonly StoredEntry[]): void {
  const own = entries.find(({ value }) => hit !== undefined && Buffer.compare(value, hit.value) === 0)
  assert.ok(own === undefined || hit!.expiresAt <= own.expiresAt,
    `get() must answer a value with its own expiresAt, ${own?.expiresAt} at most; got ${hit?.expiresAt}`)
}

/** Settles when all have; `look` is called again and again until then. */
async function meanwhile (changes: ReadonlyArray<Promise<unknown>>, look: () => Promise<void>): Promise<void> {
  const state = { isUnderWay: true }
  const all = Promise.all(changes).finally(() => { state.isUnderWay = false })
  while (state.isUnderWay) {
    await look()
    await turn()
  }
  await all
}

const WHOLE = 'Write aside and put it in place in one step, such as a rename, a transaction, or one command'

function assertIsOneOfThem (value: Uint8Array, when: string): void {
  assert.ok(patterns.some((pattern) => Buffer.compare(pattern, value) === 0),
    `get() ${when} must answer the bytes of one set(), whole; got a mixture of several`)
}

export const writeCases: readonly ConformanceCase[] = [
  always('the last set wins', async (backend, subject) => {
    await backend.set('key', entryOf('a longer first value', subject))
    await backend.set('key', entryOf('second', subject))
    assertHolds(await backend.get('key'), bytesOf('second'), 'get()')
  }),

  always('a set replaces the life of the entry too', async (backend, subject) => {
    await backend.set('shorter', entryOf('first', subject, 60_000))
    await backend.set('shorter', entryOf('second', subject, 1_000))
    await backend.set('longer', entryOf('first', subject, 1_000))
    await backend.set('longer', entryOf('second', subject, 60_000))
    await subject.pass(1_000)
    assertMiss(await backend.get('shorter'), 'get() of the entry whose second life is over')
    assertHolds(await backend.get('longer'), bytesOf('second'), 'get() of the entry whose second life is longer')
  }),

  always('a key can be set again after it was deleted', async (backend, subject) => {
    await backend.set('key', entryOf('first', subject))
    await backend.delete('key')
    await backend.set('key', entryOf('second', subject))
    assertHolds(await backend.get('key'), bytesOf('second'), 'get()')
  }),

  always('a delete takes its own key and no other', async (backend, subject) => {
    for (const key of ['key', 'key2', 'ke']) await backend.set(key, entryOf(key, subject))
    await backend.delete('key')
    assertMiss(await backend.get('key'), "get('key'), which was deleted,")
    assertHolds(await backend.get('key2'), bytesOf('key2'), "get('key2'), which was not deleted,")
    assertHolds(await backend.get('ke'), bytesOf('ke'), "get('ke'), which was not deleted,")
  }),

  always('the value of a hit is not changed by later sets and deletes', async (backend, subject) => {
    await backend.set('key', entryOf('first', subject))
    const hit = await backend.get('key')
    await backend.set('key', entryOf('other', subject))
    await backend.delete('key')
    await backend.set('other', entryOf('again', subject))
    assertHolds(hit, bytesOf('first'), 'the get() before other sets')
  }, { advice: 'Bytes that were handed out belong to whoever has them: hand out no buffer that is used again' }),

  always('sets of one key at once leave the whole value of one of them', async (backend, subject) => {
    const expiresAt = subject.now() + 60_000
    await Promise.all(patterns.map(async (value) => backend.set('key', { value, expiresAt })))
    const hit = await backend.get('key')
    assertEntry(hit, 'get() after the sets')
    assertIsOneOfThem(hit.value, 'after the sets')
  }, { advice: WHOLE }),

  always('a get while its key is set answers a whole value or a miss', async (backend, subject) => {
    const expiresAt = subject.now() + 60_000
    const answers = await Promise.all(patterns.flatMap((value) => [
      (async () => { await backend.set('key', { value, expiresAt }) })(),
      (async () => backend.get('key'))()
    ]))
    for (const answer of answers) {
      if (answer !== undefined) assertIsOneOfThem(answer.value, 'while the key was set')
    }
  }, { advice: WHOLE }),

  always('changes of one key take effect in the order in which they were called', async (backend, subject) => {
    const changes = patterns.map(async (value) => backend.set('set', { value, expiresAt: subject.now() + 60_000 }))
    changes.push((async () => backend.set('deleted', entryOf('value', subject)))(), (async () => backend.delete('deleted'))())
    changes.push((async () => backend.delete('again'))(), (async () => backend.set('again', entryOf('value', subject)))())
    await Promise.all(changes)
    assertHolds(await backend.get('set'), patterns.at(-1)!, 'get() of a key that was set several times at once')
    assertMiss(await backend.get('deleted'), 'get() of a key that was set, and deleted before the set settled,')
    assertHolds(await backend.get('again'), bytesOf('value'), 'get() of a key that was deleted, and set before the delete settled,')
  }, { advice: 'Chain the changes of one key: begin each when the one before has settled' }),

  always('a new value is never under the instant of an older one', async (backend, subject) => {
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
  }, { advice: 'Write a value and its instant in one step, and remember neither without the other' }),

  always('a set replaces the life of the entry also where the value is the same', async (backend, subject) => {
    for (const [key, lifeMs] of [['shorter', 60_000], ['longer', 1_000]] as const) await backend.set(key, entryOf('value', subject, lifeMs))
    for (const [key, lifeMs] of [['shorter', 1_000], ['longer', 60_000]] as const) await backend.set(key, entryOf('value', subject, lifeMs))
    await subject.pass(1_000)
    assertMiss(await backend.get('shorter'), 'get() of the entry whose second life is over')
    assertHolds(await backend.get('longer'), bytesOf('value'), 'get() of the entry whose second life is longer')
  }, { advice: 'An entry is its value and its instant: it is changed when either is' })
]
