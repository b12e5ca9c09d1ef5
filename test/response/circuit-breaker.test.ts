// The breaker behind the guard: when a backend is left alone, and how it is used again.
import { stat } from 'node:fs'
import t from 'tap'
import { UNAVAILABLE } from '../../registry/unavailable.js'
import { turns } from '../support/barrier.js'
import { DEADLINE_MS, guardSetUp, lateAt } from '../support/guard.js'
import { holdUp } from '../support/slow.js'

t.test('after five failures in a row the backend is not called, and calls to the guard take no time', async (t) => {
  const { chaos, guard, get } = guardSetUp()
  chaos.get.hang()
  await Promise.all(Array.from({ length: 5 }, async () => await get()))
  t.equal(chaos.get.calls.length, 5)
  for (let at = 0; at < 1_000; at++) t.equal(guard.get('a', guard.deadline()), UNAVAILABLE)
  t.equal(guard.writeBehind('a', { value: Buffer.from('x'), expiresAt: Infinity }), false)
  t.equal(chaos.get.calls.length, 5)
  t.equal(chaos.set.calls.length, 0)
})

t.test('during recovery one probe at a time is sent, the pause grows to half a minute, and one success ends it', async (t) => {
  const { chaos, clock, get, guard } = guardSetUp()
  chaos.get.reject()
  for (let at = 0; at < 5; at++) await get()
  for (const pauseMs of [1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000]) {
    const before = chaos.get.calls.length
    await clock.pass(pauseMs * 0.89)
    await get()
    t.equal(chaos.get.calls.length, before, `not called before ${pauseMs} ms`)
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

t.test('many failures at the same moment count as one for the pause', async (t) => {
  const { chaos, clock, get } = guardSetUp()
  chaos.get.hang()
  await Promise.all(Array.from({ length: 200 }, async () => await get()))
  chaos.get.heal()
  await clock.pass(1_101)
  t.equal(await get(), undefined, 'called again after the first pause')
})

t.test('a probe that hangs ends at its deadline, and another one follows', async (t) => {
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

t.test('a call for statistics does not end the pause', async (t) => {
  const { chaos, get, guard } = guardSetUp()
  chaos.get.reject()
  for (let at = 0; at < 5; at++) await get()
  await guard.call('stats', () => 1)
  t.equal(await get(), UNAVAILABLE)
  t.equal(chaos.get.calls.length, 5)
})

t.test("slow background writes don't stop reads, and a backend that is behind gets no more writes", async (t) => {
  const { chaos, get, guard, entry } = guardSetUp()
  chaos.set.hang()
  const put = Array.from({ length: 16 }, (_, at) => guard.writeBehind(`${at}`, entry('x')))
  t.ok(put.every(Boolean))
  await lateAt(guard, put.length)
  t.same({ ...guard.errors }, { set: 16 })
  t.equal(guard.writeBehind('one more', entry('x')), false)
  t.equal(await get(), undefined, 'the backend is called')
  chaos.set.heal()
  chaos.set.release()
  await turns()
  t.equal(guard.writeBehind('one more', entry('x')), true)
})

t.test('a probe that is a slow write ends, and another one follows', async (t) => {
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

t.test('O3: a result that arrived while the loop was blocked is not late', async (t) => {
  const { chaos, get } = guardSetUp()
  chaos.get.instead(async (act) => {
    await new Promise((resolve) => { stat(new URL(import.meta.url), resolve) })
    return await act()
  })
  const read = get()
  holdUp(DEADLINE_MS + 20)
  t.equal(await read, undefined)
})

t.test("breaker: reads that are late because the event loop is blocked again and again don't count against the backend", async (t) => {
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
  t.equal(await get(), undefined, 'the backend is called')
})
