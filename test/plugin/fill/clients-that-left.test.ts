// Streams for clients that left: no request waits for the end of a stream that nobody reads.
import { once } from 'node:events'
import http2 from 'node:http2'
import net from 'node:net'
import { Readable } from 'node:stream'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import t from 'tap'
import { build, forEachBackend, type Probe } from '../../support/app.js'
import { Barrier, turns } from '../../support/barrier.js'
import { portOf } from '../../support/client.js'
import { cached } from '../../support/document.js'

/** More than a connection and the buffers in between take at once. */
const PIECES: readonly string[] = Array.from({ length: 20 }, () => 'x'.repeat(15_000))
const LARGE = PIECES.join('')

const streamed: Record<string, () => unknown> = {
  'a Node stream': () => Readable.from(PIECES, { objectMode: false }),
  'a web stream': () => Readable.toWeb(Readable.from(PIECES, { objectMode: false })),
  'a fetch Response': () => new Response(LARGE)
}

const BODY = 'Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{}'

/** Routes whose first handlers wait at barriers. */
const routes = (barriers: { slow?: Barrier, streamed?: Barrier }, make: () => unknown) => (app: FastifyInstance, probe: Probe): void => {
  app.get('/slow', async () => { await barriers.slow?.pass() })
  const handler = async (_request: FastifyRequest, reply: FastifyReply): Promise<unknown> => {
    if (probe.ran() === 1) await barriers.streamed?.pass()
    return await reply.send(make())
  }
  app.route({ url: '/streamed', method: ['GET', 'POST'], handler, ...cached({ methods: ['GET', 'POST'] }) })
}

for (const [name, make] of Object.entries(streamed)) {
  for (const [isMade, method] of [[true, 'GET'], [false, 'GET'], [true, 'POST']] as const) {
    t.test(
      `HTTP/1.1: a client that left ${isMade ? 'after' : 'before'} ${name} for its pipelined ${method} was made holds up no other request`,
      async (t) => forEachBackend(t, async (t, on) => {
        const barriers = { slow: new Barrier(), streamed: new Barrier() }
        const app = await build(t, { ...on, compare: false, routes: routes(barriers, make) })
        const socket = net.connect(await portOf(app.app), '127.0.0.1').on('error', () => {})
        socket.write(
          `GET /slow HTTP/1.1\r\nHost: test.example\r\n\r\n${method} /streamed HTTP/1.1\r\nHost: test.example\r\n${method === 'GET' ? '\r\n' : BODY}`)
        await barriers.streamed.reached()
        if (isMade) barriers.streamed.open()
        await turns()
        const ask = method === 'GET'
          ? '/streamed'
          : { url: '/streamed', method, body: '{}', headers: { 'content-type': 'application/json' } }
        const waiter = app.ask(ask)
        await turns()
        socket.destroy()
        await turns()
        barriers.streamed.open()
        t.match(await waiter, { status: 200, text: LARGE, cacheStatus: /^((?!lock-timeout).)*$/ })
        barriers.slow.open()
        t.match(await app.ask(ask), { text: LARGE, hit: true })
      }))
  }

  t.test(`HTTP/2: a client that left before ${name} for it was made holds up no other request`, async (t) =>
    forEachBackend(t, async (t, on) => {
      const barrier = new Barrier()
      const app = await build(t, { ...on, compare: false, fastify: { http2: true }, routes: routes({ streamed: barrier }, make) })
      const session = http2.connect(`http://127.0.0.1:${await portOf(app.app)}`).on('error', () => {})
      const stream = session.request({ ':path': '/streamed', ':authority': 'test.example' }).on('error', () => {})
      await barrier.reached()
      const waiter = app.ask({ url: '/streamed', via: 'h2' })
      await turns()
      session.destroy()
      if (!stream.closed) await once(stream, 'close')
      await turns()
      barrier.open()
      t.match(await waiter, { status: 200, text: LARGE, cacheStatus: /^((?!lock-timeout).)*$/ })
      t.match(await app.ask({ url: '/streamed', via: 'h2' }), { text: LARGE, hit: true })
    }))
}

t.test('a client whose request body has been read has not left, and its stream is stored', async (t) => forEachBackend(t, async (t, on) => {
  for (const via of ['socket', 'h2', 'inject'] as const) {
    const app = await build(t, {
      ...on,
      namespace: via,
      fastify: { http2: via === 'h2' },
      routes (app, probe) {
        app.post('/', cached({ methods: ['POST'] }), async (request) => {
          // Node closes a request when its body has been read, some turns later.
          await turns()
          probe.ran()
          return Readable.from([JSON.stringify(request.body)])
        })
      }
    })
    const ask = { url: '/', method: 'POST', body: '{"a":1}', headers: { 'content-type': 'application/json' }, via } as const
    for (const hit of [false, true]) t.match(await app.ask(ask), { hit, text: '{"a":1}', cacheStatus: /^((?!client-gone).)*$/ }, via)
  }
}))

t.test('twenty responses that wait on one connection add one listener to its socket', async (t) => {
  const barriers = { slow: new Barrier() }
  const app = await build(t, { compare: false, routes: routes(barriers, () => 'x') })
  const socket = net.connect(await portOf(app.app), '127.0.0.1').on('error', () => {})
  const paths = ['/slow', ...Array.from({ length: 20 }, (_, at) => `/streamed?${at}`)]
  socket.write(paths.map((path) => `GET ${path} HTTP/1.1\r\nHost: test.example\r\n\r\n`).join(''))
  await barriers.slow.reached()
  while (app.runs() < 20) await turns(1)
  socket.destroy()
  barriers.slow.open()
})
