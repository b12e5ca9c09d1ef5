// Cases in which the store hangs: it accepts calls and never responds.
import assert from 'node:assert/strict'
import { setTimeout as wait } from 'node:timers/promises'
import { withLevers, type ConformanceCase } from '../case.js'
import { bytesOf, entryOf } from '../entries.js'
import { assertHolds, assertMiss } from '../expect.js'
import { outcomeOf, patient, resultOf, soon } from '../outcome.js'

const OPENING_MS = 5_000
const CLOSING_MS = 5_000
const BLOCKED_MS = 1_000
const PENDING_MS = 20

/** Makes a call that may wait until the store responds again. The outcome of the call doesn't matter. */
async function begin (call: () => unknown): Promise<void> {
  try {
    await call()
  } catch {}
}

export const hangCases: readonly ConformanceCase[] = [
  withLevers(['hang'], 'hang: close ends the calls that wait for the store', async (backend, subject) => {
    await backend.set('key', entryOf('value', subject))
    await subject.hang()
    const calls = [
      begin(() => backend.get('key')), begin(() => backend.set('key', entryOf('other', subject))), begin(() => backend.delete('key'))
    ]
    await wait(PENDING_MS)
    await outcomeOf('close() while the store hangs', () => backend.close(), CLOSING_MS)
    await outcomeOf('calls that were waiting when close() settled', async () => { await Promise.all(calls) })
  }, { advice: 'Give every wait an AbortSignal that close() aborts, and destroy connections instead of closing them in order' }),

  withLevers(['hang'], 'hang: calls that wait for the store do not block the process', async (backend, subject) => {
    await backend.set('key', entryOf('value', subject))
    await subject.hang()
    const began = performance.now()
    const calls = [begin(() => backend.get('key')), begin(() => backend.set('key', entryOf('other', subject)))]
    await wait(PENDING_MS)
    const blockedMs = Math.round(performance.now() - began)
    assert.ok(blockedMs < patient(BLOCKED_MS),
      `a timer of ${PENDING_MS} ms must not be late while calls wait; it fired after ${blockedMs} ms`)
    await backend.close()
    await Promise.all(calls)
  }, { advice: 'A driver that waits synchronously blocks the process: let it fail at once, and try again later' }),

  withLevers(['hang'], 'hang: a set that waited does not take effect after a later delete', async (backend, subject) => {
    await backend.set('key', entryOf('before', subject))
    const heal = await subject.hang()
    const changes = [begin(() => backend.set('key', entryOf('zombie', subject))), begin(() => backend.delete('key'))]
    await wait(PENDING_MS)
    await heal()
    await Promise.all(changes)
    await soon(async () => { await resultOf('delete() after the store hung', () => backend.delete('key')) }, subject.recoveryMs)
    assertMiss(await resultOf('get()', () => backend.get('key')), 'get() of a key that was deleted after a set() that waited')
    await wait(PENDING_MS * 5)
    assertMiss(await resultOf('get()', () => backend.get('key')),
      'get() some time later, of a key that was deleted after a set() that waited,')
  }, {
    advice: 'A change that was given up must not take effect later: cancel it, give it a deadline in the store, or delay later changes until it has settled'
  }),

  withLevers(['hang'], 'hang: the backend works again when the store does', async (backend, subject) => {
    await backend.set('key', entryOf('value', subject))
    const heal = await subject.hang()
    const calls = Array.from({ length: 10 }, () => begin(() => backend.get('key')))
    await wait(PENDING_MS)
    await heal()
    await soon(async () => {
      await resultOf('set() after the store hung', () => backend.set('after', entryOf('after', subject)))
      assertHolds(await resultOf('get() after the store hung', () => backend.get('after')), bytesOf('after'), 'get() after the store hung')
    }, subject.recoveryMs)
    await outcomeOf('calls that waited while the store hung', async () => { await Promise.all(calls) })
  }, { advice: 'Drop a connection that does not respond, and make a new one' }),

  withLevers(['hang'], 'hang: opening a backend settles in time', async (backend, subject) => {
    await backend.close()
    const heal = await subject.hang()
    const opened = await outcomeOf('open() while the store hangs', () => subject.open(), OPENING_MS)
    await heal()
    if ('error' in opened) return
    await soon(async () => {
      await resultOf('set() of a backend that was opened while the store hung', () => opened.result.set('key', entryOf('value', subject)))
    }, subject.recoveryMs)
  }, { advice: 'open() must not wait for a connection: begin to connect, and let calls fail until there is one' })
]
