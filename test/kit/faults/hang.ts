// The store hangs: it takes calls and answers none.
import assert from 'node:assert/strict'
import { setTimeout as wait } from 'node:timers/promises'
import { withLevers, type ConformanceCase } from '../case.js'
import { bytesOf, entryOf } from '../entries.js'
import { assertHolds, assertMiss } from '../expect.js'
import { answerOf, outcomeOf, patient, soon } from '../outcome.js'

const OPENING_MS = 5_000
const CLOSING_MS = 5_000
const HELD_UP_MS = 1_000
const UNDER_WAY_MS = 20

/** For calls that may wait for as long as the store hangs: their end is looked at later. */
async function begin (call: () => unknown): Promise<void> {
  try {
    await call()
  } catch {}
}

export const hangCases: readonly ConformanceCase[] = [
  withLevers(['hang'], 'hang: close ends what waits for a store that hangs', async (backend, subject) => {
    await backend.set('key', entryOf('value', subject))
    await subject.hang()
    const calls = [
      begin(() => backend.get('key')), begin(() => backend.set('key', entryOf('other', subject))), begin(() => backend.delete('key'))
    ]
    await wait(UNDER_WAY_MS)
    await outcomeOf('close() while the store hangs', () => backend.close(), CLOSING_MS)
    await outcomeOf('calls that waited when close() had settled', async () => { await Promise.all(calls) })
  }, { advice: 'Give every wait an AbortSignal that close() aborts, and destroy connections instead of ending them politely' }),

  withLevers(['hang'], 'hang: calls that wait for the store do not hold up the process', async (backend, subject) => {
    await backend.set('key', entryOf('value', subject))
    await subject.hang()
    const began = performance.now()
    const calls = [begin(() => backend.get('key')), begin(() => backend.set('key', entryOf('other', subject)))]
    await wait(UNDER_WAY_MS)
    const heldUpMs = Math.round(performance.now() - began)
    assert.ok(heldUpMs < patient(HELD_UP_MS),
      `a timer of ${UNDER_WAY_MS} ms beside calls that wait must not be late; it came after ${heldUpMs} ms`)
    await backend.close()
    await Promise.all(calls)
  }, { advice: 'A driver that waits synchronously stops everything else: have it fail at once, and try again later' }),

  withLevers(['hang'], 'hang: a set that waited does not come to pass after a later delete', async (backend, subject) => {
    await backend.set('key', entryOf('before', subject))
    const heal = await subject.hang()
    const changes = [begin(() => backend.set('key', entryOf('zombie', subject))), begin(() => backend.delete('key'))]
    await wait(UNDER_WAY_MS)
    await heal()
    await Promise.all(changes)
    await soon(async () => { await answerOf('delete() after the store hung', () => backend.delete('key')) }, subject.recoveryMs)
    assertMiss(await answerOf('get()', () => backend.get('key')), 'get() of a key that was deleted after a set() that waited')
    await wait(UNDER_WAY_MS * 5)
    assertMiss(await answerOf('get()', () => backend.get('key')),
      'get() some time later, of a key that was deleted after a set() that waited,')
  }, {
    advice: 'A change that was given up may not be carried out later: take it back, give it a deadline that the store knows, or hold back what comes after it until it is over'
  }),

  withLevers(['hang'], 'hang: when the store goes on, so does the backend', async (backend, subject) => {
    await backend.set('key', entryOf('value', subject))
    const heal = await subject.hang()
    const calls = Array.from({ length: 10 }, () => begin(() => backend.get('key')))
    await wait(UNDER_WAY_MS)
    await heal()
    await soon(async () => {
      await answerOf('set() after the store hung', () => backend.set('after', entryOf('after', subject)))
      assertHolds(await answerOf('get() after the store hung', () => backend.get('after')), bytesOf('after'), 'get() after the store hung')
    }, subject.recoveryMs)
    await outcomeOf('calls that waited while the store hung', async () => { await Promise.all(calls) })
  }, { advice: 'Give up a connection that does not answer, and make a new one' }),

  withLevers(['hang'], 'hang: opening ends in time', async (backend, subject) => {
    await backend.close()
    const heal = await subject.hang()
    const opened = await outcomeOf('open() while the store hangs', () => subject.open(), OPENING_MS)
    await heal()
    if ('error' in opened) return
    await soon(async () => {
      await answerOf('set() of a backend that was opened while the store hung', () => opened.answer.set('key', entryOf('value', subject)))
    }, subject.recoveryMs)
  }, { advice: 'Opening waits for no connection: begin to connect, and have calls fail until there is one' })
]
