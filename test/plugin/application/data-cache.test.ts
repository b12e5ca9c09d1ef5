// The data cache: the application's own values, stored beside its responses.
import type { FastifyInstance } from 'fastify'
import t from 'tap'
import type { ResponseCache } from '../../../plugin.js'
import { build, databasePath, forEachBackend } from '../../support/app.js'
import { Barrier, turns, until } from '../../support/barrier.js'
import { failureOf } from '../../support/entries.js'

const MINUTE_MS = 60_000

/** Without a cached route, the application would have a warning. */
const routes = (app: FastifyInstance): unknown => app.get('/', { config: { cache: { ttl: '1m' } } }, async () => '')

t.test('data cache: JSON values and Buffers, by key, for a time, with tags', async (t) => forEachBackend(t, async (t, on) => {
  const { cache, clock } = await build(t, { ...on, routes })
  const values: unknown[] = [{ a: [1, null] }, 'text', '', 0, false, null, [], Buffer.from([0, 10, 255]), Buffer.alloc(0)]
  for (const [at, value] of values.entries()) {
    await cache.set(`k${at}`, value, { ttl: '1m', tags: ['all', `t${at}`] })
    t.same(await cache.get(`k${at}`), value)
    t.ok(await cache.has(`k${at}`))
  }
  const bytes = await cache.get<Buffer>('k7') as Buffer
  bytes.fill(1)
  t.same(await cache.get('k7'), Buffer.from([0, 10, 255]), 'a returned Buffer may be changed')
  await cache.delete('k0')
  t.equal(await cache.get('k0'), undefined)
  await cache.invalidate('t1')
  t.notOk(await cache.has('k1'))
  t.ok(await cache.has('k2'))
  await cache.invalidate({ tags: ['t2', 't3'] })
  t.same([await cache.has('k2'), await cache.has('k3'), await cache.has('k4')], [false, false, true])
  await cache.invalidate({ key: 'k4' })
  t.notOk(await cache.has('k4'))
  await clock.pass(MINUTE_MS)
  t.notOk(await cache.has('k5'))
  for (const key of ['__proto__', 'constructor', '../x', 'é', '\ud800', 'x'.repeat(1e5)]) {
    await cache.set(key, key.length, { ttl: 5 })
    t.equal(await cache.get(key), key.length)
  }
}))

t.test("getOrSet: a call that waits for another call's producer receives a value of its own, as on a hit", async (t) =>
  forEachBackend(t, async (t, on) => {
    const { cache } = await build(t, { ...on, routes })
    for (const [key, made] of [['json', { viewer: '' }], ['bytes', Buffer.from('-----')]] as const) {
      const barrier = new Barrier()
      const ask = async (viewer: string): Promise<unknown> => {
        const value = await cache.getOrSet<typeof made>(key, { ttl: '1m' }, async () => {
          await barrier.pass()
          return made
        })
        // Each caller changes its value, and sends it later.
        if (Buffer.isBuffer(value)) value.write(viewer)
        else (value as { viewer: string }).viewer = viewer
        await turns()
        return value
      }
      const asking = [ask('alice'), ask('bobby')]
      await barrier.reached()
      await turns()
      barrier.open()
      const [alice, bobby] = await Promise.all(asking)
      t.not(alice, bobby)
      t.same([alice, bobby], key === 'json' ? [{ viewer: 'alice' }, { viewer: 'bobby' }] : [Buffer.from('alice'), Buffer.from('bobby')])
    }
  }))

t.test('data cache: wrong arguments are refused by name, and nothing is stored', async (t) => forEachBackend(t, async (t, on) => {
  const { cache } = await build(t, { ...on, routes })
  const circle: unknown[] = []
  circle.push(circle)
  for (const value of [undefined, () => {}, Symbol('s'), 1n, circle]) {
    t.match(await failureOf(async () => await cache.set('k', value, { ttl: 5 })), {
      code: 'CACHE_ERR_OPTION', message: /cache\.set\(key, value\)' must be a JSON value or a Buffer/
    })
  }
  for (const key of ['', 5, null, undefined, {}]) {
    t.match(await failureOf(async () => await cache.get(key as string)), {
      code: 'CACHE_ERR_OPTION', message: /cache key' must be a non-empty string/
    })
  }
  for (const options of [undefined, {}, { ttl: 0 }, { ttl: '5' }, { ttl: 5, tag: 'x' }, { ttl: 5, tags: 'x' }]) {
    t.match(await failureOf(async () => await cache.set('k', 1, options as never)), { code: 'CACHE_ERR_OPTION', message: /cache\.set/ })
  }
  t.match(await failureOf(async () => await cache.getOrSet('k', { ttl: 5 }, 5 as never)), { code: 'CACHE_ERR_OPTION', message: /getOrSet/ })
  for (const target of [
    '', 5, null, {}, { tag: 'x' }, { tags: 'x' }, { tags: [''] }, { url: 'x' }, { url: '/#x' }, { url: 5 }, { route: '/nowhere' },
    { key: '' }, { tags: ['a'], url: '/' }
  ]) {
    t.match(await failureOf(async () => await cache.invalidate(target as never)), { code: 'CACHE_ERR_OPTION', message: /invalidate\(/ },
      JSON.stringify(target))
  }
  t.equal(await cache.get('k'), undefined)
}))

t.test('getOrSet: one producer runs at a time; its failure rejects all waiting calls and is not stored', async (t) =>
  forEachBackend(t, async (t, on) => {
    const app = await build(t, { ...on, routes })
    const { cache } = app
    const barrier = new Barrier()
    let runs = 0
    const ask = async (): Promise<number> => await cache.getOrSet('k', { ttl: 5, tags: ['t'] }, async ({ signal }) => {
      t.notOk(signal.aborted)
      await barrier.pass()
      return ++runs
    })
    const asked = Array.from({ length: 50 }, ask)
    await barrier.reached()
    barrier.open()
    t.same(new Set(await Promise.all(asked)), new Set([1]))
    t.equal(await ask(), 1)
    await cache.invalidate('t')
    t.equal(await ask(), 2)
    const failing = async (): Promise<unknown> =>
      await cache.getOrSet('bad', { ttl: 5 }, async () => { throw new Error(`failed ${++runs}`) })
    t.match(await Promise.all([failureOf(failing), failureOf(failing)]), [{ message: 'failed 3' }, { message: 'failed 3' }])
    t.match(await failureOf(failing), { message: 'failed 4' })
    t.equal(await cache.getOrSet('none', { ttl: 5 }, () => undefined), undefined)
    t.notOk(await cache.has('none'))
    t.equal(await cache.getOrSet('big', { ttl: 5 }, () => 5n), 5n, 'a value that has no JSON is returned')
    t.notOk(await cache.has('big'))
    t.match(app.warnings(), [{ reason: 'value', route: 'cache.getOrSet' }])
  }))

t.test('getOrSet: a stale value is returned while one producer makes a new one in the background', async (t) =>
  forEachBackend(t, async (t, on) => {
    const { cache, clock } = await build(t, { ...on, routes })
    let runs = 0
    let barrier = new Barrier()
    barrier.open()
    const ask = async (): Promise<number> =>
      await cache.getOrSet('k', { ttl: '1m', staleWhileRevalidate: '1m', tags: ['t'] }, async () => { await barrier.pass(); return ++runs })
    t.equal(await ask(), 1)
    await clock.pass(MINUTE_MS)
    t.equal(await cache.get('k'), undefined, 'a stale value is returned only to calls with a producer')
    t.notOk(await cache.has('k'))
    barrier = new Barrier()
    t.same(await Promise.all([ask(), ask(), ask()]), [1, 1, 1])
    await barrier.reached()
    barrier.open()
    await until(async () => await cache.get('k') === 2)
    t.equal(await ask(), 2)
    await cache.invalidate({ tags: ['t'], soft: true })
    t.equal(await cache.get('k'), undefined, 'a softly invalidated value is stale')
    t.equal(await ask(), 2)
    await until(async () => await cache.get('k') === 3)
    await cache.invalidate('t')
    t.equal(await ask(), 4, 'an invalidated value is gone')
    await clock.pass(2 * MINUTE_MS)
    t.equal(await ask(), 5, 'so is a value that is too old')
  }))

t.test('getOrSet: a softly invalidated value is returned for as long as an expired one would be', async (t) =>
  forEachBackend(t, async (t, on) => {
    const app = await build(t, { ...on, routes })
    const options = { ttl: '1h', staleWhileRevalidate: '10s', staleIfError: '20s', tags: ['t'] } as const
    const fails = async (): Promise<unknown> => await app.cache.getOrSet('k', options, () => { throw new Error('broken') })
    t.equal(await app.cache.getOrSet('k', options, () => 'old'), 'old')
    await app.cache.invalidate({ tags: ['t'], soft: true })
    t.equal(await fails(), 'old')
    await app.clock.pass(10_000)
    t.equal(await fails(), 'old')
    await app.clock.pass(10_000)
    await t.rejects(fails(), { message: 'broken' })
    t.ok(app.warnings().length > 0)
  }))

t.test('getOrSet: a value that is softly invalidated every minute is not returned forever', async (t) =>
  forEachBackend(t, async (t, on) => {
    const { cache, clock } = await build(t, { ...on, routes })
    const options = { ttl: '1h', staleWhileRevalidate: '3m', tags: ['t'] } as const
    const fails = async (): Promise<unknown> => await cache.getOrSet('k', options, () => { throw new Error('broken') })
    t.equal(await cache.getOrSet('k', options, () => 'old'), 'old')
    for (let minute = 0; minute < 3; minute++) {
      await clock.pass(MINUTE_MS)
      await cache.invalidate({ tags: ['t'], soft: true })
      t.equal(await fails(), 'old')
    }
    await clock.pass(MINUTE_MS)
    await cache.invalidate({ tags: ['t'], soft: true })
    await t.rejects(fails(), { message: 'broken' })
  }))

t.test('getOrSet: after a producer failed in the background, it is not called again for a while', async (t) =>
  forEachBackend(t, async (t, on) => {
    const app = await build(t, { ...on, routes })
    const { cache, clock } = app
    let runs = 0
    const ask = async (): Promise<number> =>
      await cache.getOrSet('k', { ttl: '1m', staleWhileRevalidate: '1h' }, () => { if (++runs > 1) throw new Error('broken'); return runs })
    t.equal(await ask(), 1)
    await clock.pass(MINUTE_MS)
    t.equal(await ask(), 1)
    await until(async () => app.warnings().length === 1)
    t.equal(await ask(), 1)
    await turns()
    t.equal(runs, 2, 'not again at once')
    await clock.pass(1_000)
    t.equal(await ask(), 1)
    await until(async () => runs === 3)
    t.match(app.warnings()[0], { msg: /a producer failed/ })
  }))

t.test('getOrSet: the pause after failures ends with the next value, whether it was produced or set', async (t) => {
  const options = { path: databasePath(t) }
  const { cache, clock } = await build(t, { backend: 'sqlite', options, routes })
  // A value that was set can't become stale: another process makes it anew.
  const other = await build(t, { backend: 'sqlite', options, clock, routes })
  const kept = { ttl: '1s', staleWhileRevalidate: '1h' } as const
  const ways: ReadonlyArray<readonly [way: string, make: () => Promise<unknown>, by: ResponseCache]> = [
    ['nothing in this process', async () => {}, other.cache],
    ['set', async () => await cache.set('k', 'set', { ttl: '1s' }), other.cache],
    ['produced', async () => {}, cache]
  ]
  for (const [way, make, by] of ways) {
    let failures = 0
    const fails = async (passMs: number): Promise<void> => {
      await clock.pass(passMs)
      await cache.getOrSet('k', kept, () => { failures++; throw new Error('broken') })
      await turns()
    }
    await cache.getOrSet('k', kept, () => 'first')
    for (const passMs of [1_000, 1_000, 2_000]) await fails(passMs)
    await make()
    await by.delete('k')
    await by.getOrSet('k', kept, () => 'made')
    await until(async () => await cache.get('k') === 'made')
    await fails(1_000)
    t.equal(failures, way.startsWith('nothing') ? 3 : 4, way)
    await cache.delete('k')
  }
})

t.test('getOrSet: with staleIfError a stale value is returned if the producer fails, unless it was invalidated meanwhile', async (t) =>
  forEachBackend(t, async (t, on) => {
    const app = await build(t, { ...on, routes })
    const { cache, clock } = app
    const options = { ttl: '1m', staleIfError: '1m', tags: ['t'] } as const
    const fails = async (before: () => Promise<void> = async () => {}): Promise<unknown> =>
      await cache.getOrSet('k', options, async () => { await before(); throw new Error('broken') })
    t.equal(await cache.getOrSet('k', options, () => 'old'), 'old')
    await clock.pass(MINUTE_MS)
    t.equal(await fails(), 'old')
    t.match(app.warnings(), [{ msg: /a producer failed/ }])
    await t.rejects(fails(async () => { await cache.invalidate('t') }), { message: 'broken' })
    t.equal(await cache.getOrSet('k', options, () => 'new'), 'new')
    await clock.pass(2 * MINUTE_MS)
    await t.rejects(fails(), { message: 'broken' }, 'too old')
    for (const window of [-1, '5 m', NaN, {}]) {
      await t.rejects(cache.getOrSet('k', { ttl: 1, staleIfError: window as never }, () => 1), {
        code: 'CACHE_ERR_OPTION', message: /getOrSet\.staleIfError/
      })
    }
  }))

t.test(
  'getOrSet: at most a hundred producers run in the background; further stale values are returned, and made anew at their next call',
  async (t) => forEachBackend(t, async (t, on) => {
    const { cache, clock } = await build(t, { ...on, routes })
    const barrier = new Barrier()
    const keys = Array.from({ length: 102 }, (_, at) => `k${at}`)
    const ask = async (key: string): Promise<string> =>
      await cache.getOrSet(key, { ttl: '1m', staleWhileRevalidate: '1h' }, async () => { await barrier.pass(); return 'new' })
    for (const key of keys) await cache.getOrSet(key, { ttl: '1m', staleWhileRevalidate: '1h' }, () => 'old')
    await clock.pass(MINUTE_MS)
    for (const key of [...keys, ...keys]) t.equal(await ask(key), 'old')
    await barrier.reached(100)
    await turns()
    t.equal(barrier.arrived, 100)
    barrier.open()
    await until(async () => (await Promise.all(keys.map(async (key) => await ask(key)))).every((value) => value === 'new'))
  }))

t.test('getOrSet: of two producers, the one that began later wins, whichever ends first', async (t) => {
  for (const order of [[0, 1], [1, 0]]) {
    const { cache } = await build(t, { lockTimeout: '1ms', routes })
    const barriers = [new Barrier(), new Barrier()] as const
    const making = barriers.map(async (barrier, at) =>
      await cache.getOrSet('k', { ttl: '1m' }, async () => { await barrier.pass(); return at }))
    for (const barrier of barriers) await barrier.reached()
    for (const at of order) await (barriers[at]!.open(), making[at])
    t.equal(await cache.get('k'), 1, order.join())
  }
})
