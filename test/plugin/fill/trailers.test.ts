// Trailers end one response. A hit would lack the trailers that a handler announces, so such a response isn't stored. The trailers of
// hooks belong to each request.
import { Readable } from 'node:stream'
import type { FastifyInstance, FastifyReply } from 'fastify'
import t from 'tap'
import { build } from '../../support/app.js'
import type { ClientResponse } from '../../support/client.js'
import { forEachWay } from '../../support/ways.js'

const CACHED = { config: { cache: { ttl: '1m' } } } as const

const sum = async (): Promise<string> => 'abc'

/** Handlers with trailers of their own, by path. */
const HANDLERS: Record<string, (reply: FastifyReply) => unknown> = {
  text: (reply) => reply.trailer('x-sum', sum).send('text'),
  bytes: (reply) => reply.trailer('x-sum', sum).send(Buffer.from('bytes')),
  stream: (reply) => reply.trailer('x-sum', sum).send(Readable.from(['str', 'eam'])),
  response: (reply) => reply.trailer('x-sum', sum).send(new Response('response')),
  callback: (reply) => reply.trailer('x-sum', (_reply, _payload, done) => { done(null, 'abc') }).send({ a: 1 })
}

function serve (app: FastifyInstance): void {
  for (const [name, handler] of Object.entries(HANDLERS)) app.get(`/${name}`, CACHED, async (_request, reply) => await handler(reply))
}

const refusals = { stores: 0, refusals: { trailer: 3 } }

t.test('a response whose handler announces trailers has them each time, and is not stored', async (t) =>
  forEachWay(t, async (t, { on, via, hook }) => {
    const app = await build(t, { ...on, routes (app) { hook(app); serve(app) } })
    for (const name of Object.keys(HANDLERS)) {
      for (let times = 0; times < 3; times++) {
        const response: ClientResponse = await app.ask({ url: `/${name}`, via })
        t.match(response, { hit: false, cacheStatus: /fwd=miss; detail=trailer$/, trailers: { 'x-sum': 'abc' } }, name)
      }
      t.match((await app.cache.stats()).routes[`GET /${name}`], refusals, name)
    }
  }))

t.test("a response is not stored if Fastify doesn't know its trailers, or if the handler removes or replaces those of a hook",
  async (t) => forEachWay(t, async (t, { on, via, hook }) => {
    const app = await build(t, {
      ...on,
      routes (app) {
        hook(app)
        app.addHook('preHandler', async (_request, reply) => { reply.trailer('x-hook', async () => 'hook') })
        app.get('/removed', CACHED, async (_request, reply) => await reply.removeTrailer('x-hook').send('x'))
        app.get('/replaced', CACHED, async (_request, reply) => await reply.trailer('x-hook', sum).send('x'))
        app.get('/raw', CACHED, async (_request, reply) => {
          const source = Readable.from(['x'])
          source.on('end', () => { reply.raw.addTrailers({ 'x-raw': 'raw' }) })
          return await reply.removeTrailer('x-hook').header('trailer', 'x-raw').send(source)
        })
        app.register(async (child) => {
          child.addHook('preSerialization', async (_request, reply, payload) => { reply.trailer('x-serialised', sum); return payload })
          child.get('/pre-serialised', CACHED, async () => ({ a: 1 }))
        })
      }
    })
    const expected = {
      removed: {}, replaced: { 'x-hook': 'abc' }, raw: { 'x-raw': 'raw' }, 'pre-serialised': { 'x-hook': 'hook', 'x-serialised': 'abc' }
    }
    for (const [name, trailers] of Object.entries(expected)) {
      for (let times = 0; times < 3; times++) {
        const response = await app.ask({ url: `/${name}`, via })
        t.match(response, { hit: false, cacheStatus: /detail=trailer$/ }, name)
        t.strictSame(Object.fromEntries(Object.entries(response.trailers)), trailers, name)
      }
      t.match((await app.cache.stats()).routes[`GET /${name}`], refusals, name)
    }
  }))

t.test('trailers of hooks are sent with a miss and with each hit, and belong to the request', async (t) =>
  forEachWay(t, async (t, { on, via, hook }) => {
    const app = await build(t, {
      ...on,
      routes (app, probe) {
        hook(app)
        app.addHook('preHandler', async ({ headers }, reply) => {
          if (headers['x-ask'] !== undefined) reply.trailer('x-front', async () => String(headers['x-ask']))
        })
        app.get('/front', CACHED, async () => { probe.ran('front'); return 'x' })
        app.register(async (child) => {
          child.addHook('onSend', async ({ headers }, reply) => {
            reply.trailer('x-behind', async (_reply: unknown, payload: unknown) => `${String(headers['x-ask'])} ${String(payload)}`)
          })
          child.get('/behind', CACHED, async () => { probe.ran('behind'); return 'x' })
        })
      }
    })
    for (const [hit, ask] of [[false, '1'], [true, '2'], [true, '3']] as const) {
      t.match(await app.ask({ url: '/front', via, headers: { 'x-ask': ask } }), { hit, text: 'x', trailers: { 'x-front': ask } })
      t.match(await app.ask({ url: '/behind', via, headers: { 'x-ask': ask } }), {
        hit, text: 'x', trailers: { 'x-front': ask, 'x-behind': `${ask} x` }
      })
    }
    const { hit, trailers } = await app.ask({ url: '/front', via })
    t.ok(hit)
    t.strictSame(Object.fromEntries(Object.entries(trailers)), {})
    t.same([app.runs('front'), app.runs('behind')], [1, 1])
  }))
