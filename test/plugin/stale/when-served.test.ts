// When stale responses are served and when not, also in place of an error (RFC 5861 section 4).
import type { FastifyInstance } from 'fastify'
import t from 'tap'
import type { RouteCacheOptions } from '../../../plugin.js'
import { build, forEachBackend, type Probe, type TestApp } from '../../support/app.js'
import { Barrier, turns, until } from '../../support/barrier.js'
import { cached } from '../../support/document.js'

const SWR = { staleWhileRevalidate: '10m' } as const

/** A route whose responses are numbered, in the application with the cache only. */
const numbered = (options: RouteCacheOptions, fields: Record<string, string> = {}) => (app: FastifyInstance, probe: Probe): void => {
  app.get('/', cached(options), async (_request, reply) => await reply.headers(fields).send(`number ${probe.ran()}`))
}

/** Waits until a refresh has stored its response. */
const stored = async (app: TestApp, stores: number): Promise<void> => await until(async () => (await app.cache.stats()).stores === stores)

t.test('RFC 5861: the directives of the response take precedence over the route', async (t) => {
  for (const [control, hit] of [
    ['max-age=60, stale-while-revalidate=30', true], ['max-age=60, stale-while-revalidate=0', false]
  ] as const) {
    await t.test(control, async (t) => {
      const app = await build(t, { compare: false, routes: numbered(hit ? {} : SWR, { 'cache-control': control }) })
      await app.ask('/')
      await app.clock.pass(61_000)
      t.match(await app.ask('/'), { hit })
      if (hit) await stored(app, 2)
    })
  }
})

t.test('RFC 9111 section 4.2.4: must-revalidate, proxy-revalidate, no-cache and s-maxage forbid serving stale', async (t) => {
  for (const directive of ['must-revalidate', 'proxy-revalidate', 'no-cache', 's-maxage=60']) {
    await t.test(directive, async (t) => {
      const app = await build(t, {
        compare: false,
        routes (app, probe) {
          app.get('/', cached({ ...SWR, staleIfError: '10m' }), async (_request, reply) => {
            if (probe.ran() > 1) throw new Error('broken')
            return await reply.headers({ 'cache-control': `max-age=60, ${directive}`, etag: '"1"' }).send('x')
          })
        }
      })
      await app.ask('/')
      await app.clock.pass(61_000)
      t.match(await app.ask('/'), { status: 500, hit: false })
      t.match(await app.ask({ url: '/', headers: { 'cache-control': 'max-stale' } }), { status: 500, hit: false })
    })
  }
})

t.test('RFC 5861 section 4: if the handler fails, the stale response is sent in place of the error', async (t) =>
  forEachBackend(t, async (t, on) => {
    let failing: string | undefined
    const app = await build(t, {
      ...on,
      compare: false,
      routes (app, probe) {
        app.addHook('onSend', async (_request, reply, payload) => { reply.header('x-seen', String(reply.statusCode)); return payload })
        app.get('/', cached({ staleIfError: '10m' }), async (_request, reply) => {
          probe.ran()
          if (failing === 'throw') throw new Error('thrown')
          if (failing !== undefined) {
            return await reply.code(Number(failing)).headers({ 'x-error': 'yes', 'retry-after': '5' }).send({ broken: true })
          }
          return await reply.headers({ 'x-own': 'yes', link: ['</a>', '</b>'] }).send('good')
        })
      }
    })
    const good = await app.ask('/')
    await app.clock.pass(61_000)
    for (failing of ['throw', '500', '502', '503', '504']) {
      const response = await app.ask('/')
      t.match(response, {
        status: 200,
        text: 'good',
        cacheStatus: `fastify-response-cache; fwd=stale; fwd-status=${failing === 'throw' ? '500' : failing}; detail=${failing === 'throw' ? 'handler-error' : 'status'}`,
        headers: { 'x-own': 'yes', link: '</a>, </b>', age: '61', 'x-seen': '200', 'x-error': undefined, 'retry-after': undefined }
      }, failing)
      t.equal(response.headers['content-type'], good.headers['content-type'])
      t.equal(response.headers['content-length'], good.headers['content-length'])
    }
    t.equal((await app.cache.stats()).staleHits, 5)
    for (failing of ['501', '400', '404', '429']) {
      t.match(await app.ask('/'), { status: Number(failing), headers: { 'x-error': 'yes' } }, `${failing} is not such an error`)
      failing = undefined
      await app.ask('/')
      await app.clock.pass(61_000)
    }
    await app.clock.pass(600_000)
    failing = 'throw'
    t.match(await app.ask('/'), { status: 500 }, 'after the window has ended')
  }))

t.test('RFC 5861 section 4: the directives of the response take precedence over the route; a stored error replaces no error', async (t) =>
  forEachBackend(t, async (t, on) => {
    const app = await build(t, {
      ...on,
      compare: false,
      routes (app, probe) {
        app.get('/own', cached(), async (_request, reply) => probe.ran('own') === 1
          ? await reply.header('cache-control', 'max-age=60, stale-if-error=60').send('good')
          : await reply.code(503).send('bad'))
        app.get('/error', cached({ staleIfError: '10m' }), async (_request, reply) =>
          await reply.code(503).header('cache-control', 'max-age=60').send(`bad ${probe.ran('error')}`))
      }
    })
    for (const url of ['/own', '/error']) await app.ask(url)
    await app.clock.pass(61_000)
    t.match(await app.ask('/own'), { status: 200, text: 'good' })
    t.match(await app.ask('/error'), { status: 503, text: 'bad 2' })
  }))

t.test('requests that wait for a handler that fails receive the stale response too, and the handler runs once', async (t) =>
  forEachBackend(t, async (t, on) => {
    const barrier = new Barrier()
    const app = await build(t, {
      ...on,
      compare: false,
      routes (app, probe) {
        app.get('/', cached({ staleIfError: '10m' }), async () => {
          if (probe.ran() === 1) return 'good'
          await barrier.pass()
          throw new Error('broken')
        })
      }
    })
    await app.ask('/')
    await app.clock.pass(61_000)
    const asked = Array.from({ length: 10 }, async () => await app.ask('/'))
    await barrier.reached()
    await until(async () => (await app.cache.stats()).misses >= 11)
    barrier.open()
    t.ok((await Promise.all(asked)).every(({ status, text }) => status === 200 && text === 'good'))
    t.equal(app.runs(), 2)
  }))

t.test('a hook behind the handler that fails has the same effect as without the cache', async (t) => forEachBackend(t, async (t, on) => {
  const app = await build(t, {
    ...on,
    routes (app) {
      app.addHook('onSend', async (request) => { if (request.headers['x-fail'] !== undefined) throw new Error('the hook failed') })
      app.get('/', cached({ staleIfError: '10m' }), async () => 'good')
    }
  })
  await app.ask('/')
  await app.clock.pass(61_000)
  t.match(await app.ask({ url: '/', headers: { 'x-fail': 'yes' } }), { status: 500 })
}))

t.test('a soft invalidation makes responses stale: they are served while refreshed, validated, or sent in place of an error',
  async (t) => forEachBackend(t, async (t, on) => {
    const app = await build(t, {
      ...on,
      compare: false,
      routes (app, probe) {
        const options = { ttl: '1h', tags: ['t'] } as const
        app.get('/swr', cached({ ...options, ...SWR }), async () => `number ${probe.ran('/swr')}`)
        app.get('/sie', cached({ ...options, staleIfError: '10m' }), async () => {
          if (probe.ran('/sie') > 1) throw new Error('broken')
          return 'good'
        })
        app.get('/etag', cached(options), async (request, reply) =>
          request.headers['if-none-match'] === undefined ? await reply.header('etag', '"1"').send('x') : await reply.code(304).send())
        app.get('/bare', cached(options), async () => `number ${probe.ran('/bare')}`)
      }
    })
    const invalidate = async (soft: boolean): Promise<void> => await app.cache.invalidate({ tags: ['t'], soft })
    for (const url of ['/swr', '/sie', '/etag', '/bare']) await app.ask(url)
    await invalidate(true)
    await app.clock.pass(1_500)
    t.match(await app.ask('/swr'), { text: 'number 1', hit: true, cacheStatus: /hit; ttl=-2/ })
    await stored(app, 5)
    t.match(await app.ask('/swr'), { text: 'number 2', hit: true, cacheStatus: /hit; ttl=3600/ })
    t.match(await app.ask('/sie'), { status: 200, text: 'good', cacheStatus: /fwd=stale; fwd-status=500/ })
    t.match(await app.ask('/etag'), { status: 200, text: 'x', cacheStatus: /fwd=stale; fwd-status=304; stored/ })
    t.match(await app.ask('/bare'), { text: 'number 2', cacheStatus: /fwd=miss; stored/ })
    await app.clock.pass(600_000)
    t.match(await app.ask('/sie'), { status: 500 }, 'the window began with the invalidation')
    await invalidate(false)
    for (const url of ['/swr', '/etag', '/bare']) t.match(await app.ask(url), { hit: false, cacheStatus: /fwd=miss/ }, `${url}, invalidated`)
  }))

t.test('a request that comes after a tag was invalidated does not receive the old response in place of an error', async (t) =>
  forEachBackend(t, async (t, on) => {
    const barrier = new Barrier()
    let isFailing = false
    const app = await build(t, {
      ...on,
      compare: false,
      routes (app) {
        app.get('/', cached({ staleIfError: '10m' }), async (_request, reply) => {
          if (isFailing) { await barrier.pass(); throw new Error('broken') }
          reply.cache({ tags: ['product 1'] })
          return 'old'
        })
      }
    })
    await app.ask('/')
    await app.clock.pass(61_000)
    isFailing = true
    const before = app.ask('/')
    await barrier.reached()
    await app.cache.invalidate('product 1')
    const after = app.ask('/')
    await until(async () => (await app.cache.stats()).misses === 3)
    await turns()
    barrier.open()
    t.match(await before, { text: 'old' }, 'a request that came before may receive it')
    t.match(await after, { status: 500 })
  }))
