// Cases for public bugs with concurrent users of one store.
import assert from 'node:assert/strict'
import { always, withLevers, type ConformanceCase } from '../case.js'
import { startChild, WRITTEN } from '../child.js'
import { bytesOf, entryOf } from '../entries.js'
import { assertWhole } from '../faults/kill.js'
import { assertHolds, assertMiss } from '../expect.js'
import { resultOf } from '../outcome.js'

const ROUNDS = 20
const VALUE_BYTES = 100_000
const CHILD_MS = 20_000

export const raceCases: readonly ConformanceCase[] = [
  always('a get that runs while its key is deleted does not bring the entry back', async (backend, subject) => {
    for (let round = 0; round < ROUNDS; round++) {
      await backend.set('key', entryOf('old', subject))
      await Promise.all([(async () => backend.get('key'))(), (async () => backend.delete('key'))()])
      assertMiss(await backend.get('key'), 'get() of a key that was deleted while another get() was pending')
    }
  }, {
    reference: 'strapi-community/plugin-rest-cache#132',
    advice: 'A get must not change the store; if it copies an entry to a nearer tier, check whether the key has changed meanwhile'
  }),

  withLevers(['share'], 'concurrent sets of one key by two backends on one store leave a whole value', async (backend, subject) => {
    const other = await subject.share()
    for (let round = 0; round < ROUNDS; round++) {
      const sets = [backend, other].map(async (one, at) =>
        one.set('key', { value: new Uint8Array(VALUE_BYTES).fill(0x61 + at), expiresAt: subject.now() + 60_000 }))
      const reads = [backend, other].map(async (one) => assertWhole(
        await resultOf('get() while two backends set its key', () => one.get('key')), VALUE_BYTES, 'get() while two backends set its key'))
      await Promise.all([...sets, ...reads])
      assertWhole(await resultOf('get() after two backends set its key', () => backend.get('key')), VALUE_BYTES,
        'get() after two backends set its key')
    }
  }, { reference: 'Julien-R44/bentocache#74', advice: 'Write to a temporary file with a unique name, and rename it' }),

  withLevers(
    ['share'], 'concurrent sets, gets and deletes by two backends on one store have no errors', async (backend, subject) => {
      const other = await subject.share()
      for (let round = 0; round < ROUNDS; round++) {
        await Promise.all([backend, other].flatMap((one) => ['a', 'b'].flatMap((key) => [
          resultOf('set() while another backend uses the store', () => one.set(key, entryOf('value', subject))),
          resultOf('get() while another backend uses the store', async () => { await one.get(key) }),
          resultOf('delete() while another backend uses the store', () => one.delete(key))
        ])))
      }
    }, { reference: 'iconify/api#70', advice: 'It is not an error if another process has already removed an entry' }),

  withLevers(['program', 'reopen', 'share'], 'values that another process writes are returned whole or not at all',
    async (backend, subject) => {
      const child = startChild(subject.program, 'write for a while', subject.now())
      try {
        await child.begun()
        do {
          for (const key of WRITTEN.keys) {
            assertWhole(await resultOf('get() while another process sets its key', () => backend.get(key)), WRITTEN.bytes,
              'get() while another process sets its key')
          }
        } while (!await child.ends(1))
      } finally {
        await child.kill()
      }
      assert.ok(child.rounds.length === WRITTEN.rounds,
        `the other process must set its keys ${WRITTEN.rounds} times; it ended after ${child.rounds.length}: ${child.complaints()}`)
    }, { reference: 'Julien-R44/bentocache#74', advice: 'Write to a temporary file with a unique name, and rename it' }),

  withLevers(['program', 'share'], 'an entry that one process sets is returned in another', async (backend, subject) => {
    const child = startChild(subject.program, 'set and close', subject.now())
    try {
      await child.closed()
      assertHolds(await backend.get('key'), bytesOf('value'), 'get() of an entry that another process set')
      assert.ok(await child.ends(CHILD_MS), 'the other process must end')
    } finally {
      await child.kill()
    }
  }, { reference: 'jaredwray/cacheable#49', advice: 'The memory of a process is not shared: declare share only if the store is shared' })
]
