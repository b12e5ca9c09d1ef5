// Several processes on one store: what was invalidated in one of them is not brought back by another that was filling it meanwhile.
import type { FastifyInstance } from 'fastify'
import t from 'tap'
import type { ResponseCache } from '../../../plugin.js'
import { onEachStore, several, settled, type Process, type ProcessProbe } from '../../support/several.js'
import { until } from '../../support/barrier.js'
import { sources } from '../../support/told-streams.js'

/** A way of invalidating: what the route does about it, and how it is invalidated. */
interface Way {
  readonly name: string
  readonly route?: object
  readonly replyTags?: readonly string[]
  /** For values of the data cache. */
  readonly isValue?: boolean
  readonly tags?: readonly string[]
  invalidate (process: Process): Promise<unknown>
}

const by = (act: (cache: ResponseCache) => Promise<unknown>) => async ({ cache }: Process): Promise<unknown> => await act(cache)

const softly = by((cache) => cache.invalidate({ tags: ['a'], soft: true }))

const WAYS: readonly Way[] = [
  { name: 'a tag that the route lists', route: { tags: ['a'] }, invalidate: by((cache) => cache.invalidate({ tags: ['a'] })) },
  { name: 'a tag that the route lists, softly', route: { tags: ['a'] }, invalidate: softly },
  { name: 'a tag from a function', route: { tags: () => ['a'] }, invalidate: by((cache) => cache.invalidate({ tags: ['a'] })) },
  { name: 'a tag from a function, softly', route: { tags: () => ['a'] }, invalidate: softly },
  { name: 'a tag from reply.cache()', replyTags: ['a'], invalidate: by((cache) => cache.invalidate({ tags: ['a'] })) },
  { name: 'its URL', invalidate: by((cache) => cache.invalidate({ url: '/' })) },
  { name: 'a POST to its URL', invalidate: async ({ ask }) => await ask({ method: 'POST' }) },
  { name: 'its route', invalidate: by((cache) => cache.invalidate({ route: '/' })) },
  { name: 'its key', route: { key: () => 'k' }, invalidate: by((cache) => cache.invalidate({ key: 'k' })) },
  { name: 'clear()', invalidate: by((cache) => cache.clear()) },
  { name: 'the key of a value', isValue: true, invalidate: by((cache) => cache.delete('k')) },
  { name: 'the tag of a value', isValue: true, tags: ['a'], invalidate: by((cache) => cache.invalidate({ tags: ['a'] })) },
  { name: 'clear(), for a value', isValue: true, invalidate: by((cache) => cache.clear()) }
]

const hasLateTags = ({ route, replyTags }: Way): boolean =>
  replyTags !== undefined || typeof (route as { tags?: unknown } | undefined)?.tags === 'function'

const routesFor = ({ route, replyTags, isValue, tags }: Way) => (app: FastifyInstance, { barrier, ran, data }: ProcessProbe): void => {
  const produce = async (): Promise<string> => {
    ran()
    const seen = data()
    await barrier.pass()
    return seen
  }
  if (isValue === true) {
    app.get('/', async () => await app.cache.getOrSet('k', { ttl: '1m', ...(tags !== undefined && { tags: [...tags] }) }, produce))
    return
  }
  app.get('/', { config: { cache: { ttl: '1m', ...route } } }, async (_request, reply) => {
    if (replyTags !== undefined) reply.cache({ tags: [...replyTags] })
    return await produce()
  })
  app.post('/', async () => 'done')
}

for (const way of WAYS) {
  t.test(`${way.name}: invalidated in one process while another fills: the old response is served to nobody who asks later`, async (t) => {
    await onEachStore(t, async (t, store) => {
      for (const order of ['ends', 'overwrites'] as const) {
        const options = { count: 3, namespace: order, lockTimeout: '200ms' } as const
        const { processes, barriers, change } = await several(t, store, { ...options, routes: routesFor(way) })
        const [a, b, c] = processes as [Process, Process, Process]
        const first = a.ask()
        await barriers[0]!.reached()
        change('new')
        await way.invalidate(b)
        for (const barrier of barriers.slice(1)) barrier.open()
        if (order === 'overwrites') {
          t.equal((await b.ask()).text, 'new', 'B fills anew')
          await settled()
        }
        // It joins the request of A, if that has not been overtaken, and asks after the invalidation.
        const joined = a.ask()
        await settled()
        barriers[0]!.open()
        t.equal((await first).text, 'old', 'it asked before')
        t.equal((await joined).text, 'new', `joined, ${order}`)
        await settled()
        for (const process of [a, b, c]) t.equal((await process.ask()).text, 'new', order)
        t.same(await Promise.all([a, b, c].map(async ({ cache }) => (await cache.stats()).errors)), [{}, {}, {}])
        change('old')
      }
    })
  })
}

for (const way of WAYS) {
  t.test(`${way.name}: invalidated in another process, then in the one that fills: whoever asks in between is not given the old response`,
    async (t) => {
      await onEachStore(t, async (t, store) => {
        // A process that does not know the tags before the handler has run lets further requests wait for it.
        for (const order of hasLateTags(way) ? ['ends'] as const : ['ends', 'is overtaken'] as const) {
          const { processes, barriers: [barrier], change } = await several(t, store, { namespace: order, routes: routesFor(way) })
          const [a, b] = processes as [Process, Process]
          const first = a.ask()
          await barrier!.reached()
          change('new')
          await way.invalidate(b)
          const joined = a.ask()
          await settled()
          await way.invalidate(a)
          if (order === 'is overtaken') {
            const second = a.ask()
            await barrier!.reached(2)
            barrier!.letGoLast()
            t.equal((await second).text, 'new')
            await settled()
          }
          barrier!.open()
          t.equal((await first).text, 'old', 'it asked before')
          t.equal((await joined).text, 'new', order)
          t.equal((await a.ask()).text, 'new')
          change('old')
        }
      })
    })
}

for (const [name, invalidate] of [
  ['its key', by((cache) => cache.delete('k'))], ['its tag', by((cache) => cache.invalidate({ tags: ['a'] }))]
] as const) {
  t.test(`a producer that returned undefined, invalidated in another process by ${name}: whoever asks later runs it again`, async (t) => {
    await onEachStore(t, async (t, store) => {
      let runs = 0
      const { processes: [a, b], barriers: [barrier] } = await several(t, store, {
        routes (app, { barrier, data }) {
          app.get('/', async () => await app.cache.getOrSet('k', { ttl: '1m', tags: ['a'] }, async () => {
            runs++
            const seen = data()
            await barrier.pass()
            return seen === 'old' ? undefined : seen
          }) ?? 'nothing')
        }
      })
      const first = a!.ask()
      await barrier!.reached()
      const early = a!.ask()
      await settled()
      barrier!.letGo()
      t.same([(await first).text, (await early).text, runs], ['nothing', 'nothing', 1], 'it is shared')
      const again = a!.ask()
      await barrier!.reached(2)
      await invalidate(b!)
      const later = a!.ask()
      await settled()
      barrier!.open()
      t.same([(await again).text, (await later).text, runs], ['nothing', 'nothing', 3])
    })
  })
}

t.test('a process that is filling when its entry is invalidated elsewhere says why it stored nothing', async (t) => {
  await onEachStore(t, async (t, store) => {
    const { processes: [a, b], barriers } = await several(t, store, { routes: routesFor({ name: '', invalidate: async () => {} }) })
    const first = a!.ask()
    await barriers[0]!.reached()
    await b!.cache.invalidate({ url: '/' })
    barriers[0]!.open()
    await first
    await until(async () => (await a!.cache.stats()).refusals.invalidated === 1)
    t.same((await a!.cache.stats()).refusals, { invalidated: 1 })
  })
})

for (const [name, tags] of [['its URL', []], ['a tag that the route lists', ['a']], ['a tag from a function', () => ['a']]] as const) {
  t.test(`a stream that was invalidated in another process, by ${name}, is not joined by requests that come later`, async (t) => {
    await onEachStore(t, async (t, store) => {
      const { all, routes, made } = sources({ tags })
      const { processes: [a, b] } = await several(t, store, { lockTimeout: '200ms', routes })
      const first = a!.ask()
      const old = await made()
      old.push('old')
      await until(() => old.wanted)
      await b!.cache.invalidate(name === 'its URL' ? { url: '/' } : { tags: ['a'] })
      const second = a!.ask()
      const fresh = await made(2)
      fresh.push('new')
      fresh.push(null)
      t.equal((await second).text, 'new')
      old.push(null)
      t.equal((await first).text, 'old')
      t.equal(all.length, 2)
    })
  })
}

t.test('a stream that nobody has invalidated is joined', async (t) => {
  await onEachStore(t, async (t, store) => {
    const { all, routes, made } = sources()
    const { processes: [a] } = await several(t, store, { routes })
    const first = a!.ask()
    const source = await made()
    source.push('one')
    await until(() => source.wanted)
    const second = a!.ask()
    await until(async () => (await a!.cache.stats()).coalescedStreams === 1)
    source.push(null)
    t.same([(await first).text, (await second).text], ['one', 'one'])
    t.equal(all.length, 1)
  })
})
