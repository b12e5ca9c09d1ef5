// The process is held up, as by an application that computes, while the store answers: that is no failure of the store.
import { setImmediate as turn } from 'node:timers/promises'
import { always, type ConformanceCase } from '../case.js'
import { bytesOf, entryOf } from '../entries.js'
import { assertHolds, assertMiss } from '../expect.js'
import { answerOf } from '../outcome.js'

/** Longer than a backend under test waits for its store: it is opened with a timeout below two seconds. */
const HELD_UP_MS = 2_000

const ADVICE =
  'A timer that is due and an answer that has arrived come in this order when the process goes on: have a wait that ends late grant ' +
  'the event loop the turn that reads the answer, before it fails'

/** Without work, so that nothing else on the machine is held up. */
function holdUp (): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, HELD_UP_MS)
}

/** When the process is held up: before what was asked for is sent, or after that. */
const WHEN: Readonly<Record<string, () => unknown>> = {
  'in the turn in which they are made': () => undefined,
  'in a later turn': () => turn()
}

export const heldUpCases: readonly ConformanceCase[] = Object.entries(WHEN).map(([when, pass]) =>
  always(`held up: calls that are under way while the process is held up, ${when}, come to what they would have come to`,
    async (backend, subject) => {
      const keys = Array.from({ length: 8 }, (_, at) => `key ${at}`)
      for (const key of [...keys, 'deleted']) await backend.set(key, entryOf(key, subject))
      const gets = keys.map(async (key) => await backend.get(key))
      const changes = [(async () => backend.set('set', entryOf('set', subject)))(), (async () => backend.delete('deleted'))()]
      for (const call of [...gets, ...changes]) call.catch(() => {})
      await pass()
      holdUp()
      const then = `that was under way while the process was held up for ${HELD_UP_MS} ms, ${when},`
      for (const [at, get] of gets.entries()) assertHolds(await answerOf(`get() ${then}`, () => get), bytesOf(keys[at]!), `get() ${then}`)
      for (const change of changes) await answerOf(`a change ${then}`, () => change)
      assertHolds(await backend.get('set'), bytesOf('set'), 'get() of what was set while the process was held up')
      assertMiss(await backend.get('deleted'), 'get() of what was deleted while the process was held up')
    }, { advice: ADVICE }))
