// Two processes on one store: one writes the first stamp of a tag while the other invalidates the tag.
import Fastify from 'fastify'
import t, { type Test } from 'tap'
import responseCache, { type ResponseCacheOptions } from '../../../plugin.js'
import { builtIns } from '../../../backends/index.js'
import type { StoredEntry } from '../../../registry/backend.js'
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
  const options = { registry, backend: 'shared', deadline: '5s', lockTimeout: '200ms' } as unknown
  await app.register(responseCache, options as ResponseCacheOptions)
  app.get('/', { config: { cache: { ttl: '1m', tags: ['a'] } } }, handler)
  return { app, ask: async () => (await app.inject('/')).body }
}

t.test('the first stamp of a tag, written late, does not undo an invalidation by another process', async (t) => {
  const entries = new Map()
  const [late, prompt] = [new Chaos(), new Chaos()]
  let data = 'old'
  for (const write of [late.set, late.settle]) write.only(isStamp).hang()
  const a = await start(t, entries, late, async () => data)
  const b = await start(t, entries, prompt, async () => data)
  const first = a.ask()
  await until(() => late.set.hanging + late.settle.hanging === 2)
  // It stores its response with the stamps of the invalidation, which the others must not replace.
  await b.app.cache.invalidate({ tags: ['a'] })
  t.equal(await b.ask(), 'old')
  data = 'new'
  await b.app.cache.invalidate({ tags: ['a'] })
  const stamps = stampsIn(entries)
  for (const write of [late.set, late.settle]) {
    write.heal()
    write.release()
  }
  t.equal(await first, 'new', 'its handler has run only now')
  await settled()
  t.same(stampsIn(entries), stamps)
  t.equal(await b.ask(), 'new')
  t.equal(await a.ask(), 'new')
})

t.test('a first stamp that another process has cleared is written again, and nobody is given a response of before a later invalidation',
  async (t) => {
    const entries = new Map()
    const [slow, prompt] = [new Chaos(), new Chaos()]
    const barrier = new Barrier()
    let [data, runs] = ['old', 0]
    slow.settle.only(isStamp).hang()
    const a = await start(t, entries, slow, async () => {
      const seen = data
      runs++
      await barrier.pass()
      return seen
    })
    const b = await start(t, entries, prompt, async () => data)
    const first = a.ask()
    await until(() => slow.settle.hanging === 2)
    await b.app.cache.clear()
    slow.settle.heal()
    slow.settle.release()
    await barrier.reached()
    t.equal(stampsIn(entries).length, 2)
    data = 'new'
    await b.app.cache.invalidate({ tags: ['a'] })
    const second = a.ask()
    await settled()
    barrier.open()
    t.equal(await first, 'old', 'it asked before')
    t.equal(await second, 'new')
    t.equal(runs, 2)
    t.same((await a.app.cache.stats()).refusals, { invalidated: 1 })
  })

function stampsIn (entries: Map<string, StoredEntry>): string[] {
  return [...entries].filter(([key]) => isStamp(key)).map(([, { value }]) => Buffer.from(value).toString())
}
