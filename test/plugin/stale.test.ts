// Stale answers: served while a refresh runs in the background, and in place of an error (RFC 5861).
import type { FastifyInstance } from 'fastify'
import t from 'tap'
import type { RouteCacheOptions } from '../../plugin.js'
import { build, forEachBackend, type Probe, type TestApp } from '../support/app.js'
import { Barrier, until } from '../support/barrier.js'

const cached = (cache: RouteCacheOptions = {}) => ({ config: { cache: { ttl: '1m', ...cache } } })
const SWR = { staleWhileRevalidate: '10m' }

/** A route whose answers are numbered, in the application with the cache alone. */
const numbered = (options: RouteCacheOptions, fields: Record<string, string> = {}) => (app: FastifyInstance, probe: Probe): void => {
  app.get('/', cached(options), async (_request, reply) => await reply.headers(fields).send(`number ${probe.ran()}`))
}

/** Waits until a refresh has stored what it got. */
const stored = async (app: TestApp, stores: number): Promise<void> => await until(async () => (await app.cache.stats()).stores === stores)

t.test('RFC 5861 section 3: one stale answer after another is served while one refresh runs, then the new one', async (t) => forEachBackend(t, async (t, on) => {
  const barrier = new Barrier()
  const app = await build(t, {
    ...on,
    compare: false,
    routes (app, probe) {
      app.get('/', cached(SWR), async () => {
        const times = probe.ran()
        if (times > 1) await barrier.pass()
        return `number ${times}`
      })
    }
  })
  await app.ask('/')
  await app.clock.pass(62_500)
  for (let times = 0; times < 5; times++) t.match(await app.ask('/'), { status: 200, text: 'number 1', hit: true, cacheStatus: 'fastify-response-cache; hit; ttl=-3', headers: { age: '62' } })
  await barrier.reached()
  t.equal(app.runs(), 2)
  barrier.open()
  await stored(app, 2)
  t.match(await app.ask('/'), { text: 'number 2', cacheStatus: /hit; ttl=60/ })
  t.match(await app.cache.stats(), { hits: 1, staleHits: 5, misses: 2 })
}))

t.test('RFC 5861 section 3: when the window is over, the handler is waited for', async (t) => forEachBackend(t, async (t, on) => {
  const app = await build(t, { ...on, compare: false, routes: numbered({ staleWhileRevalidate: 10 }) })
  await app.ask('/')
  await app.clock.pass(70_000)
  t.match(await app.ask('/'), { text: 'number 2', hit: false })
}))

t.test('RFC 5861: what the answer says goes before the route', async (t) => {
  for (const [control, hit] of [['max-age=60, stale-while-revalidate=30', true], ['max-age=60, stale-while-revalidate=0', false]] as const) {
    await t.test(control, async (t) => {
      const app = await build(t, { compare: false, routes: numbered(hit ? {} : SWR, { 'cache-control': control }) })
      await app.ask('/')
      await app.clock.pass(61_000)
      t.match(await app.ask('/'), { hit })
      if (hit) await stored(app, 2)
    })
  }
})

t.test('RFC 9111 section 4.2.4: must-revalidate, proxy-revalidate, no-cache and s-maxage are never served stale', async (t) => {
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

t.test('a refresh goes through the whole route as its client did, and its hooks are told', async (t) => forEachBackend(t, async (t, on) => {
  const seen: unknown[] = []
  const app = await build(t, {
    ...on,
    compare: false,
    routes (app, probe) {
      app.addHook('onRequest', async (request) => {
        if (probe.cached) seen.push([request.isCacheRefresh, request.headers['x-user'], request.headers['if-none-match'], request.headers['cache-control'], request.host, request.ip, request.url])
      })
      app.get('/list', cached({ ...SWR, key: { headers: ['x-user'] } }), async (request) => `${String(request.headers['x-user'])} ${probe.ran()}`)
    }
  })
  const url = '/list?page=1'
  await app.ask({ url, headers: { 'x-user': 'alice' } })
  await app.clock.pass(61_000)
  t.match(await app.ask({ url, headers: { 'x-user': 'alice', 'if-none-match': '"x"', 'cache-control': 'x' } }), { text: 'alice 1' })
  await stored(app, 2)
  t.same(seen.at(-1), [true, 'alice', undefined, undefined, 'test.example', '127.0.0.1', url])
  t.same(seen.at(-2), [false, 'alice', '"x"', 'x', 'test.example', '127.0.0.1', url])
  t.match(await app.ask({ url, headers: { 'x-user': 'alice' } }), { text: 'alice 2', hit: true })
}))

t.test('nobody outside can make a request a refresh', async (t) => forEachBackend(t, async (t, on) => {
  const app = await build(t, {
    ...on,
    routes (app) {
      app.get('/', cached(SWR), async (request) => ({ refresh: request.isCacheRefresh ?? false }))
    }
  })
  for (const via of ['socket', 'inject'] as const) t.same((await app.ask({ url: `/?${via}`, via, headers: { 'is-cache-refresh': 'true', 'x-refresh': 'true' } })).json(), { refresh: false })
}))

t.test('a refresh validates', async (t) => forEachBackend(t, async (t, on) => {
  const app = await build(t, {
    ...on,
    routes (app, probe) {
      app.get('/', cached(SWR), async (request, reply) => {
        probe.ran(String(request.headers['if-none-match'] ?? 'bare'))
        return request.headers['if-none-match'] === '"1"' ? await reply.header('etag', '"1"').code(304).send() : await reply.header('etag', '"1"').send('x')
      })
    }
  })
  await app.ask('/')
  await app.clock.pass(61_000)
  t.match(await app.ask('/'), { text: 'x', hit: true })
  await stored(app, 2)
  t.match(await app.ask('/'), { text: 'x', cacheStatus: /ttl=60/ })
  t.equal(app.runs('"1"'), 1)
  t.equal(app.runs('bare'), 1)
}))

t.test('refreshes that fail come at longer and longer intervals, and stale answers are served meanwhile', async (t) => forEachBackend(t, async (t, on) => {
  let isBroken = false
  const app = await build(t, {
    ...on,
    compare: false,
    routes (app, probe) {
      app.get('/', cached(SWR), async () => {
        probe.ran()
        if (isBroken) throw new Error('broken')
        return 'x'
      })
    }
  })
  await app.ask('/')
  isBroken = true
  await app.clock.pass(61_000)
  const refusals = async (count: number): Promise<void> => await until(async () => (await app.cache.stats()).refusals['handler-error'] === count)
  for (const [afterMs, runs] of [[0, 2], [900, 2], [200, 3], [1_900, 3], [200, 4], [3_900, 4], [200, 5]] as const) {
    await app.clock.pass(afterMs)
    t.match(await app.ask('/'), { status: 200, text: 'x', hit: true })
    await refusals(runs - 1)
    t.equal(app.runs(), runs, `${afterMs} ms later`)
  }
  isBroken = false
  await app.clock.pass(60_000)
  await app.ask('/')
  await stored(app, 2)
  t.match(await app.ask('/'), { cacheStatus: /hit; ttl=60/ })
}))

t.test('a refresh that a hook refuses leaves the entry as it is; one that brings another answer ends it', async (t) => forEachBackend(t, async (t, on) => {
  let now: 'refused' | 'gone' | 'well' = 'well'
  const app = await build(t, {
    ...on,
    compare: false,
    routes (app, probe) {
      app.addHook('onRequest', async (request, reply) => {
        if (request.isCacheRefresh && now === 'refused') {
          probe.ran('refused')
          return await reply.code(401).send('who are you')
        }
      })
      app.get('/', cached(SWR), async (_request, reply) => {
        probe.ran()
        return now === 'gone' ? await reply.code(404).send('gone') : 'x'
      })
    }
  })
  await app.ask('/')
  await app.clock.pass(61_000)
  now = 'refused'
  t.match(await app.ask('/'), { text: 'x', hit: true })
  await until(() => app.runs('refused') === 1)
  t.match(await app.ask('/'), { text: 'x', hit: true })
  now = 'gone'
  await app.clock.pass(2_000)
  t.match(await app.ask('/'), { text: 'x', hit: true })
  await until(async () => (await app.cache.stats()).refusals.status === 1)
  t.match(await app.ask('/'), { status: 404, text: 'gone', hit: false }, 'what the handler said in its place ends it')
}))

t.test('C07: an invalidation during a refresh is not undone by it', async (t) => forEachBackend(t, async (t, on) => {
  const barrier = new Barrier()
  const app = await build(t, {
    ...on,
    compare: false,
    routes (app, probe) {
      app.get('/', cached({ ...SWR, tags: ['t'] }), async (_request, reply) => {
        const version = probe.version()
        if (probe.ran() === 2) await barrier.pass()
        return await reply.header('x-version', version).send(version)
      })
    }
  })
  await app.ask('/')
  await app.clock.pass(61_000)
  await app.ask('/')
  await barrier.reached()
  await app.change(async () => await app.cache.invalidate('t'))
  barrier.open()
  await until(async () => (await app.cache.stats()).refusals.invalidated === 1)
  t.match(await app.ask('/'), { text: '2', hit: false })
  t.match(await app.ask('/'), { text: '2', hit: true })
}))

t.test('C22: closing ends a refresh whose handler never answers', async (t) => forEachBackend(t, async (t, on) => {
  const app = await build(t, {
    ...on,
    compare: false,
    routes (app, probe) {
      app.get('/', cached(SWR), (_request, reply) => { if (probe.ran() === 1) reply.send('x') })
    }
  })
  await app.ask('/')
  await app.clock.pass(61_000)
  t.match(await app.ask('/'), { hit: true })
  await until(() => app.runs() === 2)
  const startedAt = performance.now()
  await app.app.close()
  t.ok(performance.now() - startedAt < 700)
}))

t.test('HEAD is served stale too, and has a GET refreshed; what has a body is not', async (t) => forEachBackend(t, async (t, on) => {
  const app = await build(t, {
    ...on,
    compare: false,
    routes (app, probe) {
      app.get('/', cached(SWR), async () => `number ${probe.ran()}`)
      app.post('/post', cached({ ...SWR, methods: ['POST'] }), async () => `post ${probe.ran('post')}`)
    }
  })
  await app.ask('/')
  const post = { url: '/post', method: 'POST', body: '{}', headers: { 'content-type': 'application/json' } }
  await app.ask(post)
  await app.clock.pass(61_000)
  t.match(await app.ask({ url: '/', method: 'HEAD' }), { status: 200, text: '', hit: true, cacheStatus: /ttl=-1/ })
  await stored(app, 3)
  t.match(await app.ask('/'), { text: 'number 2', cacheStatus: /ttl=60/ })
  t.match(await app.ask(post), { text: 'post 2', hit: false })
}))

t.test('RFC 5861 section 4: where the handler fails, the stale answer is sent in its place', async (t) => forEachBackend(t, async (t, on) => {
  let failing: string | undefined
  const app = await build(t, {
    ...on,
    compare: false,
    routes (app, probe) {
      app.addHook('onSend', async (_request, reply, payload) => { reply.header('x-seen', String(reply.statusCode)); return payload })
      app.get('/', cached({ staleIfError: '10m' }), async (_request, reply) => {
        probe.ran()
        if (failing === 'throw') throw new Error('thrown')
        if (failing !== undefined) return await reply.code(Number(failing)).headers({ 'x-error': 'yes', 'retry-after': '5' }).send({ broken: true })
        return await reply.headers({ 'x-own': 'yes', link: ['</a>', '</b>'] }).send('good')
      })
    }
  })
  const good = await app.ask('/')
  await app.clock.pass(61_000)
  for (failing of ['throw', '500', '502', '503', '504']) {
    const answer = await app.ask('/')
    t.match(answer, { status: 200, text: 'good', cacheStatus: `fastify-response-cache; fwd=stale; fwd-status=${failing === 'throw' ? '500' : failing}; detail=${failing === 'throw' ? 'handler-error' : 'status'}`, headers: { 'x-own': 'yes', link: '</a>, </b>', age: '61', 'x-seen': '200', 'x-error': undefined, 'retry-after': undefined } }, failing)
    t.equal(answer.headers['content-type'], good.headers['content-type'])
    t.equal(answer.headers['content-length'], good.headers['content-length'])
  }
  for (failing of ['501', '400', '404', '429']) {
    t.match(await app.ask('/'), { status: Number(failing), headers: { 'x-error': 'yes' } }, `${failing} is no such error`)
    failing = undefined
    await app.ask('/')
    await app.clock.pass(61_000)
  }
  await app.clock.pass(600_000)
  failing = 'throw'
  t.match(await app.ask('/'), { status: 500 }, 'when the window is over')
}))

t.test('RFC 5861 section 4: what the answer says goes before the route; a stored error stands in for nothing', async (t) => forEachBackend(t, async (t, on) => {
  const app = await build(t, {
    ...on,
    compare: false,
    routes (app, probe) {
      app.get('/own', cached(), async (_request, reply) => probe.ran('own') === 1 ? await reply.header('cache-control', 'max-age=60, stale-if-error=60').send('good') : await reply.code(503).send('bad'))
      app.get('/error', cached({ staleIfError: '10m' }), async (_request, reply) => await reply.code(503).header('cache-control', 'max-age=60').send(`bad ${probe.ran('error')}`))
    }
  })
  for (const url of ['/own', '/error']) await app.ask(url)
  await app.clock.pass(61_000)
  t.match(await app.ask('/own'), { status: 200, text: 'good' })
  t.match(await app.ask('/error'), { status: 503, text: 'bad 2' })
}))

t.test('whoever waits for a handler that fails is given the stale answer too, and the handler runs once', async (t) => forEachBackend(t, async (t, on) => {
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

t.test('a failing hook behind the handler is what it is without the cache', async (t) => forEachBackend(t, async (t, on) => {
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

t.test('a soft invalidation makes what it is about stale: served while it is refreshed, validated, or sent in place of an error', async (t) => forEachBackend(t, async (t, on) => {
  const app = await build(t, {
    ...on,
    compare: false,
    routes (app, probe) {
      const options = { ttl: '1h', tags: ['t'] }
      app.get('/swr', cached({ ...options, ...SWR }), async () => `number ${probe.ran('/swr')}`)
      app.get('/sie', cached({ ...options, staleIfError: '10m' }), async () => { if (probe.ran('/sie') > 1) throw new Error('broken'); return 'good' })
      app.get('/etag', cached(options), async (request, reply) => request.headers['if-none-match'] === undefined ? await reply.header('etag', '"1"').send('x') : await reply.code(304).send())
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
  for (const url of ['/swr', '/etag', '/bare']) t.match(await app.ask(url), { hit: false, cacheStatus: /fwd=miss/ }, `${url}, forgotten`)
}))
