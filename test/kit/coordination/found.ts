// Cases about a claim that finds an entry, and about the entry that its caller has seen.
import assert from 'node:assert/strict'
import type { ConformanceCase } from '../case.js'
import { bytesOf, entryOf } from '../entries.js'
import { assertHolds } from '../expect.js'
import { assertBusy, assertEntryIn, claim, claiming, LONG, NO_LEASE, seenEntry, settle, take } from './claims.js'

const LARGE_BYTES = 1024 * 1024

const FIRST = 'Look for the entry before the lease: somebody may have stored it since the caller looked'

export const foundCases: readonly ConformanceCase[] = [
  claiming('an entry that was set is returned', async (backend, subject) => {
    const entry = entryOf('value', subject)
    await backend.set('key', entry)
    for (const options of [LONG, NO_LEASE]) {
      const { expiresAt } = assertEntryIn(await claim(backend, 'key', options), 'value', 'of a key with an entry')
      assert.ok(expiresAt > subject.now() && expiresAt <= entry.expiresAt,
        `claim() must return the expiresAt that was set, ${entry.expiresAt}, or an earlier one; got ${expiresAt}`)
    }
  }, { advice: FIRST }),

  claiming('an empty value is an entry', async (backend, subject) => {
    const token = await take(backend, 'key', LONG, 'of a new key')
    await settle(backend, 'key', token, { entry: entryOf('', subject) }, true, 'with an entry whose value is empty')
    assertHolds(await backend.get('key'), bytesOf(''), 'get() of an entry whose value is empty')
    assertEntryIn(await claim(backend, 'key', LONG), '', 'of a key whose value is empty')
  }),

  claiming('a value of 1 MiB with all bytes survives', async (backend, subject) => {
    const value = Uint8Array.from({ length: LARGE_BYTES }, (_, at) => at * 31 + (at >> 8))
    const token = await take(backend, 'key', LONG, 'of a new key')
    await settle(backend, 'key', token, { entry: { value, expiresAt: subject.now() + LONG.leaseMs } }, true, 'with a value of 1 MiB')
    assertHolds(await backend.get('key'), value, 'get() of a value that was settled')
    const came = await claim(backend, 'key', LONG)
    assert.ok('entry' in came, 'claim() of a key with a value of 1 MiB must return the entry')
    assertHolds(came.entry, value, 'claim() of a key with a value of 1 MiB')
  }),

  claiming('an expired entry is no entry', async (backend, subject) => {
    await backend.set('key', entryOf('value', subject, 1_000))
    await subject.pass(1_000)
    await take(backend, 'key', LONG, 'of a key whose entry has expired')
    assertBusy(await claim(backend, 'key', LONG), 'beside a lease, over an expired entry')
  }),

  claiming('with seen, an entry that the caller has seen does not keep it from a token', async (backend, subject) => {
    const seen = await seenEntry(backend, 'key', 'old', subject)
    await take(backend, 'key', { ...LONG, seen }, 'for the entry that was seen')
    await backend.delete('key')
    await take(backend, 'key', { ...LONG, seen }, 'for an entry that was seen and is gone')
  }),

  claiming('with seen, an entry that the caller has not seen is returned', async (backend, subject) => {
    const seen = await seenEntry(backend, 'key', 'value', subject)
    for (const other of [seen - 1_000, seen + 1_000, 0]) {
      assertEntryIn(await claim(backend, 'key', { ...LONG, seen: other }), 'value', 'with the expiresAt of another entry as seen')
    }
  }),

  claiming('the entry that was seen is returned by get while its key is claimed, and after that', async (backend, subject) => {
    const seen = await seenEntry(backend, 'key', 'old', subject)
    const token = await take(backend, 'key', { ...LONG, seen }, 'for the entry that was seen')
    assertHolds(await backend.get('key'), bytesOf('old'), 'get() of a key that is claimed')
    assertBusy(await claim(backend, 'key', { ...LONG, seen }), 'beside a lease')
    assertHolds(await backend.get('key'), bytesOf('old'), 'get() of a key that is claimed')
    await settle(backend, 'key', token, {}, false, 'without an entry')
    assertHolds(await backend.get('key'), bytesOf('old'), 'get() of a key whose lease was given back')
  }, { advice: 'A stale response is served while it is replaced' }),

  claiming('whoever has waited finds the entry that was settled', async (backend, subject) => {
    const token = await take(backend, 'key', LONG, 'of a new key')
    for (let at = 0; at < 3; at++) assertBusy(await claim(backend, 'key', LONG), 'beside a lease')
    await settle(backend, 'key', token, { entry: entryOf('value', subject) }, true, 'with an entry')
    assertEntryIn(await claim(backend, 'key', LONG), 'value', 'of a key that was settled with an entry')
  }, { advice: FIRST }),

  claiming('an entry that the caller has not seen is returned even beside a lease', async (backend, subject) => {
    const seen = await seenEntry(backend, 'key', 'old', subject)
    await take(backend, 'key', { ...LONG, seen }, 'for the entry that was seen')
    assertEntryIn(await claim(backend, 'key', LONG), 'old', 'beside a lease, of an entry that the caller has not seen,')
    assertBusy(await claim(backend, 'key', { ...LONG, seen }), 'beside a lease, of an entry that the caller has seen,')
  }, { advice: FIRST })
]
