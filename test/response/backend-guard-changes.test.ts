// The guard and changes: their order, late changes, and closing.
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import type { ClearOptions } from '../../registry/backend.js'
import { UNAVAILABLE } from '../../registry/unavailable.js'
import { Barrier, turns } from '../support/barrier.js'
import { fails, guardSetUp, lateAt, SLACK_MS, textOf, took } from '../support/guard.js'

t.test("explicit changes don't pile up behind a backend that hangs: beyond a thousand they reject at once", async (t) => {
  const { chaos, guard } = guardSetUp()
  chaos.delete.hang()
  const changes = Array.from({ length: 1_000 }, async (_, at) => await guard.write('delete', `${at}`))
  await fails(t, guard.write('delete', 'one more'), undefined, /too many/)
  await fails(t, guard.clear(''), undefined, /too many/)
  t.equal(chaos.delete.calls.length, 1_000)
  chaos.delete.release()
  await Promise.all(changes)
  chaos.delete.heal()
  await guard.write('delete', 'one more')
})

t.test('failed changes are no longer in progress: after a thousand of them the next one is made', async (t) => {
  const { chaos, guard } = guardSetUp()
  chaos.delete.reject()
  for (let at = 0; at < 1_000; at++) await guard.write('delete', `${at}`).catch(() => {})
  t.equal(chaos.delete.calls.length, 1_000)
  chaos.delete.heal()
  await t.resolves(guard.write('delete', 'one more'))
})

t.test('guard: background work that is not a change of the backend takes no room from changes, and has its own', async (t) => {
  const { chaos, guard, entry } = guardSetUp()
  const barrier = new Barrier()
  for (let at = 0; at < 1_000; at++) guard.track(barrier.pass())
  await guard.write('set', 'a', entry('one'))
  chaos.set.hang()
  chaos.delete.hang()
  for (let at = 0; at < 16; at++) guard.writeBehind(`p${at}`, entry('one'))
  const changes = Array.from({ length: 984 }, async (_, at) => await guard.write('delete', `${at}`))
  await fails(t, guard.write('delete', 'one more'), undefined, /too many/)
  chaos.set.release()
  chaos.delete.release()
  await Promise.all(changes)
  const closed = guard.close(5_000, 5_000)
  await turns()
  t.equal(chaos.close.calls.length, 0, 'close() still waits for it')
  barrier.open()
  await closed
  t.equal(chaos.close.calls.length, 1)
})

t.test('O6: a change waits for an earlier write that missed its deadline', async (t) => {
  const { chaos, guard, entry, get } = guardSetUp()
  chaos.set.hang()
  guard.writeBehind('a', entry('old'))
  await chaos.set.hangs()
  await lateAt(guard)
  const deleted = guard.write('delete', 'a')
  await turns()
  t.equal(chaos.delete.calls.length, 0)
  t.equal(guard.writeBehind('a', entry('new')), false, 'nothing is stored in between')
  t.equal(guard.writeBehind('b', entry('other')), true, 'other keys are stored')
  chaos.set.heal()
  chaos.set.release()
  await deleted
  t.equal(await get(), undefined)
  t.equal(guard.writeBehind('a', entry('new')), true)
  t.equal(textOf(await get()), 'new')
})

t.test('guard: a clear that reports progress is waited for, however long it takes', async (t) => {
  const { chaos, guard } = guardSetUp()
  chaos.clear.instead(async (_act, _prefix, options) => {
    for (let step = 0; step < 5; step++) {
      await sleep(600)
      ;(options as ClearOptions).onProgress?.(0)
    }
  })
  await t.resolves(guard.clear(''))
  t.same({ ...guard.errors }, {})
})

t.test('guard: a clear that stops reporting progress rejects, and the error says how far it got', async (t) => {
  const { chaos, guard } = guardSetUp()
  chaos.clear.instead(async (_act, _prefix, options) => {
    const onProgress = (options as ClearOptions).onProgress!
    onProgress(1_000)
    onProgress(500)
    await new Promise(() => {})
  })
  await fails(t, guard.clear(''), undefined, /no response within 2000 ms, after 1500 entries were deleted/)
})

t.test('O6: clear waits for the late writes of its own keys only', async (t) => {
  const { chaos, guard, entry, backend } = guardSetUp()
  chaos.set.hang()
  guard.writeBehind('a1', entry('old'))
  await chaos.set.hangs()
  await lateAt(guard)
  await guard.clear('b')
  const cleared = guard.clear('a')
  await turns()
  t.same(chaos.clear.calls, ['b'])
  chaos.set.release()
  await cleared
  t.equal(await backend.get('a1'), undefined)
})

t.test('O6: a change behind a write that never settles rejects, and later changes still wait for the write', async (t) => {
  const { chaos, guard, entry, get } = guardSetUp()
  chaos.set.hang()
  guard.writeBehind('a', entry('old'))
  await lateAt(guard)
  chaos.delete.hang()
  await fails(t, guard.write('delete', 'a'), undefined, /no response within 2000 ms/)
  chaos.set.heal()
  chaos.set.release()
  await turns()
  t.equal(chaos.delete.calls.length, 1)
  t.equal(guard.writeBehind('a', entry('new')), false, 'the delete is waited for, too')
  chaos.delete.release()
  await turns()
  t.equal(await get(), undefined, 'the delete took effect after all, after the write')
})

t.test('guard: changes of a key take effect in the order of their calls, also behind a late one', async (t) => {
  const { chaos, guard, entry, get } = guardSetUp()
  chaos.set.hang()
  guard.writeBehind('a', entry('late'))
  await lateAt(guard)
  chaos.set.heal()
  const all = ['1', '2', '3'].map(async (text) => await guard.write('set', 'a', entry(text)))
  chaos.set.release()
  await Promise.all(all)
  t.equal(textOf(await get()), '3')
})

t.test('a write is late after its deadline even if the clock was set back', async (t) => {
  const { chaos, clock, guard, entry } = guardSetUp()
  chaos.set.hang()
  guard.writeBehind('a', entry('old'))
  await clock.pass(-3_600_000)
  await lateAt(guard)
  t.equal(guard.writeBehind('a', entry('new')), false)
  chaos.set.release()
})

t.test('after close() reads are unavailable, writes are dropped, and explicit calls reject with CACHE_ERR_CLOSED', async (t) => {
  const { chaos, guard, get, entry } = guardSetUp()
  await guard.close(50, 50)
  t.equal(chaos.close.calls.length, 1)
  t.equal(await get(), UNAVAILABLE)
  t.equal(guard.writeBehind('a', entry('one')), false)
  guard.deleteBehind('a')
  for (const call of [
    guard.write('set', 'a', entry('one')), guard.write('delete', 'a'), guard.read('a'), guard.clear(''), guard.call('stats', () => 1)
  ]) {
    await fails(t, call, 'CACHE_ERR_CLOSED')
  }
  t.equal(chaos.get.calls.length + chaos.set.calls.length + chaos.delete.calls.length, 0)
})

t.test('close() waits for writes in progress, then closes the backend', async (t) => {
  const { chaos, guard, entry } = guardSetUp()
  chaos.set.hang()
  guard.writeBehind('a', entry('one'))
  const closed = guard.close(5_000, 5_000)
  await turns()
  t.equal(chaos.close.calls.length, 0)
  chaos.set.release()
  await closed
  t.equal(chaos.close.calls.length, 1)
})

t.test('close() waits for a limited time for writes that hang and for a backend that does not close, and logs both', async (t) => {
  const { chaos, guard, entry, lines } = guardSetUp()
  chaos.set.hang()
  chaos.close.hang()
  guard.writeBehind('a', entry('one'))
  const ms = await took(async () => await guard.close(40, 40))
  // Node's timers may be a little early.
  t.ok(ms >= 75 && ms < 80 + SLACK_MS, `${ms} ms`)
  t.same(lines.map(({ message }) => message.includes('close') || message.includes('closing')), [true, true])
  chaos.set.release()
  chaos.close.release()
  await turns()
})

for (const way of ['throw', 'reject', 'applyAndReject'] as const) {
  t.test(`a failure of the backend's close (${way}) is logged, and close() resolves`, async (t) => {
    const { chaos, guard, lines } = guardSetUp()
    chaos.close[way]()
    await guard.close(50, 50)
    t.match(lines, [{ message: /failed to close/ }])
  })
}

t.test('a backend is still called after any number of partial failures', async (t) => {
  const { chaos, guard, entry, get } = guardSetUp()
  chaos.set.reject(Object.assign(new Error('one of two'), { isPartial: true }))
  for (let time = 0; time < 20; time++) await fails(t, guard.write('set', 'a', entry('value')))
  t.equal(await get(), undefined)
  t.equal(guard.errors.set, 20)
})

t.test('guard: a backend is still called after it refused any number of entries', async (t) => {
  const { chaos, guard, entry, get } = guardSetUp()
  chaos.set.reject(Object.assign(new Error('too large'), { isRefusal: true }))
  for (let time = 0; time < 20; time++) await fails(t, guard.write('set', 'a', entry('value')))
  t.equal(await get(), undefined)
  t.equal(guard.errors.set, 20)
})
