// Conditional requests and ranges that are served from a stored response.
import type { FastifyInstance, FastifyReply } from 'fastify'
import t from 'tap'
import { build, forEachBackend, type Probe } from '../../support/app.js'
import { until } from '../../support/barrier.js'
import { cached } from '../../support/document.js'

const BODY = 'abcdefghij'.repeat(100)
const [CHANGED, LATER, EARLIER] = ['Tue, 06 May 2031 06:00:00 GMT', 'Tue, 06 May 2031 06:30:00 GMT', 'Tue, 06 May 2031 05:00:00 GMT']

/** A handler that ignores conditions. */
function document (app: FastifyInstance, probe: Probe): void {
  app.get('/', cached(), async (_request, reply) => {
    probe.ran()
    return await reply.headers({ etag: '"1"', 'last-modified': CHANGED, 'cache-control': 'max-age=60', 'x-own': 'yes', vary: 'accept' })
      .type('text/plain').send(BODY)
  })
}

t.test('conditions are evaluated on a fresh entry, and the handler does not run', async (t) => forEachBackend(t, async (t, on) => {
  const app = await build(t, { ...on, compare: false, routes: document })
  await app.ask('/')
  const rows: ReadonlyArray<readonly [headers: Record<string, string>, status: number]> = [
    [{ 'if-none-match': '"1"' }, 304], [{ 'if-none-match': 'W/"1"' }, 304], [{ 'if-none-match': '"0", "1"' }, 304],
    [{ 'if-none-match': '*' }, 304], [{ 'if-none-match': '"0"' }, 200],
    [{ 'if-none-match': Array.from({ length: 1_000 }, (_, at) => `"${at + 2}"`).join() }, 200],
    [{ 'if-modified-since': CHANGED }, 304], [{ 'if-modified-since': LATER }, 304], [{ 'if-modified-since': EARLIER }, 200],
    [{ 'if-modified-since': 'garbage' }, 200],
    [{ 'if-none-match': '"1"', 'if-modified-since': EARLIER }, 304], [{ 'if-none-match': '"0"', 'if-modified-since': LATER }, 200],
    [{ 'if-match': '"1"' }, 200], [{ 'if-match': '*' }, 200], [{ 'if-match': '"0"' }, 412], [{ 'if-match': 'W/"1"' }, 412],
    [{ 'if-unmodified-since': LATER }, 200], [{ 'if-unmodified-since': EARLIER }, 412]
  ]
  for (const via of ['socket', 'inject'] as const) {
    for (const [headers, status] of rows) {
      const response = await app.ask({ url: '/', headers, via })
      t.match(response, { status, hit: true, text: status === 200 ? BODY : '' }, `${JSON.stringify(headers).slice(0, 60)} by ${via}`)
    }
  }
  t.equal(app.runs(), 1)
}))

t.test('RFC 9110 section 15.4.5: a 304 has the fields that a cache needs, and no field that describes content', async (t) =>
  forEachBackend(t, async (t, on) => {
    const app = await build(t, { ...on, compare: false, routes: document })
    await app.ask('/')
    await app.clock.pass(5_000)
    const { headers } = await app.ask({ url: '/', headers: { 'if-none-match': '"1"' } })
    t.match(headers, { etag: '"1"', 'cache-control': 'max-age=60', vary: 'accept', 'x-own': 'yes', age: '5' })
    t.type(headers.date, 'string')
    for (const name of ['content-length', 'content-type', 'transfer-encoding']) t.equal(headers[name], undefined, name)
  }))

t.test('parts of a stored response are served', async (t) => forEachBackend(t, async (t, on) => {
  const app = await build(t, { ...on, compare: false, routes: document })
  await app.ask('/')
  const rows: ReadonlyArray<readonly [headers: Record<string, string>, status: number, text: string, range?: string]> = [
    [{ range: 'bytes=0-0' }, 206, 'a', 'bytes 0-0/1000'], [{ range: 'bytes=995-' }, 206, 'fghij', 'bytes 995-999/1000'],
    [{ range: 'bytes=-3' }, 206, 'hij', 'bytes 997-999/1000'], [{ range: 'bytes=-99999999999' }, 206, BODY, 'bytes 0-999/1000'],
    [{ range: 'bytes=990-2000' }, 206, 'abcdefghij', 'bytes 990-999/1000'], [{ range: 'bytes=1000-' }, 416, '', 'bytes */1000'],
    [{ range: 'bytes=-0' }, 416, '', 'bytes */1000'], [{ range: 'x=0-1' }, 200, BODY], [{ range: 'bytes=3-1' }, 200, BODY],
    [{ range: 'bytes=0-1', 'if-range': '"1"' }, 206, 'ab', 'bytes 0-1/1000'], [{ range: 'bytes=0-1', 'if-range': '"0"' }, 200, BODY],
    [{ range: 'bytes=0-1', 'if-range': 'W/"1"' }, 200, BODY], [{ range: 'bytes=0-1', 'if-range': CHANGED }, 206, 'ab', 'bytes 0-1/1000'],
    [{ range: 'bytes=0-1', 'if-range': LATER }, 200, BODY], [{ 'if-range': '"1"' }, 200, BODY],
    [{ range: 'bytes=0-1', 'if-none-match': '"1"' }, 304, '']
  ]
  for (const [headers, status, text, range] of rows) {
    t.match(await app.ask({ url: '/', headers }), { status, text, hit: true, headers: { 'content-range': range } }, JSON.stringify(headers))
  }
  const { status, text, headers } = await app.ask({ url: '/', headers: { range: 'bytes=0-1, 500-502, -1' } })
  t.match(headers['content-type'], /^multipart\/byteranges; boundary=/)
  t.equal(status, 206)
  for (const piece of ['bytes 0-1/1000\r\n\r\nab\r\n', 'bytes 500-502/1000\r\n\r\nabc\r\n', 'bytes 999-999/1000\r\n\r\nj\r\n']) {
    t.ok(text.includes(piece), piece)
  }
  t.match(await app.ask({ url: '/', method: 'HEAD', headers: { range: 'bytes=0-1' } }), { status: 200 },
    'RFC 9110 section 14.2: ranges apply to GET only')
  t.match(await app.ask('/'), { status: 200, text: BODY, hit: true })
  t.equal(app.runs(), 1)
}))

t.test('a 206 of the handler is passed on and never stored; a whole response to a range is stored, and the client receives the part',
  async (t) => forEachBackend(t, async (t, on) => {
    const app = await build(t, {
      ...on,
      routes (app, probe) {
        app.get('/part', cached({ lock: false }), async (request, reply) => {
          probe.ran()
          return request.headers.range === undefined ? 'whole' : await reply.code(206).header('content-range', 'bytes 0-1/5').send('wh')
        })
        app.get('/whole', cached(), async () => { probe.ran('whole'); return 'whole' })
      }
    })
    const headers = { range: 'bytes=0-1' }
    t.match(await app.ask({ url: '/part', headers }), { status: 206, text: 'wh', cacheStatus: /detail=condition/ })
    t.match(await app.ask('/part'), { status: 200, text: 'whole', hit: false })
    t.match(await app.ask({ url: '/part', headers }), { status: 206, text: 'wh', hit: true })
    t.match(await app.ask({ url: '/whole', headers, compare: false }), { status: 206, text: 'wh', hit: false, cacheStatus: /stored/ })
    t.match(await app.ask('/whole'), { status: 200, text: 'whole', hit: true })
  }))

t.test('concurrent requests for parts and for the whole each receive what they requested', async (t) => forEachBackend(t, async (t, on) => {
  const app = await build(t, {
    ...on,
    routes (app, probe) {
      app.get('/', cached(), async (request, reply) => {
        probe.ran()
        await new Promise(setImmediate)
        return request.headers.range === 'bytes=0-1' ? await reply.code(206).header('content-range', 'bytes 0-1/5').send('wh') : 'whole'
      })
    }
  })
  const responses = await Promise.all(Array.from({ length: 20 }, async (_, at) =>
    await app.ask({ url: '/', headers: at % 2 === 0 ? { range: 'bytes=0-1' } : {} })))
  responses.forEach(({ status, text }, at) => t.same([status, text], at % 2 === 0 ? [206, 'wh'] : [200, 'whole']))
}))

t.test('if other hooks may change the body, no part of it is cut out before they run', async (t) => forEachBackend(t, async (t, on) => {
  const app = await build(t, {
    ...on,
    compare: false,
    routes (app, probe) {
      app.addHook('onSend', async (_request, _reply, payload) => typeof payload === 'string' ? payload.toUpperCase() : payload)
      document(app, probe)
    }
  })
  await app.ask('/')
  t.match(await app.ask({ url: '/', headers: { range: 'bytes=0-1' } }), { status: 200, text: BODY.toUpperCase(), hit: true })
  t.match(await app.ask({ url: '/', headers: { 'if-none-match': '"1"' } }), { status: 304, text: '', hit: true })
}))

t.test('RFC 9110 section 13.2.1: a stored redirect or error is sent whatever the conditions', async (t) =>
  forEachBackend(t, async (t, on) => {
    const app = await build(t, {
      ...on,
      routes (app) {
        app.get('/moved', cached(), async (_request, reply) => await reply.header('etag', '"1"').redirect('/there', 301))
        app.get('/missing', cached({ statuses: [404] }), async (_request, reply) =>
          await reply.code(404).header('etag', '"1"').send('not here'))
      }
    })
    for (const [url, status] of [['/moved', 301], ['/missing', 404]] as const) {
      await app.ask(url)
      t.match(await app.ask({ url, headers: { 'if-none-match': '"1"', range: 'bytes=0-1' } }), {
        status, hit: true, headers: { location: url === '/moved' ? '/there' : undefined }
      })
    }
  }))

t.test('RFC 9111 section 5.2.1.7: only-if-cached is served with a fresh entry or a part of it, and gets 504 if there is none',
  async (t) => forEachBackend(t, async (t, on) => {
    const app = await build(t, { ...on, compare: false, routes: document })
    const headers = { 'cache-control': 'only-if-cached' }
    t.match(await app.ask({ url: '/', headers }), { status: 504 })
    await app.ask('/')
    await until(async () => (await app.cache.stats()).stores === 1)
    t.match(await app.ask({ url: '/', headers }), { status: 200, hit: true })
    t.match(await app.ask({ url: '/', headers: { ...headers, 'if-none-match': '"1"' } }), { status: 304, hit: true })
    await app.clock.pass(61_000)
    t.match(await app.ask({ url: '/', headers }), { status: 504 }, 'a stale entry is not served')
    t.match(await app.ask({ url: '/', headers: { 'cache-control': 'only-if-cached, max-stale=5' } }), {
      status: 200, hit: true, cacheStatus: /hit; ttl=-1/
    }, 'unless the client accepts it')
    t.equal(app.runs(), 1)
  }))

t.test('RFC 9111 section 5.2.1.2: max-stale without a value, not exceeded, and exceeded; must-revalidate forbids it', async (t) =>
  forEachBackend(t, async (t, on) => {
    const app = await build(t, {
      ...on,
      routes (app, probe) {
        app.get('/', cached(), async (_request, reply) => { probe.ran(); return await reply.header('etag', '"1"').send('x') })
        app.get('/strict', cached(), async (_request, reply) =>
          await reply.headers({ etag: '"1"', 'cache-control': 'max-age=60, must-revalidate' }).send('x'))
      }
    })
    for (const url of ['/', '/strict']) await app.ask(url)
    await app.clock.pass(70_000)
    for (const [control, hit] of [['max-stale', true], ['max-stale=11', true], ['max-stale=10', true], ['max-stale=9', false]] as const) {
      t.match(await app.ask({ url: '/', headers: { 'cache-control': control } }), { hit }, control)
    }
    t.match(await app.ask({ url: '/strict', headers: { 'cache-control': 'max-stale' } }), { hit: false })
    t.equal((await app.cache.stats()).staleHits, 3)
  }))

t.test('etag: a response without one gets a strong one of its body, on the miss already; the handler never sees it in a condition',
  async (t) => forEachBackend(t, async (t, on) => {
    const asked: unknown[] = []
    const app = await build(t, {
      ...on,
      compare: false,
      routes (app, probe) {
        app.get('/', cached({ etag: true }), async (request) => {
          if (probe.cached) asked.push(request.headers['if-none-match'])
          return { made: 1 }
        })
        app.get('/own', cached({ etag: true }), async (_request, reply) => await reply.header('etag', 'W/"own"').send('x'))
        app.get('/dated', cached({ etag: true }), async (request, reply) => {
          if (probe.cached) asked.push(request.headers['if-none-match'])
          return request.headers['if-modified-since'] === CHANGED
            ? await reply.code(304).send()
            : await reply.header('last-modified', CHANGED).send('x')
        })
        app.get('/hooked', { ...cached({ etag: true }), onSend: async () => 'y' }, async () => 'x')
      }
    })
    const { headers: { etag } } = await app.ask('/')
    t.match(etag, /^"[\w-]{27}"$/)
    t.match(await app.ask('/'), { hit: true, headers: { etag } })
    t.match(await app.ask({ url: '/', headers: { 'if-none-match': String(etag) } }), { status: 304, hit: true, headers: { etag } })
    await app.clock.pass(61_000)
    t.match(await app.ask({ url: '/', headers: { 'cache-control': 'no-cache' } }), { headers: { etag } }, 'same bytes, same ETag')
    t.same(asked, [undefined, undefined])
    asked.length = 0
    t.match(await app.ask('/own'), { headers: { etag: 'W/"own"' } })
    await app.ask('/dated')
    await app.clock.pass(61_000)
    t.match(await app.ask('/dated'), { cacheStatus: /fwd-status=304; stored/, headers: { etag: /^"/ } })
    await app.clock.pass(61_000)
    t.match(await app.ask('/dated'), { cacheStatus: /fwd-status=304; stored/ }, 'and not the second time either')
    t.same(asked, [undefined, undefined, undefined])
    for (let times = 0; times < 2; times++) t.equal((await app.ask('/hooked')).headers.etag, undefined, 'a hook has changed the body')
  }))

t.test('RFC 9110 section 15.4.5: a 304 has no trailer section, whether a hook or the handler announced trailers', async (t) =>
  forEachBackend(t, async (t, on) => {
    for (const via of ['socket', 'h2'] as const) {
      for (const by of ['a hook', 'the handler'] as const) {
        const app = await build(t, {
          ...on,
          namespace: `${via} ${by}`,
          compare: false,
          fastify: { http2: via === 'h2' },
          routes (app, probe) {
            const announce = (reply: FastifyReply): unknown => reply.trailer('x-sum', async () => 'sum')
            if (by === 'a hook') app.addHook('onRequest', async (_request, reply) => { announce(reply) })
            app.get('/', cached(), async (_request, reply) => {
              // The first response is stored. The second one is still the same version, and has trailers.
              if (probe.ran() === 2 && by === 'the handler') announce(reply)
              return await reply.header('etag', '"1"').send(Buffer.from(BODY))
            })
          }
        })
        await app.ask({ url: '/', via })
        if (by === 'the handler') await app.clock.pass(61_000)
        const given = await app.ask({ url: '/', via, headers: { 'if-none-match': '"1"' } })
        t.match(given, { status: 304, text: '', trailers: {}, whole: true }, `${by}, ${via}`)
        t.same([given.headers.trailer, given.headers['transfer-encoding'], Object.keys(given.trailers)], [undefined, undefined, []],
          `${by}, ${via}`)
      }
    }
  }))
