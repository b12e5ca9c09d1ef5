// Time: an entry is gone from its instant on, not before, and however far away that is.
import assert from 'node:assert/strict'
import { setTimeout as wait } from 'node:timers/promises'
import { always, type ConformanceCase } from './case.js'
import { bytesOf, entryOf } from './entries.js'
import { assertEntry, assertHolds, assertMiss } from './expect.js'

const DAY_MS = 86_400_000

/** What a backend does by itself later, because it was asked for something that is over, is done by then. */
const LATE_MS = 50

const NO_TIMER =
  'A timer of more than 2^31 - 1 ms fires at once: compare expiresAt with the clock when you are asked, and use no timer for each entry'

function longLife (name: string, lifeMs: number, advice = NO_TIMER): ConformanceCase {
  return always(name, async (backend, subject) => {
    await backend.set('key', entryOf('value', subject, lifeMs))
    await subject.pass(10)
    // A timer that overflows fires after a real millisecond, whatever clock the backend was given.
    await wait(10)
    assertHolds(await backend.get('key'), bytesOf('value'), 'get()')
  }, { advice })
}

export const timeCases: readonly ConformanceCase[] = [
  always('an entry is there until its expiresAt', async (backend, subject) => {
    const entry = entryOf('value', subject, 1_500)
    await backend.set('key', entry)
    await subject.pass(1_499)
    const hit = await backend.get('key')
    // With a real clock the instant may have passed meanwhile.
    if (subject.now() < entry.expiresAt) assertHolds(hit, entry.value, 'get() a millisecond before expiresAt')
  }, { advice: 'Keep expiresAt as it is, in milliseconds: no rounding to seconds' }),

  always('an entry is gone from its expiresAt on', async (backend, subject) => {
    await backend.set('key', entryOf('value', subject, 1_500))
    await subject.pass(1_500)
    assertMiss(await backend.get('key'), 'get() at expiresAt')
  }, { advice: 'At expiresAt an entry is already gone: it is there only while expiresAt > now()' }),

  always('a hit tells an expiresAt that is not over and not later than the one that was set', async (backend, subject) => {
    const entry = entryOf('value', subject, 1_500)
    const before = subject.now()
    await backend.set('key', entry)
    const hit = await backend.get('key')
    assertEntry(hit, 'get()')
    assert.ok(hit.expiresAt > before, `get() must answer an expiresAt in the future, after ${before}; got ${hit.expiresAt}`)
    assert.ok(hit.expiresAt <= entry.expiresAt,
      `get() must answer the expiresAt that was set, ${entry.expiresAt}, or an earlier one; got ${hit.expiresAt}`)
  }),

  always('a hit does not prolong the life of its entry', async (backend, subject) => {
    await backend.set('key', entryOf('value', subject, 1_000))
    await subject.pass(600)
    await backend.get('key')
    await subject.pass(400)
    assertMiss(await backend.get('key'), 'get() at expiresAt, after an earlier get()')
  }, { advice: 'The life of an entry is not prolonged by reading it: no sliding expiry' }),

  always('what removes an entry that is over leaves a newer one under its key', async (backend, subject) => {
    const looks: ReadonlyArray<(key: string) => unknown> = [
      (key) => backend.get(key), (key) => backend.has?.(key), (key) => backend.getMany?.([key]), (key) => backend.keys?.(key),
      () => backend.size?.()
    ]
    const keys = looks.flatMap((_, at) => [`beside ${at}`, `after ${at}`])
    for (const key of keys) await backend.set(key, entryOf('old', subject, 1_000))
    await subject.pass(1_000)
    for (const [at, look] of looks.entries()) {
      await Promise.all([(async () => look(`beside ${at}`))(), (async () => backend.set(`beside ${at}`, entryOf('new', subject)))()])
      await look(`after ${at}`)
      await backend.set(`after ${at}`, entryOf('new', subject))
    }
    const assertNew = async (when: string): Promise<void> => {
      for (const key of keys) {
        assertHolds(await backend.get(key), bytesOf('new'), `get() ${when} of a key that was set again when its entry was over`)
      }
    }
    await assertNew('at once')
    await wait(LATE_MS)
    await assertNew('some time later')
  }, {
    advice: 'Between a look and the removal of what is over, the key may be set: remove an entry on condition that it is still the one that was looked at'
  }),

  always('an entry that expired already leaves nothing', async (backend, subject) => {
    await backend.set('key', entryOf('value', subject, -1))
    assertMiss(await backend.get('key'), 'get() after a set() with an expiresAt in the past')
    await backend.set('zero', { value: bytesOf('value'), expiresAt: 0 })
    assertMiss(await backend.get('zero'), 'get() after a set() with the expiresAt 0')
  }, { advice: 'A life of zero or less means that nothing is kept; in some stores it means for ever' }),

  always('an entry that expires at this very instant leaves nothing', async (backend, subject) => {
    await backend.set('key', entryOf('value', subject, 0))
    assertMiss(await backend.get('key'), 'get() after a set() with the present instant for expiresAt')
  }),

  always('an entry that expired already removes what was there', async (backend, subject) => {
    await backend.set('key', entryOf('value', subject))
    await backend.set('key', entryOf('late', subject, -1_000))
    assertMiss(await backend.get('key'), 'get() after the key was set to an entry that is over')
  }, { advice: 'A set with an expiresAt in the past is a delete' }),

  always('an instant between two milliseconds is taken', async (backend, subject) => {
    await backend.set('key', entryOf('value', subject, 1_000.5))
    assertHolds(await backend.get('key'), bytesOf('value'), 'get()')
    await subject.pass(1_001)
    assertMiss(await backend.get('key'), 'get() after expiresAt')
  }, { advice: 'Round expiresAt down where your store wants integers' }),

  longLife('an entry of 2^31 milliseconds is there', 2 ** 31),
  longLife('an entry of 2^32 milliseconds is there', 2 ** 32,
    'Keep expiresAt in a number of 64 bits, or as text: 32 bits hold 49 days of milliseconds'),
  longLife('an entry of 40 days is there', 40 * DAY_MS),
  longLife('an entry of ten years is there', 3_650 * DAY_MS),

  always('an instant beyond 2106 is taken', async (backend) => {
    for (const seconds of [2 ** 32, 2 ** 32 + 60, 2 ** 33]) {
      const entry = { value: bytesOf(`${seconds}`), expiresAt: seconds * 1_000 }
      await backend.set('key', entry)
      assertHolds(await backend.get('key'), entry.value, `get() of an entry until ${new Date(entry.expiresAt).toISOString()}`)
    }
  }, {
    advice: 'Seconds of the epoch in 32 bits end in 2106, or in 2038 where they have a sign: keep expiresAt in a number of 64 bits, or as text'
  })
]
