// Responses that were read, or were being made, before an invalidation, on every backend: none of them is served to later requests.
import t, { type Test } from 'tap'
import type { BackendChoice } from '../../registry/names.js'
import { defineBackend, builtIns, type ResponseCache } from '../../plugin.js'
import { build, type TestApp } from '../support/app.js'
import { Barrier, turns, until } from '../support/barrier.js'
import { Chaos, isResponse } from '../support/chaos.js'
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
  /** While it is closed, the handler stops here after it has read its data. */
  readonly handler: { closed: Barrier | undefined }
  /** Sends a request, and returns the version of the data in the response. */
  version (): Promise<string>
  /** Changes the data and invalidates the response. False if the backend can't do that. */
  invalidated (): Promise<boolean>
}

/** A stored response: in `choice`, or there and in a memory in front of it. */
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

/** Backends without `clear` can't be cleared, and can't delete all variants of a URL. Every backend can do the rest. */
const mayBeMissing = (way: string): boolean => ['clear', 'a URL'].includes(way)

/** Checks that later requests receive the new response, and that it is stored. */
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
    t.test(`${name}: a handler that replaces an expired response does not undo an invalidation by ${way[0]}`, needsFor(name), async (t) => {
      const app = await stored(t, await choose(t), way, false)
      const barrier = app.handler.closed = new Barrier()
      await app.clock.pass(LIFE_MS)
      const before = app.version()
      await barrier.reached()
      app.handler.closed = undefined
      const done = await app.invalidated()
      const after = done ? await app.version() : undefined
      barrier.open()
      t.equal(await before, '1', 'an earlier request receives what was made for it')
      if (!done) return t.ok(mayBeMissing(way[0]))
      t.equal(after, '2', 'a later request does not join the earlier fill')
      await turns()
      await isNew(t, app)
    })

    t.test(`far tier ${name}: a copy to the near tier that was read before does not undo an invalidation by ${way[0]}`, needsFor(name),
      async (t) => {
        const app = await stored(t, await choose(t), way, true)
        app.far.get.only(isResponse).stall()
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

    t.test(`${name}: a refresh of a stale response does not undo an invalidation by ${way[0]}`, needsFor(name), async (t) => {
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
