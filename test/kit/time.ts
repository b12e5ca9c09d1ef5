// Cases for expiry: an entry is returned until its expiresAt, however far away that is, but not at or after it.
import assert from 'node:assert/strict'
import { setTimeout as wait } from 'node:timers/promises'
import { always, type ConformanceCase } from './case.js'
import { bytesOf, entryOf } from './entries.js'
import { assertEntry, assertHolds, assertMiss } from './expect.js'

const DAY_MS = 86_400_000

/** How long a case waits for work that a backend does later because an expired entry was read. */
const LATE_MS = 50

const NO_TIMER =
  'A timer of more than 2^31 - 1 ms fires at once: use no timer for each entry, and compare expiresAt with the clock in each get'

function longLife (name: string, lifeMs: number, advice = NO_TIMER): ConformanceCase {
  return always(name, async (backend, subject) => {
    await backend.set('key', entryOf('value', subject, lifeMs))
    await subject.pass(10)
    // A timer that overflows fires after a real millisecond, whatever the backend's clock is.
    await wait(10)
    assertHolds(await backend.get('key'), bytesOf('value'), 'get()')
  }, { advice })
}

export const timeCases: readonly ConformanceCase[] = [
  always('an entry is returned until its expiresAt', async (backend, subject) => {
    const entry = entryOf('value', subject, 1_500)
    await backend.set('key', entry)
    await subject.pass(1_499)
    const hit = await backend.get('key')
    // With a real clock, the entry may have expired by now.
    if (subject.now() < entry.expiresAt) assertHolds(hit, entry.value, 'get() a millisecond before expiresAt')
  }, { advice: 'Store expiresAt in milliseconds, and do not round it to seconds' }),

  always('an entry is not returned at or after its expiresAt', async (backend, subject) => {
    await backend.set('key', entryOf('value', subject, 1_500))
    await subject.pass(1_500)
    assertMiss(await backend.get('key'), 'get() at expiresAt')
  }, { advice: 'At expiresAt an entry has already expired: return it only while expiresAt > now()' }),

  always('the expiresAt of a hit is in the future, and not later than the one that was set', async (backend, subject) => {
    const entry = entryOf('value', subject, 1_500)
    const before = subject.now()
    await backend.set('key', entry)
    const hit = await backend.get('key')
    assertEntry(hit, 'get()')
    assert.ok(hit.expiresAt > before, `get() must return an expiresAt in the future, after ${before}; got ${hit.expiresAt}`)
    assert.ok(hit.expiresAt <= entry.expiresAt,
      `get() must return the expiresAt that was set, ${entry.expiresAt}, or an earlier one; got ${hit.expiresAt}`)
  }),

  always('a get does not extend the life of its entry', async (backend, subject) => {
    await backend.set('key', entryOf('value', subject, 1_000))
    await subject.pass(600)
    await backend.get('key')
    await subject.pass(400)
    assertMiss(await backend.get('key'), 'get() at expiresAt, after an earlier get()')
  }, { advice: 'A get does not extend the life of an entry: no sliding expiry' }),

  always('the removal of an expired entry does not remove a newer one under its key', async (backend, subject) => {
    const reads: ReadonlyArray<(key: string) => unknown> = [
      (key) => backend.get(key), (key) => backend.has?.(key), (key) => backend.getMany?.([key]), (key) => backend.keys?.(key),
      () => backend.size?.()
    ]
    const keys = reads.flatMap((_, at) => [`beside ${at}`, `after ${at}`])
    for (const key of keys) await backend.set(key, entryOf('old', subject, 1_000))
    await subject.pass(1_000)
    for (const [at, read] of reads.entries()) {
      await Promise.all([(async () => read(`beside ${at}`))(), (async () => backend.set(`beside ${at}`, entryOf('new', subject)))()])
      await read(`after ${at}`)
      await backend.set(`after ${at}`, entryOf('new', subject))
    }
    const assertNew = async (when: string): Promise<void> => {
      for (const key of keys) {
        assertHolds(await backend.get(key), bytesOf('new'), `get() ${when} of a key that was set again after its entry had expired`)
      }
    }
    await assertNew('at once')
    await wait(LATE_MS)
    await assertNew('some time later')
  }, {
    advice: 'The key may be set after an expired entry was read and before it is removed: remove the entry only if it is still the one that was read'
  }),

  always('a set of an expired entry stores nothing', async (backend, subject) => {
    await backend.set('key', entryOf('value', subject, -1))
    assertMiss(await backend.get('key'), 'get() after a set() with an expiresAt in the past')
    await backend.set('zero', { value: bytesOf('value'), expiresAt: 0 })
    assertMiss(await backend.get('zero'), 'get() after a set() with the expiresAt 0')
  }, { advice: 'A life of zero or less means that nothing is stored; in some stores it means forever' }),

  always('a set of an entry that expires now stores nothing', async (backend, subject) => {
    await backend.set('key', entryOf('value', subject, 0))
    assertMiss(await backend.get('key'), 'get() after a set() with expiresAt equal to now()')
  }),

  always('a set of an expired entry removes the entry under its key', async (backend, subject) => {
    await backend.set('key', entryOf('value', subject))
    await backend.set('key', entryOf('late', subject, -1_000))
    assertMiss(await backend.get('key'), 'get() after a set() of an expired entry under the same key')
  }, { advice: 'A set with an expiresAt in the past is a delete' }),

  always('an expiresAt between two milliseconds is accepted', async (backend, subject) => {
    await backend.set('key', entryOf('value', subject, 1_000.5))
    assertHolds(await backend.get('key'), bytesOf('value'), 'get()')
    await subject.pass(1_001)
    assertMiss(await backend.get('key'), 'get() after expiresAt')
  }, { advice: 'Round expiresAt down if your store expects integers' }),

  longLife('an entry that lives 2^31 milliseconds is returned', 2 ** 31),
  longLife('an entry that lives 2^32 milliseconds is returned', 2 ** 32,
    'Store expiresAt as a 64-bit number or as text: 32 bits hold 49 days of milliseconds'),
  longLife('an entry that lives 40 days is returned', 40 * DAY_MS),
  longLife('an entry that lives ten years is returned', 3_650 * DAY_MS),

  always('an expiresAt after 2106 is accepted', async (backend) => {
    for (const seconds of [2 ** 32, 2 ** 32 + 60, 2 ** 33]) {
      const entry = { value: bytesOf(`${seconds}`), expiresAt: seconds * 1_000 }
      await backend.set('key', entry)
      assertHolds(await backend.get('key'), entry.value, `get() of an entry that expires at ${new Date(entry.expiresAt).toISOString()}`)
    }
  }, {
    advice: 'Epoch seconds in 32 bits end in 2106, or in 2038 if signed: store expiresAt as a 64-bit number or as text'
  })
]
