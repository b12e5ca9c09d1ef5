// Attacks: hooks, conditions, streams and tags could turn a stored response into one that nobody sent.
import { Readable } from 'node:stream'
import type { FastifyReply } from 'fastify'
import t from 'tap'
import { build, forEachBackend } from '../../support/app.js'
import { Barrier, until } from '../../support/barrier.js'

t.test('a directive that forbids storing a response does so even if a hook removes it from the response', async (t) =>
  forEachBackend(t, async (t, on) => {
    const app = await build(t, {
      ...on,
      defaults: { ttl: '1m', targetList: ['cdn-cache-control'] },
      routes (app) {
        app.addHook('onSend', async (_request, reply) => { reply.removeHeader('cdn-cache-control').header('cache-control', 'max-age=5') })
        for (const [url, name] of [
          ['/private', 'cache-control'], ['/private-stream', 'cache-control'], ['/cdn', 'cdn-cache-control']
        ] as const) {
          app.get(url, { config: { cache: true } }, async (_request, reply) =>
            await reply.header(name, 'private').send(url.endsWith('stream') ? Readable.from(['x']) : 'x'))
        }
        app.get('/', { config: { cache: true } }, async () => 'x')
      }
    })
    for (const url of ['/private', '/private-stream', '/cdn']) {
      for (let times = 0; times < 2; times++) t.match(await app.ask(url), { hit: false, cacheStatus: /; detail=private$/ })
    }
    for (const hit of [false, true]) t.match(await app.ask('/'), { hit })
  }))

t.test("the handler's Content-Type goes with the body to every client, even if a hook had set it before", async (t) =>
  forEachBackend(t, async (t, on) => {
    const app = await build(t, {
      ...on,
      routes (app) {
        app.addHook('onRequest', async ({ headers }, reply) => {
          reply.type(headers.accept === 'text/html' ? 'text/html; charset=utf-8' : 'application/json; charset=utf-8')
        })
        app.get('/', { config: { cache: { ttl: '1m' } } }, async (_request, reply) =>
          await reply.type('application/json; charset=utf-8').send('{"name":"<script>"}'))
      }
    })
    for (const [accept, hit] of [['*/*', false], ['text/html', true]] as const) {
      t.match(await app.ask({ url: '/', headers: { accept } }), { hit, headers: { 'content-type': 'application/json; charset=utf-8' } })
    }
  }))

t.test('what an earlier hook sets with reply.cache() counts', async (t) => forEachBackend(t, async (t, on) => {
  const app = await build(t, {
    ...on,
    compare: false,
    routes (app) {
      app.get('/:what', {
        preHandler: async (request, reply) => {
          const { what } = request.params as { what: string }
          if (what === 'draft') reply.cache({ store: false })
          else if (what === 'wrong') reply.cache({ ttl: 'never' as '1m' })
          else reply.cache({ tags: ['product 1'] }).cache({ ttl: '5m' })
        },
        config: { cache: { ttl: '1m' } }
      }, async () => 'x')
    }
  })
  for (const [what, detail] of [['draft', 'reply-store-false'], ['wrong', 'ttl']] as const) {
    for (let times = 0; times < 2; times++) {
      t.match(await app.ask(`/${what}`), { hit: false, cacheStatus: new RegExp(`; detail=${detail}$`) })
    }
  }
  await app.ask('/product')
  await app.clock.pass(240_000)
  t.match(await app.ask('/product'), { hit: true })
  await app.cache.invalidate('product 1')
  t.match(await app.ask('/product'), { hit: false })
}))

t.test('tags that are set while a stream is sent count', async (t) => forEachBackend(t, async (t, on) => {
  const app = await build(t, {
    ...on,
    compare: false,
    routes (app) {
      app.get('/', { config: { cache: { ttl: '1m' } } }, async (_request, reply) =>
        await reply.type('text/plain').send(Readable.from((async function * () {
          yield 'first'
          await new Promise(setImmediate)
          reply.cache({ tags: ['product 1'] })
          yield 'second'
        })())))
    }
  })
  for (const hit of [false, true]) t.match(await app.ask('/'), { hit })
  await app.cache.invalidate('product 1')
  t.match(await app.ask('/'), { hit: false })
}))

t.test("after a 304 an entry keeps the tags under which it was stored, also if a function returns the route's tags", async (t) =>
  forEachBackend(t, async (t, on) => {
    const app = await build(t, {
      ...on,
      compare: false,
      routes (app) {
        app.get('/', { config: { cache: { ttl: '1m', tags: () => ['all'] } } }, async ({ headers }, reply) => {
          reply.header('etag', '"1"')
          if (headers['if-none-match'] === '"1"') return await reply.code(304).send()
          return reply.cache({ tags: ['product 1'] }).send('x')
        })
      }
    })
    await app.ask('/')
    await app.clock.pass(61_000)
    t.match(await app.ask('/'), { cacheStatus: /fwd=stale; fwd-status=304; stored/ })
    await app.cache.invalidate('product 1')
    t.match(await app.ask('/'), { hit: false })
  }))

t.test(
  "RFC 9110 section 12.5.5: Vary has the fields of this request's hooks and the stored ones, also after a 304 and in place of an error",
  async (t) => forEachBackend(t, async (t, on) => {
    let respond = (reply: FastifyReply): unknown => reply.headers({ etag: '"1"', vary: 'Accept-Language' }).send('x')
    const app = await build(t, {
      ...on,
      compare: false,
      routes (app) {
        app.addHook('onRequest', async (_request, reply) => { reply.header('vary', 'Origin') })
        app.get('/', { config: { cache: { ttl: '1m', staleIfError: '1h' } } }, async (_request, reply) => await respond(reply))
      }
    })
    await app.ask('/')
    for (const act of [
      () => {},
      () => { respond = (reply) => reply.code(304).send() },
      () => { respond = (reply) => reply.removeHeader('vary').code(503).send('down') }
    ]) {
      act()
      const { status, headers } = await app.ask('/')
      t.match({ status, vary: String(headers.vary).split(', ').sort() }, { status: 200, vary: ['Accept-Language', 'Origin'] })
      await app.clock.pass(61_000)
    }
  }))

t.test('a 412 or 416 does not have the lifetime of the stored response, for caches in front', async (t) =>
  forEachBackend(t, async (t, on) => {
    const app = await build(t, {
      ...on,
      compare: false,
      routes (app) {
        for (const says of ['public', 'private']) {
          app.get(`/${says}`, { config: { cache: { ttl: '1m', staleIfError: '1h' } } }, async (_request, reply) => await reply
            .headers({
              etag: '"1"',
              'cache-control': `${says}, max-age=60`,
              expires: 'Mon, 05 May 2031 07:08:09 GMT',
              'cdn-cache-control': 'max-age=60'
            }).send('x'))
        }
      }
    })
    const failing = [[{ 'if-match': '"2"' }, 412], [{ range: 'bytes=9-' }, 416]] as const
    const refused = async (headers: object, status: number): Promise<void> => {
      const response = await app.ask({ url: '/public', headers: headers as Record<string, string> })
      t.equal(response.status, status)
      for (const name of ['cache-control', 'expires', 'cdn-cache-control']) t.notOk(name in response.headers, `${status} ${name}`)
    }
    await app.ask('/public')
    for (const [headers, status] of failing) await refused(headers, status)
    for (const [headers, status] of failing) {
      await app.clock.pass(61_000)
      await refused(headers, status)
      t.match(await app.ask('/public'), { hit: true, headers: { 'cache-control': 'public, max-age=60' } }, 'the whole was stored')
    }
  }))

t.test('a response that must not be stored is not stored after a failed condition either', async (t) => forEachBackend(t, async (t, on) => {
  let says = 'public'
  const app = await build(t, {
    ...on,
    compare: false,
    routes (app) {
      app.get('/', { config: { cache: { ttl: '1m' } } }, async (_request, reply) =>
        await reply.headers({ etag: `"${says}"`, 'cache-control': `${says}, max-age=60` }).send(says))
    }
  })
  await app.ask('/')
  await app.clock.pass(61_000)
  says = 'private'
  t.match(await app.ask({ url: '/', headers: { 'if-match': '"2"' } }), { status: 412 })
  t.match(await app.ask('/'), { hit: false, text: 'private' })
}))

t.test('RFC 9110 section 6.6.1: a stream that has ended is as old as its head', async (t) => forEachBackend(t, async (t, on) => {
  const middle = new Barrier()
  const app = await build(t, {
    ...on,
    compare: false,
    routes (app) {
      app.get('/', { config: { cache: true } }, async (_request, reply) =>
        await reply.header('cache-control', 'max-age=60').send(Readable.from((async function * () {
          yield 'first'
          await middle.pass()
          yield 'second'
        })())))
    }
  })
  const askedAt = app.clock.now()
  const response = app.ask('/')
  await middle.reached()
  await app.clock.pass(50_000)
  middle.open()
  await response
  t.match(await app.ask('/'), { hit: true, headers: { age: '50', date: new Date(askedAt).toUTCString() } })
  await app.clock.pass(11_000)
  t.match(await app.ask('/'), { hit: false })
}))

t.test('RFC 9211: a collapsed request sees in Cache-Status that a stale response was replaced', async (t) =>
  forEachBackend(t, async (t, on) => {
    const slow = new Barrier()
    const app = await build(t, {
      ...on,
      compare: false,
      routes (app) {
        app.get('/', { config: { cache: { ttl: '1m', staleIfError: '1h' } } }, async () => {
          await slow.pass()
          return 'x'
        })
      }
    })
    const first = app.ask('/')
    await slow.reached()
    slow.letGo()
    await first
    await app.clock.pass(61_000)
    const asking = [app.ask('/'), app.ask('/')]
    await until(async () => (await app.cache.stats()).misses === 3)
    slow.open()
    t.match((await Promise.all(asking)).map(({ cacheStatus }) => cacheStatus).sort(), [/fwd=stale; collapsed$/, /fwd=stale; stored$/])
  }))

t.test('RFC 9111 section 4.4: a write invalidates the URL that was requested, whatever its handler makes of it', async (t) =>
  forEachBackend(t, async (t, on) => {
    const app = await build(t, {
      ...on,
      compare: false,
      routes (app) {
        app.get('/api/item', { config: { cache: { ttl: '1m' } } }, async () => 'x')
        app.post('/api/item', async ({ raw }) => {
          raw.url = raw.url!.slice('/api'.length)
          return 'changed'
        })
      }
    })
    for (const hit of [false, true]) t.match(await app.ask('/api/item'), { hit })
    await app.ask({ url: '/api/item', method: 'POST' })
    t.match(await app.ask('/api/item'), { hit: false })
  }))

t.test("a client's no-store counts beside directives that cannot be parsed", async (t) => forEachBackend(t, async (t, on) => {
  const app = await build(t, { ...on, routes: (app) => app.get('/', { config: { cache: { ttl: '1m' } } }, async () => 'x') })
  t.match(await app.ask({ url: '/', headers: { 'cache-control': 'no-store, ext=a/b' } }), { cacheStatus: /fwd=bypass; detail=no-store/ })
}))
