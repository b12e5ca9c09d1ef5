// The tiered backend's changes: a change that a tier did not confirm is remembered and its key is not read there, and nothing is undone.
import t from 'tap'
import { MAX_UNCONFIRMED } from '../../backends/tiered/write-queue.js'
import { turns } from '../support/barrier.js'
import type { ChaosMethod } from '../support/chaos.js'
import { heldIn, tieredSetUp } from '../support/tiered.js'

const FAILED = { code: 'CACHE_ERR_BACKEND_FAILED' }

t.test('tiered: a delete that the far tier did not confirm rejects, and the entry is not read before it is confirmed', async (t) => {
  for (const command of [
    (method: ChaosMethod) => method.throw(), (method: ChaosMethod) => method.reject(), (method: ChaosMethod) => method.hang()
  ]) {
    const { backend, text, entry, held, chaos: [near, far], retry, clock } = await tieredSetUp(t)
    await backend.set('a', entry('old'))
    command(far.delete)
    const deleted = (async () => await backend.delete('a'))()
    deleted.catch(() => {})
    await turns()
    t.equal(await text(), undefined)
    t.same(await backend.getMany!(['a', 'b']), [undefined, undefined])
    t.equal(await backend.has!('a'), false)
    t.same(await backend.keys!(), [])
    t.equal(heldIn(held[1]), 'old')
    t.equal(heldIn(held[0]), undefined, 'the entry was not copied')
    far.delete.heal()
    far.delete.release()
    await deleted.then(() => t.equal(far.delete.calls.length, 1, 'the call that hung'), (err: unknown) =>
      t.match(err, { ...FAILED, isPartial: true }))
    await clock.pass(1_000)
    await retry()
    t.equal(heldIn(held[1]), undefined)
    t.equal((await backend.stats!()).unconfirmed, 0)
    near.set.calls.length = 0
    held[1].set('a', entry('new'))
    t.equal(await text(), 'new', 'the far tier is read again')
  }
})

t.test('tiered: a delete is retried until it is confirmed or a later set replaces it', async (t) => {
  const { backend, text, entry, held, chaos: [, far], retry, clock } = await tieredSetUp(t)
  await backend.set('a', entry('old'))
  await backend.set('b', entry('old'))
  far.delete.reject()
  for (const key of ['a', 'b']) await t.rejects((async () => await backend.delete(key))(), FAILED)
  await retry()
  t.equal((await backend.stats!()).unconfirmed, 2)
  await backend.set('b', entry('new'))
  t.equal((await backend.stats!()).unconfirmed, 1)
  far.delete.heal()
  far.delete.calls.length = 0
  await clock.pass(1_000)
  await retry()
  t.same(far.delete.calls, ['a'])
  t.same(held[1].keys(), ['b'])
  t.equal(await text('b'), 'new')
  await retry()
  t.same(far.delete.calls, ['a'], 'a confirmed delete is not retried')
})

t.test('tiered: a set that was applied and still rejected is deleted', async (t) => {
  const { backend, entry, held, chaos: [, far], retry } = await tieredSetUp(t)
  far.set.applyAndReject()
  await t.rejects((async () => await backend.set('a', entry('value')))(), FAILED)
  t.equal(heldIn(held[1]), 'value')
  await retry()
  t.equal(heldIn(held[1]), undefined)
})

t.test('tiered: a clear that the far tier did not confirm rejects, and its keys are not read there before it is confirmed', async (t) => {
  const { backend, text, entry, held, chaos: [, far], retry } = await tieredSetUp(t)
  for (const key of ['a1', 'a2', 'b']) await backend.set(key, entry('old'))
  far.clear.reject()
  await t.rejects((async () => await backend.clear!('a'))(), FAILED)
  t.same([await text('a1'), await text('a2'), await text('b')], [undefined, undefined, 'old'])
  await backend.set('a1', entry('new'))
  t.equal(await text('a1'), 'new')
  t.equal((await backend.stats!()).unconfirmed, 1)
  far.clear.heal()
  await retry()
  t.same(held[1].keys(), ['b'])
  held[1].set('a2', entry('new'))
  t.equal(await text('a2'), 'new')
})

t.test('tiered: while a clear is under way in the far tier, no entry is copied from there', async (t) => {
  const { backend, text, entry, held, chaos: [, far] } = await tieredSetUp(t)
  await backend.set('a', entry('old'))
  far.clear.hang()
  const cleared = backend.clear!()
  await far.clear.hangs()
  t.equal(await text(), undefined)
  far.clear.release()
  await cleared
  t.equal(heldIn(held[0]), undefined)
})

for (const [name, change, left] of [['delete', 'delete', undefined], ['set', 'set', 'new'], ['clear', 'clear', undefined]] as const) {
  t.test(`tiered: a ${name} between the read of the far tier and the copy to the near one is not undone`, async (t) => {
    const { backend, text, entry, held, chaos: [, far] } = await tieredSetUp(t, { deadline: '10s' })
    held[1].set('a', entry('old'))
    far.get.stall()
    const reads = [backend.get('a'), backend.getMany!(['a'])]
    await far.get.hangs(2)
    if (change === 'delete') await backend.delete('a')
    if (change === 'clear') await backend.clear!()
    if (change === 'set') await backend.set('a', entry('new'))
    far.get.heal()
    far.get.release()
    await Promise.all(reads)
    t.equal(heldIn(held[0]), left)
    t.equal(await text(), left)
  })

  t.test(`tiered: a ${name} while a copy to the near tier is under way is not undone`, async (t) => {
    const { backend, text, entry, held, chaos: [near] } = await tieredSetUp(t)
    held[1].set('a', entry('old'))
    near.set.hang()
    t.equal(await text(), 'old')
    await near.set.hangs()
    near.set.heal()
    const changed = change === 'delete' ? backend.delete('a') : change === 'set' ? backend.set('a', entry('new')) : backend.clear!()
    await turns()
    t.not(await text(), 'old')
    near.set.release()
    await changed
    await turns()
    t.equal(heldIn(held[0]), left)
    t.equal(await text(), left)
  })
}

t.test('tiered: a near tier that did not confirm a deletion receives no copy before it confirms it', async (t) => {
  for (const operation of ['delete', 'clear'] as const) {
    const { backend, text, entry, held, chaos: [near], retry } = await tieredSetUp(t)
    await backend.set('a', entry('old'))
    near[operation].reject()
    await t.rejects((async () => await backend[operation]!('a'))(), FAILED, operation)
    t.equal(heldIn(held[0]), 'old')
    held[1].set('a', entry('new'))
    near.set.calls.length = 0
    t.same([await text(), await text()], ['new', 'new'])
    t.same(near.set.calls, [], 'it is not read either')
    near[operation].heal()
    await retry()
    t.equal(heldIn(held[0]), undefined)
    t.equal(await text(), 'new')
    t.equal(heldIn(held[0]), 'new')
  }
})

t.test('tiered: changes of one key take effect in call order, even if a tier settles them out of order', async (t) => {
  const { backend, text, entry, held, chaos: [, far] } = await tieredSetUp(t)
  far.set.hang()
  const first = backend.set('a', entry('1'))
  await far.set.hangs()
  far.set.heal()
  const others = [backend.set('a', entry('2')), backend.delete('a'), backend.set('a', entry('3'))]
  t.equal(await text(), '3', 'the last call is visible at once')
  far.set.release()
  await Promise.all([first, ...others])
  t.same(held.map((tier) => heldIn(tier)), ['3', '3'])
  t.equal(far.set.calls.length, 2, 'the calls in between were not needed')
})

t.test('tiered: a set that hangs in the far tier is served here, and expires at its instant', async (t) => {
  const { backend, text, entry, clock, chaos: [, far] } = await tieredSetUp(t)
  far.set.hang()
  const set = backend.set('a', entry('value', 1_000))
  t.equal(await text(), 'value')
  await clock.pass(1_000)
  t.equal(await text(), undefined)
  far.set.release()
  await set
  t.equal(await text(), undefined)
})

t.test('tiered: a tier with too many unconfirmed changes to remember is not read until it has been cleared', async (t) => {
  const { backend, text, entry, held, warnings, chaos: [, far], retry, clock } = await tieredSetUp(t)
  held[1].set('kept', entry('value'))
  far.delete.reject()
  far.clear.reject()
  for (let at = 0; at <= MAX_UNCONFIRMED; at++) await (backend.delete(String(at)) as Promise<void>).catch(() => {})
  t.equal(await text('kept'), undefined)
  t.equal((await backend.stats!()).unconfirmed, 1)
  t.match(warnings, [{ tier: 'tier1' }])
  far.each((method) => method.heal())
  await clock.pass(1_000)
  await retry()
  t.equal(held[1].size(), 0)
  await backend.set('a', entry('value'))
  held[0].delete('a')
  t.equal(await text(), 'value')
})

t.test('tiered: the changes that wait for a hanging far tier are bounded', async (t) => {
  const { backend, entry, chaos: [, far] } = await tieredSetUp(t)
  far.set.hang()
  const sets = Array.from({ length: 1_000 }, async (_, at) => await backend.set(String(at), entry('value')))
  await t.rejects((async () => await backend.set('one more', entry('value')))(), FAILED)
  t.equal(far.set.calls.length, 1_000)
  far.set.release()
  await Promise.all(sets)
})
