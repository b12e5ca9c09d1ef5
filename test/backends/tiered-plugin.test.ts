// The tiered backend behind the plugin: requests and invalidations while a tier fails.
import t, { type Test } from 'tap'
import { builtIns } from '../../backends/index.js'
import type { Duration } from '../../registry/check.js'
import { defineBackend } from '../../registry/registry.js'
import { build, type Spec } from '../support/app.js'
import { Barrier, turns, until } from '../support/barrier.js'
import { Chaos, isResponse, type ChaosMethod } from '../support/chaos.js'
import { mapBackend } from '../support/map-backend.js'
import { seeded } from '../support/seeded.js'

const FAILED = { code: 'CACHE_ERR_BACKEND_FAILED' }
const PATHS = Array.from({ length: 8 }, (_, at) => `/${at}`)

async function overTiers (t: Test, more: Partial<Spec> & { nearTtl?: Duration } = {}) {
  const { nearTtl, ...spec } = more
  const [near, far, slow] = [new Chaos(), new Chaos(), new Barrier()]
  const registry = builtIns()
  for (const [name, chaos] of [['near', near], ['far', far]] as const) {
    registry.add(name as 'memory', () => defineBackend({ name, create: (_options: object, { now }) => chaos.wrap(mapBackend(now)) }))
  }
  const app = await build(t, {
    registry,
    backend: 'tiered',
    options: { tiers: [{ backend: 'near' }, { backend: 'far' }], deadline: '20ms', ...(nearTtl !== undefined && { nearTtl }) },
    routes (app, { cached, ran, version }) {
      app.get('/:id', { config: { cache: { ttl: '1h', tags: ['all'] } } }, async (request, reply) => {
        ran()
        reply.header('x-version', version())
        return { id: (request.params as { id: string }).id }
      })
      app.get('/slow/:id', { config: { cache: { ttl: '1h' } } }, async () => {
        if (cached) await slow.pass()
        return 'slow'
      })
    },
    ...spec
  })
  const hits = async (paths: readonly string[] = PATHS): Promise<number> => {
    const responses = await Promise.all(paths.map(async (path) => await app.ask(path)))
    return responses.filter(({ cacheStatus }) => /; hit/.test(cacheStatus)).length
  }
  t.teardown(() => { for (const chaos of [near, far]) for (const method of chaos.all) { method.heal(); method.release() } })
  return { ...app, near, far, slow, hits }
}

t.test('tiered: a response is stored in both tiers, and a hit comes from the near one', async (t) => {
  const { ask, near, far } = await overTiers(t)
  t.match((await ask('/1')).cacheStatus, /stored$/)
  far.get.calls.length = 0
  t.match((await ask('/1')).cacheStatus, /; hit/)
  t.same(far.get.calls, [])
  for (const chaos of [near, far]) t.equal((await chaos.inner!.keys!()).filter(isResponse).length, 1)
})

for (const [name, command] of [
  ['throws', (method: ChaosMethod) => method.throw()], ['rejects', (method: ChaosMethod) => method.reject()],
  ['hangs', (method: ChaosMethod) => method.hang()]
] as const) {
  t.test(`tiered: while the far tier ${name}, the near tier's entries are served and new ones are stored there`, async (t) => {
    const { hits, far, slow } = await overTiers(t)
    await hits(['/0', '/1', '/2'])
    far.each(command)
    // Many concurrent misses. If the cache counted the far tier's failures as its own, its breaker would open now.
    const asked = hits(Array.from({ length: 30 }, (_, at) => `/slow/${at}`))
    await slow.reached(30)
    slow.open()
    await asked
    await turns()
    t.equal(await hits(['/0', '/1', '/2']), 3)
    await hits(['/later'])
    await until(async () => await hits(['/later']) === 1)
    t.equal(await hits(Array.from({ length: 10 }, (_, at) => `/slow/${at}`)), 10)
  })
}

t.test('tiered: while the near tier fails, the far one works as a cache', async (t) => {
  const { hits, near } = await overTiers(t)
  near.each((method) => method.reject())
  await hits()
  await turns()
  t.equal(await hits(), PATHS.length)
})

t.test('tiered: an invalidation while the far tier is down rejects, and this process does not serve the old responses again', async (t) => {
  const { ask, change, cache, clock, far, near, hits, runs } = await overTiers(t)
  await hits()
  far.each((method) => method.reject())
  await t.rejects(change(async () => await cache.invalidate('all')), FAILED)
  await t.rejects(change(async () => await cache.invalidate({ route: '/:id' })), FAILED)
  t.equal(await hits(), 0)
  far.each((method) => method.heal())
  // The near tier is empty now. Only the far tier is left, with all the old responses.
  await near.inner!.clear!()
  t.equal(await hits(), 0)
  t.equal(runs(), PATHS.length * 3)
  t.equal((await ask('/0')).headers['x-version'], '3')
  // The far tier is called again.
  await clock.pass(1_000)
  await change(async () => await cache.invalidate('all'))
  t.equal(await hits(), 0)
  t.equal(await hits(), PATHS.length)
})

t.test('tiered: an invalidation between the read of the far tier and the copy to the near one is not undone', async (t) => {
  for (const how of ['all', { url: '/0' }, { route: '/:id' }, undefined] as const) {
    const { ask, change, cache, far, near } = await overTiers(t, {
      deadline: '5s', options: { tiers: [{ backend: 'near' }, { backend: 'far' }], deadline: '4s' }
    })
    await ask('/0')
    await near.inner!.clear!()
    far.get.only(isResponse).stall()
    const asked = ask('/0')
    await far.get.hangs()
    await change(async () => { how === undefined ? await cache.clear() : await cache.invalidate(how) })
    far.get.heal()
    far.get.release()
    await asked
    t.equal((await ask('/0')).headers['x-version'], '2')
  }
})

t.test('tiered: random faults in both tiers cost only hits, and afterwards there are as many hits as before', async (t) => {
  const random = seeded(20_270_314)
  const chance = (share: number): boolean => random() < share
  const any = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)]!
  const { ask, change, cache, clock, backends, near, far, hits } = await overTiers(t, { deadline: '60ms', nearTtl: '30s' })
  const faults: ReadonlyArray<(method: ChaosMethod) => void> = [
    (method) => method.throw(), (method) => method.reject(), (method) => method.later(), (method) => method.hang(),
    (method) => method.stall(), (method) => method.applyAndReject(), (method) => method.applyAndThrow()
  ]
  const garbled: ReadonlyArray<(method: ChaosMethod) => void> = [
    (method) => method.return(42), (method) => method.return(null), (method) => method.mangle(() => 'text'),
    (method) => method.mangle(() => undefined)
  ]
  for (let step = 0; step < 80; step++) {
    for (const chaos of [near, far]) {
      for (const method of chaos.all) {
        method.heal()
        const isRead = method === chaos.get || method === chaos.getMany
        if (chance(0.2)) any(isRead ? [...faults, ...garbled] : faults)(method)
      }
    }
    const asked = Array.from({ length: 4 }, async () => await ask(any(PATHS)))
    if (chance(0.3)) {
      const target = any(['all', { route: '/:id' }, { url: any(PATHS) }, { tags: ['all'] }])
      // Only acknowledged invalidations count. The others reject.
      if (typeof target === 'object' && 'url' in target) asked.push(cache.invalidate(target).catch(() => {}) as Promise<never>)
      else asked.push(change(async () => await cache.invalidate(target)).catch(() => {}) as Promise<never>)
    }
    await turns(3)
    for (const chaos of [near, far]) for (const method of chaos.all) method.release()
    await Promise.all(asked)
    await clock.pass(Math.floor(random() * 2_000))
  }
  for (const chaos of [near, far]) chaos.each((method) => { method.heal(); method.release() })
  await turns()
  await clock.pass(5_000)
  await until(async () => await hits() === PATHS.length)
  // Changes that were not confirmed are repeated in the background.
  await until(async () => (await backends.at(-1)!.stats!()).unconfirmed === 0)
  await clock.pass(31_000)
  await hits()
  await clock.pass(31_000)
  t.equal(await hits(), PATHS.length, 'also from the far tier')
})
