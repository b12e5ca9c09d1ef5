// Time: an entry is gone from its instant on, not before, and however far away that is.
import assert from 'node:assert/strict'
import { setTimeout as wait } from 'node:timers/promises'
import { always, assertHolds, assertMiss, bytesOf, entryOf, type ConformanceCase } from './case.js'

const DAY_MS = 86_400_000

function longLife (name: string, lifeMs: number): ConformanceCase {
  return always(name, async (backend, subject) => {
    await backend.set('key', entryOf('value', subject, lifeMs))
    await subject.pass(10)
    // A timer that overflows fires after a real millisecond, whatever clock the backend was given.
    await wait(10)
    assertHolds(await backend.get('key'), bytesOf('value'), 'get')
  })
}

export const timeCases: readonly ConformanceCase[] = [
  always('an entry is there until its expiresAt', async (backend, subject) => {
    const entry = entryOf('value', subject, 1_500)
    await backend.set('key', entry)
    await subject.pass(1_499)
    const hit = await backend.get('key')
    // With a real clock the instant may have passed meanwhile.
    if (subject.now() < entry.expiresAt) assertHolds(hit, entry.value, 'a millisecond before')
  }),

  always('an entry is gone from its expiresAt on', async (backend, subject) => {
    await backend.set('key', entryOf('value', subject, 1_500))
    await subject.pass(1_500)
    assertMiss(await backend.get('key'), 'at its expiresAt')
  }),

  always('a hit tells an expiresAt that is not over and not later than the one that was set', async (backend, subject) => {
    const entry = entryOf('value', subject, 1_500)
    const before = subject.now()
    await backend.set('key', entry)
    const hit = await backend.get('key')
    assert.ok(hit !== undefined, 'expected an entry, got a miss')
    assert.ok(hit.expiresAt > before, `expected an instant after ${before}, got ${hit.expiresAt}`)
    assert.ok(hit.expiresAt <= entry.expiresAt, `expected an instant of ${entry.expiresAt} at most, got ${hit.expiresAt}`)
  }),

  always('a hit does not prolong the life of its entry', async (backend, subject) => {
    await backend.set('key', entryOf('value', subject, 1_000))
    await subject.pass(600)
    await backend.get('key')
    await subject.pass(400)
    assertMiss(await backend.get('key'), 'at its expiresAt')
  }),

  always('an entry that expired already leaves nothing', async (backend, subject) => {
    await backend.set('key', entryOf('value', subject, -1))
    assertMiss(await backend.get('key'), 'get')
    await backend.set('zero', { value: bytesOf('value'), expiresAt: 0 })
    assertMiss(await backend.get('zero'), 'an entry of 1970')
  }),

  always('an entry that expires at this very instant leaves nothing', async (backend, subject) => {
    await backend.set('key', entryOf('value', subject, 0))
    assertMiss(await backend.get('key'), 'get')
  }),

  always('an entry that expired already removes what was there', async (backend, subject) => {
    await backend.set('key', entryOf('value', subject))
    await backend.set('key', entryOf('late', subject, -1_000))
    assertMiss(await backend.get('key'), 'get')
  }),

  longLife('an entry of 2^31 milliseconds is there', 2 ** 31),
  longLife('an entry of 40 days is there', 40 * DAY_MS),
  longLife('an entry of ten years is there', 3_650 * DAY_MS)
]
