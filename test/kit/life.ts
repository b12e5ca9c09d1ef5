// Cases for closing: close ends everything and may be called again. Afterwards, no call hangs and nothing is left open.
import assert from 'node:assert/strict'
import { createHook } from 'node:async_hooks'
import { setTimeout as wait } from 'node:timers/promises'
import { always, withLevers, type ConformanceCase } from './case.js'
import { startChild } from './child.js'
import { bytesOf, entryOf } from './entries.js'
import { assertHolds, assertMiss } from './expect.js'
import { outcomeOf, patient, resultOf, type Outcome } from './outcome.js'
import type { ConformanceSubject } from './subject.js'
import type { StoredEntry } from '../../registry/backend.js'

const OPENINGS = 20
const FEW_OPENINGS = 5
const LINGER_MS = 3_000

const REPORTED_MS = 50

const TWICE = 'Remember that the backend is closed, and return the promise of the first call from the second'
const LEFT = 'Clear timers, or unref() them; destroy sockets and clients; close files and databases; remove your listeners'

function assertMissOrError (outcome: Outcome<StoredEntry | undefined>, call: string): void {
  if ('result' in outcome) assertMiss(outcome.result, call)
}

/** Returns how many resources keep the event loop alive, plus how many listeners the process has. */
function held (): number {
  return process.getActiveResourcesInfo().length + process.eventNames().reduce((sum, name) => sum + process.listenerCount(name), 0)
}

/** Returns whether Node itself created a timer. Each of its HTTP servers has an interval, and a subject may start a server. */
function isNodes (stack = ''): boolean {
  const [, , ...callers] = stack.split('\n').filter((line) => !/node:(internal|timers)/.test(line))
  return callers[0]?.includes('node:') === true
}

/** Counts the intervals that are created from now on and are not cleared, including unref'd ones. */
function watchIntervals (): { left (): number, stop (): void } {
  const running = new Set<number>()
  const hook = createHook({
    // Every version of Node keeps an interval's period in `_repeat`.
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
    await resultOf('the first close()', () => backend.close())
    await resultOf('the second close()', () => backend.close())
  }, { advice: TWICE }),

  always('close may be called twice concurrently', async (backend) => {
    await Promise.all(['the first close()', 'the second, concurrent close()'].map((call) => resultOf(call, () => backend.close())))
  }, { advice: TWICE }),

  always('close succeeds if the backend was never used', async (backend) => {
    await resultOf('close() of a backend that was never used', () => backend.close())
  }),

  always('close settles while calls are pending, and so do the calls', async (backend, subject) => {
    const calls = Array.from({ length: 5 }, (_, number) =>
      outcomeOf('a set() that was pending', () => backend.set(`key${number}`, entryOf('value', subject))))
    calls.push(outcomeOf('a get() that was pending', async () => { await backend.get('key0') }))
    await resultOf('close() while calls are pending', () => backend.close())
    await Promise.all(calls)
  }),

  always('after close, a get fails or returns undefined, and never hangs', async (backend, subject) => {
    await backend.set('key', entryOf('value', subject))
    await backend.close()
    assertMissOrError(await outcomeOf('get() after close()', () => backend.get('key')), 'get() after close()')
  }, { advice: 'Let every call after close() fail' }),

  always('after close, a set or a delete fails or does nothing, and never hangs', async (backend, subject) => {
    await backend.close()
    await outcomeOf('set() after close()', () => backend.set('key', entryOf('value', subject)))
    await outcomeOf('delete() after close()', () => backend.delete('key'))
    assertMissOrError(await outcomeOf('get() after close()', () => backend.get('key')), 'get() after close(), set() and delete()')
  }, { advice: 'Let every call after close() fail' }),

  always('no rejection is left unhandled', async (backend, subject) => {
    for (const [key, lifeMs] of [['kept', 60_000], ['expired', 1_000], ['past', -1]] as const) {
      await backend.set(key, entryOf('value', subject, lifeMs))
    }
    await subject.pass(1_000)
    const reads: ReadonlyArray<(key: string) => unknown> = [
      (key) => backend.get(key), (key) => backend.has?.(key), (key) => backend.getMany?.([key]), () => backend.keys?.(),
      () => backend.size?.(), () => backend.stats?.()
    ]
    for (const key of ['kept', 'expired', 'past', 'nonexistent']) {
      for (const read of reads) await outcomeOf('a call', () => read(key))
    }
    await outcomeOf('delete()', () => backend.delete('kept'))
    await outcomeOf('clear()', () => backend.clear?.())
    const pending = [outcomeOf('set()', () => backend.set('key', entryOf('value', subject))), outcomeOf('get()', () => backend.get('key'))]
    await outcomeOf('close()', () => backend.close())
    await Promise.all(pending)
    await outcomeOf('get() after close()', () => backend.get('key'))
    await outcomeOf('set() after close()', () => backend.set('key', entryOf('value', subject)))
    await wait(REPORTED_MS)
  }, { watchesRejections: true }),

  always('opening and closing backends leaves nothing open', async (backend, subject) => {
    await backend.close()
    await openAndClose(subject)
    const before = held()
    for (let time = 0; time < OPENINGS; time++) await openAndClose(subject)
    // The loop gives the backends time to close.
    const endsAt = performance.now() + patient(LINGER_MS)
    while (held() - before >= OPENINGS && performance.now() < endsAt) await wait(10)
    assert.ok(held() - before < OPENINGS,
      `${OPENINGS} backends were opened and closed and must leave nothing open; they left ${held() - before} handles and listeners (${[...new Set(process.getActiveResourcesInfo())].join(', ')})`)
  }, { advice: LEFT }),

  always('opening and closing backends leaves no interval running, not even an unref\'d one', async (backend, subject) => {
    await backend.close()
    const intervals = watchIntervals()
    try {
      for (let time = 0; time < FEW_OPENINGS; time++) await openAndClose(subject)
      // Node reports a cleared timer only one turn later.
      await wait(1)
      const left = intervals.left()
      assert.ok(left < FEW_OPENINGS,
        `${FEW_OPENINGS} backends were opened and closed and must leave no interval running; they left ${left}`)
    } finally {
      intervals.stop()
    }
  }, { advice: 'Clear the interval in close(): unref() lets the process end, but the interval still runs until then' }),

  withLevers(['program'], 'a process ends by itself after its backend is closed', async (backend, { program, now }) => {
    await backend.close()
    const child = startChild(program, 'use and close', now())
    try {
      const open = await child.closed()
      assert.ok(await child.ends(LINGER_MS),
        `the process must end by itself after close(); it was still running after ${patient(LINGER_MS)} ms, with ${open.join(', ') || 'nothing that Node knows of'} open`)
    } finally {
      await child.kill()
    }
  }, { advice: LEFT }),

  withLevers(['lend'], 'a caller-owned client is open after close', async (_backend, subject) => {
    const { backend, isOpen } = await subject.lend()
    await backend.set('key', entryOf('value', subject))
    assertHolds(await backend.get('key'), bytesOf('value'), 'get() with a caller-owned client')
    await resultOf('close() with a caller-owned client', () => backend.close())
    assert.ok(await isOpen(), 'close() must leave a caller-owned client open; it was closed')
  }, { advice: 'Close only what you opened yourself' })
]
