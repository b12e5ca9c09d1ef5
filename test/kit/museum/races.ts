// Public bugs of several who use one store at once.
import assert from 'node:assert/strict'
import { always, withLevers, type ConformanceCase } from '../case.js'
import { startChild, WRITTEN } from '../child.js'
import { bytesOf, entryOf } from '../entries.js'
import { assertWhole } from '../faults/kill.js'
import { assertHolds, assertMiss } from '../expect.js'
import { answerOf } from '../outcome.js'

const ROUNDS = 20
const VALUE_BYTES = 100_000
const CHILD_MS = 20_000

export const raceCases: readonly ConformanceCase[] = [
  always('a get that is under way when its key is deleted brings nothing back', async (backend, subject) => {
    for (let round = 0; round < ROUNDS; round++) {
      await backend.set('key', entryOf('old', subject))
      await Promise.all([(async () => backend.get('key'))(), (async () => backend.delete('key'))()])
      assertMiss(await backend.get('key'), 'get() of a key that was deleted while another get() was under way')
    }
  }, {
    reference: 'strapi-community/plugin-rest-cache#132',
    advice: 'A get changes nothing; where it copies an entry to a nearer place, look whether the key was changed meanwhile'
  }),

  withLevers(['share'], 'two backends on one store that set one key at once leave a whole value', async (backend, subject) => {
    const other = await subject.share()
    for (let round = 0; round < ROUNDS; round++) {
      const sets = [backend, other].map(async (one, at) =>
        one.set('key', { value: new Uint8Array(VALUE_BYTES).fill(0x61 + at), expiresAt: subject.now() + 60_000 }))
      const reads = [backend, other].map(async (one) => assertWhole(
        await answerOf('get() while two backends set its key', () => one.get('key')), VALUE_BYTES, 'get() while two backends set its key'))
      await Promise.all([...sets, ...reads])
      assertWhole(await answerOf('get() after two backends set its key', () => backend.get('key')), VALUE_BYTES,
        'get() after two backends set its key')
    }
  }, { reference: 'Julien-R44/bentocache#74', advice: 'Write aside under a name of your own, and rename' }),

  withLevers(
    ['share'], 'two backends on one store that set, get and delete the same keys at once have no errors', async (backend, subject) => {
      const other = await subject.share()
      for (let round = 0; round < ROUNDS; round++) {
        await Promise.all([backend, other].flatMap((one) => ['a', 'b'].flatMap((key) => [
          answerOf('set() beside another backend on the store', () => one.set(key, entryOf('value', subject))),
          answerOf('get() beside another backend on the store', async () => { await one.get(key) }),
          answerOf('delete() beside another backend on the store', () => one.delete(key))
        ])))
      }
    }, { reference: 'iconify/api#70', advice: 'What another process removed first is not there: that is no error' }),

  withLevers(['program', 'reopen', 'share'], 'what another process writes is read whole or not at all', async (backend, subject) => {
    const child = startChild(subject.program, 'write for a while', subject.now())
    try {
      await child.begun()
      do {
        for (const key of WRITTEN.keys) {
          assertWhole(await answerOf('get() while another process sets its key', () => backend.get(key)), WRITTEN.bytes,
            'get() while another process sets its key')
        }
      } while (!await child.ends(1))
    } finally {
      await child.kill()
    }
    assert.ok(child.rounds.length === WRITTEN.rounds,
      `the other process must set its keys ${WRITTEN.rounds} times; it ended after ${child.rounds.length}: ${child.complaints()}`)
  }, { reference: 'Julien-R44/bentocache#74', advice: 'Write aside under a name of your own, and rename' }),

  withLevers(['program', 'share'], 'what one process sets, another one gets', async (backend, subject) => {
    const child = startChild(subject.program, 'set and close', subject.now())
    try {
      await child.closed()
      assertHolds(await backend.get('key'), bytesOf('value'), 'get() of what another process set')
      assert.ok(await child.ends(CHILD_MS), 'the other process must end')
    } finally {
      await child.kill()
    }
  }, { reference: 'jaredwray/cacheable#49', advice: 'A memory of the process\'s own is not shared: declare share only where the store is' })
]
