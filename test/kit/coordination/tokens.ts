// Cases about the token: whether an entry may still be stored with it, and which of several tokens wins.
import type { ConformanceCase } from '../case.js'
import { bytesOf, entryOf, LIFE_MS } from '../entries.js'
import { assertHolds, assertMiss } from '../expect.js'
import {
  assertBusy, claim, claiming, elapse, LONG, NO_LEASE, seenEntry, settle, SHORT_MS, take, takeWhenFree, type Claiming
} from './claims.js'

const CHECKED = 'A lease alone protects nothing: its holder may be late. Check the token in the same step that writes the entry'
const NUMBERED = 'Number the tokens of a key, and remember the largest number with which an entry was stored'

/** Tokens that no backend has given out. */
const MADE_UP = ['', ' ', '0', 'made up', '{}', '[]', 'null', '__proto__', 'a:b:c', '\0', '\ud800', '1 1 1', 'x'.repeat(10_000)]

/** Takes two tokens of `key`, without leases. */
async function takeTwo (backend: Claiming): Promise<{ older: string, younger: string }> {
  const older = await take(backend, 'key', NO_LEASE, 'of a new key')
  return { older, younger: await take(backend, 'key', NO_LEASE, 'with leaseMs 0') }
}

export const tokenCases: readonly ConformanceCase[] = [
  claiming('an entry that is settled is stored', async (backend, subject) => {
    const token = await take(backend, 'key', LONG, 'of a new key')
    await settle(backend, 'key', token, { entry: entryOf('value', subject) }, true, 'with an entry')
    assertHolds(await backend.get('key'), bytesOf('value'), 'get() of an entry that was settled')
  }),

  claiming('settle returns true only if the entry is stored', async (backend, subject) => {
    const token = await take(backend, 'key', LONG, 'of a new key')
    await settle(backend, 'key', token, {}, false, 'without an entry')
    await settle(backend, 'key', 'made up', { entry: entryOf('value', subject) }, false, 'with a token that was made up')
    assertMiss(await backend.get('key'), 'get() of a key whose settle() returned false')
  }, { advice: CHECKED }),

  claiming('a settle without an entry leaves the entry that was seen', async (backend, subject) => {
    const seen = await seenEntry(backend, 'key', 'old', subject)
    const token = await take(backend, 'key', { ...LONG, seen }, 'for the entry that was seen')
    await settle(backend, 'key', token, {}, false, 'without an entry')
    assertHolds(await backend.get('key'), bytesOf('old'), 'get() of the entry that was seen, after a settle() without an entry,')
  }),

  claiming('an entry that is settled replaces the value and the expiresAt of the one that was seen', async (backend, subject) => {
    for (const [key, oldMs, newMs] of [['shorter', LIFE_MS, 1_000], ['longer', 1_000, LIFE_MS]] as const) {
      await backend.set(key, entryOf('a longer old value', subject, oldMs))
      const token = await take(backend, key, { ...LONG, seen: (await backend.get(key))?.expiresAt }, 'for the entry that was seen')
      await settle(backend, key, token, { entry: entryOf('new', subject, newMs) }, true, 'with an entry')
    }
    assertHolds(await backend.get('shorter'), bytesOf('new'), 'get() of an entry that was settled')
    await subject.pass(1_000)
    assertMiss(await backend.get('shorter'), 'get() of an entry that was settled, at its expiresAt,')
    assertHolds(await backend.get('longer'), bytesOf('new'), 'get() of an entry that lives longer than the one it replaced')
  }),

  claiming('an entry that was settled expires like one that was set', async (backend, subject) => {
    const token = await take(backend, 'key', LONG, 'of a new key')
    await settle(backend, 'key', token, { entry: entryOf('value', subject, 1_000) }, true, 'with an entry')
    await subject.pass(1_000)
    assertMiss(await backend.get('key'), 'get() of an entry that was settled, at its expiresAt,')
    await take(backend, 'key', LONG, 'of a key whose entry was settled and has expired')
  }),

  claiming('of two tokens, an older one does not overwrite the entry of a younger one', async (backend, subject) => {
    const { older, younger } = await takeTwo(backend)
    await settle(backend, 'key', younger, { entry: entryOf('younger', subject) }, true, 'with the younger of two tokens')
    await settle(backend, 'key', older, { entry: entryOf('older', subject) }, false, 'with the older of two tokens, after the younger one')
    assertHolds(await backend.get('key'), bytesOf('younger'), 'get() after the younger of two tokens was settled first')
  }, { advice: NUMBERED }),

  claiming('of two tokens, a younger one overwrites the entry of an older one', async (backend, subject) => {
    const { older, younger } = await takeTwo(backend)
    await settle(backend, 'key', older, { entry: entryOf('older', subject) }, true, 'with the older of two tokens')
    await settle(backend, 'key', younger, { entry: entryOf('younger', subject) }, true, 'with the younger of two tokens, after the older')
    assertHolds(await backend.get('key'), bytesOf('younger'), 'get() after the older of two tokens was settled first')
  }, { advice: NUMBERED }),

  claiming('with unordered, an older token overwrites the entry of a younger one', async (backend, subject) => {
    const { older, younger } = await takeTwo(backend)
    await settle(backend, 'key', younger, { entry: entryOf('younger', subject) }, true, 'with the younger of two tokens')
    const unordered = { entry: entryOf('older', subject), unordered: true }
    await settle(backend, 'key', older, unordered, true, 'with the older of two tokens, unordered,')
    assertHolds(await backend.get('key'), bytesOf('older'), 'get() after the older of two tokens was settled, unordered,')
  }),

  claiming('with unordered, an invalid token still stores nothing', async (backend, subject) => {
    const { older, younger } = await takeTwo(backend)
    await settle(backend, 'key', younger, { entry: entryOf('younger', subject) }, true, 'with the younger of two tokens')
    await backend.delete('key')
    await settle(backend, 'key', older, { entry: entryOf('older', subject), unordered: true }, false, 'after a delete(), unordered,')
    assertMiss(await backend.get('key'), 'get() of a deleted key')
  }, { advice: CHECKED }),

  claiming('a token stores one entry', async (backend, subject) => {
    const token = await take(backend, 'key', LONG, 'of a new key')
    await settle(backend, 'key', token, { entry: entryOf('first', subject) }, true, 'with an entry')
    await settle(backend, 'key', token, { entry: entryOf('second', subject) }, false, 'with a token that has stored an entry')
    assertHolds(await backend.get('key'), bytesOf('first'), 'get() after a token was settled twice')
  }, { advice: NUMBERED }),

  claiming('a token is valid after its lease has ended, and does not end the lease of another', async (backend, subject) => {
    const slow = await take(backend, 'key', { leaseMs: SHORT_MS, fillMs: LIFE_MS }, 'of a new key')
    const token = await takeWhenFree(backend, 'key', subject, SHORT_MS, 'of a slow claim()')
    await settle(backend, 'key', slow, { entry: entryOf('slow', subject) }, true, 'with a token whose lease somebody else has by now')
    assertHolds(await backend.get('key'), bytesOf('slow'), 'get() of an entry that was settled after its lease had ended')
    const seen = (await backend.get('key'))?.expiresAt
    assertBusy(await claim(backend, 'key', { ...LONG, seen }), 'beside the lease of another token than the one that was settled')
    await settle(backend, 'key', token, { entry: entryOf('next', subject) }, true, 'with the token that has the lease')
    assertHolds(await backend.get('key'), bytesOf('next'), 'get() of the entry that was settled last')
  }, { advice: 'The lease says who works, and the token says who may store' }),

  claiming('after fillMs, a token stores nothing', async (backend, subject) => {
    const token = await take(backend, 'key', { leaseMs: SHORT_MS, fillMs: SHORT_MS }, 'of a new key')
    // Keeps what the store has recorded of the key.
    await take(backend, 'key', NO_LEASE, 'with leaseMs 0')
    await elapse(subject, SHORT_MS * 4)
    await settle(backend, 'key', token, { entry: entryOf('late', subject) }, false, 'after fillMs')
    assertMiss(await backend.get('key'), 'get() of a key whose token was settled after fillMs')
  }, { advice: 'Put the end of fillMs into the token, by the clock of the store' }),

  claiming('a token that was made up has no effect', async (backend, subject) => {
    await take(backend, 'key', LONG, 'of a new key')
    for (const made of MADE_UP) {
      const shown = JSON.stringify(made.slice(0, 20))
      await settle(backend, 'key', made, { entry: entryOf('made up', subject) }, false, `with the token ${shown}`)
      await settle(backend, 'key', made, { aloneMs: LIFE_MS }, false, `with the token ${shown}, without an entry,`)
      await settle(backend, 'never claimed', made, { entry: entryOf('made up', subject) }, false, 'of a key that was never claimed')
    }
    for (const key of ['key', 'never claimed']) assertMiss(await backend.get(key), 'get() of a key that was settled with made-up tokens')
    assertBusy(await claim(backend, 'key', LONG), 'beside a lease, after a settle() with tokens that were made up,')
  }, { advice: 'A token is text from outside: if it can not be read, it is unknown' }),

  claiming('a token of another key has no effect', async (backend, subject) => {
    const tokens = [await take(backend, 'a', LONG, 'of a new key'), await take(backend, 'b', LONG, 'of a new key')] as const
    await settle(backend, 'a', tokens[1], { entry: entryOf('of b', subject) }, false, 'with a token of another key')
    await settle(backend, 'c', tokens[0], { entry: entryOf('of a', subject) }, false, 'with a token of another key')
    for (const key of ['a', 'b', 'c']) assertMiss(await backend.get(key), 'get() of a key that was settled with a token of another key')
    for (const key of ['a', 'b']) assertBusy(await claim(backend, key, LONG), 'beside a lease, after a token of another key was settled,')
  })
]
