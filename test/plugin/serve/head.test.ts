// HEAD requests are served from the response to GET, and the response to a HEAD shows whether it is current (RFC 9110 section 9.3.2, RFC
// 9111 section 4.3.5).
import { Readable } from 'node:stream'
import type { FastifyInstance } from 'fastify'
import t from 'tap'
import { build, databasePath, forEachBackend } from '../../support/app.js'

const CACHED = { config: { cache: { ttl: '1m' } } } as const
const HEAD = { url: '/', method: 'HEAD' }

t.test('HEAD is served from the entry of GET, with its length; a HEAD never creates an entry', async (t) =>
  forEachBackend(t, async (t, on) => {
    const app = await build(t, { ...on, routes (app, probe) { app.get('/', CACHED, async () => { probe.ran(); return 'a body' }) } })
    t.match(await app.ask(HEAD), { status: 200, text: '', hit: false, cacheStatus: /detail=head/ })
    t.match(await app.ask('/'), { text: 'a body', hit: false })
    t.match(await app.ask(HEAD), { status: 200, text: '', hit: true, headers: { 'content-length': '6' } })
    t.match(await app.ask('/'), { text: 'a body', hit: true })
  }))

t.test('HEAD is served for every kind of route and payload, with hooks and without', async (t) => forEachBackend(t, async (t, on) => {
  const routes = (app: FastifyInstance, ran: () => void): void => {
    app.get('/', CACHED, async () => { ran(); return { hello: 'world' } })
    app.get('/stream', CACHED, async () => { ran(); return Readable.from(['hello']) })
    app.head('/own', CACHED, async (_request, reply) => {
      ran()
      return await reply.type('text/plain; charset=utf-8').header('content-length', 5).send()
    })
    app.get('/own', CACHED, async () => { ran(); return 'hello' })
    app.route({ method: ['GET', 'HEAD'], url: '/both', ...CACHED, handler: async () => { ran(); return 'hello' } })
  }
  for (const hooked of [false, true]) {
    const options = on.backend === 'sqlite' ? { path: databasePath(t) } : {}
    await t.test(hooked ? 'with a hook' : 'straight', async (t) => {
      const app = await build(t, {
        ...on, options, routes (app, probe) { if (hooked) app.addHook('onSend', async () => {}); routes(app, () => { probe.ran() }) }
      })
      for (const url of ['/', '/stream', '/own', '/both']) {
        for (let times = 0; times < 2; times++) {
          t.match(await app.ask({ url, method: 'HEAD' }), { status: 200, hit: false, text: '' }, `HEAD ${url} first`)
        }
        t.match(await app.ask(url), { hit: false }, 'no entry was created')
        t.match(await app.ask(url), { hit: true })
        const before = app.runs()
        const { body } = await app.ask(url)
        for (const via of ['socket', 'inject'] as const) {
          const head = await app.ask({ url, method: 'HEAD', via })
          t.match(head, { status: 200, hit: true, text: '' }, `HEAD ${url} ${via}`)
          if (url !== '/stream') t.equal(head.headers['content-length'], String(body.byteLength))
        }
        t.equal(app.runs(), before, 'the handler did not run')
        t.ok((await app.ask(url)).body.equals(body), 'GET is complete afterwards')
      }
      t.equal((await app.raw('HEAD / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n')).split('\r\n\r\n')[1], '', 'no byte of a body')
    })
  }
}))

t.test('RFC 9111 section 4.3.5: a response to HEAD with the same validator makes the stale entry of GET fresh, with the new fields',
  async (t) => forEachBackend(t, async (t, on) => {
    const app = await build(t, {
      ...on,
      compare: false,
      routes (app, probe) {
        app.get('/', CACHED, async (_request, reply) => await reply.headers({ etag: '"1"', 'x-times': String(probe.ran()) }).send('a body'))
      }
    })
    await app.ask('/')
    await app.clock.pass(61_000)
    t.match(await app.ask(HEAD), { status: 200, text: '', headers: { 'x-times': '2', 'content-length': '6' } })
    t.match(await app.ask('/'), { text: 'a body', hit: true, cacheStatus: /ttl=60/, headers: { 'x-times': '2', etag: '"1"' } })
    t.equal(app.runs(), 2)
  }))

t.test('RFC 9111 section 4.3.5: a response to HEAD with another validator, or another length, removes the entry of GET', async (t) =>
  forEachBackend(t, async (t, on) => {
    let version = 1
    const app = await build(t, {
      ...on,
      compare: false,
      routes (app) {
        app.get('/etag', CACHED, async (_request, reply) => await reply.header('etag', `"${version}"`).send(`version ${version}`))
        app.get('/date', CACHED, async (_request, reply) =>
          await reply.header('last-modified', `Tue, 06 May 2031 06:00:0${version} GMT`).send(`version ${version}`))
        app.route({
          method: ['GET', 'HEAD'],
          url: '/length',
          ...CACHED,
          handler: async (_request, reply) => await reply.header('content-length', 8 + version).send('x'.repeat(8 + version))
        })
      }
    })
    for (const url of ['/etag', '/date', '/length']) {
      version = 1
      await app.ask(url)
      version = 2
      t.match(await app.ask({ url, method: 'HEAD', headers: { 'cache-control': 'no-cache' } }), { status: 200, hit: false },
        `${url}, fresh until now`)
      t.match(await app.ask(url), { hit: false, cacheStatus: /fwd=miss; stored/ }, url)
      t.match(await app.ask(url), { hit: true }, url)
    }
  }))

t.test('a response to HEAD without a validator does not affect the entry of GET, nor does an error', async (t) =>
  forEachBackend(t, async (t, on) => {
    let isBroken = false
    const app = await build(t, {
      ...on,
      compare: false,
      routes (app, probe) {
        app.get('/', CACHED, async () => {
          probe.ran()
          if (isBroken) throw new Error('broken')
          return 'a body'
        })
      }
    })
    await app.ask('/')
    const anew = { ...HEAD, headers: { 'cache-control': 'no-cache' } }
    await app.ask(anew)
    isBroken = true
    t.match(await app.ask(anew), { status: 500 })
    t.match(await app.ask('/'), { text: 'a body', hit: true })
  }))

t.test('a HEAD revalidates the stale entry, and a 304 makes it fresh', async (t) => forEachBackend(t, async (t, on) => {
  const app = await build(t, {
    ...on,
    routes (app, probe) {
      app.get('/', CACHED, async (request, reply) => {
        probe.ran(String(request.headers['if-none-match']))
        reply.header('etag', '"1"')
        return request.headers['if-none-match'] === '"1"' ? await reply.code(304).send() : 'a body'
      })
    }
  })
  await app.ask('/')
  await app.clock.pass(61_000)
  t.match(await app.ask(HEAD), {
    status: 200, text: '', cacheStatus: /fwd=stale; fwd-status=304; stored/, headers: { 'content-length': '6' }
  })
  t.match(await app.ask('/'), { text: 'a body', hit: true })
  t.equal(app.runs('"1"'), 1)
}))

t.test('a HEAD receives the stale entry in place of an error', async (t) => forEachBackend(t, async (t, on) => {
  const app = await build(t, {
    ...on,
    compare: false,
    routes (app, probe) {
      app.get('/', { config: { cache: { ttl: '1m', staleIfError: '10m' } } }, async () => {
        if (probe.ran() > 1) throw new Error('broken')
        return 'a body'
      })
    }
  })
  await app.ask('/')
  await app.clock.pass(61_000)
  t.match(await app.ask(HEAD), { status: 200, text: '', cacheStatus: /fwd=stale; fwd-status=500/, headers: { 'content-length': '6' } })
}))

t.test('a HEAD whose handler requests the GET by inject() stores that response', async (t) => forEachBackend(t, async (t, on) => {
  const app = await build(t, {
    ...on,
    routes (app) {
      app.get('/', { ...CACHED, exposeHeadRoute: false }, async () => 'a body')
      app.head('/', CACHED, async (request, reply) => {
        const { headers } = await app.inject({ url: '/', headers: { host: request.headers.host as string } })
        return await reply.type('text/plain; charset=utf-8').header('content-length', headers['content-length']).send()
      })
    }
  })
  for (const via of ['socket', 'inject'] as const) {
    t.match(await app.ask({ ...HEAD, via }), { status: 200, headers: { 'content-length': '6' } })
  }
  t.match(await app.cache.stats(), { stores: 1, bypasses: { nested: undefined } })
  t.match(await app.ask('/'), { hit: true })
}))
