// Cases in which the process is blocked, for example by a long computation, while the store responds. The store has not failed.
import { setImmediate as turn } from 'node:timers/promises'
import { always, type ConformanceCase } from '../case.js'
import { bytesOf, entryOf } from '../entries.js'
import { assertHolds, assertMiss } from '../expect.js'
import { resultOf } from '../outcome.js'

/** How long the process is blocked. The backend under test is opened with a timeout below two seconds, which passes meanwhile. */
const BLOCKED_MS = 2_000

const ADVICE =
  'When the process continues, a timeout that is due fires before a response that has arrived is read: if the timeout fires late, ' +
  'let the event loop read the response before the call fails'

/** Blocks the process without using the processor. */
function block (): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, BLOCKED_MS)
}

/** When the calls are made: in the same turn in which the process is blocked, before they are sent, or in an earlier turn, after that. */
const WHEN: Readonly<Record<string, () => unknown>> = {
  'in the same turn': () => undefined,
  'in an earlier turn': () => turn()
}

export const heldUpCases: readonly ConformanceCase[] = Object.entries(WHEN).map(([when, pass]) =>
  always(`blocked process: calls that were made ${when} succeed`,
    async (backend, subject) => {
      const keys = Array.from({ length: 8 }, (_, at) => `key ${at}`)
      for (const key of [...keys, 'deleted']) await backend.set(key, entryOf(key, subject))
      const gets = keys.map(async (key) => await backend.get(key))
      const changes = [(async () => backend.set('set', entryOf('set', subject)))(), (async () => backend.delete('deleted'))()]
      for (const call of [...gets, ...changes]) call.catch(() => {})
      await pass()
      block()
      const then = `that was made ${when}, before the process was blocked for ${BLOCKED_MS} ms,`
      for (const [at, get] of gets.entries()) assertHolds(await resultOf(`get() ${then}`, () => get), bytesOf(keys[at]!), `get() ${then}`)
      for (const change of changes) await resultOf(`a change ${then}`, () => change)
      assertHolds(await backend.get('set'), bytesOf('set'), 'get() of an entry whose set() was pending while the process was blocked')
      assertMiss(await backend.get('deleted'), 'get() of a key whose delete() was pending while the process was blocked')
    }, { advice: ADVICE }))
