// The store fails: it is down, or answers every call with an error.
import { withLevers, type ConformanceCase, type WithPower } from '../case.js'
import { bytesOf, entryOf } from '../entries.js'
import { assertHolds } from '../expect.js'
import { answerOf, assertFails, outcomeOf, soon } from '../outcome.js'
import type { Power } from '../../../registry/backend.js'

const OPENING_MS = 5_000
const CALLS = 20

const THROW =
  'Throw what the driver throws. The cache knows what to do about it, as long as it is told: a failure that looks like a miss has every request asked of the origin, and what was not forgotten is served again'

/** A power whose answer, when the store fails, would be a lie. */
function powerFails<P extends Power> (power: P, call: (backend: WithPower<P>) => unknown): ConformanceCase {
  return withLevers(['fail'], `fail: ${power} is an error`, async (backend, subject) => {
    await backend.set('key', entryOf('value', subject))
    await subject.fail()
    await assertFails(`${power}() while the store fails`, () => call(backend))
  }, { power, advice: THROW })
}

export const failCases: readonly ConformanceCase[] = [
  withLevers(['fail'], 'fail: a get is an error and not a miss', async (backend, subject) => {
    await backend.set('key', entryOf('value', subject))
    await subject.fail()
    await assertFails('get() while the store fails', () => backend.get('key'))
    await assertFails('get() of a key that was never set, while the store fails,', () => backend.get('nonexistent'))
  }, { advice: THROW }),

  withLevers(['fail'], 'fail: a set is an error', async (backend, subject) => {
    await subject.fail()
    await assertFails('set() while the store fails', () => backend.set('key', entryOf('value', subject)))
  }, { advice: THROW }),

  withLevers(['fail'], 'fail: a delete is an error', async (backend, subject) => {
    await backend.set('key', entryOf('value', subject))
    await subject.fail()
    await assertFails('delete() while the store fails', () => backend.delete('key'))
  }, { advice: THROW }),

  powerFails('has', (backend) => backend.has('key')),
  powerFails('getMany', (backend) => backend.getMany(['key'])),
  powerFails('keys', (backend) => backend.keys()),
  powerFails('clear', (backend) => backend.clear()),

  withLevers(['fail'], 'fail: close settles', async (backend, subject) => {
    await backend.set('key', entryOf('value', subject))
    await subject.fail()
    await outcomeOf('get()', () => backend.get('key'))
    await outcomeOf('close() while the store fails', () => backend.close())
  }, { advice: 'Destroy what can not be ended politely' }),

  withLevers(['fail'], 'fail: when the store works again, so does the backend', async (backend, subject) => {
    const heal = await subject.fail()
    for (let call = 0; call < CALLS; call++) {
      await outcomeOf('a call while the store fails', () =>
        call % 2 === 0 ? backend.get('key') : backend.set('key', entryOf('value', subject)))
    }
    await heal()
    await soon(async () => {
      await answerOf('set() when the store works again', () => backend.set('key', entryOf('after', subject)))
      assertHolds(await answerOf('get() when the store works again', () => backend.get('key')), bytesOf('after'),
        'get() when the store works again')
    }, subject.recoveryMs)
  }, { advice: 'Connect again by yourself, after a pause that does not grow beyond some seconds' }),

  withLevers(['fail'], 'fail: opening ends in time, and what it opened works when the store does', async (backend, subject) => {
    await backend.close()
    const heal = await subject.fail()
    const opened = await outcomeOf('open() while the store fails', () => subject.open(), OPENING_MS)
    await heal()
    if ('error' in opened) return
    await soon(async () => {
      await answerOf('set() of a backend that was opened while the store failed', () => opened.answer.set('key', entryOf('value', subject)))
    }, subject.recoveryMs)
  }, { advice: 'Opening either fails, or makes a backend that connects by itself when it can' }),

  withLevers(['fail'], 'fail: a failure is told to the caller and to nobody else', async (backend, subject) => {
    await subject.fail()
    const calls: ReadonlyArray<() => unknown> = [
      () => backend.get('key'), () => backend.set('key', entryOf('value', subject)), () => backend.delete('key')
    ]
    for (const call of calls) await outcomeOf('a call while the store fails', call)
  }, { watchesRejections: true })
]
