// Two processes on one store: one writes the first stamp of a tag while the other invalidates the tag.
import Fastify from 'fastify'
import t, { type Test } from 'tap'
import responseCache, { type ResponseCacheOptions } from '../../../plugin.js'
import { builtIns } from '../../../backends/index.js'
import { defineBackend } from '../../../registry/registry.js'
import { Barrier, until } from '../../support/barrier.js'
import { Chaos, isStamp } from '../../support/chaos.js'
import { mapBackend } from '../../support/map-backend.js'
import { settled } from '../../support/several.js'

/** An application on the entries, whose calls to the backend are controlled by `chaos`. */
async function start (t: Test, entries: Map<any, any>, chaos: Chaos, handler: () => Promise<string>) {
  const create = (_: object, { now }: { now: () => number }) => chaos.wrap({ ...mapBackend(now, entries), close () {} })
  const registry = builtIns().add('shared' as 'memory', () => defineBackend({ name: 'shared', create }))
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(responseCache, { registry, backend: 'shared' as 'memory', deadline: '5s' } as ResponseCacheOptions)
  app.get('/', { config: { cache: { ttl: '1m', tags: ['a'] } } }, handler)
  return { app, ask: async () => (await app.inject('/')).body }
}

t.test('the first stamp of a tag, written late, does not undo an invalidation by another process', async (t) => {
  const entries = new Map()
  const [late, prompt] = [new Chaos(), new Chaos()]
  const barrier = new Barrier()
  let data = 'old'
  const writes = [late.set, late.settle]
  for (const write of writes) write.only(isStamp).hang()
  const a = await start(t, entries, late, async () => {
    const seen = data
    await barrier.pass()
    return seen
  })
  const b = await start(t, entries, prompt, async () => data)
  const first = a.ask()
  await barrier.reached()
  await until(() => late.set.hanging + late.settle.hanging === 2)
  data = 'new'
  await b.app.cache.invalidate({ tags: ['a'] })
  for (const write of writes) {
    write.heal()
    write.release()
  }
  barrier.open()
  t.equal(await first, 'old', 'it asked before')
  await until(async () => (await a.app.cache.stats()).stores + ((await a.app.cache.stats()).refusals.invalidated ?? 0) === 1)
  await settled()
  t.equal(await b.ask(), 'new')
  t.equal(await a.ask(), 'new')
})
