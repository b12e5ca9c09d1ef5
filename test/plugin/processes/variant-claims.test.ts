// A variant is claimed when its response is about to be stored. If that then may not be stored, other processes must not wait for it.
import Fastify from 'fastify'
import t from 'tap'
import responseCache, { type ResponseCacheOptions } from '../../../plugin.js'
import { builtIns } from '../../../backends/index.js'
import { defineBackend } from '../../../registry/registry.js'
import { until } from '../../support/barrier.js'
import { Chaos } from '../../support/chaos.js'
import { mapBackend } from '../../support/map-backend.js'

const isVariant = (key: string): boolean => key.includes(' ~')

t.test('a variant that was invalidated while it was claimed is given back', async (t) => {
  const chaos = new Chaos()
  const create = (_: object, { now }: { now: () => number }) => chaos.wrap(mapBackend(now))
  const registry = builtIns().add('shared' as 'memory', () => defineBackend({ name: 'shared', create }))
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(responseCache, { registry, backend: 'shared', deadline: '5s', lease: '1m' } as unknown as ResponseCacheOptions)
  app.get('/', { config: { cache: { ttl: '1m', tags: ['a'] } } }, async (_request, reply) =>
    await reply.header('vary', 'accept').send('text'))
  chaos.claim.only(isVariant).stall()
  await app.inject('/')
  await chaos.claim.hangs()
  const variant = chaos.claim.calls.findLast((key) => isVariant(key as string)) as string
  await app.cache.invalidate({ tags: ['a'] })
  chaos.claim.heal()
  chaos.claim.release()
  await until(async () => (await app.cache.stats()).refusals.invalidated === 1)
  const claim = await chaos.inner!.claim!(variant, { leaseMs: 1_000, fillMs: 1_000 })
  t.ok('token' in claim, 'nobody waits for it')
})
