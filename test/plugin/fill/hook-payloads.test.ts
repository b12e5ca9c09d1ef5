// What onSend hooks receive: on a miss the same as without the cache, on a hit what docs/what-is-stored.md says.
import { Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import t from 'tap'
import { build } from '../../support/app.js'
import { forEachWay } from '../../support/ways.js'

const CACHED = { config: { cache: { ttl: '1m' } } } as const

const bytes = (): Buffer => Buffer.from('bytes')
const webStream = (): ReadableStream => new Response('web stream').body!

function kindOf (payload: unknown): string {
  if (payload === null || payload === undefined || typeof payload === 'string') return payload === null ? 'null' : typeof payload
  if (Buffer.isBuffer(payload)) return 'Buffer'
  if (payload instanceof ReadableStream) return 'web stream'
  if (payload instanceof Response) return `Response ${payload.status} ${payload.statusText} ${JSON.stringify([...payload.headers])}`
  return typeof (payload as Readable).pipe === 'function' ? 'Node stream' : 'other'
}

type Handler = (request: FastifyRequest, reply: FastifyReply) => unknown

/** Handlers, and the kind of payload that a hook receives on a hit. */
const HANDLERS: Record<string, readonly [onHit: string, handler: Handler]> = {
  object: ['string', async () => ({ a: 1 })],
  null: ['string', async () => null],
  text: ['string', async () => 'text'],
  'empty text': ['string', async (_request, reply) => await reply.send('')],
  Buffer: ['Buffer', async () => bytes()],
  Uint8Array: ['Buffer', async () => new Uint8Array(bytes())],
  nothing: ['undefined', async (_request, reply) => await reply.send()],
  'a redirect': ['undefined', async (_request, reply) => reply.redirect('/elsewhere', 301)],
  'a Node stream': ['Node stream', async () => Readable.from(['node stream'])],
  'a Node stream with a type': ['Buffer', async (_request, reply) => await reply.type('text/csv').send(Readable.from(['node stream']))],
  'a web stream': ['Node stream', async () => webStream()],
  'a web stream with a type': ['Buffer', async (_request, reply) => await reply.type('text/csv').send(webStream())],
  Response: ['Buffer', async (_request, reply) => await reply.header('x-reply', 'yes').send(new Response('response', {
    status: 203, statusText: 'As It Was', headers: { 'content-type': 'text/x-own', 'x-own': 'yes' }
  }))],
  'a Response without a type': ['Node stream', async () => new Response(webStream())],
  'a Response without a body': ['undefined', async () => new Response(null, { status: 301, headers: { location: '/elsewhere' } })],
  'a Response that is not stored': ['', async () => new Response('no', { status: 404 })],
  'a Response with cookies': ['', async (_request, reply) =>
    await reply.header('set-cookie', 'a=1').send(new Response('x', { headers: [['set-cookie', 'b=2'], ['set-cookie', 'c=3']] }))]
}

const path = (name: string): string => `/${name.replace(/\W+/g, '-')}`

function serve (app: FastifyInstance): void {
  for (const [name, [, handler]] of Object.entries(HANDLERS)) app.get(path(name), CACHED, handler)
}

t.test('on a miss, an onSend hook receives the same payload as without the cache, and the same reply', async (t) =>
  forEachWay(t, async (t, { on, via }) => {
    const seen: Record<'cached' | 'control', unknown[]> = { cached: [], control: [] }
    const app = await build(t, {
      ...on,
      routes (app, { cached }) {
        app.addHook('onSend', async (_request, reply, payload) => {
          const { 'cache-status': _status, age: _age, date: _date, ...headers } = reply.getHeaders()
          seen[cached ? 'cached' : 'control'].push([kindOf(payload), reply.statusCode, headers])
          return payload
        })
        serve(app)
      }
    })
    for (const [name, [onHit]] of Object.entries(HANDLERS)) {
      t.match(await app.ask({ url: path(name), via }), { hit: false }, name)
      t.strictSame(seen.cached.splice(0), seen.control.splice(0), `${name}, a miss`)
      const { hit } = await app.ask({ url: path(name), via })
      t.equal(hit, onHit !== '', name)
      if (hit) t.equal((seen.cached[0] as unknown[])[0], onHit, `${name}, a hit`)
      seen.cached.length = seen.control.length = 0
    }
  }))

t.test("what hooks make of a Response is sent, on a miss and on a hit, and the handler's response is stored", async (t) =>
  forEachWay(t, async (t, { on, via }) => {
    const app = await build(t, {
      ...on,
      routes (app, probe) {
        app.get('/', CACHED, async () => {
          probe.ran()
          return new Response('made', { headers: { 'content-type': 'text/plain', etag: '"a"', 'x-own': 'handler' } })
        })
        app.addHook('onSend', async (request, reply, payload) => {
          const how = request.headers['x-how']
          const made = payload instanceof Response ? async () => await payload.text() : async () => String(payload)
          if (how === 'text') return `${await made()} into text`
          // The Response's fields are sent in place of the reply's.
          if (how === 'fields') reply.headers({ 'x-hook': 'yes', 'x-own': payload instanceof Response ? 'hidden' : 'handler' })
          if (how === 'Response') {
            return new Response(`${await made()} into another`, {
              status: 202, headers: { 'content-type': 'text/x-other', etag: '"a"', 'x-own': 'handler' }
            })
          }
          return payload
        })
      }
    })
    const cases = [
      ['text', 200, 'made into text'], ['fields', 200, 'made'], ['Response', 202, 'made into another'], ['as it is', 200, 'made']
    ] as const
    for (const [how, status, text] of cases) {
      await app.cache.clear()
      for (const hit of [false, how !== 'Response']) {
        // A hook that sends text in place of a Response drops the Response's fields. On a hit they are on the reply.
        const response = await app.ask({
          url: '/', via, headers: { 'x-how': how }, ...(hit && how === 'text' && { compare: { headers: false } })
        })
        t.match(response, { status, hit }, how)
        t.equal(response.text, text, how)
      }
    }
    await app.cache.clear()
    await app.ask({ url: '/', via })
    for (const [how, status, text] of cases) {
      const response = await app.ask({ url: '/', via, headers: { 'x-how': how }, compare: false })
      t.match(response, { status, hit: true, headers: { etag: '"a"' } }, `${how} of a hit`)
      t.equal(response.text, text, `${how} of a hit`)
    }
  }))

t.test('a Response is stored though a hook reads it slowly, and is not stored if its body breaks off', async (t) =>
  forEachWay(t, async (t, { on, via, hook }) => {
    const app = await build(t, {
      ...on,
      routes (app, probe) {
        hook(app)
        app.addHook('onSend', async (request, reply, payload) => {
          if (request.url !== '/read' || !(payload instanceof Response)) return payload
          reply.type('text/plain')
          return Readable.fromWeb(payload.body as never)
        })
        const chunks = async function * (fails: boolean): AsyncGenerator<string> {
          yield 'one '
          yield 'two'
          if (fails) throw new Error('broke off')
        }
        app.get('/read', CACHED, async () => {
          probe.ran('read')
          return new Response(Readable.toWeb(Readable.from(chunks(false), { objectMode: false })) as never, {
            headers: { 'content-type': 'text/plain' }
          })
        })
        app.get('/broken', CACHED, async () => {
          probe.ran('broken')
          return new Response(Readable.toWeb(Readable.from(chunks(true), { objectMode: false })) as never, {
            headers: { 'content-type': 'text/plain' }
          })
        })
      }
    })
    for (const hit of [false, true]) t.match(await app.ask({ url: '/read', via }), { hit, text: 'one two', whole: true })
    for (let times = 0; times < 2; times++) t.match(await app.ask({ url: '/broken', via }), { hit: false })
    t.same([app.runs('read'), app.runs('broken')], [1, 2])
  }))

t.test('while a stored response is validated or may be served on an error, hooks receive the Response that is sent', async (t) =>
  forEachWay(t, async (t, { on, via }) => {
    const kinds: string[] = []
    const app = await build(t, {
      ...on,
      compare: false,
      routes (app, probe) {
        app.addHook('onSend', async (_request, reply, payload) => {
          if (!probe.cached) return payload
          kinds.push(kindOf(payload).split(' ')[0]!)
          reply.header('x-hook', 'yes')
          return payload
        })
        app.get('/', { config: { cache: { ttl: '1m', keep: '1h', staleIfError: '1h', setCookie: 'store' } } }, async (request) => {
          const status = Number(request.headers['x-status'] ?? 200)
          return new Response(status === 304 ? null : `made ${status} ${probe.ran()}`, {
            status, headers: [['content-type', 'text/plain'], ['etag', '"a"'], ['set-cookie', 'a=1'], ['set-cookie', 'b=2']]
          })
        })
      }
    })
    await app.ask({ url: '/', via })
    const steps = [
      ['304', 200, 'made 200 1', 'Buffer'], ['503', 200, 'made 200 1', 'Buffer'], ['404', 404, 'made 404 3', 'Response'],
      ['200', 200, 'made 200 4', 'Response']
    ] as const
    for (const [response, status, sent, kind] of steps) {
      await app.clock.pass(61_000)
      kinds.length = 0
      const { status: got, text: gotText, headers } = await app.ask({ url: '/', via, headers: { 'x-status': response } })
      t.strictSame({ got, gotText, kinds, cookies: headers['set-cookie'], hook: headers['x-hook'] }, {
        got: status, gotText: sent, kinds: [kind], cookies: ['a=1', 'b=2'], hook: 'yes'
      }, response)
    }
    t.match(await app.ask({ url: '/', via }), { hit: true, text: 'made 200 4' })
  }))

t.test('on a miss, a hook reads from the Response what the handler made', async (t) => forEachWay(t, async (t, { on, via }) => {
  const read: string[] = []
  const app = await build(t, {
    ...on,
    compare: false,
    routes (app, probe) {
      app.addHook('onSend', async (_request, _reply, payload) => {
        if (!(payload instanceof Response)) return payload
        const copy = payload.clone()
        if (probe.cached) read.push(await text(copy.body as never))
        return payload
      })
      app.get('/', CACHED, async () => Response.json({ a: 1 }))
    }
  })
  for (const hit of [false, true]) t.match(await app.ask({ url: '/', via }), { hit, text: '{"a":1}' })
  t.same(read, ['{"a":1}'])
}))

t.test('a HEAD gets a response though the handler of a stale response sends a Response, and the body is cancelled', async (t) =>
  forEachWay(t, async (t, { on, via, hook }) => {
    let cancelled = 0
    const app = await build(t, {
      ...on,
      // Fastify alone responds with 500.
      compare: false,
      routes (app) {
        hook(app)
        app.get('/', { config: { cache: { ttl: '1m', keep: '1h' } } }, async ({ method }) =>
          new Response(method === 'GET' ? 'x' : new ReadableStream({ cancel () { cancelled++ } }), {
            headers: { etag: `"${method}"`, 'x-own': method }
          }))
      }
    })
    await app.ask({ url: '/', via })
    await app.clock.pass(61_000)
    t.match(await app.ask({ url: '/', via, method: 'HEAD' }), {
      status: 200, text: '', headers: { 'x-own': 'HEAD' }, cacheStatus: /fwd=stale/
    })
    t.equal(cancelled, 1)
  }))
