// The route option `when`: which responses are stored, decided by what the handler returned.
import { Readable } from 'node:stream'
import type { FastifyReply } from 'fastify'
import t from 'tap'
import type { RouteCacheOptions, WhenFunction } from '../../../plugin.js'
import { build, forEachBackend } from '../../support/app.js'

/** A GraphQL server: mutations and errors come with the status 200. */
const graphql: RouteCacheOptions = {
  ttl: '1m',
  methods: ['POST'],
  safe: true,
  when: (request, _reply, payload) =>
    !/^\s*mutation/.test((request.body as { query: string }).query) && (payload as { errors?: unknown }).errors === undefined
}

t.test('when: of a GraphQL endpoint, neither errors nor mutations are stored', async (t) => forEachBackend(t, async (t, on) => {
  const app = await build(t, {
    ...on,
    compare: false,
    routes (app, { ran }) {
      app.post('/graphql', { config: { cache: graphql } }, async ({ body }) => {
        const { query } = body as { query: string }
        return query.includes('bad') ? { errors: [{ message: 'bad' }] } : { data: { run: ran() } }
      })
    }
  })
  const ask = async (query: string): Promise<unknown> => await app.ask({
    method: 'POST', url: '/graphql', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ query })
  })
  for (const [query, hit] of [['{ a }', true], ['{ bad }', false], ['mutation { a }', false]] as const) {
    t.match(await ask(query), { hit: false, ...(!hit && { cacheStatus: /fwd=miss; detail=when/ }) }, query)
    t.match(await ask(query), { hit }, query)
  }
  t.equal(app.runs(), 3)
  t.same(app.warnings(), [], 'safe: true')
  t.match((await app.cache.stats()).routes['POST /graphql'], { stores: 1, refusals: { when: 4 } })
}))

const PAYLOADS: Record<string, [send: (reply: FastifyReply) => unknown, expected: (payload: unknown) => boolean]> = {
  'an object': [() => ({ a: 1 }), (payload) => (payload as { a: number }).a === 1],
  'an object that is sent': [(reply) => reply.send({ a: 1 }), (payload) => (payload as { a: number }).a === 1],
  'a text': [() => 'text', (payload) => payload === 'text'],
  bytes: [() => Buffer.from('text'), (payload) => Buffer.isBuffer(payload) && payload.equals(Buffer.from('text'))],
  'a stream': [(reply) => reply.send(Readable.from(['text'], { objectMode: false })), (payload) => payload instanceof Readable],
  nothing: [(reply) => reply.send(), (payload) => payload === undefined || payload === null]
}

for (const [name, [send, expected]] of Object.entries(PAYLOADS)) {
  for (const hook of [false, true]) {
    t.test(`when: receives ${name} as the handler returned it${hook ? ', before an onSend hook' : ''}`, async (t) =>
      forEachBackend(t, async (t, on) => {
        const seen: unknown[] = []
        const when: WhenFunction = (request, reply, payload) => {
          seen.push(payload)
          return request.query !== undefined && reply.statusCode === 200
        }
        const app = await build(t, {
          ...on,
          routes (app, { cached }) {
            if (hook) app.addHook('onSend', async (_request, _reply, payload) => payload)
            const cache = { ttl: '1m' as const, when: (...args: Parameters<typeof when>) => !cached || when(...args) }
            app.get('/', { config: { cache } }, async (_request, reply) => send(reply))
          }
        })
        t.match([await app.ask('/'), await app.ask('/')], [{ hit: false }, { hit: true }])
        t.equal(seen.length, 1, 'it is not asked on a hit')
        t.ok(expected(seen[0]))
      }))
  }
}

t.test('when: an error or anything but a boolean is logged, and the response is sent and not stored', async (t) =>
  forEachBackend(t, async (t, on) => {
    for (const [when, says] of [
      [() => { throw new Error('broken') }, /broken/], [async () => true, /must return true or false, got/], [() => 1, /must return true or false, got 1/]
    ] as const) {
      const app = await build(t, {
        ...on,
        routes (app) {
          app.get('/', { config: { cache: { ttl: '1m', when: when as never } } }, async () => 'text')
          app.get('/broken', { config: { cache: { ttl: '1m', when: when as never } } }, async () => { throw new Error('of the handler') })
        }
      })
      await app.ask('/broken')
      t.same(app.warnings(), [], 'an error has another payload')
      for (let times = 0; times < 2; times++) t.match(await app.ask('/'), { hit: false, status: 200, cacheStatus: /detail=when/ })
      t.match(app.warnings(), [{ route: 'GET /', reason: 'when', err: { message: says } }])
    }
  }))

t.test('when: a 304 of the handler validates the stored response without being asked', async (t) => forEachBackend(t, async (t, on) => {
  let asked = 0
  const app = await build(t, {
    ...on,
    compare: false,
    routes (app) {
      app.get('/', { config: { cache: { ttl: '1s', when: () => { asked++; return true } } } }, async ({ headers }, reply) => {
        reply.header('etag', '"1"')
        return headers['if-none-match'] === '"1"' ? await reply.code(304).send() : 'text'
      })
    }
  })
  await app.ask('/')
  await app.clock.pass(2_000)
  t.match(await app.ask('/'), { status: 200, cacheStatus: /fwd=stale; fwd-status=304/ })
  t.match(await app.ask('/'), { hit: true })
  t.equal(asked, 1)
}))

t.test('a POST that is cached is named in a warning, unless the route says safe: true, and then it invalidates nothing', async (t) =>
  forEachBackend(t, async (t, on) => {
    const app = await build(t, {
      ...on,
      compare: false,
      routes (app) {
        for (const [path, safe] of [['/safe', true], ['/unsafe', false]] as const) {
          app.get(path, { config: { cache: { ttl: '1m' } } }, async () => 'page')
          app.post(path, { config: { cache: { ttl: '1m', methods: ['POST'], safe } } }, async () => 'found')
        }
      }
    })
    t.match(app.warnings(), [{ routes: ['POST /unsafe'], msg: /POST is cached, .* set safe: true/ }])
    t.equal(app.warnings().length, 1)
    for (const [path, hit] of [['/safe', true], ['/unsafe', false]] as const) {
      await app.ask(path)
      await app.ask({ method: 'POST', url: path, headers: { 'content-type': 'text/plain' }, body: 'a' })
      t.match(await app.ask(path), { hit }, path)
    }
  }))
