// The breaker behind the guard: when a backend is left alone, and how it comes back.
import { stat } from 'node:fs'
import t from 'tap'
import { UNAVAILABLE } from '../../registry/unavailable.js'
import { turns } from '../support/barrier.js'
import { DEADLINE_MS, guardSetUp, lateAt } from '../support/guard.js'
import { holdUp } from '../support/slow.js'

t.test('after five failures in a row nothing is asked any more, and what is asked costs no time', async (t) => {
  const { chaos, guard, get } = guardSetUp()
  chaos.get.hang()
  await Promise.all(Array.from({ length: 5 }, async () => await get()))
  t.equal(chaos.get.calls.length, 5)
  for (let at = 0; at < 1_000; at++) t.equal(guard.get('a', guard.deadline()), UNAVAILABLE)
  t.equal(guard.writeBehind('a', { value: Buffer.from('x'), expiresAt: Infinity }), false)
  t.equal(chaos.get.calls.length, 5)
  t.equal(chaos.set.calls.length, 0)
})

t.test('while it recovers one probe at a time is let through, the pause grows to half a minute, and one good answer ends it', async (t) => {
  const { chaos, clock, get, guard } = guardSetUp()
  chaos.get.reject()
  for (let at = 0; at < 5; at++) await get()
  for (const pauseMs of [1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000]) {
    const before = chaos.get.calls.length
    await clock.pass(pauseMs * 0.89)
    await get()
    t.equal(chaos.get.calls.length, before, `not asked before ${pauseMs} ms`)
    await clock.pass(pauseMs * 0.22)
    await Promise.all(Array.from({ length: 50 }, async () => await get()))
    t.equal(chaos.get.calls.length, before + 1, `one probe after ${pauseMs} ms`)
  }
  chaos.get.heal()
  await clock.pass(34_000)
  t.equal(await get(), undefined)
  await Promise.all(Array.from({ length: 50 }, async () => await get()))
  t.equal(guard.writeBehind('a', { value: Buffer.from('x'), expiresAt: Infinity }), true)
})

t.test('many that fail at the same moment are one failure to the pause, not a half minute without a cache', async (t) => {
  const { chaos, clock, get } = guardSetUp()
  chaos.get.hang()
  await Promise.all(Array.from({ length: 200 }, async () => await get()))
  chaos.get.heal()
  await clock.pass(1_101)
  t.equal(await get(), undefined, 'asked again after the first pause')
})

t.test('a probe that hangs ends at its deadline, and the next one comes', async (t) => {
  const { chaos, clock, get } = guardSetUp()
  chaos.get.reject()
  for (let at = 0; at < 5; at++) await get()
  chaos.get.hang()
  await clock.pass(1_101)
  t.equal(await get(), UNAVAILABLE)
  chaos.get.heal()
  await clock.pass(2_201)
  t.equal(await get(), undefined)
})

t.test('any kind of probe reports: several keys, none, a write', async (t) => {
  const { chaos, clock, get, guard, entry } = guardSetUp()
  const probes: Array<() => unknown> = [
    async () => await guard.getMany(['a', 'b'], guard.deadline()),
    () => guard.writeBehind('a', entry('one')),
    async () => { await guard.getMany([], guard.deadline()); await get() }
  ]
  for (const probe of probes) {
    chaos.get.reject()
    for (let at = 0; at < 5; at++) await get('x')
    chaos.get.heal()
    t.equal(await get('x'), UNAVAILABLE)
    await clock.pass(1_101)
    await probe()
    t.equal(await get('x'), undefined)
  }
})

t.test('what the backend tells of itself does not end the pause', async (t) => {
  const { chaos, get, guard } = guardSetUp()
  chaos.get.reject()
  for (let at = 0; at < 5; at++) await get()
  await guard.call('stats', () => 1)
  t.equal(await get(), UNAVAILABLE)
  t.equal(chaos.get.calls.length, 5)
})

t.test('writes that nobody waits for and that take long don\'t end the reads; a backend that is behind is given no more', async (t) => {
  const { chaos, get, guard, entry } = guardSetUp()
  chaos.set.hang()
  const put = Array.from({ length: 16 }, (_, at) => guard.writeBehind(`${at}`, entry('x')))
  t.ok(put.every(Boolean))
  await lateAt(guard, put.length)
  t.same({ ...guard.errors }, { set: 16 })
  t.equal(guard.writeBehind('one more', entry('x')), false)
  t.equal(await get(), undefined, 'it is asked')
  chaos.set.heal()
  chaos.set.release()
  await turns()
  t.equal(guard.writeBehind('one more', entry('x')), true)
})

t.test('a probe that is a write and takes long ends, and the next one comes', async (t) => {
  const { chaos, clock, get, guard, entry } = guardSetUp()
  chaos.get.reject()
  for (let at = 0; at < 5; at++) await get()
  chaos.get.heal()
  chaos.set.hang()
  await clock.pass(1_101)
  t.equal(guard.writeBehind('a', entry('x')), true)
  await lateAt(guard)
  t.equal(await get(), UNAVAILABLE)
  await clock.pass(2_201)
  t.equal(await get(), undefined)
  chaos.set.release()
})

t.test('O3: an answer that came while the loop was held up is not too late', async (t) => {
  const { chaos, get } = guardSetUp()
  chaos.get.instead(async (act) => {
    await new Promise((resolve) => { stat(new URL(import.meta.url), resolve) })
    return await act()
  })
  const read = get()
  holdUp(DEADLINE_MS + 20)
  t.equal(await read, undefined)
})

t.test('breaker: reads that miss their deadline while the event loop is held up again and again say nothing of the backend', async (t) => {
  const { chaos, get, guard } = guardSetUp()
  chaos.get.hang()
  for (let at = 1; at <= 6; at++) {
    const read = get()
    for (const held of ['by then', 'and again']) {
      holdUp(DEADLINE_MS * 2)
      await turns(held === 'by then' ? 1 : 3)
    }
    t.equal(await read, UNAVAILABLE)
  }
  t.same({ ...guard.errors }, { get: 6 }, 'they are counted')
  chaos.get.heal()
  t.equal(await get(), undefined, 'and it is asked')
})
