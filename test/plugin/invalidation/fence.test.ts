// What was made before an invalidation is for those who asked before it: it is stored by nobody, and nobody joins its work.
import t from 'tap'
import { forEachBackend } from '../../support/app.js'
import { turns, until } from '../../support/barrier.js'
import { isAnswer, isStamp } from '../../support/chaos.js'
import { fenced, WAYS } from '../../support/fencing.js'

for (const way of WAYS) {
  t.test(`${way.name}, while the handler works`, async (t) => {
    await forEachBackend(t, async (t, on) => {
      const { barrier, version, invalidated, cache, runs } = await fenced(t, on, way)
      const before = version()
      await barrier.reached()
      await invalidated()
      const after = version()
      if (way.late !== true) t.equal(await after, '2', 'who asks after it does not join the old work')
      else await until(async () => (await cache.stats()).misses === 2)
      await turns()
      barrier.open()
      t.equal(await before, '1', 'who asked before it is given what was made')
      t.equal(await after, '2')
      t.equal(await version(), '2')
      t.equal(runs(), 2, 'the new answer is stored, the old one did not go over it')
      t.match(await cache.stats(), { stores: 1, hits: 1 })
    })
  })

  t.test(`${way.name}, while the handler works and nobody else asks`, async (t) => {
    await forEachBackend(t, async (t, on) => {
      const { barrier, version, invalidated, cache } = await fenced(t, on, way)
      const before = version()
      await barrier.reached()
      await invalidated()
      barrier.open()
      t.equal(await before, '1')
      await until(async () => (await cache.stats()).refusals.invalidated === 1)
      t.equal(await version(), '2')
      t.equal(await version(), '2')
      t.match(await cache.stats(), { stores: 1, hits: 1 })
    })
  })

  t.test(`${way.name}, after one has joined and before another does`, async (t) => {
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

  t.test(`${way.name}, while the backend is slow to say that there is nothing`, async (t) => {
    await forEachBackend(t, async (t, on) => {
      const { barrier, chaos, version, invalidated, cache } = await fenced(t, on, way, { deadline: '5s' })
      barrier.open()
      chaos.get.only(isAnswer).stall()
      const before = version()
      await chaos.get.hangs()
      chaos.get.heal()
      await invalidated()
      t.equal(await version(), '2')
      chaos.get.release()
      await before
      await until(async () => (await cache.stats()).misses >= 2)
      t.equal(await version(), '2')
    })
  })

  t.test(`${way.name}, while the backend is slow to answer with the old`, async (t) => {
    await forEachBackend(t, async (t, on) => {
      const { barrier, chaos, version, invalidated, cache } = await fenced(t, on, way, { deadline: '5s' })
      barrier.open()
      await version()
      await until(async () => (await cache.stats()).stores === 1)
      chaos.get.only(isAnswer).stall()
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

  t.test(`${way.name}, while the backend is slow to keep what was made`, async (t) => {
    await forEachBackend(t, async (t, on) => {
      const { barrier, chaos, version, invalidated } = await fenced(t, on, way, { deadline: '5s' })
      barrier.open()
      chaos.set.only(isAnswer).stall()
      t.equal(await version(), '1')
      await chaos.set.hangs()
      chaos.set.heal()
      await invalidated()
      t.equal(await version(), '2')
      chaos.set.release()
      await turns()
      t.equal(await version(), '2')
    })
  })

  t.test(`O6: ${way.name}, when what was made is kept only after its deadline`, async (t) => {
    await forEachBackend(t, async (t, on) => {
      const { barrier, chaos, version, invalidated, cache } = await fenced(t, on, way, { deadline: '20ms' })
      barrier.open()
      chaos.set.only(isAnswer).hang()
      t.equal(await version(), '1')
      await until(async () => (await cache.stats()).errors.set! >= 1)
      chaos.set.heal()
      const acknowledged = invalidated()
      await turns()
      chaos.set.release()
      await acknowledged
      t.equal(await version(), '2')
      await turns()
      t.equal(await version(), '2')
    })
  })

  t.test(`O6: ${way.name}, when what was made was kept though the backend said it was not`, async (t) => {
    await forEachBackend(t, async (t, on) => {
      const { barrier, chaos, version, invalidated } = await fenced(t, on, way)
      barrier.open()
      chaos.set.only(isAnswer).applyAndReject()
      t.equal(await version(), '1')
      await turns()
      chaos.set.heal()
      await invalidated()
      t.equal(await version(), '2')
    })
  })

  t.test(`O6: ${way.name}, when the backend refuses: it rejects, and works once the backend does`, async (t) => {
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
  t.test(`${way.name}, while the backend is slow to tell the tag's stamp`, async (t) => {
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

t.test('a URL of an answer that varies, while the backend is slow to list its variants', async (t) => {
  await forEachBackend(t, async (t, on) => {
    const way = WAYS.find(({ name }) => name.includes('varies'))!
    const { barrier, chaos, version, invalidated, cache } = await fenced(t, on, way, { deadline: '5s' })
    const before = version()
    await barrier.reached()
    chaos.get.only(isAnswer).stall()
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
