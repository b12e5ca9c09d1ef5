// The tiered backend while tiers fail: no tier hides another, none keeps outdated entries, and all are closed.
import t from 'tap'
import type { StoredEntry } from '../../registry/backend.js'
import { Chaos, garbage, type ChaosMethod } from '../support/chaos.js'
import { heldIn, textOf, tieredSetUp } from '../support/tiered.js'

const FAILED = { code: 'CACHE_ERR_BACKEND_FAILED' }

const FAULTS: ReadonlyArray<readonly [name: string, command: (method: ChaosMethod) => void]> = [
  ['throws', (method) => method.throw()], ['rejects', (method) => method.reject()], ['hangs', (method) => method.hang()],
  ['returns garbage', (method) => method.return(42)], ['returns garbage later', (method) => method.mangle(() => ({ value: 'text' }))]
]

for (const [name, command] of FAULTS) {
  t.test(`tiered: a near tier that ${name} does not affect hits and misses of the far tier`, async (t) => {
    const { text, held, entry, chaos: [near] } = await tieredSetUp(t, { deadline: '20ms' })
    held[1].set('a', entry('value'))
    command(near.get)
    t.equal(await text(), 'value')
    t.equal(await text('none'), undefined)
    near.set.reject()
    t.equal(await text(), 'value', 'if the copy fails too')
  })

  t.test(`tiered: a far tier that ${name} costs a near hit nothing, and an entry in neither tier is a miss`, async (t) => {
    const { backend, text, entry, chaos: [, far] } = await tieredSetUp(t, { deadline: '20ms' })
    await backend.set('a', entry('value'))
    command(far.get)
    t.equal(textOf(backend.get('a') as StoredEntry), 'value', 'synchronously')
    t.equal(await text('none'), undefined)
    far.get.release()
  })

  t.test(`tiered: if every tier ${name}, a read is an error`, async (t) => {
    const { backend, chaos: [near, far] } = await tieredSetUp(t, { deadline: '20ms' })
    for (const tier of [near, far]) tier.each(command)
    await t.rejects((async () => await backend.get('a'))(), { ...FAILED, message: /no tier could tell/, cause: Error })
    await t.rejects((async () => await backend.getMany!(['a', 'b']))(), FAILED)
    for (const tier of [near, far]) tier.each((method) => { method.heal(); method.release() })
  })
}

t.test('tiered: if a near tier returns anything but an entry, the far tier is read', async (t) => {
  const { text, held, entry, chaos: [near] } = await tieredSetUp(t)
  const good = entry('good')
  held[1].set('a', entry('value'))
  // A tier can't tell a value in the shape of an entry from an entry.
  const entries = ['no bytes', 'truncated bytes', 'half of the bytes', 'one byte too many', 'a flipped bit', "another key's bytes"]
  for (const [name, value] of garbage(good, good).filter(([name]) => !entries.includes(name))) {
    near.get.return(value)
    t.equal(await text(), 'value', name)
    near.get.heal()
    await text()
  }
})

t.test('tiered: a far tier that hangs repeatedly is left alone, and is called again a moment later', async (t) => {
  const { backend, text, held, entry, clock, chaos: [, far] } = await tieredSetUp(t, { deadline: '5ms' })
  held[1].set('a', entry('value'))
  far.get.hang()
  for (let time = 0; time < 5; time++) await text(`none${time}`)
  t.equal(backend.get('a'), undefined, 'a miss, synchronously')
  t.equal(far.get.calls.length, 5)
  far.get.heal()
  t.equal(backend.get('a'), undefined)
  await clock.pass(1_000)
  t.equal(await text(), 'value')
})

t.test('tiered: a set that the far tier did not confirm rejects, is served here, and no outdated entry is read', async (t) => {
  const { backend, text, entry, held, chaos: [near, far] } = await tieredSetUp(t)
  await backend.set('a', entry('old'))
  for (const command of [(method: ChaosMethod) => method.throw(), (method: ChaosMethod) => method.reject()]) {
    command(far.set)
    far.delete.reject()
    await t.rejects((async () => await backend.set('a', entry('new')))(), {
      ...FAILED, message: /tier 2 of 2, 'tier1', did not confirm it/, isPartial: true
    })
    t.equal(await text(), 'new')
    held[0].delete('a')
    t.equal(await text(), undefined, 'the outdated entry is still in the far tier, and is not read')
    t.equal(heldIn(held[1]), 'old')
    near.set.heal()
  }
})

t.test('tiered: a near tier that fails to store a copy holds nothing outdated', async (t) => {
  const { backend, text, entry, held, chaos: [near] } = await tieredSetUp(t)
  await backend.set('a', entry('old'))
  near.set.reject()
  await backend.set('a', entry('new'))
  t.equal(heldIn(held[0]), undefined)
  t.equal(await text(), 'new')
})

t.test('tiered: a near tier that can neither delete nor store a copy is not read, and the set rejects', async (t) => {
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
  t.equal(heldIn(held[0]), 'new', 'copies are stored again')
})

t.test('tiered: if a process ends between the far write and the near one, nothing outdated is left', async (t) => {
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

t.test('tiered: every tier is closed, even if others fail to close', async (t) => {
  for (const at of [0, 1, 2]) {
    for (const command of [(method: ChaosMethod) => method.throw(), (method: ChaosMethod) => method.reject()]) {
      const { backend, chaos } = await tieredSetUp(t, { tiers: [new Chaos(), new Chaos(), new Chaos()] })
      command(chaos[at]!.close)
      await t.rejects((async () => await backend.close())(), { ...FAILED, message: new RegExp(`tier ${at + 1} of 3`) })
      t.same(chaos.map((tier) => tier.close.calls.length), [1, 1, 1])
    }
  }
})

t.test('tiered: a tier that hangs in close does not prevent the others from being closed', async (t) => {
  const { backend, chaos: [near, far] } = await tieredSetUp(t)
  near.close.hang()
  const closed = backend.close()
  await near.close.hangs()
  t.equal(far.close.calls.length, 1)
  near.close.release()
  await closed
})

t.test('tiered: calls that settle after close change nothing', async (t) => {
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
