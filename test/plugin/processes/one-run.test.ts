// Several processes on one store: a cold key is filled once, and a stale entry refreshed once, whichever process is asked.
import t from 'tap'
import { until } from '../../support/barrier.js'
import { onEachStore, several, settled, type ProcessProbe } from '../../support/several.js'
import type { FastifyInstance } from 'fastify'

const many = <T>(count: number, make: (at: number) => T): T[] => Array.from({ length: count }, (_, at) => make(at))

const slowRoute = (cache: object) => (app: FastifyInstance, { barrier, ran, data }: ProcessProbe): unknown =>
  app.get('/', { config: { cache } }, async () => {
    ran()
    const seen = data()
    await barrier.pass()
    return seen
  })

t.test('two hundred requests for a cold key in four processes run the handler once', async (t) => {
  await onEachStore(t, async (t, store) => {
    const { processes, barriers, runs } = await several(t, store, { count: 4, routes: slowRoute({ ttl: '1m' }) })
    const responses = many(200, (at) => processes[at % 4]!.ask())
    await until(() => runs() > 0)
    await settled()
    for (const barrier of barriers) barrier.open()
    const all = await Promise.all(responses)
    t.equal(runs(), 1)
    t.ok(all.every(({ text }) => text === 'old'))
    t.equal(all.filter(({ cacheStatus }) => /collapsed|hit/.test(cacheStatus)).length, 199)
  })
})

t.test('a stale entry is refreshed once by four processes', async (t) => {
  await onEachStore(t, async (t, store) => {
    const { processes, barriers, clock, runs, change } = await several(t, store, {
      count: 4, routes: slowRoute({ ttl: '1s', staleWhileRevalidate: '1m' })
    })
    barriers[0]!.letGo(0)
    const first = processes[0]!.ask()
    await barriers[0]!.reached()
    barriers[0]!.letGo()
    await first
    await until(async () => (await processes[0]!.cache.stats()).stores === 1)
    await clock.pass(2_000)
    change('new')
    const stale = await Promise.all(many(40, async (at) => (await processes[at % 4]!.ask()).text))
    t.ok(stale.every((text) => text === 'old'))
    await until(() => runs() === 2)
    await settled()
    t.equal(runs(), 2)
    for (const barrier of barriers) barrier.open()
    await until(async () => (await Promise.all(processes.map(async ({ ask }) => (await ask()).text))).every((text) => text === 'new'))
    t.equal(runs(), 2)
  })
})

t.test('variants: three languages in four processes are three runs, cold and stale', async (t) => {
  await onEachStore(t, async (t, store) => {
    const { processes, barriers, clock, runs } = await several(t, store, {
      count: 4,
      routes (app, { barrier, ran }) {
        app.get('/', { config: { cache: { ttl: '1s', staleWhileRevalidate: '1m' } } }, async (request, reply) => {
          ran()
          await barrier.pass()
          return await reply.header('vary', 'accept-language').send(request.headers['accept-language'])
        })
      }
    })
    for (const barrier of barriers) barrier.open()
    const ask = async (at: number, language: string): Promise<string> =>
      (await processes[at % 4]!.ask({ headers: { 'accept-language': language } })).text
    t.equal(await ask(0, 'de'), 'de')
    await settled()
    const cold = await Promise.all(many(60, async (at) => await ask(at, ['de', 'en', 'fr'][at % 3]!)))
    t.same(cold, many(60, (at) => ['de', 'en', 'fr'][at % 3]))
    t.equal(runs(), 3)
    await settled()
    await clock.pass(2_000)
    t.same(await Promise.all(many(60, async (at) => await ask(at, ['de', 'en', 'fr'][at % 3]!))), cold)
    await until(() => runs() === 6)
    await settled()
    await Promise.all(many(60, async (at) => await ask(at, ['de', 'en', 'fr'][at % 3]!)))
    t.equal(runs(), 6)
  })
})

t.test('getOrSet: one producer runs for a cold and for a stale value in four processes', async (t) => {
  await onEachStore(t, async (t, store) => {
    const { processes, clock } = await several(t, store, { count: 4, routes () {} })
    let runs = 0
    const kept = { ttl: '1s', staleWhileRevalidate: '1m' } as const
    const ask = async (at: number): Promise<number> =>
      await processes[at % 4]!.cache.getOrSet('k', kept, async () => {
        const run = ++runs
        await settled()
        return run
      })
    t.same(await Promise.all(many(40, ask)), many(40, () => 1))
    await settled()
    await clock.pass(2_000)
    t.same(await Promise.all(many(40, ask)), many(40, () => 1))
    await until(async () => await ask(3) === 2)
    t.equal(runs, 2)
  })
})

t.test('what is not shareable serialises nobody, in no process', async (t) => {
  await onEachStore(t, async (t, store) => {
    const { processes, barriers, runs } = await several(t, store, {
      count: 3,
      routes (app, { barrier, ran }) {
        app.get('/', { config: { cache: { ttl: '1m' } } }, async (_request, reply) => {
          ran()
          await barrier.pass()
          return await reply.header('cache-control', 'private').send('mine')
        })
      }
    })
    const responses = many(9, async (at) => await processes[at % 3]!.ask())
    await until(() => runs() === 1)
    await settled()
    for (const barrier of barriers) barrier.letGo()
    // The other two requests of the first process, and the first ones of the other processes, which don't wait for each other.
    await until(() => runs() === 5)
    for (const barrier of barriers) barrier.letGo(3)
    await until(() => runs() === 9)
    for (const barrier of barriers) barrier.open()
    await Promise.all(responses)
    // From now on, nobody waits at all, although all of them come at once.
    const again = many(9, async (at) => await processes[at % 3]!.ask())
    await Promise.all(again)
    t.equal(runs(), 18)
  })
})
