// Cases in which the store fails: it is down, or every call ends with an error.
import { withLevers, type ConformanceCase, type WithPower } from '../case.js'
import { bytesOf, entryOf } from '../entries.js'
import { assertHolds } from '../expect.js'
import { assertFails, outcomeOf, resultOf, soon } from '../outcome.js'
import type { Power } from '../../../registry/backend.js'

const OPENING_MS = 5_000
const CALLS = 20

const THROW =
  'Throw what the driver throws, so that the cache can handle the failure. If a failure looks like a miss, every request runs its handler; if it looks like success, an entry that was not removed is served again'

/** Creates a case for a power that must fail, instead of returning anything, while the store fails. */
function powerFails<P extends Power> (power: P, call: (backend: WithPower<P>) => unknown): ConformanceCase {
  return withLevers(['fail'], `fail: ${power} fails`, async (backend, subject) => {
    await backend.set('key', entryOf('value', subject))
    await subject.fail()
    await assertFails(`${power}() while the store fails`, () => call(backend))
  }, { power, advice: THROW })
}

export const failCases: readonly ConformanceCase[] = [
  withLevers(['fail'], 'fail: a get fails and is not a miss', async (backend, subject) => {
    await backend.set('key', entryOf('value', subject))
    await subject.fail()
    await assertFails('get() while the store fails', () => backend.get('key'))
    await assertFails('get() of a key that was never set, while the store fails,', () => backend.get('nonexistent'))
  }, { advice: THROW }),

  withLevers(['fail'], 'fail: a set fails', async (backend, subject) => {
    await subject.fail()
    await assertFails('set() while the store fails', () => backend.set('key', entryOf('value', subject)))
  }, { advice: THROW }),

  withLevers(['fail'], 'fail: a delete fails', async (backend, subject) => {
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
  }, { advice: 'Destroy a connection that can not be closed in order' }),

  withLevers(['fail'], 'fail: the backend works again when the store does', async (backend, subject) => {
    const heal = await subject.fail()
    for (let call = 0; call < CALLS; call++) {
      await outcomeOf('a call while the store fails', () =>
        call % 2 === 0 ? backend.get('key') : backend.set('key', entryOf('value', subject)))
    }
    await heal()
    await soon(async () => {
      await resultOf('set() when the store works again', () => backend.set('key', entryOf('after', subject)))
      assertHolds(await resultOf('get() when the store works again', () => backend.get('key')), bytesOf('after'),
        'get() when the store works again')
    }, subject.recoveryMs)
  }, { advice: 'Reconnect by yourself, after a pause that does not grow beyond some seconds' }),

  withLevers(['fail'], 'fail: opening a backend settles in time, and the backend works when the store does', async (backend, subject) => {
    await backend.close()
    const heal = await subject.fail()
    const opened = await outcomeOf('open() while the store fails', () => subject.open(), OPENING_MS)
    await heal()
    if ('error' in opened) return
    await soon(async () => {
      await resultOf('set() of a backend that was opened while the store failed', () => opened.result.set('key', entryOf('value', subject)))
    }, subject.recoveryMs)
  }, { advice: 'open() either fails, or opens a backend that connects by itself once it can' }),

  withLevers(['fail'], 'fail: a failed call leaves no unhandled rejection', async (backend, subject) => {
    await subject.fail()
    const calls: ReadonlyArray<() => unknown> = [
      () => backend.get('key'), () => backend.set('key', entryOf('value', subject)), () => backend.delete('key')
    ]
    for (const call of calls) await outcomeOf('a call while the store fails', call)
  }, { watchesRejections: true })
]
