// What was read, or begun to be made anew, before an invalidation, on every backend: nothing of it is served to who asks afterwards.
import t, { type Test } from 'tap'
import type { BackendChoice } from '../../registry/names.js'
import { defineBackend, builtIns, type ResponseCache } from '../../plugin.js'
import { build, type TestApp } from '../support/app.js'
import { Barrier, turns, until } from '../support/barrier.js'
import { Chaos, isAnswer } from '../support/chaos.js'
import { EVERY, needsFor } from '../support/every-backend.js'

t.setTimeout(120_000)

const URL = '/a?b=1'
const LIFE_MS = 660_000

const WAYS: ReadonlyArray<readonly [name: string, invalidate: (cache: ResponseCache) => Promise<void>]> = [
  ['a tag', async (cache) => await cache.invalidate('news')],
  ['a URL', async (cache) => await cache.invalidate({ url: URL })],
  ['a key', async (cache) => await cache.invalidate({ key: 'the key' })],
  ['clear', async (cache) => await cache.clear()]
]

interface Refill extends TestApp {
  readonly near: Chaos
  readonly far: Chaos
  /** The handler stops here while it is closed, once it has read its data. */
  readonly handler: { closed: Barrier | undefined }
  /** Asks; answers with the version of the data that came. */
  version (): Promise<string>
  /** The data changes and is invalidated. False where the backend can't do that. */
  invalidated (): Promise<boolean>
}

/** An answer that is stored: in `choice`, or there and in a memory before it. */
async function stored (t: Test, choice: BackendChoice, [name, invalidate]: typeof WAYS[number], isFar: boolean): Promise<Refill> {
  const [near, far] = [new Chaos(), new Chaos()]
  const registry = builtIns()
  for (const [name, chaos, inner] of [['near', near, { backend: 'memory' }], ['far', far, choice]] as const) {
    registry.add(name as 'memory', () =>
      defineBackend({ name, create: async (_options: object, context) => chaos.wrap(await context.open(inner)) }))
  }
  const handler: Refill['handler'] = { closed: undefined }
  const app = await build(t, {
    registry,
    ...(isFar ? { backend: 'tiered', options: { tiers: [{ backend: 'near' }, { backend: 'far' }], deadline: '4s' } } : { backend: 'far' }),
    deadline: '5s',
    compare: false,
    routes: (app, { cached, ran, version }) => app.get('/a', {
      config: { cache: { ttl: '1m', staleWhileRevalidate: '10m', tags: ['news'], ...(name === 'a key' && { key: () => 'the key' }) } }
    }, async (_request, reply) => {
      const seen = version()
      ran()
      if (cached) await handler.closed?.pass()
      return await reply.header('x-version', seen).send('a')
    })
  })
  const version = async (): Promise<string> => String((await app.ask(URL)).headers['x-version'])
  t.equal(await version(), '1')
  await until(async () => (await app.cache.stats()).stores === 1)
  await until(async () => (await app.ask(URL)).hit)
  return {
    ...app,
    get cache () { return app.cache },
    near,
    far,
    handler,
    version,
    async invalidated () {
      try {
        await app.change(async () => await invalidate(app.cache))
        return true
      } catch (error) {
        if ((error as { code?: string }).code !== 'CACHE_ERR_POWER_MISSING') throw error
        return false
      }
    }
  }
}

/** Backends without `clear` can't be cleared, nor forget a URL as a whole; everything else each of them can. */
const mayBeMissing = (way: string): boolean => ['clear', 'a URL'].includes(way)

/** Who asks from now on is given the new answer, and it is stored. */
async function isNew (t: Test, { version, runs, cache }: Refill): Promise<void> {
  t.equal(await version(), '2')
  // A slow store may have it only after the next request.
  await until(async () => {
    const before = runs()
    return await version() === '2' && runs() === before
  })
  t.ok((await cache.stats()).hits > 0)
}

for (const [name, choose] of Object.entries(EVERY)) {
  for (const way of WAYS) {
    t.test(`${way[0]}, while what ${name} held is over and made anew, is not undone`, needsFor(name), async (t) => {
      const app = await stored(t, await choose(t), way, false)
      const barrier = app.handler.closed = new Barrier()
      await app.clock.pass(LIFE_MS)
      const before = app.version()
      await barrier.reached()
      app.handler.closed = undefined
      const done = await app.invalidated()
      const after = done ? await app.version() : undefined
      barrier.open()
      t.equal(await before, '1', 'who asked before it is given what was made')
      if (!done) return t.ok(mayBeMissing(way[0]))
      t.equal(after, '2', 'who asks after it does not join the old work')
      await turns()
      await isNew(t, app)
    })

    t.test(`${way[0]}, between a read of ${name} as the far tier and the copy to the near one, is not undone`, needsFor(name),
      async (t) => {
        const app = await stored(t, await choose(t), way, true)
        app.far.get.only(isAnswer).stall()
        const before: Array<Promise<string>> = []
        // While the far tier is still being written to, it is not asked.
        await until(async () => {
          await app.near.inner!.clear!()
          before.push(app.version())
          await turns()
          return app.far.get.hanging > 0
        })
        const done = await app.invalidated()
        app.far.get.heal()
        app.far.get.release()
        for (const version of await Promise.all(before)) t.ok(['1', '2'].includes(version))
        if (!done) return t.ok(mayBeMissing(way[0]))
        await turns()
        await isNew(t, app)
      })

    t.test(`${way[0]}, while what ${name} holds is stale and made anew, is not undone`, needsFor(name), async (t) => {
      const app = await stored(t, await choose(t), way, false)
      const barrier = app.handler.closed = new Barrier()
      await app.clock.pass(61_000)
      t.equal(await app.version(), '1', 'stale')
      await barrier.reached()
      app.handler.closed = undefined
      const done = await app.invalidated()
      barrier.open()
      if (!done) return t.ok(mayBeMissing(way[0]))
      await until(async () => (await app.cache.stats()).refusals.invalidated === 1)
      await isNew(t, app)
    })
  }
}
