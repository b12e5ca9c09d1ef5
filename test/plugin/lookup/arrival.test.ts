// Requests that are changed before any hook runs, parsers that return something other than the body, and bodies that cannot be part of a
// key.
import Fastify, { type FastifyRequest } from 'fastify'
import t from 'tap'
import responseCache, { type ResponseCacheOptions } from '../../../plugin.js'
import { build, forEachBackend, type Spec } from '../../support/app.js'
import { cached } from '../../support/document.js'

const kWho = Symbol('who')
type Raw = FastifyRequest['raw'] & { [kWho]?: unknown }

const DEEP = '['.repeat(20_000) + ']'.repeat(20_000)

/** Removes a field, or sets another value, before Fastify makes the request. */
const EARLY: Record<string, (change: (raw: Raw) => void) => NonNullable<Spec['fastify']>> = {
  rewriteUrl: (change) => ({ rewriteUrl: (raw) => { change(raw as Raw); return raw.url as string } }),
  genReqId: (change) => ({ genReqId: (raw) => { change(raw as unknown as Raw); return 'id' } })
}

for (const [where, early] of Object.entries(EARLY)) {
  for (const name of ['authorization', 'cookie']) {
    t.test(`a request with ${name} bypasses the cache even if ${where} removes the field`, async (t) =>
      forEachBackend(t, async (t, on) => {
        const app = await build(t, {
          ...on,
          fastify: early((raw) => { raw[kWho] = raw.headers[name]; delete raw.headers[name] }),
          routes: (app) => app.get('/', cached(), async ({ raw }) => `for ${String((raw as Raw)[kWho])}`)
        })
        for (const user of ['alice', 'bob']) {
          t.match(await app.ask({ url: '/', headers: { [name]: user } }), { text: `for ${user}`, cacheStatus: /detail=credentials/ })
        }
      }))
  }

  for (const [name, becomes] of [
    ['host', 'upstream.example'], ['x-forwarded-host', undefined], ['x-forwarded-proto', undefined]
  ] as const) {
    t.test(`${name} still separates clients if ${where} changes it`, async (t) => forEachBackend(t, async (t, on) => {
      const app = await build(t, {
        ...on,
        fastify: {
          trustProxy: true,
          ...early((raw) => {
            raw[kWho] = raw.headers[name]
            if (becomes === undefined) delete raw.headers[name]
            else raw.headers[name] = becomes
          })
        },
        routes: (app) => app.get('/', cached(), async ({ raw }) => `for ${String((raw as Raw)[kWho])}`)
      })
      for (const hit of [false, true]) {
        for (const value of ['a.example', 'b.example']) {
          t.match(await app.ask({ url: '/', headers: { [name]: value } }), { hit, text: `for ${value}` })
        }
      }
    }))
  }
}

t.test('a body that cannot be serialised ends neither the process nor the request: it is parsed as without the cache', async (t) =>
  forEachBackend(t, async (t, on) => {
    const app = await build(t, {
      ...on,
      routes (app) {
        app.addContentTypeParser('application/deep', async (_request: FastifyRequest, payload: AsyncIterable<Buffer>) => {
          let text = ''
          for await (const chunk of payload) text += chunk.toString()
          return JSON.parse(text)
        })
        app.addContentTypeParser('application/circle', { parseAs: 'string' }, (_request, _body, done) => {
          const circle: Record<string, unknown> = {}
          circle.self = circle
          done(null, circle)
        })
        app.post('/cached', cached({ methods: ['POST'] }), async () => 'ok')
        app.post('/plain', async () => 'ok')
      }
    })
    for (const url of ['/cached', '/plain']) {
      for (const type of ['application/json', 'application/deep', 'application/circle']) {
        for (let times = 0; times < 2; times++) {
          t.match(await app.ask({ url, method: 'POST', body: DEEP, headers: { 'content-type': type } }),
            { status: 200, text: 'ok', cacheStatus: url === '/cached' ? /detail=request-body/ : '' }, `${url} ${type}`)
        }
      }
    }
  }))

t.test('requests with a body that a parser leaves to the handler, or that a hook sets, bypass the cache', async (t) =>
  forEachBackend(t, async (t, on) => {
    const app = await build(t, {
      ...on,
      routes (app) {
        app.addContentTypeParser('x/null', (_request, _payload, done) => { done(null, null) })
        app.addContentTypeParser('x/some', { parseAs: 'string' }, (_request, body, done) => {
          const made = Object.defineProperty({ same: true }, 'secret', { value: body })
          done(null, made)
        })
        app.post('/read', cached({ methods: ['POST'] }), async ({ raw }) => {
          let text = ''
          for await (const chunk of raw) text += String(chunk)
          return `for ${text}`
        })
        app.post('/hidden', cached({ methods: ['POST'] }), async ({ body }) => `for ${String((body as { secret: string }).secret)}`)
        app.register(async (scope) => {
          scope.addHook('preParsing', async (request) => { request.body = { by: 'hook' } })
          scope.addHook('preHandler', async (request) => {
            Object.assign(request, { [kWho]: (request.body as { user: string }).user })
            request.body = {}
          })
          scope.post('/hook', cached({ methods: ['POST'] }), async (request) =>
            `for ${String((request as unknown as Record<symbol, unknown>)[kWho])}`)
        })
      }
    })
    for (const [url, type] of [['/read', 'x/null'], ['/hidden', 'x/some'], ['/hook', 'application/json']] as const) {
      for (const user of ['alice', 'bob']) {
        const body = type === 'application/json' ? JSON.stringify({ user }) : user
        t.match(await app.ask({ url, method: 'POST', body, headers: { 'content-type': type } }), {
          text: `for ${user}`, cacheStatus: /fwd=bypass; detail=(?:key|request-body)/
        }, url)
      }
    }
  }))

t.test('a trustProxy function that throws costs no request its response', async (t) => forEachBackend(t, async (t, on) => {
  // Without a logger: Fastify's own logger reads the host of each request.
  const app = Fastify({ trustProxy: () => { throw new Error('no proxy is known') } })
  t.teardown(async () => await app.close())
  await app.register(responseCache, on as ResponseCacheOptions)
  app.get('/', cached(), async () => 'found')
  app.post('/', async () => 'written')
  const ask = async (method: 'GET' | 'POST') => await app.inject({ url: '/', method, headers: { 'x-forwarded-host': 'a.example' } })
  t.match(await ask('GET'), { statusCode: 200, headers: { 'cache-status': /detail=key/ } })
  t.match(await ask('POST'), { statusCode: 200, body: 'written' })
}))
