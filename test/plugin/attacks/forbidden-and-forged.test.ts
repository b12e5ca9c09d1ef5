// Attacks: responses that must not be stored, and stored bytes that must not be trusted.
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import t from 'tap'
import { EntryCodec, type ResponseHead } from '../../../response/store/entry.js'
import { build, forEachBackend, type Probe } from '../../support/app.js'
import { cached } from '../../support/document.js'

/** A route whose response has the fields that the query names. */
const says = (app: FastifyInstance, probe: Probe): void => {
  app.get<{ Querystring: Record<string, string | string[]> }>('/says', cached({ statuses: [200, 404] }), async (request, reply) => {
    const { status = '200', ...fields } = request.query
    for (const [name, value] of Object.entries(fields)) reply.header(name, value)
    probe.ran()
    return reply.code(Number(status)).send('said')
  })
}

const saying = (fields: ReadonlyArray<readonly [string, string]>): string =>
  `/says?${fields.map(([name, value]) => `${encodeURIComponent(name)}=${encodeURIComponent(value)}`).join('&')}`

t.test('a response that forbids storing is not stored', async (t) => forEachBackend(t, async (t, on) => {
  const app = await build(t, { ...on, routes: says })
  const never: ReadonlyArray<ReadonlyArray<readonly [string, string]>> = [
    ...[
      'private', 'PRIVATE', 'no-store', 'no-cache', 'private=""', 'private="set-cookie', 'no-cache = "x"', 'public, no-store',
      'x="\\", no-store', 'max-age=0', 's-maxage=0, max-age=60', 'max-age=-1', 'max-age=1e9'
    ].map((value) => [['cache-control', value]] as const),
    [['cache-control', 'public'], ['cache-control', 'private']], [['cache-control', 'max-age=60'], ['cache-control', 'no-store']],
    [['expires', '0']], [['age', '60']],
    ...[
      '*', '* ', '*,', 'a, *', 'constructor', '__proto__', 'a b', Array.from({ length: 50 }, (_, at) => `x-${at}`).join(',')
    ].map((value) => [['vary', value]] as const),
    [['vary', 'accept'], ['vary', '*']], [['set-cookie', 'a=b']], [['content-type', 'text/event-stream']],
    [['content-security-policy', "script-src 'nonce-abc'"]], [['access-control-allow-origin', 'https://evil']],
    [['access-control-expose-headers', 'access-control-allow-origin'], ['access-control-allow-origin', 'https://evil']],
    ...['201', '302', '307', '400', '401', '403', '405', '410', '429', '500', '503'].map((status) => [['status', status]] as const)
  ]
  for (const fields of never) {
    const url = saying(fields)
    t.match(await app.ask(url), { hit: false, cacheStatus: /detail=/ }, url)
    t.match(await app.ask(url), { hit: false }, url)
  }
  t.match(await app.ask('/says'), { hit: false })
  t.match(await app.ask('/says'), { hit: true })
}))

t.test('an error is not stored, even if an error handler makes a 200 of it', async (t) => forEachBackend(t, async (t, on) => {
  const routes = (app: FastifyInstance, probe: Probe): void => {
    app.setErrorHandler((err, request, reply) => {
      reply.code(200).send(`sorry, ${String(request.headers['x-user'])}, ${(err as Error).message}`)
    })
    app.setNotFoundHandler((request, reply) => { reply.code(200).send(`not here, ${String(request.headers['x-user'])}`) })
    const ways: Record<string, (request: FastifyRequest, reply: FastifyReply) => unknown> = {
      throw: () => { throw new Error('thrown') },
      reject: async () => { throw new Error('rejected') },
      send: (_request, reply) => { reply.send(new Error('sent')) },
      return: async () => new Error('returned'),
      unserialisable: async () => ({ toJSON () { throw new Error('not JSON') } }),
      notFound: (_request, reply) => { reply.callNotFound() },
      notFoundAsync: async (_request, reply) => { reply.callNotFound(); return reply }
    }
    for (const [way, handler] of Object.entries(ways)) {
      app.get(`/${way}`, cached(), (request, reply) => { probe.ran(); return handler(request, reply) })
    }
    app.get('/hook', { ...cached(), preSerialization: async () => { throw new Error('in preSerialization') } }, async () => ({}))
    app.get('/late', { ...cached(), onSend: async () => { throw new Error('in onSend') } }, async () => 'x')
    app.get('/own', {
      ...cached(), errorHandler: (_err, _request, reply) => { reply.header('cache-control', 'public, max-age=60').send('own') }
    }, async () => { throw new Error('x') })
    app.get(
      '/schema', { ...cached(), schema: { response: { 200: { type: 'object', properties: { a: { type: 'string' } }, required: ['a'] } } } },
      async () => ({ b: 1 }))
  }
  const app = await build(t, { ...on, routes })
  for (const way of ['throw', 'reject', 'send', 'return', 'unserialisable', 'notFound', 'notFoundAsync', 'hook', 'late', 'own', 'schema']) {
    for (const user of ['alice', 'bob'].map((name) => app.canary(name))) {
      t.match(await app.ask({ url: `/${way}`, headers: { 'x-user': user } }), { hit: false }, way)
      const both = await Promise.all([1, 2, 3].map(async () => await app.ask({ url: `/${way}`, headers: { 'x-user': user } })))
      t.ok(both.every(({ hit }) => !hit), way)
    }
  }
  t.equal((await app.cache.stats()).stores, 0)
}))

t.test('a response that a hook turns into an error is not stored', async (t) => forEachBackend(t, async (t, on) => {
  const app = await build(t, {
    ...on,
    routes (app) {
      app.addHook('onSend', async ({ headers }, reply) => { if (headers['x-over-quota'] !== undefined) reply.code(429) })
      app.get('/', cached(), async () => 'made')
    }
  })
  const headers = { 'x-over-quota': 'yes' }
  for (let times = 0; times < 2; times++) {
    t.match(await app.ask({ url: '/', headers }), { status: 429, cacheStatus: /; fwd=miss; detail=status$/ })
  }
  for (const hit of [false, true]) t.match(await app.ask('/'), { status: 200, text: 'made', hit })
}))

t.test('a 304 that a hook made of a whole response is not served to the next request', async (t) => forEachBackend(t, async (t, on) => {
  const routes = (app: FastifyInstance, probe: Probe): void => {
    app.addHook('onSend', async (request, reply, payload) => {
      if (request.headers['if-none-match'] !== '"1"') return payload
      reply.code(304).removeHeader('content-length')
      return null
    })
    app.get('/', cached(), async (_request, reply) => { probe.ran(); return reply.header('etag', '"1"').send('whole') })
    app.get('/own', cached({ lock: false }), async (request, reply) => {
      probe.ran()
      return request.headers['if-none-match'] === undefined ? 'whole' : reply.code(304).send()
    })
  }
  const app = await build(t, { ...on, routes })
  const conditional = { 'if-none-match': '"1"' }
  t.match(await app.ask({ url: '/', headers: conditional, compare: { ignore: ['content-type'] } }), { status: 304, text: '' })
  t.match(await app.ask('/'), { status: 200, text: 'whole' })
  // RFC 9110 section 15.4.5: Content-Type describes content, which a 304 lacks.
  t.match(await app.ask({ url: '/', headers: conditional, compare: { ignore: ['content-type'] } }), { status: 304, text: '', hit: true })
  t.match(await app.ask({ url: '/own', headers: conditional }), { status: 304 })
  t.match(await app.ask('/own'), { status: 200, text: 'whole', hit: false }, 'a 304 of the handler is not stored')
}))

t.test('a field of a hook that Node refuses to send has the same effect as without the cache', async (t) =>
  forEachBackend(t, async (t, on) => {
    const app = await build(t, {
      ...on,
      routes (app, probe) {
        app.addHook('onRequest', async (request, reply) => {
          if (request.headers['x-name'] !== undefined) reply.header(request.headers['x-name'] as string, 'J✓')
        })
        app.get('/', cached(), async () => { probe.ran(); return 'x' })
      }
    })
    t.match(await app.ask('/'), { status: 200, hit: false })
    for (const name of ['x-user', 'vary']) t.match(await app.ask({ url: '/', headers: { 'x-name': name } }), { status: 500 })
    t.match(await app.ask('/'), { status: 200, hit: true })
  }))

t.test('stored bytes that were edited are a miss, counted, and the response is complete', async (t) => forEachBackend(t, async (t, on) => {
  const app = await build(t, {
    ...on,
    routes: (app, probe) =>
      app.get('/', cached(), async (_request, reply) => { probe.ran(); return reply.header('x-a', 'b').send('response') })
  })
  await app.ask('/')
  const backend = app.backends[0]!
  const [key] = await backend.keys!('*r GET*') as [string]
  const stored = (await backend.get(key))!
  const codec = new EntryCodec()
  const head = codec.decode(stored.value, key)!.head as ResponseHead
  const made = (change: object, body: string = 'evil'): Uint8Array => new EntryCodec().encode({ ...head, ...change } as ResponseHead, body)
  const edits: Record<string, Uint8Array> = {
    'a line break in a field': made({ fields: ['x-a', 'b\r\nset-cookie: evil=1'] }),
    'a field __proto__, twice': made({ fields: ['__proto__', 'x', '__proto__', 'y'] }),
    'a cookie': made({ fields: ['set-cookie', 'evil=1'] }),
    'a framing field': made({ fields: ['transfer-encoding', 'chunked'] }),
    'status 99': made({ status: 99 }),
    'status 1000': made({ status: 1000 }),
    'status text': made({ status: '200' }),
    'another key': made({ key: `${key}x` }),
    'a value of the data cache': made({ kind: 'value', json: true }),
    'fields that vary on everything': made({ kind: 'variants', names: ['constructor', '__proto__'], list: 'x', ids: ['y'] }),
    'written tomorrow': made({ storedAt: app.clock.now() + 86_400_000, freshUntil: app.clock.now() + 90_000_000 }),
    'stale since yesterday': made({ freshUntil: app.clock.now() - 86_400_000 }),
    nothing: Buffer.alloc(0),
    'half of it': stored.value.subarray(0, stored.value.byteLength / 2),
    'one bit': Buffer.from(stored.value).fill((stored.value.at(-1) as number) ^ 1, stored.value.byteLength - 1)
  }
  for (const [what, value] of Object.entries(edits)) {
    await backend.set(key, { value: Uint8Array.from(value), expiresAt: stored.expiresAt })
    t.match(await app.ask('/'), { status: 200, hit: false, text: 'response' }, what)
    t.match(await app.ask('/'), { status: 200, hit: true, text: 'response' }, `${what}, replaced`)
  }
  t.ok((await app.cache.stats()).damaged >= 8)
  t.equal(({} as { polluted?: unknown }).polluted, undefined)
}))

t.test("an entry that was moved to another user's key is not served to that user", async (t) => forEachBackend(t, async (t, on) => {
  const app = await build(t, {
    ...on,
    routes: (app, probe) => app.get('/me', cached({ key: { headers: ['x-user'] } }), async (request) => {
      probe.ran()
      return `you are ${String(request.headers['x-user'])}`
    })
  })
  const [alice, bob] = ['alice', 'bob'].map((name) => app.canary(name, { mayBeStored: true })) as [string, string]
  const ask = async (user: string) => await app.ask({ url: '/me', headers: { 'x-user': user } })
  await ask(alice)
  const backend = app.backends[0]!
  const [hers] = await backend.keys!() as [string]
  await ask(bob)
  const his = (await backend.keys!()).find((key) => key !== hers) as string
  await backend.set(his, (await backend.get(hers))!)
  t.match(await ask(bob), { hit: false, text: `you are ${bob}` })
  t.match(await ask(alice), { hit: true, text: `you are ${alice}` })
}))

t.test('no hook can allow a response to be stored that is forbidden when its handler is done', async (t) =>
  forEachBackend(t, async (t, on) => {
    const forbidding: ReadonlyArray<readonly [reason: string, fields: Record<string, string>, headers?: Record<string, string>]> = [
      ['no-store', { 'cache-control': 'no-store' }], ['private', { 'cache-control': 'private' }],
      ['cache-control', { 'cache-control': 'max-age="' }],
      ['vary', { vary: '*' }], ['set-cookie', { 'set-cookie': 'a=b' }], ['cors', { 'access-control-allow-origin': 'https://evil' }],
      ['csp-nonce', { 'content-security-policy': "script-src 'nonce-abc'" }], ['event-stream', { 'content-type': 'text/event-stream' }],
      ['authorization', {}, { authorization: 'Basic YTpi' }]
    ]
    const app = await build(t, {
      ...on,
      routes (app) {
        for (const [reason, fields] of forbidding) {
          const onSend = async (_request: FastifyRequest, reply: FastifyReply): Promise<void> => {
            for (const name of Object.keys(fields)) reply.removeHeader(name)
            reply.headers({ 'cache-control': 'public, max-age=60', 'content-type': 'text/plain' })
          }
          app.get(`/${reason}`, { ...cached({ credentials: 'ignore' }), onSend }, async (_request, reply) =>
            await reply.headers(fields).send('said'))
        }
      }
    })
    for (const [reason, , headers = {}] of forbidding) {
      for (let times = 0; times < 2; times++) {
        t.match(await app.ask({ url: `/${reason}`, headers }), {
          hit: false, text: 'said', cacheStatus: new RegExp(`detail=${reason}$`)
        }, reason)
      }
    }
    t.match(await app.cache.stats(), { stores: 0 })
  }))
