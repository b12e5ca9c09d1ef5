// Handlers that call `reply.callNotFound()`, or respond without Fastify: the status counts as if the handler had sent or thrown it.
import { Readable } from 'node:stream'
import type { FastifyInstance, FastifyReply, FastifyRequest, onRequestHookHandler } from 'fastify'
import t, { type Test } from 'tap'
import type { RouteCacheOptions } from '../../../plugin.js'
import { build, forEachBackend, type TestApp } from '../../support/app.js'
import { until } from '../../support/barrier.js'
import { cached } from '../../support/document.js'

type Handler = (request: FastifyRequest, reply: FastifyReply) => unknown

interface Site {
  readonly cache?: RouteCacheOptions
  /** What the handler does the second time. */
  readonly handler: Handler
  /** The application's own not-found handler. */
  readonly notFound?: Handler
  readonly more?: (app: FastifyInstance) => unknown
}

/** An application with a page at `/` that is stale. From now on its handler responds differently. */
async function stale (t: Test, on: object, { cache = {}, handler, notFound, more }: Site): Promise<TestApp> {
  const app = await build(t, {
    ...on,
    compare: false,
    async routes (app, probe) {
      await more?.(app)
      if (notFound !== undefined) {
        // An asynchronous hook in front of it, like an application's rate limit.
        app.setNotFoundHandler({ preHandler: async () => { await new Promise(setImmediate) } }, async (request, reply) => {
          probe.ran('not found')
          return await notFound(request, reply)
        })
      }
      app.get('/', cached(cache), (request, reply) => {
        if (probe.ran() > 1) return handler(request, reply)
        reply.headers({ etag: '"page"', 'last-modified': 'Tue, 06 May 2031 06:00:00 GMT' }).send('page')
      })
    }
  })
  await app.ask('/')
  await app.clock.pass(61_000)
  return app
}

const callNotFound: Handler = (_request, reply) => { reply.callNotFound() }

const hooked = (app: FastifyInstance): void => { app.addHook('onSend', async () => { await new Promise(setImmediate) }) }

const fails: Handler = () => { throw Object.assign(new Error('no page'), { statusCode: 404 }) }

const missing: Handler = async (_request, reply) => await reply.code(404).send('no page')

/** Ways to report that the page no longer exists. */
const GONE: Record<string, Omit<Site, 'cache'>> = {
  'sends a 404': { handler: (_request, reply) => { reply.code(404).send('no page') } },
  'throws a 404': { handler: fails },
  'calls reply.callNotFound()': { handler: callNotFound },
  'calls it asynchronously': { handler: async (_request, reply) => { await new Promise(setImmediate); return reply.callNotFound() } },
  'calls it in an application with other hooks': { handler: callNotFound, more: hooked },
  'calls a not-found handler of the application': { handler: callNotFound, notFound: missing, more: hooked },
  'calls one that sends a 410': { handler: callNotFound, notFound: async (_request, reply) => await reply.code(410).send() },
  'calls a not-found handler that sends a stream': {
    handler: callNotFound,
    notFound: async (_request, reply) => await reply.code(404).send(Readable.from(['no page']))
  },
  'calls a not-found handler that throws a 404': { handler: callNotFound, notFound: fails },
  'calls a not-found handler that calls it again': { handler: callNotFound, notFound: async (_request, reply) => reply.callNotFound() },
  'calls a not-found handler that sends another page': { handler: callNotFound, notFound: async () => 'start page' },
  'sends a 404 without Fastify': { handler: (_request, reply) => { reply.hijack(); reply.raw.writeHead(404).end('no page') } },
  'sends a 404 without Fastify, later': {
    handler (_request, reply) {
      reply.hijack()
      setImmediate(() => reply.raw.writeHead(404).end('no page'))
    }
  }
}

for (const [way, site] of Object.entries(GONE)) {
  t.test(`a refresh whose handler ${way} removes the stale page`, async (t) => forEachBackend(t, async (t, on) => {
    const app = await stale(t, on, { ...site, cache: { staleWhileRevalidate: '1h' } })
    t.match(await app.ask('/'), { status: 200, text: 'page', hit: true })
    await until(async () => (await app.cache.stats()).entries === 0)
    const { hit, text } = await app.ask('/')
    t.notOk(hit)
    t.not(text, 'page')
  }))

  t.test(`a validation whose handler ${way} removes the stale page`, async (t) => forEachBackend(t, async (t, on) => {
    const app = await stale(t, on, { ...site, cache: { staleIfError: '1h' } })
    t.not((await app.ask('/')).text, 'page')
    await until(async () => (await app.cache.stats()).entries === 0)
  }))
}

const STAYS: Record<string, Omit<Site, 'cache'>> = {
  'calls a not-found handler that refuses': {
    handler: callNotFound,
    notFound: async (_request, reply) => await reply.code(403).send('not yours')
  },
  'calls a not-found handler that fails': { handler: callNotFound, notFound: async () => { throw new Error('failed') } },
  'refuses without Fastify': { handler: (_request, reply) => { reply.hijack(); reply.raw.writeHead(403).end('not yours') } }
}

for (const [way, site] of Object.entries(STAYS)) {
  t.test(`a refresh whose handler ${way} has failed, and the stale page is still served`, async (t) => forEachBackend(t, async (t, on) => {
    const app = await stale(t, on, { ...site, cache: { staleWhileRevalidate: '1h' } })
    t.match(await app.ask('/'), { text: 'page', hit: true })
    await until(() => app.warnings().some(({ msg }) => /a refresh produced nothing to store/.test(msg)))
    t.match(await app.ask('/'), { text: 'page', hit: true })
  }))
}

t.test('RFC 5861 section 4: a stale page is served in place of the error of a not-found handler that fails', async (t) =>
  forEachBackend(t, async (t, on) => {
    const notFound: Handler = async () => { throw new Error('failed') }
    const app = await stale(t, on, { handler: callNotFound, notFound, cache: { staleIfError: '1h' } })
    t.match(await app.ask('/'), { status: 200, text: 'page', cacheStatus: /; fwd=stale; fwd-status=500; detail=handler-error$/ })
  }))

t.test("the not-found handler sees the client's conditions, and its 304 concerns its own response", async (t) => {
  await forEachBackend(t, async (t, on) => {
    const seen: unknown[] = []
    const app = await stale(t, on, {
      handler: (request, reply) => {
        seen.push(request.headers['if-none-match'])
        reply.callNotFound()
      },
      notFound: async ({ headers }, reply) => {
        seen.push(headers['if-none-match'], headers['if-modified-since'])
        if (headers['if-none-match'] === '"start"') return await reply.code(304).send()
        return await reply.header('etag', '"start"').send('start page')
      }
    })
    const first = await app.ask({ url: '/', headers: { 'if-none-match': '"start"' } })
    t.match(first, { status: 304, text: '', cacheStatus: /fwd=stale; detail=/ })
    t.match(await app.ask({ url: '/', headers: { 'if-none-match': '"page"' } }), { status: 200, text: 'start page' })
    t.same(seen, ['"page"', '"start"', undefined, '"page"', '"page"', undefined])
  })
})

t.test('the response of a not-found handler is never stored, since a hit would skip its hooks', async (t) =>
  forEachBackend(t, async (t, on) => {
    const limited: string[] = []
    const cacheStatus = 'fastify-response-cache; fwd=miss; detail=hijacked'
    const app = await build(t, {
      ...on,
      async routes (app, probe) {
        const preHandler: onRequestHookHandler = (request, _reply, done) => {
          if (probe.cached) limited.push(request.url)
          done()
        }
        app.setNotFoundHandler({ preHandler }, async (request, reply) => {
          probe.ran(request.url)
          return await reply.header('cache-control', 'max-age=60').send('none')
        })
        app.get('/404', cached({ statuses: [200, 404] }), async (_request, reply) => reply.callNotFound())
        app.get('/200', cached(), async (_request, reply) => reply.code(200).callNotFound())
      }
    })
    for (const url of ['/404', '/200']) {
      for (const via of ['socket', 'inject', 'socket'] as const) t.match(await app.ask({ url, via }), { text: 'none', cacheStatus })
      t.match((await app.cache.stats()).routes[`GET ${url}`], { misses: 3, stores: 0, refusals: { hijacked: 3 } })
      t.equal(app.runs(url), 3)
    }
    t.equal(limited.length, 6, 'its hooks ran each time')
  }))

t.test('a HEAD that finds no page removes the stored page, whatever page the not-found handler sends', async (t) =>
  forEachBackend(t, async (t, on) => {
    const samePage: Handler = async (_request, reply) => await reply.code(200).header('etag', '"page"').send('page')
    for (const [notFound, status] of [[missing, 404], [samePage, 200]] as const) {
      const app = await stale(t, on, { handler: callNotFound, cache: { staleIfError: '1h' }, notFound })
      t.match(await app.ask({ url: '/', method: 'HEAD' }), { status, text: '', cacheStatus: /fwd=stale; detail=head/ })
      await until(async () => (await app.cache.stats()).entries === 0)
    }
  }))
