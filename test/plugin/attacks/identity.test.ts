// Requests that differ by something outside the request's own text: each has its own response.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import Fastify, { type FastifyRequest } from 'fastify'
import t from 'tap'
import responseCache, { type KeyOptions, type RouteCacheOptions } from '../../../plugin.js'
import { build, forEachBackend } from '../../support/app.js'

const seen = (names: readonly string[]) => async ({ headers }: FastifyRequest) =>
  names.map((name) => `${name} ${String(headers[name])}`).join(', ')

for (const [what, common, own, identity] of [
  ['header fields', { headers: ['X-Tenant'] }, { headers: ['accept-language'] }, 'x-tenant'],
  ['cookies', { cookies: ['session'] }, { cookies: ['lang'] }, 'cookie'],
  ['a function', { by: ({ headers }: FastifyRequest) => String(headers['x-user']) }, { query: ['page'] }, 'x-user']
] as ReadonlyArray<readonly [string, KeyOptions, KeyOptions, string]>) {
  t.test(`${what} in the default key are also in the key of a route that lists others`, async (t) =>
    forEachBackend(t, async (t, on) => {
      const app = await build(t, {
        ...on,
        defaults: { ttl: '1m', key: common },
        routes (app) { app.get('/', { config: { cache: { key: own } } }, seen([identity])) }
      })
      for (const hit of [false, true]) {
        for (const user of ['session=alice', 'session=bob']) {
          t.match(await app.ask({ url: '/', headers: { [identity]: user } }), { hit, text: user })
        }
      }
    }))
}

t.test('a route cannot add to a key function of the defaults, and the error says so', async (t) => {
  const app = Fastify()
  await app.register(responseCache, { defaults: { ttl: '1m', key: ({ headers }) => String(headers['x-user']) } })
  app.get('/own', { config: { cache: { key: ({ url }) => url } } }, async () => '')
  t.throws(() => app.get('/', { config: { cache: { key: { query: ['page'] } } } }, async () => ''), {
    code: 'CACHE_ERR_OPTION', message: /GET \/.*key.*a function, because the key in defaults is one/
  })
  await app.close()
})

t.test('a field that a hook sets to a number is that number, in the key and in Vary', async (t) => forEachBackend(t, async (t, on) => {
  const users: Record<string, unknown> = { a: 1, b: 2, c: true, d: { id: 1 }, e: { id: 2 }, f: '1', g: ['number 1'] }
  const app = await build(t, {
    ...on,
    routes (app) {
      app.addHook('onRequest', async ({ headers }) => { Object.assign(headers, { 'x-user': users[headers['x-token'] as string] }) })
      const handler = async ({ headers }: FastifyRequest): Promise<string> => JSON.stringify(headers['x-user'])
      app.get('/key', { config: { cache: { ttl: '1m', key: { headers: ['x-user'] } } } }, handler)
      app.get('/vary', { config: { cache: { ttl: '1m' } } }, async (request, reply) => {
        reply.header('vary', 'X-User')
        return await handler(request)
      })
    }
  })
  for (const url of ['/key', '/vary']) {
    for (const hit of [false, true]) {
      for (const token of Object.keys(users)) t.match(await app.ask({ url, headers: { 'x-token': token, 'x-user': '7' } }), { hit })
    }
  }
}))

t.test('Host in a key or in Vary is the :authority of HTTP/2', async (t) => forEachBackend(t, async (t, on) => {
  const app = await build(t, {
    ...on,
    fastify: { http2: true },
    routes (app) {
      app.get('/key', { config: { cache: { ttl: '1m', key: { host: false, headers: ['host'] } } } }, async ({ host }) => host)
      app.get('/vary', { config: { cache: { ttl: '1m', key: { host: false } } } }, async ({ host }, reply) => {
        reply.header('vary', 'Host')
        return host
      })
    }
  })
  for (const url of ['/key', '/vary']) {
    for (const hit of [false, true]) {
      for (const host of ['a.example', 'b.example']) {
        t.match(await app.ask({ url, via: 'h2', headers: { ':authority': host } }), { hit, text: host })
      }
    }
  }
  t.match(await app.ask({ url: '/key', via: 'h2', headers: { ':authority': 'a.example', host: 'b.example' } }), {
    cacheStatus: /fwd=bypass; detail=target/
  })
}))

t.test("a stored response is not served for other fields once a route's key has other fields", async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'names-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  const keys: RouteCacheOptions['key'][] = [
    { headers: ['x-user'] }, { headers: ['x-tenant'] }, { cookies: ['x-user'] }, { cookies: ['x-tenant'] }, { by: () => '7' }
  ]
  for (const key of keys) {
    const app = Fastify()
    await app.register(responseCache, { backend: 'sqlite', options: { path: join(folder, 'cache.db') } })
    app.get('/', { config: { cache: { ttl: '1h', key: key! } } }, async () => 'private')
    const headers = { 'x-user': '7', 'x-tenant': '7', cookie: 'x-user=7; x-tenant=7' }
    if (!('cookies' in key!) && !('by' in key!)) Reflect.deleteProperty(headers, 'cookie')
    t.match((await app.inject({ url: '/', headers })).headers['cache-status'], /fwd=miss; stored/, JSON.stringify(key))
    t.match((await app.inject({ url: '/', headers })).headers['cache-status'], /; hit/)
    await app.close()
  }
})

/** The first route is for administrators. */
const BY_LEVEL = {
  name: 'level',
  storage () {
    const handlers: unknown[] = []
    return {
      get: (level: unknown) => handlers[level === 'admin' ? 0 : 1] ?? null,
      set: (_level: unknown, handler: unknown) => handlers.push(handler)
    }
  },
  deriveConstraint: ({ headers }: FastifyRequest) => headers['x-level'],
  validate () {}
}

t.test('routes of one pattern whose constraints look the same are different routes', async (t) => forEachBackend(t, async (t, on) => {
  const deep = (level: string): object => ({ a: { b: { c: { d: { level } } } } })
  const long = (last: string): string[] => [...Array.from({ length: 120 }, (_, at) => String(at)), last]
  const makeOf = (what: unknown): ((...args: never[]) => unknown) => Object.defineProperty(() => what, 'name', { value: 'level' })
  for (const [one, other] of [[deep('admin'), deep('public')], [long('admin'), long('public')], [makeOf('admin'), makeOf('public')]]) {
    const app = await build(t, {
      ...on,
      fastify: { routerOptions: { constraints: { level: BY_LEVEL } } } as never,
      routes (app) {
        for (const [constraint, text] of [[one, 'admin'], [other, 'public']]) {
          app.get('/', { constraints: { level: constraint }, config: { cache: { ttl: '1m' } } } as never, async () => text)
        }
      }
    })
    for (const hit of [false, true]) {
      for (const level of ['admin', 'public']) t.match(await app.ask({ url: '/', headers: { 'x-level': level } }), { hit, text: level })
    }
  }
}))

t.test('with attachValidation, the handler responds to an invalid request', async (t) =>
  forEachBackend(t, async (t, on) => {
    const app = await build(t, {
      ...on,
      routes (app) {
        app.get('/', {
          attachValidation: true,
          schema: { headers: { type: 'object', required: ['x-key'] } },
          config: { cache: { ttl: '1m' } }
        }, async (request, reply) =>
          request.validationError === undefined ? 'for users with a key' : await reply.code(401).send('no key'))
      }
    })
    for (const hit of [false, true]) t.match(await app.ask({ url: '/', headers: { 'x-key': 'a' } }), { hit })
    t.match(await app.ask('/'), { status: 401, cacheStatus: /fwd=bypass; detail=validation$/ })
  }))

t.test('a query parameter that is not JSON is not taken for another one', async (t) => forEachBackend(t, async (t, on) => {
  const app = await build(t, {
    ...on,
    fastify: {
      routerOptions: { querystringParser: (text: string) => ({ ids: new Set(new URLSearchParams(text).getAll('ids[]')) }) as never }
    },
    routes (app) {
      app.get('/', { config: { cache: { ttl: '1m', key: { query: ['ids'] } } } }, async ({ query }) =>
        [...(query as { ids: Set<string> }).ids].join())
    }
  })
  for (const id of ['1', '2']) t.match(await app.ask(`/?ids[]=${id}`), { text: id, cacheStatus: /fwd=bypass; detail=key$/ })
  t.match(app.warnings()[0]?.err.message, /a query parameter .* can not be represented as JSON/)
}))

t.test('parameters outside the key are in no URL that the handler can read, also if URLs are rewritten', async (t) =>
  forEachBackend(t, async (t, on) => {
    const app = await build(t, {
      ...on,
      compare: false,
      fastify: { rewriteUrl: ({ url }: { url?: string }) => url! } as never,
      routes (app) {
        app.get('/', { config: { cache: { ttl: '1m', key: { query: ['page'] } } } }, async (request) =>
          `${request.originalUrl} ${request.raw.url} ${(request.raw as { originalUrl?: string }).originalUrl} `)
      }
    })
    for (const hit of [false, true]) t.match(await app.ask('/?page=1&evil=1'), { hit, text: '/?page=1 /?page=1 /?page=1 ' })
  }))
