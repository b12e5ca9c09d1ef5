// Cases in which a key is set, deleted or cleared between claim and settle: nothing that was read before that may be stored after it.
import { setImmediate as turn } from 'node:timers/promises'
import type { ConformanceCase } from '../case.js'
import { bytesOf, entryOf, LIFE_MS } from '../entries.js'
import { assertHolds, assertMiss } from '../expect.js'
import { resultOf } from '../outcome.js'
import type { ConformanceSubject } from '../subject.js'
import { assertBusy, claim, claiming, LONG, NO_LEASE, seenEntry, settle, take, type Claiming } from './claims.js'

const ADVICE = 'Remove what is recorded of the tokens in the same step as the entry, and make new tokens differ from all earlier ones'

/** Creates a case in which a change removes the entries of two keys between claim and settle. */
function voids (change: string, make: (backend: Claiming) => unknown, power?: 'clear'): ConformanceCase {
  return claiming(`after ${change}, a token stores nothing, and the old entry is gone`, async (backend, subject) => {
    if (power !== undefined && backend[power] === undefined) return
    const seen = await seenEntry(backend, 'key', 'old', subject)
    const token = await take(backend, 'key', { ...LONG, seen }, 'for the entry that was seen')
    const fresh = await take(backend, 'key fresh', LONG, 'of a new key')
    await make(backend)
    await settle(backend, 'key', token, { entry: entryOf('late', subject) }, false, `after ${change}`)
    await settle(backend, 'key fresh', fresh, { entry: entryOf('late', subject) }, false, `after ${change}, of a key that had no entry,`)
    for (const key of ['key', 'key fresh']) assertMiss(await backend.get(key), `get() after ${change} and a settle()`)
  }, { advice: ADVICE })
}

/** Calls both without waiting between them, and awaits both. */
async function both (first: () => unknown, second: () => unknown): Promise<void> {
  await resultOf('changes of one key', async () => { await Promise.all([(async () => first())(), (async () => second())()]) })
}

/** Claims a new key, and returns a function that settles it. */
async function claimed (backend: Claiming, key: string, subject: ConformanceSubject): Promise<() => unknown> {
  const token = await take(backend, key, LONG, 'of a new key')
  return () => backend.settle(key, token, { entry: entryOf('settled', subject) })
}

export const voidedCases: readonly ConformanceCase[] = [
  voids('a delete', async (backend) => { for (const key of ['key', 'key fresh']) await backend.delete(key) }),
  voids('a clear', (backend) => backend.clear?.(), 'clear'),
  voids('a clear of a prefix', (backend) => backend.clear?.('ke'), 'clear'),

  claiming('after a set, a token stores nothing, and the entry that was set stays', async (backend, subject) => {
    const token = await take(backend, 'key', LONG, 'of a new key')
    await backend.set('key', entryOf('set', subject))
    await settle(backend, 'key', token, { entry: entryOf('late', subject) }, false, 'after a set()')
    assertHolds(await backend.get('key'), bytesOf('set'), 'get() after a set() and a settle()')
  }, { advice: ADVICE }),

  claiming('after a set of an expired entry, a token stores nothing', async (backend, subject) => {
    const token = await take(backend, 'key', LONG, 'of a new key')
    await backend.set('key', entryOf('set', subject, -1_000))
    await settle(backend, 'key', token, { entry: entryOf('late', subject) }, false, 'after a set() of an expired entry')
    assertMiss(await backend.get('key'), 'get() after a set() of an expired entry and a settle()')
  }, { advice: ADVICE }),

  claiming('after a delete and a new claim, the old token stores nothing, and the new one does', async (backend, subject) => {
    for (const isOldFirst of [true, false]) {
      const old = await take(backend, 'key', LONG, 'of a new key')
      await backend.delete('key')
      const token = await take(backend, 'key', LONG, 'of a deleted key, whose old lease ended with the delete(),')
      const late = () => settle(backend, 'key', old, { entry: entryOf('old', subject) }, false, 'with a token from before a delete()')
      if (isOldFirst) await late()
      await settle(backend, 'key', token, { entry: entryOf('new', subject) }, true, 'with a token from after a delete()')
      if (!isOldFirst) await late()
      assertHolds(await backend.get('key'), bytesOf('new'), 'get() of an entry that was settled with a token from after a delete()')
      await backend.delete('key')
    }
  }, { advice: 'A number that begins again makes old tokens valid again: put something random into the token' }),

  claiming('after a delete, settling the old token without an entry leaves the new lease', async (backend, subject) => {
    const old = await take(backend, 'key', LONG, 'of a new key')
    await backend.delete('key')
    const token = await take(backend, 'key', LONG, 'of a deleted key')
    await settle(backend, 'key', old, { aloneMs: LIFE_MS }, false, 'with a token from before a delete(), without an entry')
    assertBusy(await claim(backend, 'key', LONG), 'beside a lease, after a token from before a delete() was settled,')
    await settle(backend, 'key', token, { entry: entryOf('new', subject) }, true, 'with a token from after a delete()')
  }),

  claiming('changes of other keys leave a token valid', async (backend, subject) => {
    const token = await take(backend, 'key', LONG, 'of a new key')
    for (const key of ['key2', 'ke', 'other']) {
      await backend.set(key, entryOf('other', subject))
      await backend.delete(key)
    }
    await backend.clear?.('key2')
    await backend.clear?.('other')
    await settle(backend, 'key', token, { entry: entryOf('value', subject) }, true, 'after changes of other keys')
    assertHolds(await backend.get('key'), bytesOf('value'), 'get() of an entry that was settled after changes of other keys')
  }),

  claiming('settle takes effect in the order of the calls, before and after a set or a delete', async (backend, subject) => {
    const set = (key: string) => () => backend.set(key, entryOf('set', subject))
    await both(await claimed(backend, 'settle, delete', subject), () => backend.delete('settle, delete'))
    await both(() => backend.delete('delete, settle'), await claimed(backend, 'delete, settle', subject))
    await both(await claimed(backend, 'settle, set', subject), set('settle, set'))
    const settled = await claimed(backend, 'set, settle', subject)
    await both(set('set, settle'), settled)
    for (let at = 0; at < 3; at++) await turn()
    for (const key of ['settle, delete', 'delete, settle']) assertMiss(await backend.get(key), `get() after these calls: ${key}`)
    for (const key of ['settle, set', 'set, settle']) assertHolds(await backend.get(key), bytesOf('set'), `get() after these calls: ${key}`)
  }, { advice: 'A settle is a change of its key: it must not overtake earlier changes, and later ones must not overtake it' }),

  claiming('what was settled with leaseMs 0 is checked too', async (backend, subject) => {
    const token = await take(backend, 'key', NO_LEASE, 'with leaseMs 0')
    await backend.delete('key')
    await settle(backend, 'key', token, { entry: entryOf('late', subject) }, false, 'with a token without a lease, after a delete(),')
    assertMiss(await backend.get('key'), 'get() of a deleted key')
  }, { advice: ADVICE })
]
