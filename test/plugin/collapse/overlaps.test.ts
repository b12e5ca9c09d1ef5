// Overlapping fills of one key, and overlapping producers of the data cache: the one that began last wins.
import t from 'tap'
import { build, forEachBackend, type Spec } from '../../support/app.js'
import { Barrier, turns, until } from '../../support/barrier.js'
import { Chaos, isStamp } from '../../support/chaos.js'
import type { ResponseCache, RouteCacheOptions } from '../../../plugin.js'
import type { Test } from 'tap'

type On = Parameters<Parameters<typeof forEachBackend>[1]>[1]

/** Two concurrent handlers for one key, with a barrier for each. */
async function overlapping (t: Test, on: On, cacheOptions: RouteCacheOptions, headers: Record<string, string> = {}) {
  const chaos = new Chaos()
  const barriers = [new Barrier(), new Barrier()]
  const built = await build(t, {
    deadline: '5s',
    compare: false,
    ...chaos.over(on as { backend: 'memory' }),
    routes: (app, { cached, ran }) =>
      app.get('/a', { config: { cache: { ttl: '1m', lock: false, ...cacheOptions } } }, async (_request, reply) => {
        const run = ran()
        if (cached) await barriers[run - 1]?.pass()
        return await reply.headers(headers).send({ run })
      })
  })
  const ask = async () => (await built.ask('/a')).json().run as number
  const [older, newer] = barriers as [Barrier, Barrier]
  const first = ask()
  await older.reached()
  const second = ask()
  await newer.reached()
  return { ...built, chaos, older, newer, first, second, ask }
}

const KINDS: ReadonlyArray<readonly [name: string, options: RouteCacheOptions, headers?: Record<string, string>]> = [
  ['plain responses', {}], ['responses with tags', { tags: ['news'] }], ['responses with tags from a function', { tags: () => ['news'] }],
  ['responses that vary', {}, { vary: 'accept' }]
]

for (const [name, options, headers] of KINDS) {
  t.test(`${name}: the fill that began last is stored if the older one ends last`, async (t) => {
    await forEachBackend(t, async (t, on) => {
      const { older, newer, first, second, ask, cache } = await overlapping(t, on, options, headers)
      newer.open()
      t.equal(await second, 2)
      await until(async () => (await cache.stats()).stores === 1)
      older.open()
      t.equal(await first, 1)
      await until(async () => (await cache.stats()).refusals.superseded === 1)
      t.equal(await ask(), 2)
    })
  })

  t.test(`${name}: the fill that began last is stored if the older one ends first`, async (t) => {
    await forEachBackend(t, async (t, on) => {
      const { older, newer, first, second, ask, cache } = await overlapping(t, on, options, headers)
      older.open()
      t.equal(await first, 1)
      await until(async () => (await cache.stats()).stores === 1)
      newer.open()
      t.equal(await second, 2)
      await until(async () => (await cache.stats()).stores === 2)
      t.equal(await ask(), 2)
    })
  })
}

t.test('an older fill that waits for its tags does not overwrite a newer one', async (t) => {
  await forEachBackend(t, async (t, on) => {
    const { older, newer, first, second, ask, cache, chaos } = await overlapping(t, on, { tags: () => ['news'] })
    for (const method of [chaos.get, chaos.getMany]) method.only(isStamp).stall()
    older.open()
    await first
    await Promise.race([chaos.get.hangs(), chaos.getMany.hangs()])
    for (const method of [chaos.get, chaos.getMany]) method.heal()
    newer.open()
    await second
    await until(async () => (await cache.stats()).stores === 1)
    for (const method of [chaos.get, chaos.getMany]) method.release()
    await until(async () => (await cache.stats()).refusals.superseded === 1)
    t.equal(await ask(), 2)
  })
})

t.test('an older fill that waits for the list of variants does not overwrite a newer one', async (t) => {
  await forEachBackend(t, async (t, on) => {
    const { older, newer, first, second, ask, cache, chaos } = await overlapping(t, on, {}, { vary: 'accept' })
    chaos.get.stall()
    older.open()
    await first
    await chaos.get.hangs()
    chaos.get.heal()
    newer.open()
    await second
    await until(async () => (await cache.stats()).stores === 1)
    chaos.get.release()
    await until(async () => (await cache.stats()).refusals.superseded === 1)
    t.equal(await ask(), 2)
  })
})

t.test('the first responses with a tag are all found again when they are made concurrently on a backend that returns later', async (t) => {
  await forEachBackend(t, async (t, on) => {
    const chaos = new Chaos()
    chaos.each((method) => method.later())
    const { ask, cache } = await build(t, {
      deadline: '5s',
      ...chaos.over(on as { backend: 'memory' }),
      routes: (app) => app.get('/a/:id', { config: { cache: { ttl: '1m', tags: ['news', 'more'] } } }, async (request) => request.params)
    })
    const all = Array.from({ length: 50 }, (_, at) => `/a/${at}`)
    await Promise.all(all.map(async (url) => await ask(url)))
    await until(async () => (await cache.stats()).stores === 50)
    await turns()
    for (const url of all) t.ok((await ask(url)).hit)
    await cache.invalidate('news')
    t.notOk((await ask('/a/1')).hit)
  })
})

/** An application with the data cache only. */
async function dataCache (t: Test, on: On, spec: Partial<Spec> = {}) {
  const chaos = new Chaos()
  const { cache } = await build(t, { deadline: '5s', ...spec, ...chaos.over(on as { backend: 'memory' }), routes: () => {} })
  return { cache, chaos }
}

const undo: ReadonlyArray<readonly [name: string, act: (cache: ResponseCache) => Promise<void>, left: string | undefined]> = [
  ['delete', async (cache) => await cache.delete('k'), undefined],
  ['set', async (cache) => await cache.set('k', 'set', { ttl: '1m' }), 'set'],
  ['invalidate by key', async (cache) => await cache.invalidate({ key: 'k' }), undefined],
  ['invalidate by tag', async (cache) => await cache.invalidate('news'), undefined],
  ['clear', async (cache) => await cache.clear(), undefined]
]

for (const [name, act, left] of undo) {
  t.test(`getOrSet: a value is not stored after ${name} while the producer ran`, async (t) => {
    await forEachBackend(t, async (t, on) => {
      const { cache } = await dataCache(t, on)
      const barrier = new Barrier()
      const options = { ttl: '1m', tags: ['news'] } as const
      const old = cache.getOrSet('k', options, async () => { await barrier.pass(); return 'old' })
      await barrier.reached()
      await act(cache)
      t.equal(await cache.getOrSet('k', options, () => 'new'), left ?? 'new')
      barrier.open()
      t.equal(await old, 'old', 'a call before it receives the value')
      await turns()
      t.equal(await cache.get('k'), left ?? 'new')
    })
  })

  t.test(`getOrSet: a value is not stored after ${name} while the producer ran and no other call came`, async (t) => {
    await forEachBackend(t, async (t, on) => {
      const { cache } = await dataCache(t, on)
      const barrier = new Barrier()
      const old = cache.getOrSet('k', { ttl: '1m', tags: ['news'] }, async () => { await barrier.pass(); return 'old' })
      await barrier.reached()
      await act(cache)
      barrier.open()
      await old
      await turns()
      t.equal(await cache.get('k'), left)
    })
  })

  t.test(`O6: getOrSet: a value that is stored only after its deadline is not found after ${name}`, async (t) => {
    await forEachBackend(t, async (t, on) => {
      const { cache, chaos } = await dataCache(t, on, { deadline: '100ms' })
      chaos.fills.only((key) => !isStamp(key)).hang()
      t.equal(await cache.getOrSet('k', { ttl: '1m', tags: ['news'] }, () => 'old'), 'old')
      await until(async () => (await cache.stats()).errors[chaos.fillsBy] === 1)
      chaos.fills.heal()
      const acknowledged = act(cache)
      await turns()
      chaos.fills.release()
      await acknowledged
      t.equal(await cache.get('k'), left)
      await turns()
      t.equal(await cache.get('k'), left)
    })
  })
}

t.test('getOrSet runs one producer for two hundred concurrent calls', async (t) => {
  await forEachBackend(t, async (t, on) => {
    const { cache } = await dataCache(t, on)
    const barrier = new Barrier()
    let runs = 0
    const all = Array.from({ length: 200 }, async () =>
      await cache.getOrSet('k', { ttl: '1m' }, async () => { await barrier.pass(); return ++runs }))
    await barrier.reached()
    await turns()
    barrier.open()
    t.same([...new Set(await Promise.all(all))], [1])
  })
})

t.test('a producer that fails rejects the waiting calls, and no later one', async (t) => {
  await forEachBackend(t, async (t, on) => {
    const { cache } = await dataCache(t, on)
    const barrier = new Barrier()
    const all = Array.from({ length: 5 }, async () =>
      await cache.getOrSet('k', { ttl: '1m' }, async () => { await barrier.pass(); throw new Error('broken') }))
    await barrier.reached()
    await turns()
    barrier.open()
    for (const one of all) await t.rejects(one, { message: 'broken' })
    t.equal(await cache.getOrSet('k', { ttl: '1m' }, () => 'good'), 'good')
  })
})

t.test('a producer that requests its own value gets one', async (t) => {
  const { cache } = await dataCache(t, { backend: 'memory', options: {} }, { lockTimeout: '30ms' })
  t.equal(
    await cache.getOrSet('k', { ttl: '1m' }, async () => `outer ${await cache.getOrSet('k', { ttl: '1m' }, () => 'inner')}`), 'outer inner')
})

for (const [name, order] of [['last', [1, 0]], ['first', [0, 1]]] as const) {
  t.test(`of two producers of a value after a lockTimeout, the one that began last is kept; the older one ends ${name}`,
    async (t) => {
      await forEachBackend(t, async (t, on) => {
        const { cache } = await dataCache(t, on, { lockTimeout: '30ms' })
        const barriers = [new Barrier(), new Barrier()]
        const asked = barriers.map(async (barrier, run) =>
          await cache.getOrSet('k', { ttl: '1m', tags: ['news'] }, async () => { await barrier.pass(); return run }))
        for (const barrier of barriers) await barrier.reached()
        for (const run of order) {
          barriers[run]!.open()
          t.equal(await asked[run], run)
          await turns()
        }
        await until(async () => await cache.get('k') === 1)
      })
    })
}
