// Caches in a chain: the member that each of them adds to Cache-Status, on a miss, on a hit, after a validation and in place of an error.
import replyFrom from '@fastify/reply-from'
import type { FastifyInstance } from 'fastify'
import t, { type Test } from 'tap'
import { build, forEachBackend, type Spec, type TestApp } from '../../support/app.js'
import { Barrier, turns } from '../../support/barrier.js'
import { portOf } from '../../support/client.js'
import { cached } from '../../support/document.js'
import { needs } from '../../support/programs.js'
import { startNginx, startVarnish } from '../../support/proxies.js'

const FIVE_SECONDS = { ttl: '5s', staleIfError: '1m' } as const

/** A cache named `near` in front of a cache named `far`, each with its routes. */
async function chain (
  t: Test,
  spec: Omit<Spec, 'routes'>,
  { far, near = (app) => app.get('/*', cached(FIVE_SECONDS), (request, reply) => reply.from(request.url)) }: {
    far: (app: FastifyInstance) => unknown
    near?: (app: FastifyInstance) => unknown
  }
): Promise<{ near: TestApp, askFar: (url: string) => Promise<unknown> }> {
  const upstream = await build(t, { cacheStatus: 'far', compare: false, routes: far })
  const host = `127.0.0.1:${await portOf(upstream.app)}`
  const front = await build(t, {
    cacheStatus: 'near',
    compare: false,
    ...spec,
    async routes (app) {
      await app.register(replyFrom, { base: `http://${host}` })
      await near(app)
    }
  })
  return { near: front, askFar: async (url) => await upstream.ask({ url, headers: { host } }) }
}

const page = (app: FastifyInstance): unknown =>
  app.get('/*', cached(), async (_request, reply) => await reply.header('etag', '"1"').send('page'))

t.test('RFC 9211 section 2: a hit keeps the members that came with the stored response, and adds its own as the last', async (t) =>
  forEachBackend(t, async (t, on) => {
    const { near, askFar } = await chain(t, on, { far: page })
    await askFar('/')
    t.equal((await near.ask('/')).cacheStatus, 'far; hit; ttl=60, near; fwd=miss')
    await near.clock.pass(2_000)
    for (let times = 0; times < 2; times++) t.equal((await near.ask('/')).cacheStatus, 'far; hit; ttl=60, near; hit; ttl=3')
    t.equal((await near.ask({ url: '/', method: 'HEAD' })).cacheStatus, 'far; hit; ttl=60, near; hit; ttl=3')
    t.match(await near.ask({ url: '/', headers: { 'if-none-match': '"1"' } }), {
      status: 304, cacheStatus: 'far; hit; ttl=60, near; hit; ttl=3'
    })
    t.match(await near.ask({ url: '/', headers: { range: 'bytes=0-1' } }), {
      status: 206, cacheStatus: 'far; hit; ttl=60, near; hit; ttl=3'
    })
  }))

t.test('the same Cache-Status is sent if hooks see the response, if hooks set fields of their own, and over HTTP/2', async (t) =>
  forEachBackend(t, async (t, on) => {
    const hooks: Record<string, (app: FastifyInstance) => unknown> = {
      onSend: (app) => app.addHook('onSend', async (_request, _reply, payload) => payload),
      onRequest: (app) => app.addHook('onRequest', async (_request, reply) => { reply.header('x-frame-options', 'DENY') })
    }
    for (const [name, hook] of Object.entries(hooks)) {
      const { near } = await chain(t, { ...on, before: (app) => { hook(app) } }, { far: page })
      t.match((await near.ask(`/${name}`)).cacheStatus, /^far; fwd=miss; stored, near; fwd=miss(; stored)?$/, name)
      for (let times = 0; times < 2; times++) {
        t.equal((await near.ask(`/${name}`)).cacheStatus, 'far; fwd=miss; stored, near; hit; ttl=5', name)
      }
    }
    const { near } = await chain(t, { ...on, fastify: { http2: true } }, {
      far: page,
      near: (app) => app.get('/', cached(FIVE_SECONDS), async (_request, reply) =>
        await reply.header('cache-status', ['one; hit', 'two; hit']).send('x'))
    })
    t.equal((await near.ask({ url: '/', via: 'h2' })).cacheStatus, 'one; hit, two; hit, near; fwd=miss; stored')
    t.equal((await near.ask({ url: '/', via: 'h2' })).cacheStatus, 'one; hit, two; hit, near; hit; ttl=5')
  }))

const FRONTS: Record<string, (t: Test, port: number) => Promise<{ origin: string }>> = {
  nginx: async (t, port) => await startNginx(t, port,
    "proxy_cache stored; proxy_cache_valid 200 1m; add_header Cache-Status 'front; detail=$upstream_cache_status';"),
  varnishd: async (t, port) => await startVarnish(t, port, `sub vcl_backend_fetch { set bereq.http.Host = "127.0.0.1"; }
    sub vcl_backend_response { set beresp.ttl = 1m; }
    sub vcl_deliver { set resp.http.Cache-Status = resp.http.Cache-Status + ", front; detail=" + obj.hits; }`)
}

for (const [program, start] of Object.entries(FRONTS)) {
  t.test(`${program} in front of two caches is the last member, and keeps their members when it serves a stored response`, needs(program),
    async (t) => forEachBackend(t, async (t, on) => {
      const { near } = await chain(t, on, { far: page })
      const front = await start(t, await portOf(near.app))
      const statusOf = async ({ origin }: { origin: string }): Promise<string | null> =>
        (await fetch(`${origin}/1`, { headers: { connection: 'close' } })).headers.get('cache-status')
      const [first, second] = program === 'nginx' ? ['MISS', 'HIT'] : ['0', '1']
      t.match(await statusOf(front), new RegExp(`^far; fwd=miss; stored, near; fwd=miss, front; detail=${first}$`))
      t.match(await statusOf(front), new RegExp(`^far; fwd=miss; stored, near; fwd=miss, front; detail=${second}$`))
      // Another proxy finds the response in the cache behind it.
      t.match(await statusOf(await start(t, await portOf(near.app))),
        new RegExp(`^far; fwd=miss; stored, near; hit; ttl=5, front; detail=${first}$`))
    }))
}

t.test('RFC 9111 section 3.2: a 304 brings its own members, which are stored in place of the earlier ones', async (t) =>
  forEachBackend(t, async (t, on) => {
    const { near } = await chain(t, on, { far: page })
    t.equal((await near.ask('/')).cacheStatus, 'far; fwd=miss; stored, near; fwd=miss')
    await near.clock.pass(6_000)
    t.equal((await near.ask('/')).cacheStatus, 'far; hit; ttl=60, near; fwd=stale; fwd-status=304; stored')
    t.equal((await near.ask('/')).cacheStatus, 'far; hit; ttl=60, near; hit; ttl=5')
  }))

t.test("a stored response in place of an error has the members that it came with, and none of the error's", async (t) =>
  forEachBackend(t, async (t, on) => {
    let fails = false
    const { near } = await chain(t, on, {
      far: (app) => app.get('/', cached(), async (_request, reply) => fails ? await reply.code(502).send('down') : 'page')
    })
    await near.ask('/')
    fails = true
    await near.clock.pass(6_000)
    t.match(await near.ask({ url: '/', headers: { 'cache-control': 'no-cache' } }), {
      status: 200, text: 'page', cacheStatus: 'far; fwd=miss; stored, near; fwd=stale; fwd-status=502; detail=status'
    })
  }))

t.test('a cache without a Cache-Status name passes on the members of others, on a miss and on a hit', async (t) =>
  forEachBackend(t, async (t, on) => {
    const { near } = await chain(t, { ...on, cacheStatus: false }, { far: page })
    for (let times = 0; times < 2; times++) t.equal((await near.ask('/')).cacheStatus, 'far; fwd=miss; stored')
  }))

t.test('collapsed requests each receive the members of the caches behind the stored response', async (t) =>
  forEachBackend(t, async (t, on) => {
    const barrier = new Barrier()
    const { near } = await chain(t, on, { far: (app) => app.get('/', cached(), async () => { await barrier.pass(); return 'page' }) })
    const arrived = new Barrier()
    near.app.server.on('request', () => { arrived.pass().catch(() => {}) })
    const asked = Promise.all(Array.from({ length: 5 }, async () => await near.ask('/')))
    await Promise.all([arrived.reached(5), barrier.reached()])
    await turns()
    barrier.open()
    const responses = await asked
    t.equal(responses.filter(({ cacheStatus }) => cacheStatus === 'far; fwd=miss; stored, near; fwd=miss').length, 1)
    t.equal(responses.filter(({ cacheStatus }) => cacheStatus === 'far; fwd=miss; stored, near; fwd=miss; collapsed').length, 4)
  }))
