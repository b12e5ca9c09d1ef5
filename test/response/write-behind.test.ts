// Fills: few at a time are sent to the backend, so that a call that somebody waits for is never behind many of them.
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import type { StoredEntry } from '../../registry/backend.js'
import { WriteBehind } from '../../response/store/write-behind.js'
import { Barrier, turns, until } from '../support/barrier.js'
import { fails, guardSetUp, textOf } from '../support/guard.js'
import { oneQueue } from '../support/slow-store.js'

const MOST_UNDER_WAY = 32

const entry = (text: string): StoredEntry => ({ value: Buffer.from(text), expiresAt: Infinity })

/** Fills whose writes end when they are released, on a clock that is set by hand. */
function fillsSetUp () {
  const barrier = new Barrier()
  const sent: string[] = []
  const dropped: string[] = []
  let now = 0
  const fills = new WriteBehind({
    send (key) {
      sent.push(key)
      return barrier.pass()
    },
    dropped: (key) => { dropped.push(key) },
    now: () => now
  })
  for (let at = 0; at < MOST_UNDER_WAY; at++) fills.put(`first-${at}`, entry('first'))
  return { fills, barrier, sent: () => sent.slice(MOST_UNDER_WAY), dropped, pass (ms: number) { now += ms } }
}

t.test('fills: beyond 32 in progress further ones wait, in the order in which they came', async (t) => {
  const { fills, barrier, sent } = fillsSetUp()
  for (const key of ['a', 'b', 'c']) t.equal(fills.put(key, entry(key)), true)
  t.same(sent(), [])
  barrier.letGo(1)
  await turns()
  t.same(sent(), ['a'])
  barrier.open()
  await turns()
  t.same(sent(), ['a', 'b', 'c'])
  t.ok(fills.isEmpty)
})

t.test('fills: the last entry of a key waits, and is found meanwhile', async (t) => {
  const { fills, barrier, sent } = fillsSetUp()
  fills.put('a', entry('old'))
  fills.put('a', entry('new'))
  t.equal(textOf(fills.find('a')), 'new')
  barrier.open()
  await turns()
  t.same(sent(), ['a'])
  t.equal(fills.find('a'), undefined)
})

t.test('fills: an entry is found until it is written, but not once its key was changed', async (t) => {
  const { fills, barrier } = fillsSetUp()
  t.equal(textOf(fills.find('first-0')), 'first')
  t.notOk(fills.isEmpty)
  fills.drop('first-0')
  t.equal(fills.find('first-0'), undefined, 'another entry was set, or this one was deleted')
  fills.dropAll('first-1')
  for (const key of ['first-1', 'first-10']) t.equal(fills.find(key), undefined)
  t.equal(textOf(fills.find('first-2')), 'first')
  barrier.letGo(3)
  await turns()
  t.equal(fills.find('first-2'), undefined, 'the backend has it')
})

t.test('fills: an entry that has waited for a second is not stored, and the next one is', async (t) => {
  const { fills, barrier, sent, dropped, pass } = fillsSetUp()
  fills.put('old', entry('old'))
  pass(900)
  fills.put('new', entry('new'))
  pass(100)
  barrier.open()
  await turns()
  t.same(sent(), ['new'])
  t.same(dropped, ['old'])
})

t.test('fills: waiting entries are limited in number and bytes', async (t) => {
  const { fills } = fillsSetUp()
  t.ok(Array.from({ length: 1_000 }, (_, at) => fills.put(`${at}`, entry(''))).every(Boolean))
  t.equal(fills.put('one more', entry('')), false)
  t.equal(fills.put('0', entry('')), true, 'another entry of a key that waits')
  const { fills: others } = fillsSetUp()
  const large = { value: Buffer.alloc(40 * 1024 * 1024), expiresAt: Infinity }
  t.same([others.put('a', large), others.put('b', large), others.put('a', large)], [true, false, true])
})

t.test('guard: explicit changes and clears remove the fills that wait under their keys', async (t) => {
  const { chaos, guard, backend } = guardSetUp({ deadlineMs: 5_000 })
  chaos.set.hang()
  for (let at = 0; at < MOST_UNDER_WAY; at++) guard.writeBehind(`first-${at}`, entry('first'))
  for (const key of ['a', 'b1', 'b2', 'c']) guard.writeBehind(key, entry(key))
  t.equal(textOf(await guard.get('a', guard.deadline())), 'a', 'it is read while it waits')
  t.same((await guard.getMany(['a', 'c'], guard.deadline())).map(textOf), ['a', 'c'])
  await guard.write('delete', 'a')
  await guard.clear('b')
  t.equal(await guard.get('a', guard.deadline()), undefined)
  chaos.set.heal()
  chaos.set.release()
  await until(() => chaos.set.calls.includes('c'))
  await turns()
  t.same(['a', 'b1', 'b2', 'c'].map((key) => textOf(backend.get(key))), [undefined, undefined, undefined, 'c'])
})

t.test('guard: close() stores the entries that wait', async (t) => {
  const { chaos, guard, backend } = guardSetUp()
  let stored: unknown
  chaos.set.delay(5)
  chaos.close.instead(() => { stored = backend.size?.() })
  for (let at = 0; at < 100; at++) guard.writeBehind(`${at}`, entry('value'))
  await guard.close(5_000, 5_000)
  t.equal(stored, 100)
})

t.test('guard: beside endless fills, a store that queues its writes, at 50 ms each, still carries out every explicit change',
  async (t) => {
    await Promise.all(([[50, 8], [20, 1]] as const).map(async ([writeMs, atOnce]) => {
      const { chaos, guard } = guardSetUp({ deadlineMs: 100 })
      const queue = oneQueue(writeMs, atOnce)
      for (const method of [chaos.set, chaos.delete, chaos.clear]) method.instead(queue)
      const over = new AbortController()
      const fill = async (client: number): Promise<void> => {
        for (let at = 0; !over.signal.aborted; at++) {
          guard.writeBehind(`${client}-${at}`, entry('value'))
          await sleep(1)
        }
      }
      const clients = Array.from({ length: 10 }, (_, client) => fill(client))
      await sleep(500)
      for (let round = 0; round < 2; round++) {
        await t.resolves(guard.write('set', 'stamp', entry('new')), 'the stamp of a tag')
        await t.resolves(guard.write('delete', 'key'), 'a delete')
        await t.resolves(guard.clear('prefix'), 'a clear')
      }
      over.abort()
      await Promise.all(clients)
      t.ok(guard.errors.set! > 0, 'entries that waited too long are counted')
      chaos.each((method) => method.heal())
    }))
  })

t.test('guard: a thousand explicit changes are admitted, however many fills wait', async (t) => {
  const { chaos, guard } = guardSetUp({ deadlineMs: 5_000 })
  chaos.set.hang()
  chaos.delete.hang()
  for (let at = 0; at < 1_000; at++) guard.writeBehind(`fill-${at}`, entry('value'))
  const changes = Array.from({ length: 1_000 - MOST_UNDER_WAY }, async (_, at) => await guard.write('delete', `${at}`))
  await fails(t, guard.write('delete', 'one more'), undefined, /too many/)
  chaos.delete.release()
  chaos.set.release()
  await Promise.all(changes)
})
