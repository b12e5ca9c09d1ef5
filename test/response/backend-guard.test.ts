// The guard: what a backend's failure costs its callers, and what it never costs them.
import t from 'tap'
import { UNAVAILABLE } from '../../registry/unavailable.js'
import { turns } from '../support/barrier.js'
import { garbage } from '../support/chaos.js'
import { DEADLINE_MS, fails, guardSetUp, SLACK_MS, textOf, took } from '../support/guard.js'

t.test('guard: a value that is available at once is returned at once, without a promise', async (t) => {
  const { guard, entry } = guardSetUp()
  t.equal(guard.writeBehind('a', entry('one')), true)
  t.equal(textOf(guard.get('a', guard.deadline())), 'one')
  t.equal(guard.get('b', guard.deadline()), undefined)
  t.same((guard.getMany(['a', 'b'], guard.deadline()) as unknown[]).map(textOf), ['one', undefined])
})

for (const way of ['throw', 'reject'] as const) {
  t.test(`guard: a read that ${way}s is unavailable, not a miss; it is counted, and logged once`, async (t) => {
    const { chaos, guard, get, lines } = guardSetUp()
    chaos.get[way]()
    chaos.getMany[way]()
    t.equal(await get(), UNAVAILABLE)
    t.equal(await get(), UNAVAILABLE)
    t.same(await guard.getMany(['a', 'b'], guard.deadline()), [UNAVAILABLE, UNAVAILABLE])
    t.same({ ...guard.errors }, { get: 2, getMany: 1 })
    t.equal(lines.length, 2)
    t.match(lines[0], { details: { operation: 'get', key: 'a', backend: 'chaos', err: { name: 'ChaosError' } } })
  })

  t.test(`guard: a write that ${way}s is counted and does not throw`, async (t) => {
    const { chaos, guard, entry } = guardSetUp()
    chaos.set[way]()
    guard.writeBehind('a', entry('one'))
    await turns()
    t.same({ ...guard.errors }, { set: 1 })
    chaos.set.heal()
    t.equal(guard.writeBehind('a', entry('two')), true, 'a failed change is no longer in progress')
  })

  t.test(`guard: an explicit change that ${way}s rejects, with the cause`, async (t) => {
    const { chaos, guard, entry } = guardSetUp()
    const cause = new Error('no space left')
    for (const method of [chaos.set, chaos.delete, chaos.clear, chaos.get]) method[way](cause)
    await t.rejects(guard.write('set', 'a', entry('one')), {
      code: 'CACHE_ERR_BACKEND_FAILED', cause, message: /chaos.*set.*no space left/
    })
    await t.rejects(guard.write('delete', 'a'), { code: 'CACHE_ERR_BACKEND_FAILED', cause })
    await t.rejects(guard.clear(''), { code: 'CACHE_ERR_BACKEND_FAILED', cause })
    await fails(t, guard.read('a'))
  })
}

t.test('O3: a read that hangs is unavailable at the deadline, and its later result is discarded', async (t) => {
  const { chaos, guard, get } = guardSetUp()
  chaos.get.hang()
  chaos.getMany.hang()
  const ms = await took(async () => t.equal(await get(), UNAVAILABLE))
  t.ok(ms >= DEADLINE_MS - 2 && ms < DEADLINE_MS + SLACK_MS, `${ms} ms`)
  t.same(await guard.getMany(['a', 'b'], guard.deadline()), [UNAVAILABLE, UNAVAILABLE])
  chaos.each((method) => method.release())
  await turns()
  t.same({ ...guard.errors }, { get: 1, getMany: 1 })
})

t.test('O3: several calls with one deadline end at that deadline, even on a clock that stands still or is set back', async (t) => {
  const { chaos, clock, guard } = guardSetUp()
  chaos.get.hang()
  const ms = await took(async () => {
    const deadline = guard.deadline()
    await guard.get('a', deadline)
    await clock.pass(-3_600_000)
    await guard.get('b', deadline)
    await guard.get('c', deadline)
  })
  t.ok(ms < DEADLINE_MS + SLACK_MS, `${ms} ms`)
})

t.test('guard: garbage from a read is unavailable, or bytes that the codec refuses; it never causes an error in the caller', async (t) => {
  const { chaos, guard, entry, get, clock } = guardSetUp()
  for (const [name, value] of garbage(entry('one'), entry('two'))) {
    const values = name.includes('then') ? [value] : [value, Promise.resolve(value)]
    for (const returned of values) {
      chaos.get.return(returned)
      chaos.getMany.return([returned, returned])
      const read = await get()
      t.ok(read === undefined || read === UNAVAILABLE || read.value instanceof Uint8Array, name)
      t.equal((await guard.getMany(['a', 'b'], guard.deadline())).length, 2, name)
      await clock.pass(60_000)
    }
  }
  for (const value of [42, null, undefined, {}, [], [entry('one')], 'ab', new Array(3)]) {
    chaos.getMany.return(value)
    t.same(await guard.getMany(['a', 'b'], guard.deadline()), [UNAVAILABLE, UNAVAILABLE])
    await clock.pass(60_000)
  }
})

t.test('guard: an entry past its expiresAt is absent, whatever the backend returns', async (t) => {
  const { chaos, get, clock, entry } = guardSetUp()
  const old = entry('one')
  chaos.get.return(old)
  t.equal(textOf(await get()), 'one')
  await clock.pass(60_000)
  t.equal(await get(), undefined)
})

t.test('guard: garbage from a write is not a failure', async (t) => {
  const { chaos, guard, entry } = guardSetUp()
  for (const value of [42, null, 'stored', { then: 1 }]) {
    chaos.set.return(value)
    t.equal(guard.writeBehind('a', entry('one')), true)
  }
  chaos.set.return({ then (): never { throw new Error('a then that throws') } })
  guard.writeBehind('b', entry('one'))
  await turns()
  t.same({ ...guard.errors }, { set: 1 })
})

t.test('with a thousand calls in progress the next one is unavailable at once', async (t) => {
  const { chaos, guard } = guardSetUp({ deadlineMs: 2_000 })
  chaos.get.hang()
  const reads = Array.from({ length: 1_000 }, async (_, at) => await guard.get(`${at}`, guard.deadline()))
  t.equal(guard.get('one more', guard.deadline()), UNAVAILABLE)
  t.equal(chaos.get.calls.length, 1_000)
  chaos.get.release()
  await Promise.all(reads)
  chaos.get.heal()
  t.equal(guard.get('one more', guard.deadline()), undefined)
})

t.test('a read that fails after its deadline, or after close(), causes no unhandled rejection', async (t) => {
  const { chaos, guard, get } = guardSetUp()
  let fail!: (err: Error) => void
  chaos.get.return(new Promise((_resolve, reject) => { fail = reject }))
  t.equal(await get(), UNAVAILABLE)
  const second = get()
  await guard.close(10, 10)
  fail(new Error('much too late'))
  t.equal(await second, UNAVAILABLE)
  await turns()
})

t.test('guard: a partial failure of one tier is counted, and the backend is still called', async (t) => {
  const { chaos, guard, get, entry } = guardSetUp()
  chaos.set.reject(Object.assign(new Error('one tier failed'), { isPartial: true }))
  for (let times = 0; times < 20; times++) {
    guard.writeBehind(`k${times}`, entry('x'))
    await turns()
  }
  t.same({ ...guard.errors }, { set: 20 })
  t.equal(await get(), undefined, 'the backend is called')
})
