// A response that was made before an invalidation is served only to requests that came before it. It is not stored, and later requests
// don't join its fill.
import t from 'tap'
import { forEachBackend } from '../../support/app.js'
import { turns, until } from '../../support/barrier.js'
import { isResponse, isStamp } from '../../support/chaos.js'
import { fenced, WAYS } from '../../support/fencing.js'

for (const way of WAYS) {
  t.test(`${way.name}: invalidated while the handler runs`, async (t) => {
    await forEachBackend(t, async (t, on) => {
      const { barrier, version, invalidated, cache, runs } = await fenced(t, on, way)
      const before = version()
      await barrier.reached()
      await invalidated()
      const after = version()
      if (way.late !== true) t.equal(await after, '2', 'a request after it does not join the earlier fill')
      else await until(async () => (await cache.stats()).misses === 2)
      await turns()
      barrier.open()
      t.equal(await before, '1', 'a request before it receives what was made')
      t.equal(await after, '2')
      await until(async () => (await cache.stats()).stores === 1)
      t.equal(await version(), '2')
      t.equal(runs(), 2, 'the new response is stored, and the old one does not overwrite it')
      t.match(await cache.stats(), { stores: 1, hits: 1 })
    })
  })

  t.test(`${way.name}: invalidated while the handler runs and no other request comes`, async (t) => {
    await forEachBackend(t, async (t, on) => {
      const { barrier, version, invalidated, cache } = await fenced(t, on, way)
      const before = version()
      await barrier.reached()
      await invalidated()
      barrier.open()
      t.equal(await before, '1')
      await until(async () => (await cache.stats()).refusals.invalidated === 1)
      t.equal(await version(), '2')
      await until(async () => (await cache.stats()).stores === 1)
      t.equal(await version(), '2')
      t.match(await cache.stats(), { stores: 1, hits: 1 })
    })
  })

  t.test(`${way.name}: invalidated after one request has joined and before another does`, async (t) => {
    await forEachBackend(t, async (t, on) => {
      const { barrier, version, invalidated, cache, runs } = await fenced(t, on, way)
      const [first, second] = [version(), version()]
      await barrier.reached()
      await until(async () => (await cache.stats()).misses === 2)
      await turns()
      await invalidated()
      const third = version()
      await until(async () => (await cache.stats()).misses === 3)
      await turns()
      barrier.open()
      t.equal(await first, '1')
      t.ok(['1', '2'].includes(await second))
      t.equal(await third, '2')
      t.equal(await version(), '2')
      t.ok(runs() <= 3)
    })
  })

  t.test(`${way.name}: invalidated while the backend is slow to report that there is no entry`, async (t) => {
    await forEachBackend(t, async (t, on) => {
      const { barrier, chaos, version, invalidated, cache } = await fenced(t, on, way, { deadline: '5s' })
      barrier.open()
      chaos.get.only(isResponse).stall()
      const before = version()
      await chaos.get.hangs()
      chaos.get.heal()
      await invalidated()
      t.equal(await version(), '2')
      chaos.get.release()
      await before
      await until(async () => { const { hits, misses } = await cache.stats(); return hits + misses >= 2 })
      t.equal(await version(), '2')
    })
  })

  t.test(`${way.name}: invalidated while the backend is slow to return the old response`, async (t) => {
    await forEachBackend(t, async (t, on) => {
      const { barrier, chaos, version, invalidated } = await fenced(t, on, way, { deadline: '5s' })
      barrier.open()
      await version()
      await chaos.written()
      chaos.get.only(isResponse).stall()
      const before = version()
      await chaos.get.hangs()
      chaos.get.heal()
      await invalidated()
      t.equal(await version(), '2')
      chaos.get.release()
      t.ok(['1', '2'].includes(await before))
      t.equal(await version(), '2')
    })
  })

  t.test(`${way.name}: invalidated while the backend is slow to store the response`, async (t) => {
    await forEachBackend(t, async (t, on) => {
      const { barrier, chaos, version, invalidated } = await fenced(t, on, way, { deadline: '5s' })
      barrier.open()
      chaos.fills.only(isResponse).stall()
      t.equal(await version(), '1')
      await chaos.fills.hangs()
      chaos.fills.heal()
      await invalidated()
      t.equal(await version(), '2')
      chaos.fills.release()
      await turns()
      t.equal(await version(), '2')
    })
  })

  t.test(`O6: ${way.name}: invalidated while the backend stores the response after its deadline`, async (t) => {
    await forEachBackend(t, async (t, on) => {
      const { barrier, chaos, version, invalidated, cache } = await fenced(t, on, way, { deadline: '20ms' })
      barrier.open()
      chaos.fills.only(isResponse).hang()
      t.equal(await version(), '1')
      await until(async () => (await cache.stats()).errors[chaos.fillsBy]! >= 1)
      chaos.fills.heal()
      const acknowledged = invalidated()
      await turns()
      chaos.fills.release()
      await acknowledged
      t.equal(await version(), '2')
      await turns()
      t.equal(await version(), '2')
    })
  })

  t.test(`O6: ${way.name}: invalidated after the backend stored the response although it reported a failure`, async (t) => {
    await forEachBackend(t, async (t, on) => {
      const { barrier, chaos, version, invalidated } = await fenced(t, on, way)
      barrier.open()
      chaos.fills.only(isResponse).applyAndReject()
      t.equal(await version(), '1')
      await turns()
      chaos.fills.heal()
      await invalidated()
      t.equal(await version(), '2')
    })
  })

  t.test(`O6: ${way.name}: an invalidation that the backend refuses rejects, and succeeds once the backend works`, async (t) => {
    await forEachBackend(t, async (t, on) => {
      const { barrier, chaos, version, invalidated, cache } = await fenced(t, on, way)
      barrier.open()
      t.equal(await version(), '1')
      await until(async () => (await cache.stats()).stores === 1)
      for (const method of [chaos.set, chaos.delete, chaos.clear]) method.reject()
      await t.rejects(invalidated(), { code: 'CACHE_ERR_BACKEND_FAILED' })
      for (const method of [chaos.set, chaos.delete, chaos.clear]) method.heal()
      await invalidated()
      t.equal(await version(), '3')
    })
  })

  if (!way.name.includes('tag')) continue
  t.test(`${way.name}: invalidated while the backend is slow to return the tag's stamp`, async (t) => {
    await forEachBackend(t, async (t, on) => {
      const { barrier, chaos, version, invalidated, cache } = await fenced(t, on, way, { deadline: '5s' })
      barrier.open()
      for (const method of [chaos.get, chaos.getMany]) method.only(isStamp).stall()
      const before = version()
      await Promise.race([chaos.get.hangs(), chaos.getMany.hangs()])
      for (const method of [chaos.get, chaos.getMany]) method.heal()
      await invalidated()
      const after = version()
      await until(async () => (await cache.stats()).misses === 2)
      for (const method of [chaos.get, chaos.getMany]) method.release()
      await before
      t.equal(await after, '2')
      await turns()
      t.equal(await version(), '2')
      t.equal(await version(), '2')
    })
  })
}

t.test('a URL of a response that varies: invalidated while the backend is slow to list its variants', async (t) => {
  await forEachBackend(t, async (t, on) => {
    const way = WAYS.find(({ name }) => name.includes('varies'))!
    const { barrier, chaos, version, invalidated, cache } = await fenced(t, on, way, { deadline: '5s' })
    const before = version()
    await barrier.reached()
    chaos.get.only(isResponse).stall()
    barrier.open()
    t.equal(await before, '1')
    await chaos.get.hangs()
    chaos.get.heal()
    await invalidated()
    chaos.get.release()
    await until(async () => (await cache.stats()).refusals.invalidated === 1)
    t.equal(await version(), '2')
  })
})
