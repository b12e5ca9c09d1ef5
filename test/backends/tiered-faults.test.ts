// The tiered backend while tiers fail: none hides another, what was not confirmed is not read, and all are closed.
import t from 'tap'
import { MAX_UNCONFIRMED } from '../../backends/tiered/lanes.js'
import type { StoredEntry } from '../../registry/backend.js'
import { turns } from '../support/barrier.js'
import { Chaos, garbage, type ChaosMethod } from '../support/chaos.js'
import { heldIn, textOf, tieredSetUp } from '../support/tiered.js'

const FAILED = { code: 'CACHE_ERR_BACKEND_FAILED' }

const FAULTS: ReadonlyArray<readonly [name: string, command: (method: ChaosMethod) => void]> = [
  ['throws', (method) => method.throw()], ['rejects', (method) => method.reject()], ['hangs', (method) => method.hang()], ['answers garbage', (method) => method.answer(42)],
  ['answers garbage later', (method) => method.mangle(() => ({ value: 'text' }))]
]

for (const [name, command] of FAULTS) {
  t.test(`S5: a near tier that ${name} hides neither what the far one has nor that it has nothing`, async (t) => {
    const { text, held, entry, chaos: [near] } = await tieredSetUp(t, { deadline: '20ms' })
    held[1].set('a', entry('value'))
    command(near.get)
    t.equal(await text(), 'value')
    t.equal(await text('none'), undefined)
    near.set.reject()
    t.equal(await text(), 'value', 'when the copy fails too')
  })

  t.test(`B24: a far tier that ${name} costs a near hit nothing, and what is in neither is a miss`, async (t) => {
    const { backend, text, entry, chaos: [, far] } = await tieredSetUp(t, { deadline: '20ms' })
    await backend.set('a', entry('value'))
    command(far.get)
    t.equal(textOf(backend.get('a') as StoredEntry), 'value', 'at once')
    t.equal(await text('none'), undefined)
    far.get.release()
  })

  t.test(`tiered: when every tier ${name}, a read is an error`, async (t) => {
    const { backend, chaos: [near, far] } = await tieredSetUp(t, { deadline: '20ms' })
    for (const tier of [near, far]) tier.each(command)
    await t.rejects((async () => await backend.get('a'))(), { ...FAILED, message: /no tier could say/, cause: Error })
    await t.rejects((async () => await backend.getMany!(['a', 'b']))(), FAILED)
    for (const tier of [near, far]) tier.each((method) => { method.heal(); method.release() })
  })
}

t.test('B09: whatever a near tier answers that is no entry, the far one is asked', async (t) => {
  const { text, held, entry, chaos: [near] } = await tieredSetUp(t)
  const good = entry('good')
  held[1].set('a', entry('value'))
  // What has the shape of an entry is one for all that a tier can know.
  const entries = ['no bytes', 'truncated bytes', 'half of the bytes', 'one byte too many', 'a flipped bit', "another key's bytes"]
  for (const [name, answer] of garbage(good, good).filter(([name]) => !entries.includes(name))) {
    near.get.answer(answer)
    t.equal(await text(), 'value', name)
    near.get.heal()
    await text()
  }
})

t.test('B24: a far tier that goes on hanging is left alone, and asked again a moment later', async (t) => {
  const { backend, text, held, entry, clock, chaos: [, far] } = await tieredSetUp(t, { deadline: '5ms' })
  held[1].set('a', entry('value'))
  far.get.hang()
  for (let time = 0; time < 5; time++) await text(`none${time}`)
  t.equal(backend.get('a'), undefined, 'a miss at once')
  t.equal(far.get.calls.length, 5)
  far.get.heal()
  t.equal(backend.get('a'), undefined)
  await clock.pass(1_000)
  t.equal(await text(), 'value')
})

t.test('S4: a set that the far tier did not confirm rejects, leaves nothing old in any tier that is read, and is served here', async (t) => {
  const { backend, text, entry, held, chaos: [near, far] } = await tieredSetUp(t)
  await backend.set('a', entry('old'))
  for (const command of [(method: ChaosMethod) => method.throw(), (method: ChaosMethod) => method.reject()]) {
    command(far.set)
    far.delete.reject()
    await t.rejects((async () => await backend.set('a', entry('new')))(), { ...FAILED, message: /tier 2 of 2, 'tier1', did not confirm it/, isPartial: true })
    t.equal(await text(), 'new')
    held[0].delete('a')
    t.equal(await text(), undefined, 'the old one is still in the far tier, and not read')
    t.equal(heldIn(held[1]), 'old')
    near.set.heal()
  }
})

t.test('S4: a near tier that fails to take a copy holds nothing old', async (t) => {
  const { backend, text, entry, held, chaos: [near] } = await tieredSetUp(t)
  await backend.set('a', entry('old'))
  near.set.reject()
  await backend.set('a', entry('new'))
  t.equal(heldIn(held[0]), undefined)
  t.equal(await text(), 'new')
})

t.test('S4: a near tier that neither forgets nor takes a copy is not read, and the set rejects', async (t) => {
  const { backend, text, entry, held, chaos: [near], retry } = await tieredSetUp(t)
  await backend.set('a', entry('old'))
  near.set.reject()
  near.delete.reject()
  await t.rejects((async () => await backend.set('a', entry('new')))(), { ...FAILED, message: /tier 1 of 2/ })
  t.equal(heldIn(held[0]), 'old')
  t.equal(await text(), 'new', 'from the far tier')
  near.delete.heal()
  near.set.heal()
  await retry()
  t.equal(heldIn(held[0]), undefined)
  t.equal(await text(), 'new')
  t.equal(heldIn(held[0]), 'new', 'and it is copied to again')
})

t.test('A03: when a process ends between the far write and the near one, nothing older is left', async (t) => {
  const { backend, entry, held, chaos: [near, far] } = await tieredSetUp(t)
  await backend.set('a', entry('old'))
  far.set.stall()
  const set = backend.set('a', entry('new'))
  await far.set.hangs()
  t.same(held.map((tier) => heldIn(tier)), [undefined, 'new'], 'what a new process would find')
  near.set.hang()
  far.set.release()
  await near.set.hangs()
  t.same(held.map((tier) => heldIn(tier)), [undefined, 'new'])
  near.set.release()
  await set
})

t.test('B25: a delete that the far tier did not confirm rejects, and nothing brings the entry back until it did', async (t) => {
  for (const command of [(method: ChaosMethod) => method.throw(), (method: ChaosMethod) => method.reject(), (method: ChaosMethod) => method.hang()]) {
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
    t.equal(heldIn(held[0]), undefined, 'nor was it copied')
    far.delete.heal()
    far.delete.release()
    await deleted.then(() => t.equal(far.delete.calls.length, 1, 'the one that hung'), (err: unknown) => t.match(err, { ...FAILED, isPartial: true }))
    await clock.pass(1_000)
    await retry()
    t.equal(heldIn(held[1]), undefined)
    t.equal((await backend.stats!()).unconfirmed, 0)
    near.set.calls.length = 0
    held[1].set('a', entry('new'))
    t.equal(await text(), 'new', 'it is read again')
  }
})

t.test('B25: a delete is tried again until it is confirmed, and a later set makes it unnecessary', async (t) => {
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
  t.same(far.delete.calls, ['a'], 'once confirmed it is not tried again')
})

t.test('B25: a set that was applied and rejected all the same is deleted', async (t) => {
  const { backend, entry, held, chaos: [, far], retry } = await tieredSetUp(t)
  far.set.applyAndReject()
  await t.rejects((async () => await backend.set('a', entry('value')))(), FAILED)
  t.equal(heldIn(held[1]), 'value')
  await retry()
  t.equal(heldIn(held[1]), undefined)
})

t.test('C05: a clear that the far tier did not confirm rejects, and what it is about is not read from there until it did', async (t) => {
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

t.test('C05: while a clear is under way in the far tier, nothing is brought back from there', async (t) => {
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
  t.test(`C06: a ${name} between the read of the far tier and the copy to the near one is not undone`, async (t) => {
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

  t.test(`C06: a ${name} while a copy to the near tier is under way is not undone`, async (t) => {
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

t.test('tiered: changes of one key take effect in call order, though a tier settles them out of order', async (t) => {
  const { backend, text, entry, held, chaos: [, far] } = await tieredSetUp(t)
  far.set.hang()
  const first = backend.set('a', entry('1'))
  await far.set.hangs()
  far.set.heal()
  const others = [backend.set('a', entry('2')), backend.delete('a'), backend.set('a', entry('3'))]
  t.equal(await text(), '3', 'what was called last is seen at once')
  far.set.release()
  await Promise.all([first, ...others])
  t.same(held.map((tier) => heldIn(tier)), ['3', '3'])
  t.equal(far.set.calls.length, 2, 'those in between were never needed')
})

t.test('tiered: a set that hangs in the far tier is served here, and does not outlive its life', async (t) => {
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

t.test('tiered: too many unconfirmed changes to remember make the tier unread until it was cleared', async (t) => {
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

t.test('tiered: changes do not pile up behind a far tier that hangs', async (t) => {
  const { backend, entry, chaos: [, far] } = await tieredSetUp(t)
  far.set.hang()
  const sets = Array.from({ length: 1_000 }, async (_, at) => await backend.set(String(at), entry('value')))
  await t.rejects((async () => await backend.set('one more', entry('value')))(), FAILED)
  t.equal(far.set.calls.length, 1_000)
  far.set.release()
  await Promise.all(sets)
})

t.test('S6: every tier is closed, whatever the others do', async (t) => {
  for (const at of [0, 1, 2]) {
    for (const command of [(method: ChaosMethod) => method.throw(), (method: ChaosMethod) => method.reject()]) {
      const { backend, chaos } = await tieredSetUp(t, { tiers: [new Chaos(), new Chaos(), new Chaos()] })
      command(chaos[at]!.close)
      await t.rejects((async () => await backend.close())(), { ...FAILED, message: new RegExp(`tier ${at + 1} of 3`) })
      t.same(chaos.map((tier) => tier.close.calls.length), [1, 1, 1])
    }
  }
})

t.test('C23: a tier that hangs in close does not keep the others from being closed', async (t) => {
  const { backend, chaos: [near, far] } = await tieredSetUp(t)
  near.close.hang()
  const closed = backend.close()
  await near.close.hangs()
  t.equal(far.close.calls.length, 1)
  near.close.release()
  await closed
})

t.test('C22: what comes to an end after close changes nothing', async (t) => {
  const { backend, entry, held, chaos: [near, far], retry } = await tieredSetUp(t)
  far.set.hang()
  far.delete.reject()
  const set = backend.set('a', entry('value'))
  await t.rejects((async () => await backend.delete('b'))(), FAILED)
  await backend.close()
  far.set.release()
  await set
  await retry()
  t.same(near.set.calls, [])
  t.equal(heldIn(held[0]), undefined)
})
