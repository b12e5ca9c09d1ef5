// Life: close ends everything, may be called again, nothing hangs afterwards, and nothing is left behind.
import assert from 'node:assert/strict'
import { createHook } from 'node:async_hooks'
import { setTimeout as wait } from 'node:timers/promises'
import { always, withLevers, type ConformanceCase } from './case.js'
import { startChild } from './child.js'
import { bytesOf, entryOf } from './entries.js'
import { assertHolds, assertMiss } from './expect.js'
import { answerOf, outcomeOf, patient, type Outcome } from './outcome.js'
import type { ConformanceSubject } from './subject.js'
import type { StoredEntry } from '../../registry/backend.js'

const OPENINGS = 20
const FEW_OPENINGS = 5
const LINGER_MS = 3_000

const TOLD_MS = 50

const TWICE = 'Remember that it is closed, and answer the second call with what the first one waits for'
const LEFT = 'Clear timers, or unref() them; destroy sockets and clients; close files and databases; take your listeners away'

function assertMissOrError (outcome: Outcome<StoredEntry | undefined>, call: string): void {
  if ('answer' in outcome) assertMiss(outcome.answer, call)
}

/** What keeps the event loop alive, how many listeners the process has, and, where that can be seen, how many files are open. */
function held (): number {
  return process.getActiveResourcesInfo().length + process.eventNames().reduce((sum, name) => sum + process.listenerCount(name), 0)
}

/** Whether the first who is not Node's timers is Node all the same: each HTTP server has an interval, and a subject may start one. */
function isNodes (stack = ''): boolean {
  const [, , ...callers] = stack.split('\n').filter((line) => !/node:(internal|timers)/.test(line))
  return callers[0]?.includes('node:') === true
}

/** Counts the intervals that are made from now on and not cleared. The process tells of them though they are unref'd. */
function watchIntervals (): { left (): number, stop (): void } {
  const running = new Set<number>()
  const hook = createHook({
    // What repeats has its period there, in every version of Node.
    init (id, type, _trigger, resource: { readonly _repeat?: number | null }) {
      if (type === 'Timeout' && typeof resource._repeat === 'number' && !isNodes(new Error('made here').stack)) running.add(id)
    },
    destroy (id) { running.delete(id) }
  }).enable()
  return { left: () => running.size, stop () { hook.disable() } }
}

async function openAndClose (subject: ConformanceSubject): Promise<void> {
  const backend = await subject.open()
  await backend.set('key', entryOf('value', subject))
  await backend.get('key')
  await backend.close()
}

export const lifeCases: readonly ConformanceCase[] = [
  always('close may be called twice', async (backend, subject) => {
    await backend.set('key', entryOf('value', subject))
    await answerOf('the first close()', () => backend.close())
    await answerOf('the second close()', () => backend.close())
  }, { advice: TWICE }),

  always('close may be called twice at once', async (backend) => {
    await Promise.all([answerOf('the first close()', () => backend.close()), answerOf('the second close() at once', () => backend.close())])
  }, { advice: TWICE }),

  always('a backend that was never used closes', async (backend) => {
    await answerOf('close() of a backend that was never used', () => backend.close())
  }),

  always('close while calls are under way settles, and so do they', async (backend, subject) => {
    const calls = Array.from({ length: 5 }, (_, number) =>
      outcomeOf('a set() that was under way', () => backend.set(`key${number}`, entryOf('value', subject))))
    calls.push(outcomeOf('a get() that was under way', async () => { await backend.get('key0') }))
    await answerOf('close() while calls are under way', () => backend.close())
    await Promise.all(calls)
  }),

  always('after close a get is an error or a miss, and never hangs', async (backend, subject) => {
    await backend.set('key', entryOf('value', subject))
    await backend.close()
    assertMissOrError(await outcomeOf('get() after close()', () => backend.get('key')), 'get() after close()')
  }, { advice: 'Have every call fail that comes after close()' }),

  always('after close a set or a delete is an error or nothing, and never hangs', async (backend, subject) => {
    await backend.close()
    await outcomeOf('set() after close()', () => backend.set('key', entryOf('value', subject)))
    await outcomeOf('delete() after close()', () => backend.delete('key'))
    assertMissOrError(await outcomeOf('get() after close()', () => backend.get('key')), 'get() after close(), set() and delete()')
  }, { advice: 'Have every call fail that comes after close()' }),

  always('no promise rejects without anybody knowing', async (backend, subject) => {
    for (const [key, lifeMs] of [['kept', 60_000], ['over', 1_000], ['past', -1]] as const) {
      await backend.set(key, entryOf('value', subject, lifeMs))
    }
    await subject.pass(1_000)
    const reads: ReadonlyArray<(key: string) => unknown> = [
      (key) => backend.get(key), (key) => backend.has?.(key), (key) => backend.getMany?.([key]), () => backend.keys?.(),
      () => backend.size?.(), () => backend.stats?.()
    ]
    for (const key of ['kept', 'over', 'past', 'nonexistent']) {
      for (const read of reads) await outcomeOf('a call', () => read(key))
    }
    await outcomeOf('delete()', () => backend.delete('kept'))
    await outcomeOf('clear()', () => backend.clear?.())
    const underWay = [outcomeOf('set()', () => backend.set('key', entryOf('value', subject))), outcomeOf('get()', () => backend.get('key'))]
    await outcomeOf('close()', () => backend.close())
    await Promise.all(underWay)
    await outcomeOf('get() after close()', () => backend.get('key'))
    await outcomeOf('set() after close()', () => backend.set('key', entryOf('value', subject)))
    await wait(TOLD_MS)
  }, { watchesRejections: true }),

  always('openings and closings leave nothing open', async (backend, subject) => {
    await backend.close()
    await openAndClose(subject)
    const before = held()
    for (let time = 0; time < OPENINGS; time++) await openAndClose(subject)
    // What is being closed may take a moment.
    const endsAt = performance.now() + patient(LINGER_MS)
    while (held() - before >= OPENINGS && performance.now() < endsAt) await wait(10)
    assert.ok(held() - before < OPENINGS,
      `${OPENINGS} backends that were opened and closed must leave nothing open; they left ${held() - before} handles and listeners (${[...new Set(process.getActiveResourcesInfo())].join(', ')})`)
  }, { advice: LEFT }),

  always('openings and closings leave no interval behind, not even one that is unref\'d', async (backend, subject) => {
    await backend.close()
    const intervals = watchIntervals()
    try {
      for (let time = 0; time < FEW_OPENINGS; time++) await openAndClose(subject)
      // An end is told of a turn later.
      await wait(1)
      const left = intervals.left()
      assert.ok(left < FEW_OPENINGS, `${FEW_OPENINGS} backends that were opened and closed must leave no interval; they left ${left}`)
    } finally {
      intervals.stop()
    }
  }, { advice: 'close() clears the interval: unref() lets the process end, and what runs goes on for as long as there is a process' }),

  withLevers(['program'], 'a process whose backend is closed ends by itself', async (backend, { program, now }) => {
    await backend.close()
    const child = startChild(program, 'use and close', now())
    try {
      const open = await child.closed()
      assert.ok(await child.ends(LINGER_MS),
        `the process must end by itself after close(); it was still there after ${patient(LINGER_MS)} ms, with ${open.join(', ') || 'nothing that Node knows of'} open`)
    } finally {
      await child.kill()
    }
  }, { advice: LEFT }),

  withLevers(['lend'], 'a client that was lent is open after close', async (_backend, subject) => {
    const { backend, isOpen } = await subject.lend()
    await backend.set('key', entryOf('value', subject))
    assertHolds(await backend.get('key'), bytesOf('value'), 'get() with a client that was lent')
    await answerOf('close() with a client that was lent', () => backend.close())
    assert.ok(await isOpen(), 'close() must leave open a client that was lent; it was closed')
  }, { advice: 'Who opens closes: close only what you opened yourself' })
]
