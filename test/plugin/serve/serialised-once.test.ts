// A handler's response is serialised once, on the miss. A hit sends the text and the bytes as they were stored, whatever serializer the
// reply has.
import { createRequire } from 'node:module'
import type { FastifyInstance, FastifyPluginAsync, FastifyReply } from 'fastify'
import t from 'tap'
import { build } from '../../support/app.js'
import { forEachWay } from '../../support/ways.js'

const CACHED = { config: { cache: { ttl: '1m' } } } as const

// Its types require an option of its own on every route of every application.
const acceptsSerializer = createRequire(import.meta.url)(
  '@fastify/accepts-serializer') as FastifyPluginAsync<{ serializers: object[], default: string }>

const wrapped = (data: unknown): string => JSON.stringify({ data })

t.test('the serializer that @fastify/accepts-serializer chooses does not run on a hit', async (t) =>
  forEachWay(t, async (t, { on, via, hook }) => {
    const app = await build(t, {
      ...on,
      async routes (app) {
        hook(app)
        await app.register(acceptsSerializer, {
          serializers: [{ regex: /^application\/json$/, serializer: wrapped }], default: 'application/json'
        })
        app.get('/', CACHED, async () => ({ a: 1 }))
      }
    })
    for (const hit of [false, true, true]) {
      t.match(await app.ask({ url: '/', via, headers: { accept: 'application/json' } }), { hit, text: '{"data":{"a":1}}' })
    }
  }))

/** Handlers, by path. */
const HANDLERS: Record<string, (reply: FastifyReply) => unknown> = {
  object: (reply) => reply.type('application/json').send({ a: 1 }),
  'object-without-a-type': () => ({ a: 1 }),
  text: () => 'text',
  'json-text': (reply) => reply.type('application/json').send('{"a":1}'),
  'html-text': (reply) => reply.type('text/html').send('<p>'),
  bytes: (reply) => reply.type('application/json').send(Buffer.from('{"a":1}')),
  response: () => Response.json({ a: 1 }),
  'own-serializer': (reply) => reply.type('application/vnd.own+json').serializer((value: unknown) => `own ${wrapped(value)}`).send({ a: 1 })
}

function serve (app: FastifyInstance, ran: () => unknown): void {
  app.addHook('preHandler', async (_request, reply) => { reply.serializer(wrapped) })
  for (const [name, handler] of Object.entries(HANDLERS)) {
    app.get(`/${name}`, CACHED, async (_request, reply) => { ran(); return await handler(reply) })
  }
}

t.test('a stored response is sent unchanged if a hook set reply.serializer(), with the type that the handler set', async (t) =>
  forEachWay(t, async (t, { on, via, hook }) => {
    const app = await build(t, { ...on, routes (app, probe) { hook(app); serve(app, () => probe.ran()) } })
    for (const name of Object.keys(HANDLERS)) {
      const miss = await app.ask({ url: `/${name}`, via })
      const hit = await app.ask({ url: `/${name}`, via })
      t.same([miss.hit, hit.hit], [false, true], name)
      t.equal(hit.text, miss.text, name)
      t.equal(hit.headers['content-type'], miss.headers['content-type'], name)
    }
    t.equal(app.runs(), Object.keys(HANDLERS).length)
  }))

t.test('hooks behind a hit find the serializer that an earlier hook has set, and an error of theirs is serialised with it', async (t) =>
  forEachWay(t, async (t, { on, via }) => {
    const app = await build(t, {
      ...on,
      routes (app) {
        app.addHook('onSend', (request, reply, payload, done) => {
          reply.header('x-serialised', reply.serialize({ by: 'hook' }))
          done((request.headers['x-fail'] !== undefined && reply.statusCode === 200 ? new Error('the hook failed') : null) as null, payload)
        })
        app.setErrorHandler((error, _request, reply) => reply.code(500).type('application/json').send({ failed: (error as Error).message }))
        serve(app, () => {})
      }
    })
    for (const hit of [false, true]) {
      t.match(await app.ask({ url: '/object', via }), {
        hit, text: '{"data":{"a":1}}', headers: { 'x-serialised': '{"data":{"by":"hook"}}' }
      })
    }
    t.match(await app.ask({ url: '/object', via, headers: { 'x-fail': 'yes' } }), {
      status: 500, text: '{"data":{"failed":"the hook failed"}}'
    })
  }))

t.test('a stored response is sent as it was stored when it is served on an error or after a validation', async (t) =>
  forEachWay(t, async (t, { on, via, hook }) => {
    const app = await build(t, {
      ...on,
      compare: false,
      routes (app, probe) {
        hook(app)
        app.addHook('preHandler', async (_request, reply) => { reply.serializer(wrapped) })
        app.get('/on-error', { config: { cache: { ttl: '1m', staleIfError: '1h' } } }, async (_request, reply) => {
          if (probe.ran('on-error') > 1) throw new Error('down')
          return await reply.type('application/json').send({ a: 1 })
        })
        app.get('/validated', { config: { cache: { ttl: '1m', keep: '1h' } } }, async (request, reply) =>
          request.headers['if-none-match'] === '"a"'
            ? await reply.code(304).send()
            : await reply.header('etag', '"a"').type('application/json').send({ a: 1 }))
      }
    })
    for (const url of ['/on-error', '/validated']) t.match(await app.ask({ url, via }), { hit: false, text: '{"data":{"a":1}}' })
    await app.clock.pass(61_000)
    t.match(await app.ask({ url: '/on-error', via }), { status: 200, text: '{"data":{"a":1}}', cacheStatus: /fwd-status=500/ })
    t.match(await app.ask({ url: '/validated', via }), { status: 200, text: '{"data":{"a":1}}', cacheStatus: /fwd-status=304; stored/ })
    t.match(await app.ask({ url: '/validated', via }), { hit: true, text: '{"data":{"a":1}}' })
  }))
