// Cases for public bugs in which entries lived too long or not long enough.
import { setTimeout as wait } from 'node:timers/promises'
import { always, withLevers, type ConformanceCase } from '../case.js'
import { bytesOf, entryOf } from '../entries.js'
import { assertHolds, assertMiss } from '../expect.js'

const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS
const READS = 5

export const timeBugCases: readonly ConformanceCase[] = [
  always('an entry that lives 26 days does not expire at once', async (backend, subject) => {
    await backend.set('key', entryOf('value', subject, 26 * DAY_MS))
    await wait(20)
    assertHolds(await backend.get('key'), bytesOf('value'), 'get() of an entry that lives 26 days')
  }, { reference: 'Julien-R44/bentocache#61', advice: 'A setTimeout of more than 2^31 - 1 ms fires at once: use no timer for each entry' }),

  always('an hour is an hour, whatever unit of time the store uses', async (backend, subject) => {
    await backend.set('key', entryOf('value', subject, 2_500))
    await backend.set('hour', entryOf('hour', subject, HOUR_MS))
    await subject.pass(2_500)
    assertMiss(await backend.get('key'), 'get() after 2.5 s of an entry that lives 2.5 s')
    assertHolds(await backend.get('hour'), bytesOf('hour'), 'get() after 2.5 s of an entry that lives an hour')
  }, {
    reference: 'strapi-community/plugin-rest-cache#126',
    advice: 'expiresAt is in epoch milliseconds: convert it once if your store expects seconds'
  }),

  always('each entry has its own life', async (backend, subject) => {
    for (const lifeMs of [3_000, 1_000, 2_000]) await backend.set(`${lifeMs}`, entryOf(`${lifeMs}`, subject, lifeMs))
    for (const passedMs of [1_000, 2_000, 3_000]) {
      await subject.pass(1_000)
      for (const lifeMs of [1_000, 2_000, 3_000]) {
        const what = `get() after ${passedMs} ms of an entry that lives ${lifeMs} ms`
        const hit = await backend.get(`${lifeMs}`)
        if (lifeMs <= passedMs) assertMiss(hit, what)
        // The margin is needed because with a real clock, more time may have passed.
        else if (lifeMs > passedMs + 900 && hit !== undefined) assertHolds(hit, bytesOf(`${lifeMs}`), what)
      }
    }
  }, {
    reference: 'unjs/unstorage#13', advice: 'Store expiresAt with each entry: one lifetime for the whole store is not enough'
  }),

  always('an entry that is read again and again still expires', async (backend, subject) => {
    await backend.set('key', entryOf('value', subject, READS * 500))
    for (let read = 0; read < READS; read++) {
      await backend.get('key')
      await subject.pass(500)
    }
    assertMiss(await backend.get('key'), 'get() at expiresAt of an entry that was read again and again')
  }, { reference: 'nitrojs/nitro#3110', advice: 'Only a set changes the life of an entry' }),

  withLevers(['jump'], 'clear removes expired entries too', async (backend, subject) => {
    await backend.set('key', entryOf('value', subject, 1_000))
    await subject.pass(1_500)
    await backend.clear!()
    await subject.jump(-1_500)
    assertMiss(await backend.get('key'),
      'get(), after the clock was set back, of an entry that had expired when it was cleared')
  }, { power: 'clear', reference: 'ZiggyCreatures/FusionCache#648', advice: 'Clear everything in the store, expired entries included' })
]
