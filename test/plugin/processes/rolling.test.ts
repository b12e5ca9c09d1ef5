// A rolling deployment: two versions of an application, whose routes have other options, use one store at the same time.
import t, { type Test } from 'tap'
import type { ReplyCacheOptions } from '../../../plugin.js'
import { until } from '../../support/barrier.js'
import { HOST } from '../../support/client.js'
import { onEachStore, several, type Process, type SharedStore } from '../../support/several.js'

const URL = `http://${HOST}/`

/** What the handlers say of their responses. */
interface Said {
  readonly maxAge?: number
  readonly options?: ReplyCacheOptions
}

/** Two versions with these options of their routes. Their handlers respond with the number of the run. */
async function versions (t: Test, store: SharedStore, options: readonly [object, object], { maxAge, options: chosen }: Said = {}) {
  const { processes, clock } = await several(t, store, {
    routes (app, { at, ran }) {
      app.get('/', { config: { cache: options[at]! } }, async (_request, reply) => {
        if (chosen !== undefined) reply.cache(chosen)
        if (maxAge !== undefined) reply.header('cache-control', `max-age=${maxAge}`)
        return String(ran())
      })
    }
  })
  const [before, after] = processes as [Process, Process]
  await before.ask()
  await until(async () => (await before.cache.stats()).stores === 1)
  return { before, after, clock }
}

t.test('a shorter ttl of the new version counts for what the old one has stored', async (t) => {
  await onEachStore(t, async (t, store) => {
    const { before, after, clock } = await versions(t, store, [{ ttl: '1m' }, { ttl: '1s' }])
    t.match(await after.ask(), { text: '1', cacheStatus: /hit; ttl=1/ })
    await clock.pass(1_000)
    t.match(await before.ask(), { text: '1', cacheStatus: /hit; ttl=59/ }, 'the old version goes on')
    t.match(await after.ask(), { text: '2', hit: false })
  })
})

t.test('a shorter ttl also ends the windows in which a response is stale', async (t) => {
  await onEachStore(t, async (t, store) => {
    const stale = { staleIfError: '1m' }
    const { after, clock } = await versions(t, store, [{ ttl: '1m', ...stale }, { ttl: '1s', ...stale }])
    t.match(await after.cache.explain({ url: URL }), { reason: 'fresh' })
    await clock.pass(2_000)
    t.match(await after.cache.explain({ url: URL }), { reason: 'stale' })
    await clock.pass(60_000)
    t.match(await after.ask(), { text: '2' })
  })
})

t.test('a lifetime that the response or reply.cache() has stated is not shortened', async (t) => {
  for (const said of [{ maxAge: 60 }, { options: { ttl: '1m' } }] as const) {
    await onEachStore(t, async (t, store) => {
      const { after, clock } = await versions(t, store, [{ ttl: '1m' }, { ttl: '1s' }], said)
      await clock.pass(2_000)
      t.match(await after.ask(), { text: '1', hit: true })
    })
  }
})

t.test('a response without a tag that the new version lists is a miss for it, and is then found with the tag', async (t) => {
  await onEachStore(t, async (t, store) => {
    const { before, after } = await versions(t, store, [{ ttl: '1m', tags: ['a'] }, { ttl: '1m', tags: ['a', 'b'] }])
    t.match(await after.cache.explain({ url: URL }), { decision: 'miss', reason: 'untagged' })
    t.match(await after.ask(), { text: '2', hit: false })
    await until(async () => (await after.cache.stats()).stores === 1)
    for (const { ask } of [after, before]) t.match(await ask(), { text: '2', hit: true })
    await before.cache.invalidate({ tags: ['b'] })
    t.match(await after.ask(), { text: '3', hit: false })
  })
})

t.test('tags that reply.cache() has chosen replace those of the route', async (t) => {
  await onEachStore(t, async (t, store) => {
    const { after } = await versions(t, store, [{ ttl: '1m', tags: ['a'] }, { ttl: '1m', tags: ['a', 'b'] }], { options: { tags: ['c'] } })
    t.match(await after.ask(), { text: '1', hit: true })
  })
})
