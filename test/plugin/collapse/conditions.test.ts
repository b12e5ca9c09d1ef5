// Concurrent requests with conditions and ranges: one run of the handler, and to each client what its own conditions ask for.
import { Readable } from 'node:stream'
import type { FastifyReply, FastifyRequest } from 'fastify'
import t from 'tap'
import { Barrier, until } from '../../support/barrier.js'
import { collapsing, everywhere, many } from '../../support/collapsing.js'
import { cached } from '../../support/document.js'

const ETAG = '"v1"'
const MODIFIED = 'Mon, 03 Mar 2031 00:00:00 GMT'
const TEXT = 'the whole body'

/** The conditions of a client, and the response that they ask for. */
const CLIENTS: ReadonlyArray<readonly [headers: Record<string, string>, status: number, text: string]> = [
  [{}, 200, TEXT],
  [{ 'if-none-match': ETAG }, 304, ''],
  [{ 'if-none-match': '"other"' }, 200, TEXT],
  [{ 'if-modified-since': MODIFIED }, 304, ''],
  [{ 'if-modified-since': 'Mon, 03 Mar 2030 00:00:00 GMT' }, 200, TEXT],
  [{ range: 'bytes=0-2' }, 206, 'the'],
  [{ range: 'bytes=-4' }, 206, 'body'],
  [{ range: 'bytes=100-' }, 416, ''],
  [{ range: 'bytes=0-2', 'if-range': ETAG }, 206, 'the'],
  [{ range: 'bytes=0-2', 'if-range': '"other"' }, 200, TEXT]
]

const bodies: Record<string, () => unknown> = {
  text: () => TEXT, 'a stream': () => Readable.from([Buffer.from('the whole '), Buffer.from('body')])
}

for (const [kind, body] of Object.entries(bodies)) {
  for (const [leader] of [CLIENTS[0]!, CLIENTS[1]!, CLIENTS[3]!, CLIENTS[5]!]) {
    t.test(`${kind}, first requested with ${JSON.stringify(leader)}: fifty requests with conditions run the handler once`, async (t) => {
      await everywhere(t, async (t, where) => {
        const barrier = new Barrier()
        const received: unknown[] = []
        const app = await collapsing(t, where, {
          routes: (app, probe) => app.get('/', cached(), async ({ headers }, reply) => {
            probe.ran()
            received.push(headers['if-none-match'], headers['if-modified-since'], headers.range, headers['if-range'])
            await barrier.pass()
            return await reply.headers({ etag: ETAG, 'last-modified': MODIFIED }).type('text/plain').send(body())
          })
        })
        const clients = [CLIENTS.find(([headers]) => headers === leader)!, ...many(49, (at) => CLIENTS[at % CLIENTS.length]!)]
        const first = app.ask({ headers: clients[0]![0] })
        await barrier.reached()
        const responses = [first, ...clients.slice(1).map(async ([headers]) => await app.ask({ headers }))]
        await app.asked(50)
        barrier.open()
        const all = await Promise.all(responses)
        t.equal(app.runs(), 1)
        t.same(received, [undefined, undefined, undefined, undefined], 'the handler receives no conditions')
        t.same(all.map(({ status, text }) => [status, text]), clients.map(([, status, text]) => [status, text]))
        t.match(await app.stats(), { misses: 50, coalesced: 49, stores: 1 })
      })
    })
  }
}

t.test('hooks and handlers of the next request see the conditions of that request', async (t) => {
  await everywhere(t, async (t, where) => {
    const seen: unknown[] = []
    const app = await collapsing(t, where, {
      routes (app) {
        app.addHook('onSend', async ({ headers }) => { seen.push(headers['if-none-match']) })
        app.get('/', cached(), async (_request, reply) => await reply.header('etag', ETAG).send(TEXT))
      }
    })
    t.match(await app.ask({ headers: { 'if-none-match': ETAG } }), { status: 304, cacheStatus: /stored/ })
    t.match(await app.ask({ headers: { 'if-none-match': '"other"' } }), { status: 200, hit: true })
    t.same(seen, [ETAG, '"other"'])
  })
})

t.test('a handler receives the conditions that only it can evaluate, and those of routes without a lock', async (t) => {
  await everywhere(t, async (t, where) => {
    const received: unknown[] = []
    const handler = async ({ headers }: FastifyRequest, reply: FastifyReply): Promise<unknown> => {
      received.push(headers['if-match'] ?? headers['if-unmodified-since'] ?? headers['if-none-match'] ?? headers.range)
      return await reply.header('etag', ETAG).send(TEXT)
    }
    const app = await collapsing(t, where, {
      routes (app) {
        app.get('/', cached(), handler)
        app.get('/unlocked', cached({ lock: false }), handler)
      }
    })
    await app.ask({ url: '/?1', headers: { 'if-match': '"other"' } })
    await app.ask({ url: '/?2', headers: { 'if-unmodified-since': MODIFIED } })
    await app.ask({ url: '/unlocked', headers: { 'if-none-match': ETAG } })
    await app.ask({ url: '/unlocked?1', headers: { range: 'bytes=0-1' } })
    t.same(received, ['"other"', MODIFIED, ETAG, 'bytes=0-1'])
  })
})

const LARGE: Record<string, (bytes: number) => { body: unknown, headers: Record<string, string> }> = {
  text: (bytes) => ({ body: 'x'.repeat(bytes), headers: {} }),
  'a stream': (bytes) => ({ body: Readable.from([Buffer.alloc(bytes, 'x')]), headers: {} }),
  'a stream with Content-Length': (bytes) =>
    ({ body: Readable.from([Buffer.alloc(bytes, 'x')]), headers: { 'content-length': String(bytes) } })
}

for (const [kind, make] of Object.entries(LARGE)) {
  t.test(`once ${kind} has turned out to be larger than maxBodyBytes, its handler receives ranges, until it fits again`, async (t) => {
    await everywhere(t, async (t, where) => {
      const received: unknown[] = []
      let bytes = 100
      const app = await collapsing(t, where, {
        routes: (app) => app.get('/', cached({ maxBodyBytes: 50, ttl: '1s' }), async ({ headers: { range } }, reply) => {
          received.push(range)
          if (range !== undefined) return await reply.code(206).header('content-range', `bytes 0-1/${bytes}`).send('xx')
          const { body, headers } = make(bytes)
          return await reply.type('text/plain').headers(headers).send(body)
        })
      })
      const ranged = { headers: { range: 'bytes=0-1' } }
      t.match(await app.ask(ranged), { whole: true }, 'the first one is not known to be too large')
      for (const response of await Promise.all(many(5, async () => await app.ask(ranged)))) t.match(response, { status: 206, text: 'xx' })
      t.same(received, [undefined, ...many(5, () => 'bytes=0-1')], 'none of them waits for another')
      await app.clock.pass(3_600_000)
      t.match(await app.ask(ranged), { status: 206, text: 'xx' }, 'this is not forgotten')
      bytes = 40
      await app.ask()
      await until(async () => (await app.stats()).stores === 1)
      await app.clock.pass(2_000)
      t.match(await app.ask(ranged), { status: 206, text: 'xx' })
      t.same(received.slice(6), ['bytes=0-1', undefined, undefined])
    })
  })
}
