// Cases about a claim with a token: it makes the token's own lease end later, and gives out no other token.
import assert from 'node:assert/strict'
import type { ConformanceCase } from '../case.js'
import { bytesOf, entryOf, LIFE_MS } from '../entries.js'
import { assertHolds } from '../expect.js'
import { show } from '../outcome.js'
import { assertBusy, claim, claiming, elapse, LONG, NO_LEASE, SHORT_MS, take, takeWhenFree, type Claiming } from './claims.js'

const LEASE_MS = 200

/** Fails unless a claim with this token returns this token. */
async function assertProlongs (backend: Claiming, token: string, leaseMs: number, what: string): Promise<void> {
  const came = await take(backend, 'key', { leaseMs, fillMs: LIFE_MS, token }, what)
  assert.ok(came === token, `claim() ${what} must return the same token; got ${show(came)} instead of ${show(token)}`)
}

/** Fails unless a claim with this token returns how long to wait, which may be 0. */
async function assertVoid (backend: Claiming, key: string, token: string, leaseMs: number, what: string): Promise<number> {
  const came = await claim(backend, key, { leaseMs, fillMs: LIFE_MS, token }, what)
  assert.ok('busyMs' in came, `claim() ${what} must return busyMs; got ${show(came)}`)
  return came.busyMs
}

export const prolongingCases: readonly ConformanceCase[] = [
  claiming('a claim with the token that has the lease returns the same token', async (backend) => {
    const token = await take(backend, 'key', LONG, 'of a new key')
    for (let at = 0; at < 3; at++) await assertProlongs(backend, token, LIFE_MS, 'with a token')
    assertBusy(await claim(backend, 'key', LONG), 'beside a lease that was prolonged')
  }),

  claiming('a lease that is prolonged ends later', async (backend, subject) => {
    const token = await take(backend, 'key', { leaseMs: LEASE_MS, fillMs: LIFE_MS }, 'of a new key')
    await assertProlongs(backend, token, LIFE_MS, 'with a token')
    await elapse(subject, LEASE_MS * 2)
    assertBusy(await claim(backend, 'key', LONG), 'beside a lease that was prolonged, when it would have ended')
  }),

  claiming('a prolonged lease ends leaseMs later, not leaseMs after it would have ended', async (backend) => {
    const token = await take(backend, 'key', LONG, 'of a new key')
    for (let at = 0; at < 3; at++) await assertProlongs(backend, token, LEASE_MS * 10, 'with a token')
    const came = await claim(backend, 'key', LONG)
    // On a slow machine, the lease may have ended.
    if (!('token' in came)) assertBusy(came, `beside a lease that was prolonged by ${LEASE_MS * 10} ms`, LEASE_MS * 10)
  }),

  claiming('a lease that has ended can be taken again with its token, if nobody else has it', async (backend, subject) => {
    const token = await take(backend, 'key', { leaseMs: SHORT_MS, fillMs: LIFE_MS }, 'of a new key')
    await elapse(subject, SHORT_MS * 3)
    await assertProlongs(backend, token, LIFE_MS, 'with a token whose lease has ended')
    assertBusy(await claim(backend, 'key', LONG), 'beside a lease that was taken again')
  }),

  claiming('a lease that somebody else has by now is not taken from them', async (backend, subject) => {
    const old = await take(backend, 'key', { leaseMs: SHORT_MS, fillMs: LIFE_MS }, 'of a new key')
    const token = await takeWhenFree(backend, 'key', subject, SHORT_MS, 'of another claim()')
    const busyMs = await assertVoid(backend, 'key', old, LIFE_MS, 'with a token whose lease somebody else has by now')
    assert.ok(busyMs > 0 && busyMs <= LIFE_MS,
      `claim() with a token whose lease somebody else has by now must return what is left of it; got ${busyMs}`)
    await assertProlongs(backend, token, LIFE_MS, 'by whoever has the lease by now')
  }),

  claiming('a claim with leaseMs 0 and a token leaves every lease as it is', async (backend) => {
    const token = await take(backend, 'key', LONG, 'of a new key')
    await assertProlongs(backend, token, 0, 'with leaseMs 0 and the token that has the lease')
    const other = await take(backend, 'key', NO_LEASE, 'with leaseMs 0')
    await assertProlongs(backend, other, 0, "with leaseMs 0 and a token, beside somebody else's lease,")
    assertBusy(await claim(backend, 'key', LONG), 'beside a lease, after claims with leaseMs 0 and a token')
  }),

  claiming('a claim with an invalid token returns busyMs, and gives out no token and no lease', async (backend) => {
    const token = await take(backend, 'key', LONG, 'of a new key')
    await backend.delete('key')
    for (const leaseMs of [0, LIFE_MS]) {
      const busyMs = await assertVoid(backend, 'key', token, leaseMs, 'with a token of a deleted key')
      assert.ok(busyMs === 0, `claim() with a token of a deleted key must return a busyMs of 0, because nobody has a lease; got ${busyMs}`)
    }
    await take(backend, 'key', LONG, 'of a key that was claimed only with an invalid token')
    await assertVoid(backend, 'key', token, LIFE_MS, "with an invalid token, beside somebody else's lease,")
    for (const made of ['made up', '', `${token}0`]) await assertVoid(backend, 'key', made, LIFE_MS, `with the token ${show(made)}`)
    await assertVoid(backend, 'other', token, LIFE_MS, 'with a token of another key')
  }),

  claiming('a claim with a token whose fillMs has passed returns busyMs', async (backend, subject) => {
    const token = await take(backend, 'key', { leaseMs: SHORT_MS, fillMs: SHORT_MS }, 'of a new key')
    await elapse(subject, SHORT_MS * 3)
    await assertVoid(backend, 'key', token, LIFE_MS, 'with a token whose fillMs has passed')
    await take(backend, 'key', LONG, 'after a claim() with a token whose fillMs has passed')
  }),

  claiming('a claim with a token with which an entry was stored returns busyMs, and gives out no lease', async (backend, subject) => {
    await take(backend, 'key', NO_LEASE, 'of a new key')
    const token = await take(backend, 'key', LONG, 'of a key that was claimed with leaseMs 0')
    const entry = entryOf('entry', subject)
    await backend.settle('key', token, { entry })
    await assertVoid(backend, 'key', token, LIFE_MS, 'with a token with which an entry was stored')
    await take(backend, 'key', { ...LONG, seen: entry.expiresAt }, 'after a claim() with a token with which an entry was stored')
  }),

  claiming('a claim with a valid token returns the token even if there is an entry', async (backend, subject) => {
    const [older, younger] = [await take(backend, 'key', NO_LEASE, 'of a new key'), await take(backend, 'key', NO_LEASE, 'with leaseMs 0')]
    await backend.settle('key', older, { entry: entryOf('older', subject) })
    await assertProlongs(backend, younger, LIFE_MS, 'with a token, after an older token was settled with an entry,')
    assertHolds(await backend.get('key'), bytesOf('older'), 'get() of an entry that was settled')
  })
]
