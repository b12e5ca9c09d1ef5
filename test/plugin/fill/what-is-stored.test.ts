// What the public test suite for HTTP caches does not cover, and what must not break while stored responses are validated.
import { Readable } from 'node:stream'
import type { FastifyInstance } from 'fastify'
import t from 'tap'
import { rfc9111, type RouteCacheOptions } from '../../../plugin.js'
import { build, forEachBackend, type Probe } from '../../support/app.js'
import { Barrier } from '../../support/barrier.js'
import { cached } from '../../support/document.js'

/** A route whose response has the fields that the query names. */
const says = (cache: RouteCacheOptions) => (app: FastifyInstance, probe: Probe): void => {
  app.get<{ Querystring: Record<string, string | string[]> }>('/says', { config: { cache } }, async (request, reply) => {
    const { status = '200', ...fields } = request.query
    for (const [name, value] of Object.entries(fields)) reply.header(name, value)
    probe.ran()
    return await reply.code(Number(status)).send(Number(status) === 204 ? undefined : 'said')
  })
}
const saying = (fields: Record<string, string>): string =>
  `/says?${Object.entries(fields).map((pair) => pair.map(encodeURIComponent).join('=')).join('&')}`

t.test('the preset rfc9111 stores what the RFCs allow, and nothing else', async (t) => forEachBackend(t, async (t, on) => {
  const app = await build(t, { ...on, compare: false, routes: says(rfc9111) })
  const rows: ReadonlyArray<readonly [fields: Record<string, string>, hit: boolean]> = [
    [{ 'cache-control': 'max-age=9' }, true], [{ 'cache-control': 'private, max-age=9' }, false], [{}, false],
    [{ 'last-modified': 'Mon, 05 May 2031 07:08:09 GMT' }, true],
    [{ 'last-modified': 'Mon, 05 May 2031 07:08:09 GMT', status: '403' }, false],
    [{ 'last-modified': 'Mon, 05 May 2031 07:08:09 GMT', status: '404' }, true],
    [{ 'cdn-cache-control': 'max-age=9', 'cache-control': 'no-store' }, true],
    [{ 'cdn-cache-control': 'no-store', 'cache-control': 'max-age=9' }, false],
    [{ 'cache-control': 'max-age=9', 'set-cookie': 'a=b' }, true], [{ 'cache-control': 'max-age=9', status: '204' }, true],
    [{ 'cache-control': 'max-age=9', status: '302', location: '/there' }, true], [{ 'cache-control': 'max-age=9', vary: '*' }, false],
    [{ 'cache-control': 'max-age=9, no-store, must-understand' }, true],
    [{ 'cache-control': 'max-age=9, no-store, must-understand', status: '299' }, false]
  ]
  for (const [fields, hit] of rows) {
    const url = saying(fields)
    const made = await app.ask(url)
    const again = await app.ask(url)
    t.match(again, {
      hit, status: made.status, text: made.text, headers: { location: fields.location, 'set-cookie': made.headers['set-cookie'] }
    }, url)
  }
}))

t.test('the preset is frozen', async (t) => {
  t.ok(Object.isFrozen(rfc9111))
  t.ok(Object.isFrozen(rfc9111.targetList))
})

t.test('RFC 9213: CDN-Cache-Control is ignored by a cache that it is not addressed to, and is passed on', async (t) =>
  forEachBackend(t, async (t, on) => {
    const app = await build(t, { ...on, routes: says({ ttl: '1m' }) })
    const url = saying({ 'cdn-cache-control': 'no-store' })
    await app.ask(url)
    t.match(await app.ask(url), { hit: true, headers: { 'cdn-cache-control': 'no-store' } })
    const other = saying({ 'cdn-cache-control': 'max-age=99', 'cache-control': 'no-store' })
    await app.ask(other)
    t.match(await app.ask(other), { hit: false })
  }))

t.test('RFC 9110 section 15.3.5: a stored 204 has neither a length nor a body', async (t) => forEachBackend(t, async (t, on) => {
  for (const hooked of [false, true]) {
    await t.test(hooked ? 'through hooks' : 'straight', async (t) => {
      const app = await build(t, {
        ...on,
        routes (app, probe) {
          if (hooked) app.addHook('onSend', async () => {})
          says({ statuses: [204], ttl: '1m' })(app, probe)
        }
      })
      const url = saying({ status: '204', 'x-own': 'yes' })
      await app.ask(url)
      t.match(await app.ask(url), { status: 204, text: '', hit: true, headers: { 'x-own': 'yes', 'content-length': undefined } })
    })
  }
}))

t.test('stored cookies are sent beside those of the current request', async (t) => forEachBackend(t, async (t, on) => {
  const app = await build(t, {
    ...on,
    compare: false,
    routes (app) {
      app.addHook('onRequest', async (request, reply) => {
        if (request.headers['x-for'] !== undefined) reply.header('set-cookie', [`for=${String(request.headers['x-for'])}`])
      })
      app.get('/', cached({ setCookie: 'store' }), async (_request, reply) => await reply.header('set-cookie', 'theme=dark').send('x'))
    }
  })
  t.match(await app.ask({ url: '/', headers: { 'x-for': 'alice' } }), {
    hit: false, headers: { 'set-cookie': ['for=alice', 'theme=dark'] }
  })
  t.match(await app.ask({ url: '/', headers: { 'x-for': 'me' } }), { hit: true, headers: { 'set-cookie': ['theme=dark', 'for=me'] } })
  t.strictSame((await app.ask('/')).headers['set-cookie'], ['theme=dark'])
}))

t.test('by default, a response that sets a cookie is not shared', async (t) => forEachBackend(t, async (t, on) => {
  const app = await build(t, { ...on, routes: says({ ttl: '1m' }) })
  const url = saying({ 'set-cookie': 'a=b' })
  for (let times = 0; times < 2; times++) t.match(await app.ask(url), { hit: false, cacheStatus: /detail=set-cookie/ })
}))

t.test('RFC 9111 sections 5.2.2.4 and 5.2.2.7: a field that private or no-cache names is sent once and not stored', async (t) =>
  forEachBackend(t, async (t, on) => {
    const app = await build(t, { ...on, compare: false, routes: says({}) })
    const url = saying({
      'cache-control': 'max-age=60, private="x-user", no-cache="x-token"', 'x-user': 'alice', 'x-token': 't', 'x-all': 'yes'
    })
    t.match(await app.ask(url), { hit: false, headers: { 'x-user': 'alice', 'x-token': 't', 'x-all': 'yes' } })
    t.match(await app.ask(url), { hit: true, headers: { 'x-user': undefined, 'x-token': undefined, 'x-all': 'yes' } })
  }))

t.test("if vary is normalised, spellings with one meaning share an entry, and others don't", async (t) =>
  forEachBackend(t, async (t, on) => {
    const app = await build(t, {
      ...on,
      routes (app, probe) {
        app.get('/', cached({ vary: 'normalised' }), async (_request, reply) => {
          probe.ran()
          return await reply.header('vary', 'Accept-Language, Accept-Encoding').send('x')
        })
      }
    })
    const ask = async (language: string, encoding: string) =>
      await app.ask({ url: '/', headers: { 'accept-language': language, 'accept-encoding': encoding } })
    await ask('en, de', 'gzip, br')
    t.match(await ask('DE,en', 'br,gzip;q=1'), { hit: true })
    t.match(await ask('de', 'br,gzip'), { hit: false })
    t.match(await ask('en, de', 'gzip'), { hit: false })
  }))

t.test('interim responses are sent on, hits have none, and their fields are not stored', async (t) => forEachBackend(t, async (t, on) => {
  const app = await build(t, {
    ...on,
    routes (app) {
      app.get('/', cached(), async (_request, reply) => {
        reply.raw.writeEarlyHints({ link: '</a.css>; rel=preload' })
        return 'x'
      })
    }
  })
  t.match(await app.ask('/'), { hints: [103], hit: false, headers: { link: undefined } })
  t.match(await app.ask({ url: '/', compare: {} }), { hints: [], hit: true, headers: { link: undefined } })
}))

t.test('trailers are not lost: a response with trailers is not stored', async (t) => forEachBackend(t, async (t, on) => {
  const app = await build(t, {
    ...on,
    compare: { ignore: ['trailer', 'transfer-encoding', 'content-length'] },
    routes (app) {
      app.get('/', cached(), async (_request, reply) => {
        reply.trailer('x-sum', (_reply, _payload, done) => { done(null, 'sum') })
        return 'x'
      })
    }
  })
  t.match(await app.ask('/'), { hit: false, trailers: { 'x-sum': 'sum' } })
  t.match(await app.ask('/'), { hit: false, text: 'x', trailers: { 'x-sum': 'sum' }, cacheStatus: /detail=trailer/ })
}))

t.test('RFC 9111 section 4.2.3: a response that arrived with an Age grows older while its stream is sent', async (t) =>
  forEachBackend(t, async (t, on) => {
    const [soon, late] = [new Barrier(), new Barrier()]
    const app = await build(t, {
      ...on,
      compare: false,
      routes (app) {
        for (const [url, middle] of [['/soon', soon], ['/late', late]] as const) {
          app.get(url, { config: { cache: true } }, async (_request, reply) =>
            await reply.headers({ age: '50', 'cache-control': 'max-age=60' }).send(Readable.from((async function * () {
              yield 'first'
              await middle.pass()
              yield 'second'
            })())))
        }
      }
    })
    const responses = ['/soon', '/late'].map((url) => app.ask(url))
    await Promise.all([soon.reached(), late.reached()])
    await app.clock.pass(4_000)
    soon.open()
    await responses[0]
    await app.clock.pass(5_000)
    t.match(await app.ask('/soon'), { hit: true, headers: { age: '59' } })
    await app.clock.pass(2_000)
    late.open()
    await responses[1]
    t.match((await app.cache.stats()).routes['GET /late'], { stores: 0, refusals: { expired: 1 } })
  }))

t.test('a stream that breaks off, or differs from its announced length, is not stored in place of a validated entry', async (t) =>
  forEachBackend(t, async (t, on) => {
    let body = (): Readable => Readable.from(['whole'])
    let length: number | undefined
    const app = await build(t, {
      ...on,
      routes (app) {
        app.get('/', cached({ staleIfError: '10m' }), async (_request, reply) => {
          if (length !== undefined) reply.header('content-length', length)
          return await reply.header('etag', '"1"').type('text/plain').send(body())
        })
      }
    })
    await app.ask('/')
    await app.clock.pass(61_000)
    body = () => Readable.from((function * () { yield 'half'; throw new Error('broken off') })())
    t.match(await app.ask('/'), { whole: false, hit: false })
    t.match(await app.ask('/'), { whole: false, hit: false }, 'the stale entry is not served either')
    body = () => Readable.from(['whole'])
    t.match(await app.ask('/'), { whole: true, text: 'whole', hit: false })
    t.match(await app.ask('/'), { text: 'whole', hit: true })
    await app.clock.pass(61_000)
    length = 99
    t.match(await app.ask('/'), { whole: false, hit: false })
    length = undefined
    t.match(await app.ask('/'), { whole: true, text: 'whole', hit: false }, 'neither the short response nor the stale one is served')
    t.match(await app.ask('/'), { text: 'whole', hit: true })
  }))

t.test('a client that leaves while a stale entry is replaced leaves no partial entry behind', async (t) =>
  forEachBackend(t, async (t, on) => {
    let isLong = false
    const app = await build(t, {
      ...on,
      compare: false,
      routes (app) {
        app.get('/', cached(), async (_request, reply) => {
          reply.header('etag', '"1"').type('text/plain')
          return await reply.send(
            isLong ? Readable.from((function * () { for (let at = 0; at < 200; at++) yield 'x'.repeat(5_000) })()) : 'short')
        })
      }
    })
    await app.ask('/')
    await app.clock.pass(61_000)
    isLong = true
    await app.ask({ url: '/', leaveAfterBytes: 10_000 })
    const whole = await app.ask('/')
    t.match(whole, { status: 200, whole: true })
    t.equal(whole.body.byteLength, 1_000_000)
  }))

t.test('a response that has grown too large replaces the stale entry, and is sent without being stored', async (t) =>
  forEachBackend(t, async (t, on) => {
    let bytes = 10
    const app = await build(t, {
      ...on,
      routes (app) {
        app.get('/', cached({ maxBodyBytes: 1_000 }), async (_request, reply) => await reply.header('etag', '"1"').send('x'.repeat(bytes)))
      }
    })
    await app.ask('/')
    await app.clock.pass(61_000)
    bytes = 2_000
    t.match(await app.ask({ url: '/', headers: { range: 'bytes=0-1' }, compare: false }), {
      status: 206, text: 'xx', cacheStatus: /fwd=stale; detail=too-large/
    }, 'the requested part is sent nevertheless')
    t.match(await app.ask('/'), { status: 200, cacheStatus: /fwd=miss; detail=too-large/ })
  }))
