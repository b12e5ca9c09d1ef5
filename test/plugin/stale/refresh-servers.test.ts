// Refreshes on every kind of server: to the application's hooks, a refresh looks like its client's request, including protocol, host and
// fields.
import { createServer } from 'node:https'
import type { FastifyReply, FastifyRequest, FastifyServerOptions } from 'fastify'
import t from 'tap'
import { build, type Spec } from '../../support/app.js'
import { until } from '../../support/barrier.js'
import { cert, key } from '../../support/certificate.js'
import type { Ask } from '../../support/client.js'
import { cached } from '../../support/document.js'

const https = { cert, key }
const serverFactory: NonNullable<FastifyServerOptions['serverFactory']> = (handler) => createServer(https, handler) as never

const SERVERS: ReadonlyArray<readonly [name: string, fastify: Spec['fastify'], via: NonNullable<Ask['via']>, protocol: string]> = [
  ['HTTP', {}, 'socket', 'http'],
  ['HTTPS', { https }, 'socket', 'https'],
  ['HTTP/2', { http2: true, https }, 'h2', 'https'],
  ['HTTP/2 that also serves clients of HTTP/1.1', { http2: true, https: { ...https, allowHTTP1: true } }, 'socket', 'https'],
  ['HTTP/2 without TLS', { http2: true }, 'h2', 'http'],
  ['HTTPS from a server factory', { serverFactory }, 'socket', 'https']
]

for (const [name, fastify, via, protocol] of SERVERS) {
  t.test(`RFC 5861 section 3: a refresh on a server of ${name} replaces the response of its client`, async (t) => {
    const seen: Array<[isRefresh: boolean, when: string, ...what: unknown[]]> = []
    const note = (when: string) => async (request: FastifyRequest, reply: FastifyReply): Promise<void> => {
      seen.push([
        request.isCacheRefresh, when, request.protocol, request.host, request.hostname, request.url, request.ip, request.headers['x-user'],
        (request.raw.socket as { encrypted?: boolean }).encrypted === true
      ])
      // Like applications that redirect every request without TLS.
      if (request.protocol !== protocol) return await reply.code(301).header('location', 'https://test.example/').send()
    }
    const app = await build(t, {
      fastify: fastify!,
      compare: false,
      before (app, { cached: isCached }) { if (isCached) app.addHook('onRequest', note('before the cache was registered')) },
      routes (app, probe) {
        if (probe.cached) for (const hook of ['onRequest', 'preHandler'] as const) app.addHook(hook, note(hook))
        app.get('/', cached({ staleWhileRevalidate: '10m', key: { headers: ['x-user'] } }), async () => `number ${probe.ran()}`)
      }
    })
    const ask = async (): Promise<unknown> => await app.ask({ url: '/?page=1', via, headers: { 'x-user': 'alice' } })
    t.match(await ask(), { text: 'number 1', hit: false })
    await app.clock.pass(61_000)
    t.match(await ask(), { text: 'number 1', hit: true })
    await until(async () => (await app.cache.stats()).stores === 2)
    t.match(await ask(), { text: 'number 2', cacheStatus: /hit; ttl=60/ })
    const of = (refreshes: boolean) => seen.filter(([isRefresh]) => isRefresh === refreshes).slice(0, 3).map(([, ...what]) => what)
    t.same(of(true), of(false))
    t.match(of(true)[0]?.slice(1), [protocol, 'test.example', 'test.example', '/?page=1', '127.0.0.1', 'alice', protocol === 'https'])
  })
}

t.test('a refresh behind a proxy has the fields that the proxy set, and the true properties of the connection', async (t) => {
  const seen: unknown[] = []
  const app = await build(t, {
    fastify: { trustProxy: true },
    compare: false,
    routes (app, probe) {
      app.addHook('onRequest', async (request) => {
        if (probe.cached) {
          seen.push([
            request.isCacheRefresh, request.protocol, request.host, request.ip,
            (request.raw.socket as { encrypted?: boolean }).encrypted === true
          ])
        }
      })
      app.get('/', cached({ staleWhileRevalidate: '10m' }), async () => `number ${probe.ran()}`)
    }
  })
  const ask = async () => await app.ask({
    url: '/', headers: { 'x-forwarded-proto': 'https', 'x-forwarded-host': 'shop.example', 'x-forwarded-for': '192.0.2.1' }
  })
  await ask()
  await app.clock.pass(61_000)
  await ask()
  await until(async () => (await app.cache.stats()).stores === 2)
  t.match(await ask(), { text: 'number 2', hit: true })
  t.same(seen.map((one) => JSON.stringify(one)).filter((one, at, all) => all.indexOf(one) === at),
    [false, true].map((isRefresh) => JSON.stringify([isRefresh, 'https', 'shop.example', '192.0.2.1', false])))
})

t.test('a refresh has the fields that its client sent, whatever a schema or a hook removed from the request', async (t) => {
  const seen: unknown[] = []
  const app = await build(t, {
    compare: false,
    routes (app, probe) {
      app.addHook('onRequest', async (request, reply) => {
        if (probe.cached) {
          seen.push([
            request.isCacheRefresh, request.headers.authorization, request.headers['x-tenant'], request.headers.accept,
            request.headers['user-agent'], request.headers.cookie
          ])
        }
        if (request.headers.authorization !== 'Bearer alice') return await reply.code(401).send('not allowed')
        const { cookie: _taken, ...others } = request.headers
        request.raw.headers = others
      })
      app.get('/', {
        ...cached({
          staleWhileRevalidate: '10m', key: { by: (request) => `user ${request.headers['x-tenant']}`, headers: ['user-agent'] }
        }),
        schema: { headers: { type: 'object', properties: { 'x-tenant': { type: 'number' } }, additionalProperties: false } }
      }, async (request) => `number ${probe.ran()} for ${request.headers['x-tenant']}`)
    }
  })
  const ask = async (): Promise<unknown> => await app.ask({
    url: '/', headers: { authorization: 'Bearer alice', 'x-tenant': '07', accept: ['text/html', 'text/plain'], cookie: 'a=1' }
  })
  await ask()
  await app.clock.pass(61_000)
  t.match(await ask(), { text: 'number 1 for 7', hit: true })
  await until(async () => (await app.cache.stats()).stores === 2)
  t.match(await ask(), { text: 'number 2 for 7', cacheStatus: /hit; ttl=60/ })
  const asked = ['Bearer alice', '07', 'text/html, text/plain', undefined, 'a=1']
  t.same(seen, [[false, ...asked], [false, ...asked], [true, ...asked], [false, ...asked]])
  t.same(app.warnings(), [])
})
