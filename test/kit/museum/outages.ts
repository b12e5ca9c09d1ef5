// Public bugs of stores that are down, hang or come back.
import assert from 'node:assert/strict'
import { setTimeout as wait } from 'node:timers/promises'
import { withLevers, type ConformanceCase } from '../case.js'
import { bytesOf, entryOf } from '../entries.js'
import { assertHolds, assertMiss } from '../expect.js'
import { answerOf, assertFails, outcomeOf, patient, soon } from '../outcome.js'

const CALLS = 50
const OUTAGE_MS = 300
const SETTLING_MS = 3_000

export const outageCases: readonly ConformanceCase[] = [
  withLevers(
    ['fail'], 'with the store down from the start, a backend is made and its first call is over in time', async (backend, subject) => {
      await backend.close()
      await subject.fail()
      const opened = await outcomeOf('open() while the store is down', () => subject.open())
      if ('answer' in opened) await outcomeOf('the first get() while the store is down', () => opened.answer.get('key'))
    }, { reference: 'jaredwray/cacheable#1202', advice: 'Neither opening nor a call waits for a connection that can not be made' }),

  withLevers(['fail'], 'a get that is under way when the store goes down is over in time', async (backend, subject) => {
    await backend.set('key', entryOf('value', subject))
    const gets = Array.from({ length: 5 }, () => outcomeOf('a get() that was under way when the store went down', () => backend.get('key')))
    await subject.fail()
    await Promise.all(gets)
    await outcomeOf('a get() after the store went down', () => backend.get('key'))
  }, { reference: 'jaredwray/cacheable#1170', advice: 'Calls end when their connection does: keep no queue of them for later' }),

  withLevers(['fail'], 'with the store down, many calls at once are over in time', async (backend, subject) => {
    await subject.fail()
    await Promise.all(Array.from({ length: CALLS }, (_, at) => outcomeOf('one of many calls while the store is down', async () => {
      await (at % 2 === 0 ? backend.get(`key ${at}`) : backend.set(`key ${at}`, entryOf('value', subject)))
    })))
  }, { reference: 'jaredwray/keyv#1496', advice: 'Calls end when there is no connection: keep no queue of them for later' }),

  withLevers(['fail'], 'a store that was down for a while is used again', async (backend, subject) => {
    const heal = await subject.fail()
    const endsAt = performance.now() + OUTAGE_MS
    while (performance.now() < endsAt) {
      await outcomeOf('get() while the store is down', () => backend.get('key'))
      await wait(10)
    }
    await heal()
    await soon(async () => {
      await answerOf('set() when the store is back', () => backend.set('key', entryOf('value', subject)))
      assertHolds(await answerOf('get() when the store is back', () => backend.get('key')), bytesOf('value'),
        'get() when the store is back')
    }, subject.recoveryMs)
  }, { reference: 'caching-tools/next-shared-cache#771', advice: 'Never give up connecting for good' }),

  withLevers(['hang'], 'a connection that has gone silent is not waited on for ever', async (backend, subject) => {
    await backend.set('key', entryOf('value', subject))
    const heal = await subject.hang()
    const waiting = (async () => backend.get('key'))().catch(() => {})
    await wait(OUTAGE_MS)
    await heal()
    await soon(async () => { await answerOf('get() when the store answers again', () => backend.get('other')) }, subject.recoveryMs)
    await outcomeOf('the get() that waited', async () => { await waiting })
  }, { reference: 'drips-network/app#1929', advice: 'Bound every read, and give up a connection on which nothing comes' }),

  withLevers(['fail'], 'calls during an outage leave no connection and no timer behind', async (backend, subject) => {
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
  }, { reference: 'vercel/next.js#98716', advice: 'Connect once, and not for each call' }),

  withLevers(['fail'], 'an outage does not look like a cache that is empty', async (backend, subject) => {
    for (const key of ['a', 'b', 'c']) await backend.set(key, entryOf(key, subject))
    await subject.fail()
    for (const key of ['a', 'b', 'c']) await assertFails(`get('${key}') of what was set before an outage`, () => backend.get(key))
  }, {
    reference: 'koala73/worldmonitor#3527',
    advice: 'Throw: null or undefined says that there is no such entry, and has every request asked of the origin'
  }),

  withLevers(['garble'], 'an entry that was damaged is not an error for ever', async (first, subject) => {
    await first.set('key', { value: new Uint8Array(500).fill(0x61), expiresAt: subject.now() + 60_000 })
    if (subject.reopen !== undefined) await first.close()
    const heal = await subject.garble()
    const backend = subject.reopen === undefined ? first : await subject.reopen()
    await outcomeOf('get() of what was damaged', () => backend.get('key'))
    await heal()
    await answerOf('set() of what was damaged', () => backend.set('key', entryOf('value', subject)))
    assertHolds(await answerOf('get() of what was damaged and set again', () => backend.get('key')), bytesOf('value'),
      'get() of what was damaged and set again')
    await answerOf('delete()', () => backend.delete('key'))
    assertMiss(await answerOf('get() of what was damaged, set again and deleted', () => backend.get('key')),
      'get() of what was damaged, set again and deleted')
  }, { reference: 'Julien-R44/bentocache#93', advice: 'Take what can not be read for a miss, and replace it by the next set' })
]
