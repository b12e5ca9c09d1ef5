// A backend that fails, hangs or returns garbage costs a request the deadline at most. It never costs a response, and causes no stampede.
import t, { type Test } from 'tap'
import { build, forEachBackend, type Spec } from '../../support/app.js'
import { Barrier, turns, until } from '../../support/barrier.js'
import { Chaos, garbage, isResponse, isStamp, type ChaosMethod } from '../../support/chaos.js'
import type { RouteCacheOptions } from '../../../plugin.js'

type On = Parameters<Parameters<typeof forEachBackend>[1]>[1]

function opened (): Barrier {
  const barrier = new Barrier()
  barrier.open()
  return barrier
}

const O3_SLACK_MS = 50

function inTime (t: Test, took: readonly number[], deadlineMs: number): void {
  t.ok(Math.min(...took) <= deadlineMs + O3_SLACK_MS,
    `${took.map((ms) => ms.toFixed(0)).join(', ')} ms with a deadline of ${deadlineMs} ms`)
}

/** The route `/a/:id` on a chaos backend. */
async function setUp (
  t: Test, on: On, { route = {}, barrier = opened(), ...spec }: Partial<Spec> & { route?: RouteCacheOptions, barrier?: Barrier } = {}
) {
  const chaos = new Chaos()
  const built = await build(t, {
    deadline: '60ms',
    ...chaos.over(on as { backend: 'memory' }),
    routes: (app, { cached, ran, version }) => app.get('/a/:id', { config: { cache: { ttl: '1m', ...route } } }, async (request, reply) => {
      const seen = version()
      ran()
      if (cached) await barrier.pass()
      return await reply.header('x-version', seen).send(request.params)
    }),
    ...spec
  })
  return { ...built, get cache () { return built.cache }, chaos, barrier, stats: async () => await built.cache.stats() }
}

const WAYS: ReadonlyArray<readonly [name: string, command: (method: ChaosMethod) => void]> = [
  ['throws', (method) => method.throw()], ['rejects', (method) => method.reject()], ['hangs', (method) => method.hang()],
  ['does what it should and still rejects', (method) => method.applyAndReject()],
  ['returns garbage', (method) => method.return(Promise.resolve(42))]
]

for (const [name, command] of WAYS) {
  t.test(`a backend that ${name}: two hundred concurrent requests run one handler, and all get a response`, async (t) => {
    await forEachBackend(t, async (t, on) => {
      const { ask, barrier, chaos, runs, stats } = await setUp(t, on, { route: { tags: ['news'] }, barrier: new Barrier() })
      chaos.each(command)
      const responses = Array.from({ length: 200 }, async () => await ask('/a/1'))
      await until(async () => (await stats()).misses === 200)
      await turns()
      barrier.open()
      t.ok((await Promise.all(responses)).every(({ status }) => status === 200))
      t.equal(runs(), 1)
      t.match(await stats(), { hits: 0, coalesced: 199 })
    })
  })

  t.test(`O3: a backend that ${name}: requests wait for the deadline at most, then not at all, and are hits again later`, async (t) => {
    await forEachBackend(t, async (t, on) => {
      const { ask, chaos, clock, stats } = await setUp(t, on)
      chaos.each(command)
      const took: number[] = []
      for (let at = 0; at < 8; at++) took.push((await ask(`/a/${at}`)).tookMs)
      // The fastest of the requests that reached the backend: a busy machine makes some slower, a second deadline all of them.
      inTime(t, took.slice(0, 5), 60)
      const asked = chaos.get.calls.length
      t.ok(asked <= 8)
      for (let at = 0; at < 20; at++) await ask(`/a/${at}`)
      t.equal(chaos.get.calls.length, asked, 'it is left alone')
      chaos.each((method) => { method.heal(); method.release() })
      await turns()
      await clock.pass(1_101)
      await ask('/a/probe')
      await ask('/a/new')
      await until(async () => (await stats()).stores >= 1)
      await turns()
      t.ok((await ask('/a/new')).hit)
    })
  })
}

t.test('when the backend recovers, two hundred concurrent requests are one probe and one handler', async (t) => {
  await forEachBackend(t, async (t, on) => {
    const barrier = new Barrier()
    const { ask, chaos, clock, runs, stats } = await setUp(t, on, { barrier, deadline: '5s' })
    chaos.get.reject()
    const first = Array.from({ length: 5 }, async (_, at) => await ask(`/a/${at}`))
    await barrier.reached(5)
    chaos.get.hang()
    await clock.pass(1_101)
    const before = chaos.get.calls.length
    const responses = Array.from({ length: 200 }, async () => await ask('/a/x'))
    await until(async () => (await stats()).misses === 204)
    t.equal(chaos.get.hanging, 1, 'the probe')
    t.equal(chaos.get.calls.length, before + 1)
    chaos.get.heal()
    chaos.get.release()
    await until(async () => (await stats()).misses === 205)
    await turns()
    barrier.open()
    await Promise.all([...first, ...responses])
    t.equal(runs(), 6)
  })
})

const SLOW: ReadonlyArray<readonly [
  name: string, isStored: boolean, route: RouteCacheOptions, slow: (key: string) => boolean, hanging: (key: string) => boolean
]> = [
  ['a miss, then a tag', false, { tags: ['news'] }, isResponse, isStamp],
  ['a hit, then its tag', true, { tags: ['news'] }, isResponse, isStamp]
]

for (const [name, isStored, route, slow, hanging] of SLOW) {
  t.test(`O3: the time of slow calls together does not exceed the deadline: ${name}`, async (t) => {
    await forEachBackend(t, async (t, on) => {
      const { ask, chaos, stats } = await setUp(t, on, { deadline: '150ms', route })
      if (isStored) {
        await ask('/a/1')
        await until(async () => (await stats()).stores === 1)
      }
      await chaos.written()
      const slowly = async (act: () => unknown, key: unknown): Promise<unknown> => {
        if (hanging(String(key))) return await new Promise(() => {})
        if (slow(String(key))) await new Promise((resolve) => setTimeout(resolve, 120))
        return await act()
      }
      // Several stamps are read in one call, so that one hangs too. (The keys, as a text, begin with the first one.)
      for (const method of [chaos.get, chaos.getMany]) method.instead(slowly)
      const responses = [await ask('/a/1'), await ask('/a/1'), await ask('/a/1')]
      t.notOk(responses.some(({ hit }) => hit))
      inTime(t, responses.map(({ tookMs }) => tookMs), 150)
    })
  })
}

t.test('O3: a backend that is slow to store delays no request', async (t) => {
  await forEachBackend(t, async (t, on) => {
    const { ask, chaos } = await setUp(t, on, { deadline: '5s' })
    chaos.fills.hang()
    const { tookMs } = await ask('/a/1')
    t.ok(tookMs < 1_000)
    t.equal(chaos.fills.hanging, 1)
    chaos.fills.release()
  })
})

t.test('garbage in place of an entry is a miss, counted, and the handler responds', async (t) => {
  await forEachBackend(t, async (t, on) => {
    const { ask, chaos, clock, stats, backends } = await setUp(t, on)
    await ask('/a/1')
    await ask('/a/2')
    await until(async () => (await stats()).stores === 2)
    const inner = backends[0]!
    const [one, other] = await Promise.all((await inner.keys!()).sort().map(async (key) => await inner.get(key)))
    for (const [name, value] of garbage(one!, other!)) {
      const { damaged, errors: { get = 0 }, hits } = await stats()
      chaos.get.return(value)
      t.equal((await ask('/a/1')).status, 200, name)
      const after = await stats()
      t.equal(after.hits, hits, name)
      t.ok(after.damaged + (after.errors.get ?? 0) > damaged + get || name === 'NaN for an instant', name)
      chaos.get.heal()
      await clock.pass(1_000)
      await ask('/a/3')
    }
  })
})

t.test("garbage in place of a tag's stamp is a miss, and the handler responds", async (t) => {
  await forEachBackend(t, async (t, on) => {
    const { ask, chaos, clock, stats, backends } = await setUp(t, on, { route: { tags: ['news', 'more'] } })
    await ask('/a/1')
    await until(async () => (await stats()).stores === 1)
    t.ok((await ask('/a/1')).hit)
    await chaos.written()
    const inner = backends[0]!
    const [stamp, other] = await Promise.all((await inner.keys!()).filter(isStamp).map(async (key) => await inner.get(key)))
    for (const [name, value] of garbage(stamp!, other!)) {
      await chaos.written()
      chaos.getMany.return([value, value])
      const { status, hit } = await ask('/a/1')
      t.equal(status, 200, name)
      t.notOk(hit, name)
      chaos.getMany.heal()
      await clock.pass(1_101)
      await ask('/a/2')
    }
  })
})

t.test('ten thousand failures are a few lines in the log, and all of them are counted', async (t) => {
  const { ask, chaos, clock, cache, warnings } = await setUp(t, { backend: 'memory', options: {} }, { compare: false })
  for (const method of [chaos.get, chaos.set]) method.throw(new Error('secret-password in the driver\'s message\nand the body below it'))
  for (let at = 0; at < 200; at++) {
    await ask({ url: `/a/${at}`, via: 'inject' })
    for (let again = 0; again < 50; again++) await cache.set('k', 'v', { ttl: '1m' }).catch(() => {})
    await clock.pass(30)
  }
  const { errors } = await cache.stats()
  t.ok(errors.set! >= 10_000)
  t.ok(warnings().length <= 4, `${warnings().length} lines`)
  t.notMatch(JSON.stringify(warnings()), /the body below/)
})

t.test('a failure is logged with a real error, the readable key, the route and the id of the request', async (t) => {
  await forEachBackend(t, async (t, on) => {
    const { ask, chaos, clock, warnings } = await setUp(t, on, {
      compare: false, route: { tags: ['news'] }, fastify: { genReqId: () => 'the request' }
    })
    const refused = Object.assign(new Error('refused', { cause: new Error('no route') }), { code: 'EDOWN' })
    chaos.get.throw(refused)
    await ask('/a/1?b=2')
    const about = { route: 'GET /a/:id', key: /^GET \/a\/:id: \/a\/1\?\.\.\., http:\/\//, reqId: 'the request' }
    t.match(warnings()[0], { ...about, operation: 'get', err: { code: 'EDOWN', message: /^refused/, stack: /backend-fails\.test.*no route/s } })
    await clock.pass(11_000)
    chaos.get.hang()
    await ask('/a/1?b=2')
    t.match(warnings().at(-1), { ...about, err: { code: 'ETIMEDOUT', message: /no response before the deadline/ } })
    t.notMatch(JSON.stringify(warnings()), '"type":"Object"')
  })
})

t.test('the data cache of a backend that is down: reads and writes reject, getOrSet produces', async (t) => {
  await forEachBackend(t, async (t, on) => {
    const { cache, chaos } = await setUp(t, on)
    chaos.each((method) => method.reject())
    let runs = 0
    await t.rejects(cache.get('k'), { code: 'CACHE_ERR_BACKEND_FAILED' })
    await t.rejects(cache.has('k'), { code: 'CACHE_ERR_BACKEND_FAILED' })
    await t.rejects(cache.set('k', 1, { ttl: 1 }), { code: 'CACHE_ERR_BACKEND_FAILED' })
    await t.rejects(cache.delete('k'), { code: 'CACHE_ERR_BACKEND_FAILED' })
    await t.rejects(cache.clear(), { code: 'CACHE_ERR_BACKEND_FAILED' })
    const all = await Promise.all(Array.from({ length: 100 }, async () =>
      await cache.getOrSet('k', { ttl: 1, tags: ['news'] }, () => ++runs)))
    t.same([...new Set(all)], [1])
    t.equal((await cache.stats()).entries, on.backend === 'memory' ? 0 : (await cache.stats()).entries)
  })
})
