// Cases for public bugs with stores that are down, hang, or work again.
import assert from 'node:assert/strict'
import { setTimeout as wait } from 'node:timers/promises'
import { withLevers, type ConformanceCase } from '../case.js'
import { bytesOf, entryOf } from '../entries.js'
import { assertHolds, assertMiss } from '../expect.js'
import { assertFails, outcomeOf, patient, resultOf, soon } from '../outcome.js'

const CALLS = 50
const OUTAGE_MS = 300
const SETTLING_MS = 3_000

export const outageCases: readonly ConformanceCase[] = [
  withLevers(
    ['fail'], 'if the store is down from the start, opening a backend and its first call settle in time', async (backend, subject) => {
      await backend.close()
      await subject.fail()
      const opened = await outcomeOf('open() while the store is down', () => subject.open())
      if ('result' in opened) await outcomeOf('the first get() while the store is down', () => opened.result.get('key'))
    }, {
      reference: 'jaredwray/cacheable#1202',
      advice: 'Neither open() nor any other call may wait for a connection that can not be made'
    }),

  withLevers(['fail'], 'a get that is pending when the store goes down settles in time', async (backend, subject) => {
    await backend.set('key', entryOf('value', subject))
    const gets = Array.from({ length: 5 }, () => outcomeOf('a get() that was pending when the store went down', () => backend.get('key')))
    await subject.fail()
    await Promise.all(gets)
    await outcomeOf('a get() after the store went down', () => backend.get('key'))
  }, { reference: 'jaredwray/cacheable#1170', advice: 'Let calls fail when their connection ends, and do not queue them for later' }),

  withLevers(['fail'], 'many concurrent calls settle in time while the store is down', async (backend, subject) => {
    await subject.fail()
    await Promise.all(Array.from({ length: CALLS }, (_, at) => outcomeOf('one of many calls while the store is down', async () => {
      await (at % 2 === 0 ? backend.get(`key ${at}`) : backend.set(`key ${at}`, entryOf('value', subject)))
    })))
  }, { reference: 'jaredwray/keyv#1496', advice: 'Let calls fail while there is no connection, and do not queue them for later' }),

  withLevers(['fail'], 'a store is used again after it was down for a while', async (backend, subject) => {
    const heal = await subject.fail()
    const endsAt = performance.now() + OUTAGE_MS
    while (performance.now() < endsAt) {
      await outcomeOf('get() while the store is down', () => backend.get('key'))
      await wait(10)
    }
    await heal()
    await soon(async () => {
      await resultOf('set() when the store is back', () => backend.set('key', entryOf('value', subject)))
      assertHolds(await resultOf('get() when the store is back', () => backend.get('key')), bytesOf('value'),
        'get() when the store is back')
    }, subject.recoveryMs)
  }, { reference: 'caching-tools/next-shared-cache#771', advice: 'Never stop trying to connect' }),

  withLevers(['hang'], 'a backend does not wait forever on a silent connection', async (backend, subject) => {
    await backend.set('key', entryOf('value', subject))
    const heal = await subject.hang()
    const waiting = (async () => backend.get('key'))().catch(() => {})
    await wait(OUTAGE_MS)
    await heal()
    await soon(async () => { await resultOf('get() when the store responds again', () => backend.get('other')) }, subject.recoveryMs)
    await outcomeOf('the get() that waited', async () => { await waiting })
  }, { reference: 'drips-network/app#1929', advice: 'Give every read a timeout, and drop a connection that does not respond' }),

  withLevers(['fail'], 'calls during an outage leave no connection and no timer open', async (backend, subject) => {
    await backend.set('key', entryOf('value', subject))
    const heal = await subject.fail()
    const before = process.getActiveResourcesInfo().length
    for (let call = 0; call < CALLS; call++) await outcomeOf('get() while the store is down', () => backend.get('key'))
    await heal()
    const more = () => process.getActiveResourcesInfo().length - before
    const endsAt = performance.now() + patient(SETTLING_MS)
    while (more() >= CALLS && performance.now() < endsAt) await wait(20)
    assert.ok(more() < CALLS,
      `${CALLS} calls while the store is down must leave nothing open; they left ${more()} handles (${[...new Set(process.getActiveResourcesInfo())].join(', ')})`)
  }, { reference: 'vercel/next.js#98716', advice: 'Connect once, not for each call' }),

  withLevers(['fail'], 'an outage does not look like an empty cache', async (backend, subject) => {
    for (const key of ['a', 'b', 'c']) await backend.set(key, entryOf(key, subject))
    await subject.fail()
    for (const key of ['a', 'b', 'c']) await assertFails(`get('${key}') of an entry that was set before an outage`, () => backend.get(key))
  }, {
    reference: 'koala73/worldmonitor#3527',
    advice: 'Throw: null or undefined means that there is no entry, so every request runs its handler'
  }),

  withLevers(['garble'], 'a damaged entry does not cause errors forever', async (first, subject) => {
    await first.set('key', { value: new Uint8Array(500).fill(0x61), expiresAt: subject.now() + 60_000 })
    if (subject.reopen !== undefined) await first.close()
    const heal = await subject.garble()
    const backend = subject.reopen === undefined ? first : await subject.reopen()
    await outcomeOf('get() of a damaged entry', () => backend.get('key'))
    await heal()
    await resultOf('set() over a damaged entry', () => backend.set('key', entryOf('value', subject)))
    assertHolds(await resultOf('get() of a damaged entry that was set again', () => backend.get('key')), bytesOf('value'),
      'get() of a damaged entry that was set again')
    await resultOf('delete()', () => backend.delete('key'))
    assertMiss(await resultOf('get() of a damaged entry that was set again and deleted', () => backend.get('key')),
      'get() of a damaged entry that was set again and deleted')
  }, { reference: 'Julien-R44/bentocache#93', advice: 'Treat an entry that can not be read as a miss, and let the next set replace it' })
]
