// What responses to unsafe methods invalidate (RFC 9111 section 4.4), and what their routes list.
import { Readable } from 'node:stream'
import Fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest, type RouteHandlerMethod } from 'fastify'
import t from 'tap'
import responseCache from '../../../plugin.js'
import { build, forEachBackend, type Probe } from '../../support/app.js'
import { Barrier, turns } from '../../support/barrier.js'
import { Chaos } from '../../support/chaos.js'
import { cached } from '../../support/document.js'

const UNSAFE = ['POST', 'PUT', 'PATCH', 'DELETE'] as const

/** A cached route, and a route for every other method with the same pattern. */
function items (app: FastifyInstance, probe: Probe, write: RouteHandlerMethod, config: object = {}): void {
  app.get('/items/:id', cached(), async (request) => { probe.ran(); return (request.params as { id: string }).id })
  app.route({ method: [...UNSAFE, 'OPTIONS'], url: '/items/:id', config, handler: write })
}

t.test('RFC 9111 4.4: a 2xx or 3xx response to an unsafe method invalidates its URL before it is sent, an error does not', async (t) =>
  forEachBackend(t, async (t, on) => {
    const statuses = { 200: false, 201: false, 204: false, 303: false, 400: true, 404: true, 409: true, 500: true }
    const app = await build(t, {
      ...on, routes: (app, probe) => items(app, probe, async (request, reply) => reply.code(Number(request.headers['x-status'])).send())
    })
    await app.ask('/items/2')
    for (const method of UNSAFE) {
      for (const [status, kept] of Object.entries(statuses)) {
        await app.ask('/items/1')
        t.match(await app.ask({ url: '/items/1', method, headers: { 'x-status': status } }), { status: Number(status) })
        t.equal((await app.ask('/items/1')).hit, kept, `${method} ${status}`)
      }
    }
    t.ok((await app.ask('/items/2')).hit, 'another URL is not invalidated')
  }))

t.test('RFC 9111 4.4: safe methods invalidate nothing', async (t) => {
  const app = await build(t, {
    routes: (app, probe) => {
      items(app, probe, async () => 'options')
      app.route({ method: ['QUERY', 'TRACE'], url: '/items/:id', handler: async () => 'safe' })
    }
  })
  await app.ask('/items/1')
  for (const method of ['GET', 'HEAD', 'OPTIONS', 'TRACE', 'QUERY']) {
    await app.ask({ url: '/items/1', method: method as 'GET', compare: false })
    t.ok((await app.ask('/items/1')).hit, method)
  }
})

t.test('RFC 9111 4.4: a method that is not known to be safe is unsafe', async (t) => {
  const app = await build(t, {
    routes: (app, probe) => {
      app.addHttpMethod('M-SEARCH', { hasBody: true })
      items(app, probe, async () => '')
      app.route({ method: 'M-SEARCH', url: '/items/:id', handler: async () => 'found' })
    }
  })
  await app.ask('/items/1')
  await app.ask({ url: '/items/1', method: 'M-SEARCH' as 'POST' })
  t.notOk((await app.ask('/items/1')).hit)
})

t.test('RFC 9111 4.4: Location and Content-Location of the same origin are invalidated, those of another are not', async (t) => {
  const names = (name: string, value: string) => async (_request: FastifyRequest, reply: FastifyReply) =>
    reply.code(201).header(name, value).send('made')
  for (const [name, value, kept] of [
    ['location', '/items/1', false], ['content-location', '/items/1', false], ['location', './1', false],
    ['location', 'http://test.example/items/1', false],
    ['location', 'http://other.example/items/1', true], ['location', 'https://test.example/items/1', true], ['location', '//', true],
    ['location', '/items/1?a', true]
  ] as const) {
    const app = await build(t, { routes: (app, probe) => { items(app, probe, async () => ''); app.post('/items/', names(name, value)) } })
    await app.ask({ url: '/items/1', headers: { host: 'test.example' } })
    await app.ask({ url: '/items/', method: 'POST', headers: { host: 'test.example' } })
    t.equal((await app.ask({ url: '/items/1', headers: { host: 'test.example' } })).hit, kept, `${name}: ${value}`)
  }
})

t.test('invalidates: false: a login that redirects to a page leaves that page alone, and still invalidates its own URL', async (t) => {
  const app = await build(t, {
    routes (app) {
      const redirect = async (_request: FastifyRequest, reply: FastifyReply): Promise<unknown> => await reply.redirect('/', 303)
      for (const path of ['/', '/login', '/form']) app.get(path, cached(), async () => path)
      app.post('/login', { config: { cache: { invalidates: false } } }, redirect)
      app.post('/form', redirect)
    }
  })
  const hits = async (): Promise<boolean[]> => {
    const found = []
    for (const path of ['/', '/login', '/form']) found.push((await app.ask(path)).hit)
    return found
  }
  await hits()
  await app.ask({ method: 'POST', url: '/login' })
  t.same(await hits(), [true, false, true])
  await app.ask({ method: 'POST', url: '/form' })
  t.same(await hits(), [false, true, false])
  t.match((await app.cache.explain({ method: 'POST', url: '/login' })).because, /invalidates this URL \(with invalidates: false, no other\)$/)
  t.match((await app.cache.explain({ method: 'POST', url: '/form' })).because, /those in its Location .*\(invalidates: false: this URL alone\)$/)
  t.notMatch((await app.cache.explain({ url: '/form' })).because, /invalidates/)
})

t.test('all variants of a URL are invalidated, for one host only', async (t) => {
  const app = await build(t, {
    routes: (app, probe) => {
      app.get('/', cached(), async (request, reply) => {
        probe.ran()
        reply.header('vary', 'x-lang')
        return String(request.headers['x-lang'])
      })
      app.post('/', async () => 'done')
    }
  })
  const asks = ['de', 'en'].flatMap((lang) => ['a.example', 'b.example'].map((host) => ({ url: '/', headers: { host, 'x-lang': lang } })))
  for (const ask of asks) await app.ask(ask)
  await app.ask({ url: '/', method: 'POST', headers: { host: 'a.example' } })
  const hits = []
  for (const ask of asks) hits.push((await app.ask(ask)).hit)
  t.same(hits, [false, true, false, true])
})

t.test('a write invalidates a path that is cached by a route with another pattern', async (t) => {
  const app = await build(t, {
    routes: (app, probe) => {
      app.get('/a/*', cached(), async () => { probe.ran(); return 'any' })
      app.put('/a/:id', async () => 'put')
    }
  })
  await app.ask('/a/1')
  await app.ask({ url: '/a/1', method: 'PUT' })
  t.notOk((await app.ask('/a/1')).hit)
})

t.test('if keys contain more than the URL, a write invalidates only what its route lists', async (t) => {
  const app = await build(t, {
    routes: (app, probe) => {
      app.get('/mine', cached({ key: { headers: ['x-user'] }, tags: ['mine'] }), async () => { probe.ran(); return 'mine' })
      app.post('/mine', async () => 'posted')
      app.put('/mine', { config: { cache: { invalidates: ['mine'] } } }, async () => 'put')
    }
  })
  await app.ask('/mine')
  await app.ask({ url: '/mine', method: 'POST' })
  t.ok((await app.ask('/mine')).hit)
  await app.ask({ url: '/mine', method: 'PUT' })
  t.notOk((await app.ask('/mine')).hit)
})

t.test('a route with `cache: false` invalidates nothing', async (t) => {
  const app = await build(t, { routes: (app, probe) => items(app, probe, async () => 'search', { cache: false }) })
  await app.ask('/items/1')
  await app.ask({ url: '/items/1', method: 'POST' })
  t.ok((await app.ask('/items/1')).hit)
})

t.test('a response that a hook sent in place of the handler invalidates nothing', async (t) => {
  const app = await build(t, {
    routes: (app, probe) => {
      app.addHook('preHandler', async (request, reply) => request.headers['x-known'] === undefined ? undefined : reply.send('known'))
      items(app, probe, async () => 'done')
    }
  })
  await app.ask('/items/1')
  await app.ask({ url: '/items/1', method: 'POST', headers: { 'x-known': '1' } })
  t.ok((await app.ask('/items/1')).hit)
})

t.test('`invalidates` lists tags, URLs, routes and keys, for 2xx and 3xx only', async (t) => forEachBackend(t, async (t, on) => {
  for (const invalidates of [
    ['all'], [{ tags: ['all'] }], [{ tags: ['all'], soft: true }], [{ url: '/a' }, { url: '/b' }], [{ route: '/:id' }],
    [{ route: 'GET /:id' }], [{ key: '/a' }, { key: '/b' }]
  ]) {
    const key = JSON.stringify(invalidates).includes('key') ? { key: (request: FastifyRequest) => request.url } : {}
    const app = await build(t, {
      ...on,
      routes: (app, probe) => {
        app.get('/:id', cached({ tags: ['all'], ...key }), async () => { probe.ran(); return 'response' })
        app.post('/change', { config: { cache: { invalidates } } }, async (request, reply) =>
          reply.code(Number(request.headers['x-status'])).send('done'))
      }
    })
    const hits = async (): Promise<boolean[]> => [(await app.ask('/a')).hit, (await app.ask('/b')).hit]
    const change = async (status: string) => await app.ask({ url: '/change', method: 'POST', headers: { 'x-status': status } })
    await hits()
    await change('422')
    t.same(await hits(), [true, true], JSON.stringify(invalidates))
    await change('302')
    t.same(await hits(), [false, false], JSON.stringify(invalidates))
  }
}))

t.test('an `invalidates` function is called with request and reply, once the status is known', async (t) => {
  const app = await build(t, {
    routes: (app, probe) => {
      app.get('/:id', cached({ tags: (request) => [`id ${(request.params as { id: string }).id}`] }), async () => {
        probe.ran()
        return 'response'
      })
      const invalidates = (request: FastifyRequest, reply: FastifyReply): string[] => [
        `id ${(request.body as { id: string }).id}`, `status ${reply.statusCode}`
      ]
      app.get('/made', cached({ tags: ['status 201'] }), async () => { probe.ran(); return 'response' })
      app.post('/', { config: { cache: { invalidates } } }, async (_request, reply) => reply.code(201).send('done'))
    }
  })
  for (const url of ['/a', '/b', '/made']) await app.ask(url)
  await app.ask({ url: '/', method: 'POST', headers: { 'content-type': 'application/json' }, body: '{"id":"a"}' })
  t.same([(await app.ask('/a')).hit, (await app.ask('/b')).hit, (await app.ask('/made')).hit], [false, true, false])
})

t.test('an invalid `invalidates` is refused at registration', async (t) => {
  for (const invalidates of ['a', [1], [{ url: 'a' }], [{ tag: 'a' }], 1, null]) {
    const app = Fastify()
    await app.register(responseCache)
    t.throws(() => app.post('/', { config: { cache: { invalidates: invalidates as never } } }, async () => ''),
      { code: 'CACHE_ERR_OPTION', message: /invalidates/ }, JSON.stringify(invalidates))
    await app.close()
  }
})

t.test('an `invalidates` function that returns something invalid costs no response, and is warned about', async (t) => {
  const wrong: Array<() => unknown> = [
    () => 'a', () => [1], () => { throw new Error('mine') }, async () => ['a'], () => undefined, () => [{ route: '/unheard-of' }]
  ]
  for (const invalidates of wrong) {
    await t.test(invalidates.toString(), async (t) => {
      const app = await build(t, {
        routes: (app) => { app.post('/', { config: { cache: { invalidates: invalidates as never } } }, async () => 'done') }
      })
      t.match(await app.ask({ url: '/', method: 'POST' }), { status: 200, text: 'done' })
      t.match(app.warnings(), [{ msg: /could not be invalidated/, route: 'POST /' }])
    })
  }
})

t.test('a backend that hangs delays the response by the deadline at most', async (t) => {
  const chaos = new Chaos()
  const app = await build(t, { ...chaos.over({ backend: 'memory' }), routes: (app, probe) => items(app, probe, async () => 'done') })
  await app.ask('/items/1')
  chaos.delete.hang()
  t.match(await app.ask({ url: '/items/1', method: 'PUT', slow: true }), { status: 200, text: 'done' })
  chaos.delete.release()
})

t.test('a handler that was running before the change does not bring the old response back', async (t) => {
  const gate = new Barrier()
  const app = await build(t, {
    routes: (app, probe) => {
      app.get('/', cached(), async () => { if (probe.ran() === 1 && probe.cached) await gate.pass(); return 'response' })
      app.put('/', async () => 'done')
    },
    compare: false
  })
  const first = app.ask('/')
  await gate.reached()
  await app.ask({ url: '/', method: 'PUT' }).finally(() => gate.open())
  await first
  t.notOk((await app.ask('/')).hit)
})

t.test('a response that is sent without Fastify invalidates when it is sent, and invalidates the URL of its Location too', async (t) => {
  const app = await build(t, {
    routes: (app, probe) =>
      items(app, probe, (_request, reply) => { reply.hijack(); reply.raw.setHeader('location', '/items/2').end('raw') }),
    compare: false
  })
  for (const url of ['/items/1', '/items/2', '/items/3']) await app.ask(url)
  await app.ask({ url: '/items/1', method: 'POST' })
  for (const url of ['/items/1', '/items/2', '/items/3']) t.equal((await app.ask(url)).hit, url === '/items/3', url)
})

t.test('a hit on a route that also has unsafe methods runs no hook because of them', async (t) => {
  const app = await build(t, { routes: (app, probe) => { app.all('/', cached(), async () => { probe.ran(); return 'response' }) } })
  await app.ask('/')
  t.match(await app.ask({ url: '/', headers: { range: 'bytes=1-2' }, compare: false }), { status: 206, text: 'es' },
    'the part is cut out of a response that goes straight to the socket')
  await app.ask({ url: '/', method: 'PATCH' })
  t.notOk((await app.ask('/')).hit)
})

for (const way of ['whole', 'streamed'] as const) {
  t.test(`a ${way} response to a write is not complete before its invalidations are done`, async (t) => {
    const chaos = new Chaos()
    const app = await build(t, {
      ...chaos.over({ backend: 'memory' }),
      deadline: '5s',
      routes: (app, probe) => items(app, probe, async (_request, reply) => reply.send(way === 'whole' ? 'ab' : Readable.from(['a', 'b'])))
    })
    await app.ask('/items/1')
    chaos.delete.stall()
    let isThere = false
    const response = app.ask({ url: '/items/1', method: 'PUT', slow: true }).finally(() => { isThere = true })
    await chaos.delete.hangs()
    await turns()
    t.notOk(isThere)
    chaos.delete.release()
    t.match(await response, { text: 'ab' })
    t.notOk((await app.ask('/items/1')).hit)
  })
}
