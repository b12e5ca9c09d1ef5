// Cases in which the store fails while keys are claimed: it is down, hangs, is full, damaged, removed or killed.
import assert from 'node:assert/strict'
import { setTimeout as wait } from 'node:timers/promises'
import { withLevers, type ConformanceCase } from '../case.js'
import { bytesOf, entryOf } from '../entries.js'
import { assertHolds, assertMiss } from '../expect.js'
import { assertFails, outcomeOf, PATIENCE_MS, resultOf, soon, type Outcome } from '../outcome.js'
import type { ConformanceSubject } from '../subject.js'
import { asClaiming, claim, claimingWith, LONG, settle, take, type Claiming } from './claims.js'

const PENDING_MS = 20
const FULL_BYTES = 100_000
const CLAIMS = 20

const THROW = 'Throw what the driver throws. A failure that looks like busyMs makes requests wait for nobody'

const ABANDONED = 'A settle that was given up must not take effect later: cancel it, or give it a deadline in the store'

/** Fails unless a call in a full store has succeeded or was refused. */
function assertRefused (outcome: Outcome<unknown>, call: string): void {
  if (!('error' in outcome)) return
  assert.ok((outcome.error as { isRefusal?: unknown } | undefined)?.isRefusal === true,
    `${call} in a full store must succeed, or fail with an error whose isRefusal is true; it failed with ${String(outcome.error)}`)
}

/** Claims and settles a key. Both must succeed as soon as the store works again. */
async function assertWorks (backend: Claiming, key: string, subject: ConformanceSubject, when: string): Promise<void> {
  await soon(async () => {
    const came = await claim(backend, key, LONG, when)
    // An earlier attempt may have left its lease.
    if ('token' in came) return await settle(backend, key, came.token, { entry: entryOf('after', subject) }, true, when)
    await backend.delete(key)
    assert.fail(`claim() ${when} must return a token; got ${JSON.stringify(came)}`)
  }, subject.recoveryMs)
  assertHolds(await resultOf(`get() ${when}`, () => backend.get(key)), bytesOf('after'), `get() ${when}`)
}

export const storeFaultCases: readonly ConformanceCase[] = [
  claimingWith(['fail'], 'fails while the store fails', async (backend, subject) => {
    await take(backend, 'claimed', LONG, 'of a new key')
    await subject.fail()
    for (const key of ['claimed', 'new']) await assertFails('claim() while the store fails', () => backend.claim(key, LONG))
  }, THROW),

  claimingWith(['fail'], 'settle fails while the store fails, and works when the store does', async (backend, subject) => {
    const token = await take(backend, 'key', LONG, 'of a new key')
    const heal = await subject.fail()
    await assertFails('settle() while the store fails', () => backend.settle('key', token, { entry: entryOf('value', subject) }))
    await heal()
    await assertWorks(backend, 'other', subject, 'when the store works again')
    assertMiss(await resultOf('get()', () => backend.get('key')), 'get() of a key whose settle() failed')
  }, THROW),

  withLevers(['fail'], 'version: fails while the store fails', async (backend, subject) => {
    await backend.version!('tags', true)
    await subject.fail()
    await assertFails('version() while the store fails', () => backend.version!('tags'))
    await assertFails('version() with raise while the store fails', () => backend.version!('tags', true))
  }, { power: 'version', advice: 'A number that is remembered or made up may be too small' }),

  claimingWith(['hang'], 'a settle that was given up while the store hung stores nothing later', async (backend, subject) => {
    const token = await take(backend, 'key', LONG, 'of a new key')
    const heal = await subject.hang()
    let outcome: Outcome<unknown> | undefined
    const entry = entryOf('zombie', subject)
    const settled = outcomeOf('settle() while the store hangs', () => backend.settle('key', token, { entry }), PATIENCE_MS * 10)
      .then((came) => { outcome = came })
    await Promise.race([settled, wait(PATIENCE_MS)])
    await heal()
    await settled
    await assertWorks(backend, 'other', subject, 'after the store hung')
    await wait(PENDING_MS * 5)
    const hit = await resultOf('get()', () => backend.get('key'))
    const isStored = outcome !== undefined && 'result' in outcome && outcome.result === true
    if (isStored) assertHolds(hit, bytesOf('zombie'), 'get() of an entry that was settled while the store hung')
    else assertMiss(hit, 'get() of a key whose settle() was given up while the store hung')
  }, ABANDONED),

  claimingWith(['fill'], 'a full store refuses a claim or a settle, and has not failed', async (backend, subject) => {
    await backend.set('entry', entryOf('value', subject))
    const token = await take(backend, 'key', LONG, 'of a new key')
    await subject.fill()
    const large = { value: new Uint8Array(FULL_BYTES), expiresAt: subject.now() + LONG.leaseMs }
    assertRefused(await outcomeOf('settle() in a full store', () => backend.settle('key', token, { entry: large })), 'settle()')
    for (let at = 0; at < CLAIMS; at++) {
      assertRefused(await outcomeOf('claim() in a full store', () => backend.claim(`key ${at}`, LONG)), 'claim()')
    }
    assertHolds(await resultOf('get() from a full store', () => backend.get('entry')), bytesOf('value'), 'get() from a full store')
  }, 'Mark the error as a refusal: entries can still be read, so the store must not count as failed'),

  claimingWith(['garble'], 'a damaged entry can be claimed and replaced', async (first, subject) => {
    await first.set('key', { value: new Uint8Array(500).fill(0x61), expiresAt: subject.now() + LONG.leaseMs })
    await take(first, 'claimed', LONG, 'of a new key')
    if (subject.reopen !== undefined) await first.close()
    const heal = await subject.garble()
    const backend = subject.reopen === undefined ? first : asClaiming(await subject.reopen())
    for (const key of ['key', 'claimed']) await outcomeOf('claim() of a damaged entry', () => backend.claim(key, LONG))
    await heal()
    for (const key of ['key', 'claimed']) {
      await resultOf('delete() of a damaged entry', () => backend.delete(key))
      await assertWorks(backend, key, subject, 'after its entry was damaged')
    }
  }, 'Treat what can not be read as a miss, and let the next settle replace it'),

  claimingWith(['remove'], 'after the contents of the store were removed, a token stores nothing', async (backend, subject) => {
    const token = await take(backend, 'key', LONG, 'of a new key')
    await subject.remove()
    await assertWorks(backend, 'other', subject, 'after the contents of the store were removed')
    await settle(backend, 'key', token, { entry: entryOf('late', subject) }, false, 'after the contents of the store were removed')
    assertMiss(await resultOf('get()', () => backend.get('key')), 'get() of a key whose token was removed from the store')
  }, 'Keep what is recorded of the tokens in the store: a token that is not found there is invalid'),

  claimingWith(['kill'], 'works after the store was killed', async (backend, subject) => {
    const token = await take(backend, 'key', LONG, 'of a new key')
    await subject.kill()
    await assertWorks(backend, 'other', subject, 'after the store was killed')
    const entry = entryOf('value', subject)
    const stored = await resultOf('settle() after the store was killed', () => backend.settle('key', token, { entry }))
    const hit = await resultOf('get()', () => backend.get('key'))
    if (stored) assertHolds(hit, bytesOf('value'), 'get() of an entry that was settled after the store was killed')
    else assertMiss(hit, 'get() of a key whose token was lost when the store was killed')
  })
]
