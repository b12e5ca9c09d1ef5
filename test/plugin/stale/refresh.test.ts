// Refreshes: stale responses are served while their route runs once more in the background (RFC 5861 section 3).
import type { FastifyInstance } from 'fastify'
import t from 'tap'
import type { RouteCacheOptions } from '../../../plugin.js'
import { build, forEachBackend, type Probe, type TestApp } from '../../support/app.js'
import { Barrier, until } from '../../support/barrier.js'
import { cached } from '../../support/document.js'

const SWR = { staleWhileRevalidate: '10m' } as const

/** A route whose responses are numbered, in the application with the cache only. */
const numbered = (options: RouteCacheOptions, fields: Record<string, string> = {}) => (app: FastifyInstance, probe: Probe): void => {
  app.get('/', cached(options), async (_request, reply) => await reply.headers(fields).send(`number ${probe.ran()}`))
}

/** Waits until a refresh has stored its response. */
const stored = async (app: TestApp, stores: number): Promise<void> => await until(async () => (await app.cache.stats()).stores === stores)

t.test('RFC 5861 section 3: stale responses are served while one refresh runs, then the new response', async (t) =>
  forEachBackend(t, async (t, on) => {
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
    for (let times = 0; times < 5; times++) {
      t.match(await app.ask('/'), {
        status: 200, text: 'number 1', hit: true, cacheStatus: 'fastify-response-cache; hit; ttl=-3', headers: { age: '62' }
      })
    }
    await barrier.reached()
    t.equal(app.runs(), 2)
    barrier.open()
    await stored(app, 2)
    t.match(await app.ask('/'), { text: 'number 2', cacheStatus: /hit; ttl=60/ })
    t.match(await app.cache.stats(), { hits: 1, staleHits: 5, misses: 2 })
  }))

t.test('RFC 5861 section 3: after the window has ended, a request waits for the handler', async (t) => forEachBackend(t, async (t, on) => {
  const app = await build(t, { ...on, compare: false, routes: numbered({ staleWhileRevalidate: 10 }) })
  await app.ask('/')
  await app.clock.pass(70_000)
  t.match(await app.ask('/'), { text: 'number 2', hit: false })
}))

t.test("a refresh goes through the whole route as its client's request did, and hooks can recognise it", async (t) =>
  forEachBackend(t, async (t, on) => {
    const seen: unknown[] = []
    const app = await build(t, {
      ...on,
      compare: false,
      routes (app, probe) {
        app.addHook('onRequest', async (request) => {
          if (probe.cached) {
            seen.push([
              request.isCacheRefresh, request.headers['x-user'], request.headers['if-none-match'], request.headers['cache-control'],
              request.host, request.ip, request.url
            ])
          }
        })
        app.get('/list', cached({ ...SWR, key: { headers: ['x-user'] } }), async (request) =>
        `${String(request.headers['x-user'])} ${probe.ran()}`)
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

t.test('a client cannot make its request a refresh', async (t) => forEachBackend(t, async (t, on) => {
  const app = await build(t, {
    ...on,
    routes (app) {
      app.get('/', cached(SWR), async (request) => ({ refresh: request.isCacheRefresh ?? false }))
    }
  })
  for (const via of ['socket', 'inject'] as const) {
    t.same((await app.ask({ url: `/?${via}`, via, headers: { 'is-cache-refresh': 'true', 'x-refresh': 'true' } })).json(),
      { refresh: false })
  }
}))

t.test('a refresh validates the stale response', async (t) => forEachBackend(t, async (t, on) => {
  const app = await build(t, {
    ...on,
    routes (app, probe) {
      app.get('/', cached(SWR), async (request, reply) => {
        probe.ran(String(request.headers['if-none-match'] ?? 'bare'))
        return request.headers['if-none-match'] === '"1"'
          ? await reply.header('etag', '"1"').code(304).send()
          : await reply.header('etag', '"1"').send('x')
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

t.test('refreshes that fail are repeated at longer and longer intervals, and stale responses are served meanwhile', async (t) =>
  forEachBackend(t, async (t, on) => {
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
    const refusals = async (count: number): Promise<void> =>
      await until(async () => (await app.cache.stats()).refusals['handler-error'] === count)
    for (const [afterMs, runs] of [[0, 2], [900, 2], [200, 3], [1_900, 3], [200, 4], [3_900, 4], [200, 5]] as const) {
      await app.clock.pass(afterMs)
      t.match(await app.ask('/'), { status: 200, text: 'x', hit: true })
      await refusals(runs - 1)
      t.equal(app.runs(), runs, `${afterMs} ms later`)
    }
    t.match(app.warnings()[0], { reason: 'handler-error', statusCode: 500, msg: /^cache: a refresh produced nothing to store/ })
    isBroken = false
    await app.clock.pass(60_000)
    await app.ask('/')
    await stored(app, 2)
    t.match(await app.ask('/'), { cacheStatus: /hit; ttl=60/ })
  }))

t.test('a refresh that a hook refuses leaves the entry unchanged; a refresh with another response removes it', async (t) =>
  forEachBackend(t, async (t, on) => {
    let now: 'refused' | 'gone' | 'well' = 'well'
    const app = await build(t, {
      ...on,
      compare: false,
      routes (app, probe) {
        app.addHook('onRequest', async (request, reply) => {
          if (request.isCacheRefresh && now === 'refused') {
            probe.ran('refused')
            return await reply.code(401).send('not allowed')
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
    await until(() => app.warnings().length > 0)
    t.match(app.warnings(), [
      { key: /^0:r GET 1:\/ /, reason: 'not-asked', statusCode: 401, msg: /^cache: a refresh produced nothing to store/ }
    ])
    t.equal(app.runs('refused'), 1)
    t.match(await app.ask('/'), { text: 'x', hit: true })
    now = 'gone'
    await app.clock.pass(2_000)
    t.match(await app.ask('/'), { text: 'x', hit: true })
    await until(async () => (await app.cache.stats()).refusals.status === 1)
    t.match(await app.ask('/'), { status: 404, text: 'gone', hit: false }, "the handler's new response removes the entry")
  }))

t.test('an invalidation during a refresh is not undone by it', async (t) => forEachBackend(t, async (t, on) => {
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

t.test('a refresh whose response removes the entry has not failed: the next stored response is refreshed once it is stale', async (t) =>
  forEachBackend(t, async (t, on) => {
    const app = await build(t, {
      ...on,
      compare: false,
      routes (app, probe) {
        app.get('/', cached({ ...SWR, tags: ['t'] }), async (_request, reply) => {
          const times = probe.ran()
          if (times === 2) reply.header('cache-control', 'private')
          return `number ${times}`
        })
      }
    })
    await app.ask('/')
    await app.cache.invalidate({ tags: ['t'], soft: true })
    t.match(await app.ask('/'), { text: 'number 1', hit: true })
    await until(async () => (await app.cache.stats()).refusals.private === 1)
    t.match(await app.ask('/'), { text: 'number 3', hit: false })
    await app.cache.invalidate({ tags: ['t'], soft: true })
    t.match(await app.ask('/'), { text: 'number 3', hit: true })
    await stored(app, 3)
    t.match(await app.ask('/'), { text: 'number 4', hit: true })
  }))

t.test('close() ends a refresh whose handler never responds', async (t) => forEachBackend(t, async (t, on) => {
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

t.test('HEAD is served stale too, and causes a refresh by GET; a request with a body is not served stale', async (t) =>
  forEachBackend(t, async (t, on) => {
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
