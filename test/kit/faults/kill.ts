// Cases in which a process is killed: the one that writes, or the store. All values that are found afterwards must be whole.
import assert from 'node:assert/strict'
import { setTimeout as wait } from 'node:timers/promises'
import type { StoredEntry } from '../../../registry/backend.js'
import { withLevers, type ConformanceCase } from '../case.js'
import { acknowledgedKey, startChild, WRITTEN } from '../child.js'
import { bytesOf, entryOf, LIFE_MS } from '../entries.js'
import { assertEntry, assertHolds } from '../expect.js'
import { outcomeOf, resultOf, soon } from '../outcome.js'
import type { SubjectWith } from '../subject.js'

const KILLS = 2
const LONGEST_PAUSE_MS = 60
const VALUES = 8
const VALUE_BYTES = 256 * 1024

const WHOLE = 'Put the whole value in place in one step, such as a rename or a transaction, and treat what can not be read as a miss'

/** Fails unless the value has `bytes` bytes, and all of them are the same. */
export function assertWhole (entry: StoredEntry | undefined, bytes: number, call: string): void {
  if (entry === undefined) return
  assertEntry(entry, call)
  const { value } = entry
  assert.ok(value.byteLength === bytes && value.every((byte) => byte === value[0]),
    `${call} must return a whole value that was set, or undefined; got ${value.byteLength} bytes of ${bytes}, ${value.every((byte) => byte === value[0]) ? 'all the same' : 'a mixture'}`)
}

/** Lets a child process write until it is killed. Returns the last round that it acknowledged. */
async function writeAndKill ({ program, now }: SubjectWith<'program'>): Promise<number> {
  const child = startChild(program, 'write until killed', now())
  try {
    await child.begun()
    await wait(Math.random() * LONGEST_PAUSE_MS)
  } finally {
    await child.kill()
  }
  return child.rounds.at(-1)!
}

export const killCases: readonly ConformanceCase[] = [
  withLevers(
    ['program', 'reopen'], 'kill: after a process is killed while it writes, each value is whole or a miss', async (first, subject) => {
      let backend = first
      for (let time = 0; time < KILLS; time++) {
        await backend.close()
        await writeAndKill(subject)
        backend = await subject.reopen()
        for (const key of WRITTEN.keys) {
          assertWhole(await resultOf('get() after a kill', () => backend.get(key)), WRITTEN.bytes, 'get() after a kill')
        }
        await resultOf('set() after a kill', () => backend.set('after', entryOf('after', subject)))
        assertHolds(await backend.get('after'), bytesOf('after'), 'get() of an entry that was set after a kill')
      }
    }, { advice: WHOLE }),

  withLevers(['program', 'reopen'], 'kill: entries that a process set before it was killed are returned', async (first, subject) => {
    await first.close()
    const last = await writeAndKill(subject)
    const backend = await subject.reopen()
    for (let round = 0; round <= last; round++) {
      assertHolds(await backend.get(acknowledgedKey(round)), bytesOf('value'), 'get() of a key whose set() had settled before a kill')
    }
  }, { advice: 'Hand the entry to the operating system before its set settles, and let no entry damage another' }),

  withLevers(['kill'], 'kill: if the store is killed during sets, they settle, and each value is whole or a miss',
    async (backend, subject) => {
      const keys = Array.from({ length: VALUES }, (_, at) => `key ${at}`)
      const set = (key: string, byte: number) =>
        backend.set(key, { value: new Uint8Array(VALUE_BYTES).fill(byte), expiresAt: subject.now() + LIFE_MS })
      await Promise.all(keys.map(async (key) => set(key, 0x61)))
      const sets = Promise.allSettled(keys.map(async (key) => set(key, 0x62)))
      await subject.kill()
      await outcomeOf('sets that were pending when the store was killed', () => sets, LIFE_MS / 4)
      for (const key of keys) {
        await soon(async () => {
          assertWhole(await resultOf('get() after the store was killed', () => backend.get(key)), VALUE_BYTES,
            'get() after the store was killed')
        }, subject.recoveryMs)
      }
      await resultOf('set() after the store was killed', () => backend.set('after', entryOf('after', subject)))
      assertHolds(await backend.get('after'), bytesOf('after'), 'get() of an entry that was set after the store was killed')
    }, { advice: WHOLE })
]
