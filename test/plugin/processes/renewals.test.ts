// The lease of a claim is renewed while its handler runs, and while its response waits to be written. One that comes late is given back.
import Fastify from 'fastify'
import t from 'tap'
import responseCache, { type ResponseCacheOptions } from '../../../plugin.js'
import { builtIns } from '../../../backends/index.js'
import { defineBackend } from '../../../registry/registry.js'
import { Barrier, until } from '../../support/barrier.js'
import { Chaos } from '../../support/chaos.js'
import { mapBackend } from '../../support/map-backend.js'

const LEASE_MS = 150

t.test('a lease that is granted only after the deadline is given back, because nobody would settle it', async (t) => {
  const chaos = new Chaos()
  const create = (_: object, { now }: { now: () => number }): ReturnType<Chaos['wrap']> => chaos.wrap(mapBackend(now))
  const registry = builtIns().add('shared' as 'memory', () => defineBackend({ name: 'shared', create }))
  const app = Fastify({ logger: false })
  t.teardown(() => app.close())
  const options = { registry, backend: 'shared', deadline: '50ms', lease: '1m' }
  await app.register(responseCache, options as unknown as ResponseCacheOptions)
  app.get('/', { config: { cache: { ttl: '1m' } } }, async () => 'text')
  chaos.claim.stall()
  t.match(await app.inject('/'), { statusCode: 200, body: 'text' }, 'a claim costs a deadline, and no response')
  const key = chaos.claim.calls[0] as string
  const claim = async (): Promise<unknown> => await chaos.inner!.claim!(key, { leaseMs: 60_000, fillMs: 60_000 })
  t.match(await claim(), { busyMs: Number })
  chaos.claim.heal()
  chaos.claim.release()
  await until(() => chaos.settle.calls.length === 1)
  t.match(await claim(), { token: String })
})

t.test('nobody takes the place of a request whose handler runs, or whose response waits to be written', async (t) => {
  const chaos = new Chaos()
  let at = Date.now()
  const create = (): ReturnType<Chaos['wrap']> => chaos.wrap(mapBackend(() => at))
  const registry = builtIns().add('shared' as 'memory', () => defineBackend({ name: 'shared', create }))
  const app = Fastify()
  t.teardown(() => app.close())
  const options = { registry, backend: 'shared', deadline: '10s', lease: `${LEASE_MS}ms` }
  await app.register(responseCache, options as unknown as ResponseCacheOptions)
  const barrier = new Barrier()
  app.get('/', { config: { cache: { ttl: '1m' } } }, async () => {
    await barrier.pass()
    return 'text'
  })
  /** Lets almost a lease pass on the clock of the store, after the lease was renewed. */
  const isKept = async (): Promise<void> => {
    const { length } = chaos.claim.calls
    await until(() => chaos.claim.calls.length > length)
    at += LEASE_MS * 0.9
    t.match(await chaos.inner!.claim!(key(), { leaseMs: LEASE_MS, fillMs: 1_000 }), { busyMs: Number })
  }
  const key = (): string => chaos.claim.calls[0] as string
  const response = app.inject('/')
  await barrier.reached()
  for (let times = 0; times < 3; times++) await isKept()
  chaos.settle.hang()
  barrier.open()
  await response
  await chaos.settle.hangs()
  for (let times = 0; times < 3; times++) await isKept()
  chaos.settle.release()
  await until(async () => (await app.cache.stats()).stores === 1)
})
