// Cases about the lease: who may begin to create an entry, and until when the others wait.
import assert from 'node:assert/strict'
import type { ConformanceCase } from '../case.js'
import { entryOf, LIFE_MS } from '../entries.js'
import { show } from '../outcome.js'
import { assertBusy, claim, claiming, elapse, LONG, NO_LEASE, seenEntry, settle, SHORT_MS, take, takeWhenFree } from './claims.js'

const MANY = 8
const ALONE_MS = 100

const ONE_STEP = 'Look for a lease and take it in one step of the store: a script, a transaction, or a command that fails if there is one'

export const leaseCases: readonly ConformanceCase[] = [
  claiming('one of two concurrent claims gets a token, and the other learns for how long to wait', async (backend) => {
    const [one, other] = await Promise.all([claim(backend, 'key', LONG), claim(backend, 'key', LONG)])
    const [first, second] = 'token' in one ? [one, other] : [other, one]
    assert.ok('token' in first, `one of two concurrent claim()s must return a token; got ${show(one)} and ${show(other)}`)
    assertBusy(second, 'beside another one that got a token')
  }, { advice: ONE_STEP }),

  claiming('of many concurrent claims, exactly one gets a token', async (backend) => {
    for (const key of ['a', 'b', 'c']) {
      const came = await Promise.all(Array.from({ length: MANY }, () => claim(backend, key, LONG)))
      const tokens = came.filter((one) => 'token' in one).length
      assert.ok(tokens === 1, `one of ${MANY} concurrent claim()s must return a token; ${tokens} did`)
    }
  }, { advice: ONE_STEP }),

  claiming('busyMs is what is left of the lease', async (backend, subject) => {
    await take(backend, 'key', LONG, 'of a new key')
    await elapse(subject, SHORT_MS)
    assertBusy(await claim(backend, 'key', LONG), `${SHORT_MS} ms after a claim()`, LIFE_MS - SHORT_MS / 2)
  }),

  claiming('a lease ends by itself, and the next claim gets another token', async (backend, subject) => {
    const first = await take(backend, 'key', { leaseMs: SHORT_MS, fillMs: LIFE_MS }, 'of a new key')
    const second = await takeWhenFree(backend, 'key', subject, SHORT_MS, 'of another claim()')
    assert.ok(first !== second, 'claim() after a lease has ended must return another token; got the same')
    assertBusy(await claim(backend, 'key', LONG), 'beside a lease that was taken after another one had ended')
  }, { advice: 'leaseMs is in milliseconds, and is measured by the clock of the store' }),

  claiming('of many concurrent claims after a lease has ended, exactly one gets a token', async (backend, subject) => {
    await take(backend, 'key', { leaseMs: SHORT_MS, fillMs: LIFE_MS }, 'of a new key')
    await elapse(subject, SHORT_MS * 4)
    const came = await Promise.all(Array.from({ length: MANY }, () => claim(backend, 'key', LONG)))
    const tokens = came.filter((one) => 'token' in one).length
    assert.ok(tokens === 1, `one of ${MANY} concurrent claim()s after a lease has ended must return a token; ${tokens} did`)
  }, { advice: ONE_STEP }),

  claiming('settle without an entry gives the lease back at once', async (backend) => {
    const first = await take(backend, 'key', LONG, 'of a new key')
    await settle(backend, 'key', first, {}, false, 'without an entry')
    const second = await take(backend, 'key', LONG, 'after the lease was given back')
    assert.ok(first !== second, 'claim() after the lease was given back must return another token; got the same')
  }, { advice: 'Work that stores nothing ends with settle too: end its lease in the same step' }),

  claiming('settle with an entry ends the lease at once', async (backend, subject) => {
    const token = await take(backend, 'key', LONG, 'of a new key')
    await settle(backend, 'key', token, { entry: entryOf('value', subject) }, true, 'with an entry')
    const seen = (await backend.get('key'))?.expiresAt
    await take(backend, 'key', { ...LONG, seen }, 'for the entry that was just settled')
  }),

  claiming('an entry that has expired is not stored, and the lease is given back', async (backend, subject) => {
    const token = await take(backend, 'key', LONG, 'of a new key')
    await settle(backend, 'key', token, { entry: entryOf('value', subject, -1_000) }, false, 'with an entry that has expired')
    await take(backend, 'key', LONG, 'after a settle() with an entry that has expired')
  }),

  claiming('a lease is for one key', async (backend) => {
    for (const key of ['key', 'key2', 'ke', 'other']) await take(backend, key, LONG, 'of a key that nobody else has claimed')
  }),

  claiming('after a settle with aloneMs, every claim gets a token of its own at once', async (backend) => {
    const first = await take(backend, 'key', LONG, 'of a new key')
    await settle(backend, 'key', first, { aloneMs: LIFE_MS }, false, 'with aloneMs')
    const tokens = new Set<string>()
    for (let at = 0; at < MANY; at++) tokens.add(await take(backend, 'key', LONG, 'while nobody waits for the key'))
    assert.ok(tokens.size === MANY, `${MANY} claim()s must return ${MANY} different tokens; got ${tokens.size}`)
  }, { advice: 'The response can not be shared. Waiting for one another would make one request out of many, one after another' }),

  claiming('aloneMs ends by itself, and until then there are no leases', async (backend, subject) => {
    const first = await take(backend, 'key', LONG, 'of a new key')
    await settle(backend, 'key', first, { aloneMs: ALONE_MS }, false, 'with aloneMs')
    await take(backend, 'key', LONG, 'while nobody waits for the key')
    await elapse(subject, ALONE_MS * 4)
    await take(backend, 'key', LONG, 'after aloneMs, of a key that was claimed only until then,')
    assertBusy(await claim(backend, 'key', LONG), 'beside a lease that was taken after aloneMs')
  }),

  claiming('a claim with leaseMs 0 gets a token beside a lease, and the lease stays', async (backend) => {
    const token = await take(backend, 'key', LONG, 'of a new key')
    const others = new Set([token])
    for (let at = 0; at < MANY; at++) others.add(await take(backend, 'key', NO_LEASE, 'with leaseMs 0'))
    assert.ok(others.size === MANY + 1, `each claim() must return another token; ${MANY + 1} returned ${others.size}`)
    assertBusy(await claim(backend, 'key', LONG), 'beside a lease that others have claimed with leaseMs 0')
    const came = await take(backend, 'key', { ...LONG, token }, 'by whoever has the lease')
    assert.ok(came === token, `claim() with a token must return the same token; got ${show(came)} instead of ${show(token)}`)
  }),

  claiming('a claim with leaseMs 0 takes no lease', async (backend) => {
    await take(backend, 'key', NO_LEASE, 'with leaseMs 0')
    await take(backend, 'key', LONG, 'after a claim() with leaseMs 0')
  }),

  claiming('only the token that has the lease gives it back', async (backend, subject) => {
    const seen = await seenEntry(backend, 'key', 'old', subject)
    await take(backend, 'key', { ...LONG, seen }, 'for the entry that was seen')
    const other = await take(backend, 'key', { ...NO_LEASE, seen }, 'with leaseMs 0')
    await settle(backend, 'key', other, {}, false, 'with a token that has no lease, without an entry')
    assertBusy(await claim(backend, 'key', { ...LONG, seen }), 'beside the lease of another token than the one that was settled')
  })
]
