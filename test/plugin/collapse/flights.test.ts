// Single flight: of many concurrent requests one runs the handler, and the others wait. What the others receive if they can't share its
// response.
import t, { type Test } from 'tap'
import { build, forEachBackend, type Spec } from '../../support/app.js'
import { Barrier, turns, until } from '../../support/barrier.js'

type On = Parameters<Parameters<typeof forEachBackend>[1]>[1]

/** An application that counts its requests as `asked`. */
async function setUp (t: Test, on: On, spec: Partial<Spec> & Pick<Spec, 'routes'>) {
  const built = await build(t, {
    ...on, before: (app, probe) => { app.addHook('preHandler', async () => { probe.ran('asked') }) }, ...spec
  })
  /** Resolves once this many requests have come, and those that collapse are waiting. */
  const asked = async (count: number): Promise<void> => {
    await until(() => built.runs('asked') === count)
    await turns()
  }
  const stats = async () => await built.cache.stats()
  return { ...built, asked, stats }
}

const many = <T>(count: number, make: (at: number) => T): T[] => Array.from({ length: count }, (_, at) => make(at))

t.test('two hundred concurrent requests for one key share the response of one handler', async (t) => {
  await forEachBackend(t, async (t, on) => {
    const barrier = new Barrier()
    const { ask, asked, runs, stats } = await setUp(t, on, {
      routes: (app, { cached, ran }) => app.get('/a', { config: { cache: { ttl: '1m' } } }, async () => {
        ran()
        if (cached) await barrier.pass()
        return { answer: 42 }
      })
    })
    const responses = many(200, async () => await ask('/a'))
    await asked(200)
    barrier.open()
    const all = await Promise.all(responses)
    t.equal(runs(), 1)
    t.equal(all.filter(({ cacheStatus }) => cacheStatus.includes('collapsed')).length, 199)
    t.match(await stats(), { misses: 200, coalesced: 199, stores: 1 })
  })
})

t.test("different keys don't wait for one another", async (t) => {
  await forEachBackend(t, async (t, on) => {
    const barrier = new Barrier()
    const { ask, runs } = await setUp(t, on, {
      routes: (app, { cached, ran }) => app.get('/a/:id', { config: { cache: { ttl: '1m' } } }, async (request) => {
        ran()
        if (cached) await barrier.pass()
        return request.params
      })
    })
    const responses = many(200, async (at) => await ask(`/a/${at}`))
    await barrier.reached(200)
    barrier.open()
    await Promise.all(responses)
    t.equal(runs(), 200)
  })
})

t.test('a route without a lock runs every handler', async (t) => {
  const barrier = new Barrier()
  const { ask } = await setUp(t, { backend: 'memory', options: {} }, {
    routes: (app, { cached }) => app.get('/a', { config: { cache: { ttl: '1m', lock: false } } }, async () => {
      if (cached) await barrier.pass()
      return 'a'
    })
  })
  const responses = many(20, async () => await ask('/a'))
  await barrier.reached(20)
  barrier.open()
  await Promise.all(responses)
})

t.test('if the response must not be shared, a hundred waiting requests run their handlers concurrently, and the key is remembered',
  async (t) => {
    const kinds: ReadonlyArray<readonly [why: string, headers: Record<string, string>]> = [
      ['private', { 'cache-control': 'private' }], ['set-cookie', { 'set-cookie': 'a=1' }], ['vary', { vary: '*' }]
    ]
    for (const [why, headers] of kinds) {
      await t.test(why, async (t) => await forEachBackend(t, async (t, on) => {
        const [first, others] = [new Barrier(), new Barrier()]
        const { ask, asked, clock, stats } = await setUp(t, on, {
          routes: (app, { cached, ran }) => app.get('/a', { config: { cache: { ttl: '1m' } } }, async (_request, reply) => {
            const isFirst = ran() === 1
            if (cached) await (isFirst ? first : others).pass()
            return await reply.headers(headers).send('a')
          })
        })
        const responses = many(101, async () => await ask('/a'))
        await asked(101)
        t.equal(others.arrived, 0, 'they wait')
        first.open()
        await others.reached(100)
        const next = many(2, async () => await ask('/a'))
        await others.reached(102)
        others.open()
        await Promise.all([...responses, ...next])
        t.match(await stats(), { refusals: { [why]: 103 }, coalesced: 0, stores: 0 })

        await clock.pass(10_001)
        const again = many(10, async () => await ask('/a'))
        await Promise.all(again)
        t.equal((await stats()).refusals[why as 'vary'], 113)
      }))
    }
  })

t.test('requests that wait, but need another variant than the one that was made, share another run of the handler', async (t) => {
  await forEachBackend(t, async (t, on) => {
    const [first, others] = [new Barrier(), new Barrier()]
    const { ask, asked, runs } = await setUp(t, on, {
      routes: (app, { cached, ran }) => app.get('/a', { config: { cache: { ttl: '1m' } } }, async (request, reply) => {
        const isFirst = ran() === 1
        if (cached) await (isFirst ? first : others).pass()
        return await reply.header('vary', 'accept-language').send(request.headers['accept-language'])
      })
    })
    const inLanguage = async (language: string) => await ask({ url: '/a', headers: { 'accept-language': language } })
    const leader = inLanguage('de')
    await first.reached()
    const responses = many(20, async (at) => await inLanguage(at % 2 === 0 ? 'de' : 'fr'))
    await asked(21)
    first.open()
    await others.reached()
    others.open()
    await Promise.all([leader, ...responses])
    t.equal(runs(), 2)
    t.ok((await inLanguage('fr')).hit)
    t.ok((await inLanguage('de')).hit)
  })
})

t.test('different users never share one run of a handler', async (t) => {
  await forEachBackend(t, async (t, on) => {
    const barrier = new Barrier()
    const { ask, asked, canary, runs } = await setUp(t, on, {
      routes: (app, { cached, ran }) => {
        const handler = async (request: { headers: Record<string, unknown> }) => {
          ran()
          if (cached) await barrier.pass()
          return { secret: String(request.headers.authorization ?? request.headers['x-user']) }
        }
        app.get('/plain', { config: { cache: { ttl: '1m' } } }, handler)
        app.get('/by', { config: { cache: { ttl: '1m', key: { by: (request) => String(request.headers['x-user']) } } } }, handler)
      }
    })
    const [alice, bob] = ['alice', 'bob'].map((name) => canary(name, { mayBeStored: true })) as [string, string]
    const plain = [alice, bob, alice, bob].map(async (user) => await ask({ url: '/plain', headers: { authorization: user } }))
    await barrier.reached(4)
    const keyed = [alice, bob, alice, bob].map(async (user) => await ask({ url: '/by', headers: { 'x-user': user } }))
    await asked(8)
    t.equal(barrier.arrived, 6, 'one for each user, if the key names the user')
    barrier.open()
    const responses = await Promise.all([...plain, ...keyed])
    t.same(responses.map(({ text }) => text.includes(alice)), [true, false, true, false, true, false, true, false])
    t.equal(runs(), 6)
  })
})

t.test("after lockTimeout a waiting request runs the handler, and does not overwrite the leader's response", async (t) => {
  await forEachBackend(t, async (t, on) => {
    const [first, others] = [new Barrier(), new Barrier()]
    const { ask, asked, runs, stats } = await setUp(t, on, {
      lockTimeout: '30ms',
      compare: false,
      routes: (app, { cached, ran }) => app.get('/a', { config: { cache: { ttl: '1m' } } }, async () => {
        const run = ran()
        if (cached) await (run === 1 ? first : others).pass()
        return { run }
      })
    })
    const leader = ask('/a')
    await first.reached()
    const follower = ask('/a')
    await asked(2)
    await others.reached()
    first.open()
    t.same((await leader).json(), { run: 1 })
    others.open()
    const { json, cacheStatus } = await follower
    t.same(json(), { run: 2 })
    t.match(cacheStatus, /detail=lock-timeout/)
    t.same((await ask('/a')).json(), { run: 1 })
    t.equal(runs(), 2)
    t.match(await stats(), { refusals: { 'lock-timeout': 1 }, stores: 1, hits: 1 })
  })
})
