// Cases about the end of a backend or of its process: a lease must not outlive it for long, and no call may wait forever.
import { setTimeout as wait } from 'node:timers/promises'
import type { ConformanceCase } from '../case.js'
import { CLAIMED, startChild } from '../child.js'
import { bytesOf, entryOf, LIFE_MS } from '../entries.js'
import { assertHolds, assertMiss } from '../expect.js'
import { outcomeOf } from '../outcome.js'
import {
  asClaiming, assertBusy, assertEntryIn, claim, claiming, claimingWith, LONG, settle, take, takeWhenFree
} from './claims.js'

const LEASE_MS = 300
const PENDING_MS = 20
const CLOSING_MS = 5_000

export const claimLifeCases: readonly ConformanceCase[] = [
  claiming('after close, a claim or a settle fails or returns, and never hangs', async (backend, subject) => {
    const token = await take(backend, 'key', LONG, 'of a new key')
    await backend.close()
    await outcomeOf('settle() after close()', () => backend.settle('key', token, { entry: entryOf('value', subject) }))
    await outcomeOf('claim() after close()', () => backend.claim('key', LONG))
  }, { advice: 'After close(), let each call fail at once' }),

  claiming('close settles while claims and settles are pending, and so do they', async (backend, subject) => {
    const token = await take(backend, 'key', LONG, 'of a new key')
    const calls = [
      (async () => backend.claim('key', LONG))(), (async () => backend.claim('other', LONG))(),
      (async () => backend.settle('key', token, { entry: entryOf('value', subject) }))()
    ]
    await outcomeOf('close() while claims are pending', () => backend.close(), CLOSING_MS)
    await outcomeOf('claims that were pending when close() was called', () => Promise.allSettled(calls))
  }),

  claimingWith(['hang'], 'close ends the claims and settles that wait for the store', async (backend, subject) => {
    const token = await take(backend, 'key', LONG, 'of a new key')
    await subject.hang()
    const calls = Promise.allSettled([
      (async () => backend.claim('key', LONG))(), (async () => backend.settle('key', token, { entry: entryOf('value', subject) }))()
    ])
    await wait(PENDING_MS)
    await outcomeOf('close() while the store hangs', () => backend.close(), CLOSING_MS)
    await outcomeOf('claims that were waiting when close() settled', () => calls)
  }, 'Give every wait an AbortSignal that close() aborts'),

  claimingWith(['reopen'], 'a lease ends by itself even if the store was closed and reopened', async (first, subject) => {
    await take(first, 'key', { leaseMs: LEASE_MS, fillMs: LIFE_MS }, 'of a new key')
    await first.close()
    await takeWhenFree(asClaiming(await subject.reopen()), 'key', subject, LEASE_MS, 'from before the store was reopened')
  }, 'A lease ends at an instant that is kept in the store, not by a timer of the process'),

  claimingWith(['reopen'], 'an entry that was settled is returned after the store was closed and reopened', async (first, subject) => {
    await settle(first, 'key', await take(first, 'key', LONG, 'of a new key'), { entry: entryOf('value', subject) }, true, 'with an entry')
    await first.close()
    const backend = asClaiming(await subject.reopen())
    assertHolds(await backend.get('key'), bytesOf('value'), 'get() of an entry that was settled before the store was reopened')
    assertEntryIn(await claim(backend, 'key', LONG), 'value', 'of a key that was settled before the store was reopened')
  }),

  claimingWith(['reopen'], 'after a delete, a token stores nothing even if the store was reopened', async (first, subject) => {
    const token = await take(first, 'key', LONG, 'of a new key')
    await first.delete('key')
    await first.close()
    const backend = asClaiming(await subject.reopen())
    await take(backend, 'key', LONG, 'of a deleted key')
    await settle(backend, 'key', token, { entry: entryOf('late', subject) }, false, 'with a token from before a delete()')
    assertMiss(await backend.get('key'), 'get() of a deleted key')
  }, 'A number that begins again makes old tokens valid again: put something random into the token'),

  claimingWith(['program', 'share'], 'the lease of a process that was killed ends by itself', async (backend, subject) => {
    const child = startChild(subject.program, 'claim until killed', subject.now())
    try {
      await child.begun()
      assertBusy(await claim(backend, CLAIMED.key, LONG), "beside another process's lease", CLAIMED.leaseMs)
    } finally {
      await child.kill()
    }
    await takeWhenFree(backend, CLAIMED.key, subject, CLAIMED.leaseMs, 'of a process that was killed')
  }, 'Nobody gives back the lease of a process that was killed: it must have an end of its own')
]
