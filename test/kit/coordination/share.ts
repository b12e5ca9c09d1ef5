// Cases with two backends on one store, as in two processes: what one of them claims, settles or removes counts for the other.
import assert from 'node:assert/strict'
import type { ConformanceCase } from '../case.js'
import { bytesOf, entryOf, LIFE_MS } from '../entries.js'
import { assertHolds, assertMiss } from '../expect.js'
import { resultOf, soon } from '../outcome.js'
import type { SubjectWith } from '../subject.js'
import {
  asClaiming, assertBusy, assertEntryIn, claim, claimingWith, LONG, NO_LEASE, seenEntry, settle, SHORT_MS, take, takeWhenFree, type Claiming
} from './claims.js'

const MANY = 8
const ROUNDS = 20
const CLOSED_MS = 300
const SEEN_MS = 2_000

const ONE_STEP = 'Let the store do each claim and each settle in one step: what a backend remembers by itself, others do not know'

/** Creates a case about two backends, `one` and `other`, on one store. */
const between = (name: string, body: (one: Claiming, other: Claiming, subject: SubjectWith<'share'>) => Promise<void>): ConformanceCase =>
  claimingWith(['share'], name, async (one, subject) => body(one, asClaiming(await subject.share()), subject), ONE_STEP)

const CHANGES: Readonly<Record<string, (backend: Claiming, subject: SubjectWith<'share'>) => unknown>> = {
  delete: (backend) => backend.delete('key'),
  set: (backend, subject) => backend.set('key', entryOf('set', subject)),
  clear: (backend) => backend.clear?.(),
  'clear of a prefix': (backend) => backend.clear?.('ke')
}

/** Fails unless get, in time, returns what a change has left: the entry that was set, or nothing. */
async function assertLeft (backend: Claiming, change: string, what: string): Promise<void> {
  await soon(async () => {
    const hit = await backend.get('key')
    if (change === 'set') assertHolds(hit, bytesOf('set'), what)
    else assertMiss(hit, what)
  }, SEEN_MS)
}

const isPossible = (backend: Claiming, change: string): boolean => !change.startsWith('clear') || backend.clear !== undefined

export const sharedCases: readonly ConformanceCase[] = [
  between('of concurrent claims by two backends on one store, exactly one gets a token', async (one, other) => {
    for (let round = 0; round < ROUNDS; round++) {
      const came = await Promise.all(Array.from({ length: MANY }, (_, at) => claim(at % 2 === 0 ? one : other, `key ${round}`, LONG)))
      const tokens = came.filter((each) => 'token' in each).length
      assert.ok(tokens === 1, `one of ${MANY} concurrent claim()s by two backends must return a token; ${tokens} did`)
    }
  }),

  between('a lease keeps out another backend on the store until it is given back', async (one, other) => {
    const token = await take(one, 'key', LONG, 'of a new key')
    assertBusy(await claim(other, 'key', LONG), "beside another backend's lease")
    await settle(one, 'key', token, {}, false, 'without an entry')
    await take(other, 'key', LONG, 'after another backend gave its lease back')
    assertBusy(await claim(one, 'key', LONG), "beside another backend's lease")
  }),

  between('an entry that was settled is returned by claim and get of another backend on the store', async (one, other, subject) => {
    const token = await take(one, 'key', LONG, 'of a new key')
    assertBusy(await claim(other, 'key', LONG), "beside another backend's lease")
    await settle(one, 'key', token, { entry: entryOf('value', subject) }, true, 'with an entry')
    assertEntryIn(await claim(other, 'key', LONG), 'value', 'of a key that another backend has settled')
    const call = 'get() of an entry that another backend has settled'
    await soon(async () => assertHolds(await other.get('key'), bytesOf('value'), call), SEEN_MS)
  }),

  between('aloneMs counts for another backend on the store', async (one, other) => {
    await settle(one, 'key', await take(one, 'key', LONG, 'of a new key'), { aloneMs: LIFE_MS }, false, 'with aloneMs')
    for (const backend of [one, other, one, other]) await take(backend, 'key', LONG, 'while nobody waits for the key')
  }),

  between('of two tokens of two backends, the older one does not overwrite the entry of the younger one', async (one, other, subject) => {
    const older = await take(one, 'key', NO_LEASE, 'of a new key')
    const younger = await take(other, 'key', NO_LEASE, 'with leaseMs 0')
    await settle(other, 'key', younger, { entry: entryOf('younger', subject) }, true, 'with the younger of two tokens')
    await settle(one, 'key', older, { entry: entryOf('older', subject) }, false, 'with the older of two tokens, after the younger one')
    for (const backend of [one, other]) {
      const call = 'get() after the younger of two tokens was settled first'
      await soon(async () => assertHolds(await backend.get('key'), bytesOf('younger'), call), SEEN_MS)
    }
  }),

  ...Object.entries(CHANGES).map(([change, make]) =>
    between(`after a ${change} by another backend on the store, a token stores nothing`, async (one, other, subject) => {
      if (!isPossible(one, change)) return
      const seen = await seenEntry(one, 'key', 'old', subject)
      const token = await take(one, 'key', { ...LONG, seen }, 'for the entry that was seen')
      await make(other, subject)
      await settle(one, 'key', token, { entry: entryOf('late', subject) }, false, `after another backend's ${change}`)
      for (const backend of [one, other]) await assertLeft(backend, change, `get() after another backend's ${change} and a settle()`)
    })),

  ...Object.entries(CHANGES).map(([change, make]) =>
    between(`a settle during a ${change} by another backend on the store leaves nothing of its own`, async (one, other, subject) => {
      if (!isPossible(one, change)) return
      for (let round = 0; round < ROUNDS; round++) {
        const seen = (await one.get('key'))?.expiresAt
        const token = await take(one, 'key', { ...LONG, seen }, 'for the entry that was seen, if any')
        const calls = [async () => make(other, subject), async () => one.settle('key', token, { entry: entryOf('late', subject) })]
        if (round % 2 === 1) calls.reverse()
        await resultOf(`a settle() during another backend's ${change}`, async () => { await Promise.all(calls.map((call) => call())) })
        for (const backend of [one, other]) await assertLeft(backend, change, `get() after a settle() during another backend's ${change}`)
        await one.delete('key')
      }
    })),

  between('the lease of a backend that was closed ends by itself', async (one, other, subject) => {
    await take(one, 'key', { leaseMs: CLOSED_MS, fillMs: LIFE_MS }, 'of a new key')
    await one.close()
    await takeWhenFree(other, 'key', subject, CLOSED_MS, 'of a backend that was closed')
  }),

  between('a lease that has ended is taken by one of two backends on the store', async (one, other, subject) => {
    await take(one, 'key', { leaseMs: SHORT_MS, fillMs: LIFE_MS }, 'of a new key')
    await takeWhenFree(other, 'key', subject, SHORT_MS, 'of another backend')
    assertBusy(await claim(one, 'key', LONG), 'beside the lease of another backend')
  })
]
