// Time: an entry is gone from its instant on, not before, and however far away that is.
import assert from 'node:assert/strict'
import { setTimeout as wait } from 'node:timers/promises'
import { always, type ConformanceCase } from './case.js'
import { bytesOf, entryOf } from './entries.js'
import { assertEntry, assertHolds, assertMiss } from './expect.js'

const DAY_MS = 86_400_000

function longLife (name: string, lifeMs: number): ConformanceCase {
  return always(name, async (backend, subject) => {
    await backend.set('key', entryOf('value', subject, lifeMs))
    await subject.pass(10)
    // A timer that overflows fires after a real millisecond, whatever clock the backend was given.
    await wait(10)
    assertHolds(await backend.get('key'), bytesOf('value'), 'get()')
  }, { advice: 'A timer of more than 2^31 - 1 ms fires at once: compare expiresAt with the clock when you are asked, and use no timer for each entry' })
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
    assert.ok(hit.expiresAt <= entry.expiresAt, `get() must answer the expiresAt that was set, ${entry.expiresAt}, or an earlier one; got ${hit.expiresAt}`)
  }),

  always('a hit does not prolong the life of its entry', async (backend, subject) => {
    await backend.set('key', entryOf('value', subject, 1_000))
    await subject.pass(600)
    await backend.get('key')
    await subject.pass(400)
    assertMiss(await backend.get('key'), 'get() at expiresAt, after an earlier get()')
  }, { advice: 'The life of an entry is not prolonged by reading it: no sliding expiry' }),

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
  longLife('an entry of 40 days is there', 40 * DAY_MS),
  longLife('an entry of ten years is there', 3_650 * DAY_MS)
]
