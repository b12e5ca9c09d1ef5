// Every kind of payload: the client receives the same as without the cache, and a hit is the same again.
import { PassThrough, Readable } from 'node:stream'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import t from 'tap'
import { build, forEachBackend, type Probe } from '../../support/app.js'

const CACHED = { config: { cache: { ttl: '1m' } } } as const

const BYTES = Buffer.from(Array.from({ length: 256 }, (_, at) => at))

function webStream (...chunks: Uint8Array[]): ReadableStream<Uint8Array> {
  return new ReadableStream({
    start (controller) {
      for (const chunk of chunks) controller.enqueue(chunk)
      controller.close()
    }
  })
}

const later = async <T> (value: T): Promise<T> => await new Promise((resolve) => setImmediate(resolve, value))

type Handler = (request: FastifyRequest, reply: FastifyReply) => unknown

/** Payloads that are stored, by name. */
const STORED: Record<string, Handler> = {
  object: async () => ({ a: [1, { b: null }], ü: 'é' }),
  array: async () => [1, 2],
  'a number': async () => 5,
  'a boolean': async () => false,
  null: async () => null,
  'an empty object': async () => ({}),
  string: async () => 'grüße',
  'an empty string': async (_request, reply) => await reply.send(''),
  html: async (_request, reply) => await reply.type('text/html; charset=utf-8').send('<p>'),
  'json as text': async (_request, reply) => await reply.type('application/json').send('{"a":1}'),
  'hal as text': async (_request, reply) => await reply.type('application/hal+json').send({ a: 1 }),
  'text with a charset of its own': async (_request, reply) =>
    await reply.type('text/plain; charset=latin1').send(Buffer.from('grüße', 'latin1')),
  Buffer: async () => BYTES,
  'an empty Buffer': async () => Buffer.alloc(0),
  'a Buffer with a type': async (_request, reply) => await reply.type('image/png').send(BYTES),
  Uint8Array: async () => new Uint8Array(BYTES),
  Uint16Array: async () => new Uint16Array([1, 2, 65535]),
  'a part of a Buffer': async () => BYTES.subarray(10, 20),
  'no payload at all': (_request, reply) => { reply.send() },
  'undefined on purpose': async (_request, reply) => await reply.type('text/plain').send(undefined),
  'a Node stream': async () => Readable.from([BYTES, BYTES]),
  'a Node stream of strings': async () => Readable.from(['grü', '', 'ße']),
  'a Node stream with a type': async (_request, reply) => await reply.type('text/csv').send(Readable.from(['a,b\n', 'c,d\n'])),
  'a Node stream of known length': async (_request, reply) => await reply.header('content-length', 512).send(Readable.from([BYTES, BYTES])),
  'an empty Node stream': async () => Readable.from([]),
  'a Node stream that decodes': async () => Readable.from([Buffer.from('grüße')], { objectMode: false }).setEncoding('utf8'),
  PassThrough: (_request, reply) => {
    const through = new PassThrough()
    reply.send(through)
    through.write('one ')
    through.end('two')
  },
  'a web stream': async () => webStream(BYTES, BYTES),
  'an empty web stream': async () => webStream(),
  'a fetch Response': async () => new Response('text', { status: 200, headers: { 'x-of': 'response', 'content-type': 'text/x-own' } }),
  'a fetch Response of JSON': async () => Response.json({ a: 1 }),
  'a fetch Response with a cacheable status': async () => new Response('moved', { status: 301, headers: { location: '/x' } }),
  'a fetch Response of a stream': async () => new Response(webStream(BYTES)),
  'a fetch Response without a body': async () => new Response(null, { headers: { 'x-empty': 'yes' } }),
  'a callback handler': (_request, reply) => { setImmediate(() => reply.send({ by: 'callback' })) },
  'a callback handler that sends at once': (_request, reply) => { reply.send('now') },
  'return reply': (_request, reply) => {
    setImmediate(() => reply.send('later'))
    return reply
  },
  'return reply from an asynchronous handler': async (_request, reply) => {
    setImmediate(() => reply.send('later'))
    return reply
  },
  'a permanent redirect': async (_request, reply) => reply.redirect('/elsewhere?x=1', 308),
  'a serializer of the reply': async (_request, reply) =>
    await reply.type('text/x-upper').serializer((value: { a: string }) => value.a.toUpperCase()).send({ a: 'x' }),
  'many fields': async (_request, reply) =>
    await reply.headers({ link: ['</a>; rel=x', '</b>; rel=y'], 'x-tab': 'a\tb', 'x-empty': '', 'x-number': 5 as never }).send('x'),
  'its own Date and Last-Modified': async (_request, reply) =>
    await reply.headers({ date: 'Sun, 06 Nov 1994 08:49:37 GMT', 'last-modified': 'Sun, 06 Nov 1994 08:49:37 GMT', etag: '"a"' }).send('x'),
  'a lazy thenable, run once': () => {
    let runs = 0
    return { then (resolve: (value: unknown) => void) { resolve({ runs: ++runs }) } }
  },
  'after a while': async () => await later({ late: true })
}

/** Responses that are delivered unchanged and never stored, with the reason. */
const NOT_STORED: Record<string, [reason: string, handler: Handler]> = {
  204: ['status', async (_request, reply) => await reply.code(204).send()],
  '204 with a payload': ['status', async (_request, reply) => await reply.code(204).send('what')],
  304: ['condition', async (_request, reply) => await reply.code(304).send()],
  206: ['condition', async (_request, reply) => await reply.code(206).header('content-range', 'bytes 0-1/4').send('ab')],
  302: ['status', async (_request, reply) => reply.redirect('/x')],
  404: ['status', async (_request, reply) => await reply.code(404).send({ no: true })],
  201: ['status', async (_request, reply) => await reply.code(201).send({ made: true })],
  500: ['status', async (_request, reply) => await reply.code(500).send({ broken: true })],
  'an error that is thrown': ['handler-error', async () => { throw new Error('thrown') }],
  'an error that is thrown at once': ['handler-error', () => { throw new Error('thrown') }],
  'an error that is sent': ['handler-error', (_request, reply) => { reply.send(new Error('sent')) }],
  'an error with a status': ['handler-error', async () => { throw Object.assign(new Error('teapot'), { statusCode: 418 }) }],
  callNotFound: ['hijacked', (_request, reply) => { reply.callNotFound() }],
  'a fetch Response with 404': ['status', async () => new Response('no', { status: 404 })],
  'a fetch Response with 204': ['status', async () => new Response(null, { status: 204 })],
  'a fetch Response that sets cookies': [
    'set-cookie', async () => new Response('x', { headers: [['set-cookie', 'a=1'], ['set-cookie', 'b=2']] })
  ],
  'a fetch Response that was read': ['stream-failed', async () => {
    const response = new Response('read')
    await response.text()
    return response
  }],
  'a fetch Response that is being read': ['stream-failed', async () => {
    const response = new Response('read')
    response.body!.getReader()
    return response
  }],
  'a web stream that is locked': ['stream-failed', async () => {
    const stream = webStream(BYTES)
    stream.getReader()
    return stream
  }],
  'an event stream': [
    'event-stream', async (_request, reply) => await reply.type('text/event-stream; charset=utf-8').send(Readable.from(['data: 1\n\n']))
  ],
  'an event stream as text': ['event-stream', async (_request, reply) => await reply.type('Text/Event-Stream').send('data: 1\n\n')],
  'a value that is not JSON': ['handler-error', async () => ({ big: 1n })],
  'a serializer that throws': [
    'handler-error', async (_request, reply) => await reply.type('x/y').serializer(() => { throw new Error('no') }).send({})
  ],
  'a payload that cannot be sent': ['stream-failed', async (_request, reply) => await reply.type('text/plain').send({ an: 'object' })],
  'a field that cannot be sent': ['header', async (_request, reply) => await reply.header('x-bad', 'a\nb').send('x')],
  hijacked: ['hijacked', (_request, reply) => {
    reply.hijack()
    reply.raw.writeHead(200, { 'content-type': 'text/plain' })
    reply.raw.end('raw')
  }],
  'hijacked later': ['hijacked', async (_request, reply) => {
    await later(0)
    reply.hijack()
    setImmediate(() => reply.raw.end('raw'))
  }],
  'written to the raw response': ['hijacked', (_request, reply) => { reply.raw.end('raw') }]
}

const path = (name: string): string => `/${name.replace(/\W+/g, '-')}`

for (const hooked of [false, true]) {
  const where = hooked ? 'with an onSend hook of the application' : 'straight'
  const hook = (app: FastifyInstance): void => {
    if (hooked) app.addHook('onSend', async (_request, reply) => { reply.header('x-hooked', 'yes') })
  }

  t.test(`every kind of payload is stored and served again, ${where}`, async (t) => forEachBackend(t, async (t, on) => {
    const app = await build(t, {
      ...on,
      routes (app, probe) {
        hook(app)
        for (const [name, handler] of Object.entries(STORED)) {
          app.get(path(name), CACHED, (request, reply) => { probe.ran(name); return handler(request, reply) })
        }
      }
    })
    for (const name of Object.keys(STORED)) {
      for (const [via, hit] of [['socket', false], ['socket', true], ['inject', true]] as const) {
        t.match(await app.ask({ url: path(name), via }), { hit, whole: true }, `${name} ${via}`)
      }
      t.equal(app.runs(name), 1, name)
    }
  }))

  t.test(`a response that must not be stored is delivered and not stored, ${where}`, async (t) => forEachBackend(t, async (t, on) => {
    const app = await build(t, {
      ...on,
      routes (app, probe) {
        hook(app)
        for (const [name, [, handler]] of Object.entries(NOT_STORED)) {
          app.get(path(name), CACHED, (request, reply) => { probe.ran(name); return handler(request, reply) })
        }
      }
    })
    for (const [name, [reason]] of Object.entries(NOT_STORED)) {
      const url = path(name)
      for (let times = 0; times < 2; times++) {
        const { hit, cacheStatus } = await app.ask({ url })
        t.notOk(hit, name)
        t.notMatch(cacheStatus, /,|stored/, name)
      }
      t.equal(app.runs(name), 2, name)
      t.match((await app.cache.stats()).routes[`GET ${url}`], { misses: 2, stores: 0, refusals: { [reason]: 2 } }, `${name}: ${reason}`)
    }
  }))
}

t.test('payloads of response schemas, serializers and preSerialization hooks are stored as they were sent', async (t) =>
  forEachBackend(t, async (t, on) => {
    const schema = {
      response: {
        200: {
          content: {
            'application/json': { schema: { type: 'object', properties: { a: { type: 'string' } } } },
            'application/vnd.v1+json': { schema: { type: 'object', properties: { b: { type: 'string' } } } }
          }
        },
        410: { type: 'object', properties: { c: { type: 'string' } } }
      }
    }
    const cached = (probe: Probe, name: string, handler: Handler): Handler => (request, reply) => {
      probe.ran(name)
      return handler(request, reply)
    }
    const all = { a: 'a', b: 'b', c: 'c', secret: 's' }
    const app = await build(t, {
      ...on,
      routes (app, probe) {
        app.get('/status', { config: { cache: { ttl: '1m', statuses: [410] } }, schema },
          cached(probe, '/status', async (_request, reply) => await reply.code(410).send(all)))
        app.get('/plain', { ...CACHED, schema }, cached(probe, '/plain', async () => all))
        app.get('/v1', { ...CACHED, schema },
          cached(probe, '/v1', async (_request, reply) => await reply.type('application/vnd.v1+json').send(all)))
        app.get('/compiled', { ...CACHED, schema, serializerCompiler: () => (value) => `compiled ${JSON.stringify(value)}` },
          cached(probe, '/compiled', async () => all))
        app.register(async (child) => {
          child.addHook('preSerialization', async (_request, _reply, payload) => ({ wrapped: payload }))
          child.get('/wrapped', CACHED, cached(probe, '/wrapped', async () => all))
        })
        app.register(async (child) => {
          child.setReplySerializer((value) => `own ${JSON.stringify(value)}`)
          child.get('/own', CACHED, cached(probe, '/own', async () => all))
        })
      }
    })
    for (const [url, text] of [
      ['/status', '{"c":"c"}'], ['/plain', '{"a":"a"}'], ['/v1', '{"b":"b"}'], ['/compiled', 'compiled'], ['/wrapped', '{"wrapped":'],
      ['/own', 'own {']
    ] as const) {
      for (const hit of [false, true, true]) {
        const response = await app.ask(url)
        t.equal(response.hit, hit, url)
        t.ok(response.text.startsWith(text), `${url}: ${response.text}`)
      }
      t.equal(app.runs(url), 1, url)
    }
  }))
