// Changes in progress: the backend has made a change, but hasn't confirmed it yet. A fill that overlaps with it doesn't bring back what
// was invalidated.
import t, { type Test } from 'tap'
import type { ResponseCache } from '../../../plugin.js'
import { build, forEachBackend } from '../../support/app.js'
import { Barrier, turns, until } from '../../support/barrier.js'
import { Chaos, isStamp } from '../../support/chaos.js'
import { fenced, WAYS } from '../../support/fencing.js'

/** Holds up the confirmation of a change. `sets` selects the keys whose sets belong to changes, not to fills. */
function heldUp (chaos: Chaos, sets: (key: string) => boolean) {
  const methods = [chaos.set.only(sets), chaos.delete, chaos.clear]
  const barrier = new Barrier()
  for (const method of methods) {
    method.instead(async (act) => {
      await act()
      await barrier.pass()
    })
  }
  return {
    hasBegun: async (): Promise<void> => await barrier.reached(),
    settle (): void {
      for (const method of methods) method.heal()
      barrier.open()
    }
  }
}

for (const way of WAYS) {
  t.test(`${way.name}: a response made before it is not stored while it is in progress`, async (t) => forEachBackend(t, async (t, on) => {
    const { barrier, chaos, version, invalidated, cache } = await fenced(t, on, way, { deadline: '5s' })
    const before = version()
    await barrier.reached()
    const change = heldUp(chaos, isStamp)
    const settled = invalidated()
    await change.hasBegun()
    barrier.open()
    t.equal(await before, '1')
    await until(async () => (await cache.stats()).refusals.invalidated === 1)
    change.settle()
    await settled
    t.equal(await version(), '2')
    t.match(await cache.stats(), { hits: 0 })
  }))

  t.test(`${way.name}: a response made meanwhile is not stored`, async (t) => forEachBackend(t, async (t, on) => {
    const { barrier, chaos, version, cache } = await fenced(t, on, way, { deadline: '5s' })
    // The tags have stamps already: requests in the meantime create none.
    await cache.invalidate({ tags: ['news', 'more'] })
    const change = heldUp(chaos, isStamp)
    const settled = way.invalidate(cache)
    await change.hasBegun()
    const meanwhile = version()
    await barrier.reached()
    change.settle()
    await settled
    barrier.open()
    await meanwhile
    await until(async () => (await cache.stats()).refusals.invalidated === 1)
    t.match(await cache.stats(), { stores: 0 })
  }))
}

const OF_DATA: ReadonlyArray<readonly [name: string, change: (cache: ResponseCache) => Promise<void>, after: string | undefined]> = [
  ['set', async (cache) => await cache.set('k', 'set', { ttl: '1m' }), 'set'],
  ['delete', async (cache) => await cache.delete('k'), undefined],
  ['invalidate({ key })', async (cache) => await cache.invalidate({ key: 'k' }), undefined],
  ['invalidate(tag)', async (cache) => await cache.invalidate('news'), undefined],
  ['clear', async (cache) => await cache.clear(), undefined]
]

/** A producer that stops at a barrier, on a backend that the test controls. */
async function producing (t: Test, on: { backend: string, options: object }) {
  const chaos = new Chaos()
  const { cache } = await build(t, { ...chaos.over(on as { backend: 'memory' }), deadline: '5s', routes () {} })
  await cache.invalidate('news')
  const barrier = new Barrier()
  const produce = async (): Promise<string> => await cache.getOrSet('k', { ttl: '1m', tags: ['news'] }, async () => {
    await barrier.pass()
    return 'produced'
  })
  return { cache, chaos, barrier, produce }
}

for (const [name, act, after] of OF_DATA) {
  t.test(`data cache, ${name}: a value produced before it is not stored while it is in progress`, async (t) =>
    forEachBackend(t, async (t, on) => {
      const { cache, chaos, barrier, produce } = await producing(t, on)
      const before = produce()
      await barrier.reached()
      const change = heldUp(chaos, () => true)
      const settled = act(cache)
      await change.hasBegun()
      barrier.open()
      t.equal(await before, 'produced')
      await turns()
      change.settle()
      await settled
      t.equal(await cache.get('k'), after)
    }))

  t.test(`data cache, ${name}: a value produced meanwhile is not stored`, async (t) => forEachBackend(t, async (t, on) => {
    const { cache, chaos, barrier, produce } = await producing(t, on)
    const change = heldUp(chaos, () => true)
    // Otherwise the existing value would be returned.
    if (after !== undefined) chaos.get.return(undefined)
    const settled = act(cache)
    await change.hasBegun()
    const meanwhile = produce()
    await barrier.reached()
    change.settle()
    chaos.get.heal()
    await settled
    barrier.open()
    t.equal(await meanwhile, 'produced')
    await turns()
    t.equal(await cache.get('k'), after)
  }))
}
