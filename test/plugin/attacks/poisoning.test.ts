// Attacks: a response made for an attacker's request is served to others.
import type { FastifyInstance, FastifyRequest } from 'fastify'
import t from 'tap'
import { builtIns, defineBackend, type RouteCacheOptions } from '../../../plugin.js'
import type { StoredEntry } from '../../../registry/backend.js'
import { build, forEachBackend, type Probe } from '../../support/app.js'
import { Barrier, turns } from '../../support/barrier.js'
import { cached } from '../../support/document.js'
import { mapBackend } from '../../support/map-backend.js'

t.test('a parameter that the list does not name cannot poison an entry through request.query', async (t) =>
  forEachBackend(t, async (t, on) => {
    const app = await build(t, {
      ...on,
      compare: false,
      routes (app, probe) {
        app.get('/p', cached({ key: { query: ['page', '__proto__'] } }), async (request) => {
          probe.ran()
          return JSON.stringify(request.query)
        })
        app.get('/none', cached({ key: { query: false } }), async (request) => { probe.ran(); return JSON.stringify(request.query) })
      }
    })
    t.match(await app.ask('/p?page=1&utm=<script>&evil[]=1'), { hit: false, text: '{"page":"1"}' })
    t.match(await app.ask('/p?page=1'), { hit: true, text: '{"page":"1"}' })
    t.match(await app.ask('/p?evil=2&page=1'), { hit: true, text: '{"page":"1"}' })
    t.match(await app.ask('/p?page=1&page=2'), { hit: false, text: '{"page":["1","2"]}' })
    t.match(await app.ask('/p?page=1,2'), { hit: false, text: '{"page":"1,2"}' })
    t.match(await app.ask('/p?%70age=1'), { hit: false, text: '{"page":"1"}' },
      'another spelling, which the handler could see, is another entry')
    t.match(await app.ask({ url: '/p?page=1&evil=3', headers: { cookie: 'a=b' } }), { hit: false, text: '{"page":"1"}' },
      'it is not there either if the request bypasses the cache')
    t.match(await app.ask('/p?__proto__=x'), { text: '{"__proto__":"x"}' })
    t.equal(({} as { x?: unknown }).x, undefined)
    t.match(await app.ask('/none?a=1'), { hit: false, text: '{}' })
    t.match(await app.ask('/none?b=2'), { hit: true, text: '{}' })
  }))

t.test('a parameter cannot poison an entry through request.url, originalUrl or the raw request; listed ones are kept', async (t) =>
  forEachBackend(t, async (t, on) => {
    const app = await build(t, {
      ...on,
      compare: false,
      routes (app, probe) {
        const all = async (request: FastifyRequest) => { probe.ran(); return [request.url, request.originalUrl, request.raw.url].join(' ') }
        app.get('/p', cached({ key: { query: ['page', 'a b'] } }), all)
        app.get('/none', cached({ key: { query: false } }), all)
      }
    })
    const three = (url: string): string => `${url} ${url} ${url}`
    t.match(await app.ask('/p?evil=1&page=1&evil=2'), { hit: false, text: three('/p?page=1') })
    t.match(await app.ask('/p?page=1&evil'), { hit: true, text: three('/p?page=1') })
    t.match(await app.ask('/p?a+b=1&a%20b=2&c=3'), { hit: false, text: three('/p?a+b=1&a%20b=2') })
    t.match(await app.ask('/p?evil'), { hit: false, text: three('/p') })
    t.match(await app.ask('/p'), { hit: true, text: three('/p') })
    t.match(await app.ask('/none?evil'), { hit: false, text: three('/none') })
    t.match(await app.ask('/none?other'), { hit: true, text: three('/none') })
    await app.cache.invalidate({ url: '/p?page=1' })
    t.match(await app.ask('/p?page=1'), { hit: false })
  }))

t.test("a CORS response for the attacker's origin is not served to others", async (t) => forEachBackend(t, async (t, on) => {
  const app = await build(t, {
    ...on,
    routes (app, probe) {
      app.get('/bad', cached(), async (request, reply) => {
        probe.ran()
        return reply.header('access-control-allow-origin', request.headers.origin ?? '*').send('x')
      })
      app.get('/good', cached(), async (request, reply) => {
        probe.ran()
        return reply.headers({ vary: 'Origin', 'access-control-allow-origin': request.headers.origin ?? '*' }).send('x')
      })
    }
  })
  for (const url of ['/bad', '/good']) {
    for (const origin of ['https://evil.example', 'https://a.example', 'null', 'https://evil.example']) {
      t.match(await app.ask({ url, headers: { origin } }), { headers: { 'access-control-allow-origin': origin } })
    }
    t.match(await app.ask(url), { headers: { 'access-control-allow-origin': '*' } })
  }
  t.equal(app.runs(), 5 + 4, 'the response with Vary is stored for each origin')
}))

t.test('each language has its own response, however it is requested', async (t) => forEachBackend(t, async (t, on) => {
  const app = await build(t, {
    ...on,
    routes: (app, probe) => app.get('/', cached(), async (request, reply) => {
      probe.ran()
      return reply.header('vary', 'Accept-Language').send(`in ${String(request.headers['accept-language'])}`)
    })
  })
  const asked = [undefined, '', 'de', 'fr', 'DE ,fr', 'DE,fr', 'de, fr', '*', 'de;q=0.5']
  for (const hit of [false, true]) {
    for (const language of asked) {
      t.match(await app.ask({ url: '/', headers: language === undefined ? {} : { 'accept-language': language } }),
        { hit, text: `in ${String(language)}` }, String(language))
    }
  }
  await app.raw('GET / HTTP/1.1\r\nHost: a\r\nAccept-Language: de\r\nAccept-Language: fr\r\nConnection: close\r\n\r\n')
}))

t.test("a handler with a changing Vary never serves one client's response to another", async (t) =>
  forEachBackend(t, async (t, on) => {
    const app = await build(t, {
      ...on,
      routes: (app, probe) => app.get('/', cached(), async (request, reply) => {
        probe.ran()
        const { 'x-a': a, 'x-b': b } = request.headers as Record<string, string>
        // The fields that it reads depend on the value of the first one.
        reply.header('vary', a === '1' ? 'X-A, X-B' : 'X-A')
        return `${String(a)} ${a === '1' ? String(b) : ''}`
      })
    })
    for (let times = 0; times < 3; times++) {
      for (const a of ['0', '1', '2']) for (const b of ['x', 'y']) await app.ask({ url: '/', headers: { 'x-a': a, 'x-b': b } })
    }
    t.ok(app.runs() < 18, `${app.runs()} runs for 18 requests`)
  }))

t.test("a waiting request receives another request's response only if it cannot be known to vary", async (t) =>
  forEachBackend(t, async (t, on) => {
    const barrier = new Barrier()
    const app = await build(t, {
      ...on,
      compare: false,
      routes: (app, probe) => app.get('/', cached({ ttl: '10s' }), async (request, reply) => {
        if (probe.ran() > 2) await barrier.pass()
        // No Vary for requests without a language: not what RFC 9110 requires, but common.
        const language = request.headers['accept-language']
        if (language !== undefined) reply.header('vary', 'Accept-Language')
        return `in ${String(language)}`
      })
    })
    for (const language of ['de', 'fr']) await app.ask({ url: '/', headers: { 'accept-language': language } })
    const leader = app.ask('/')
    await barrier.reached()
    const others = ['it', 'es'].map(async (language) => await app.ask({ url: '/', headers: { 'accept-language': language } }))
    await turns(50)
    barrier.open()
    t.match(await leader, { text: 'in undefined' })
    t.strictSame((await Promise.all(others)).map(({ text }) => text), ['in it', 'in es'])
  }))

t.test('the number of variants of one URL is limited, and so is the number of fields in their list', async (t) =>
  forEachBackend(t, async (t, on) => {
    const app = await build(t, {
      ...on,
      compare: false,
      routes (app, probe) {
        app.get('/many', cached(), async (request, reply) => {
          probe.ran()
          return reply.header('vary', 'X-V').send(String(request.headers['x-v']))
        })
        app.get('/names', cached(), async (request, reply) => {
          probe.ran()
          return reply.header('vary', String(request.headers['x-on'])).send(String(request.headers['x-on']))
        })
      }
    })
    const held = async (): Promise<number> => (await app.backends[0]!.keys!()).length
    for (let at = 0; at < 200; at++) await app.ask({ url: '/many', headers: { 'x-v': String(at) }, via: 'inject' })
    t.ok(await held() <= 33, `${await held()} entries for 200 variants`)
    t.match(await app.ask({ url: '/many', headers: { 'x-v': '199' } }), { hit: true, text: '199' })
    t.match(await app.ask({ url: '/many', headers: { 'x-v': '0' } }), { hit: false, text: '0' })
    await app.cache.clear()
    for (let at = 0; at < 100; at++) {
      t.match(await app.ask({ url: '/names', headers: { 'x-on': `x-${at}`, 'cache-control': 'no-cache' }, via: 'inject' }),
        { hit: false, text: `x-${at}` })
    }
    const lists = await Promise.all((await app.backends[0]!.keys!()).map(async (key) => (await app.backends[0]!.get(key))!.value))
    const longest = Math.max(...lists.map((value) => JSON.parse(Buffer.from(value).toString().split('\n', 1)[0]!).names?.length ?? 0))
    t.ok(longest > 0 && longest <= 10, `a list names ${longest} fields at most`)
  }))

t.test('a handler that changes request.headers does not change whose variant is stored', async (t) =>
  forEachBackend(t, async (t, on) => {
    const app = await build(t, {
      ...on,
      routes: (app, probe) => app.get('/', cached(), async (request, reply) => {
        probe.ran()
        const language = request.headers['accept-language']
        if (language === 'de-AT') delete request.headers['accept-language']
        else request.headers['accept-language'] = 'en'
        return reply.header('vary', 'Accept-Language').send(`in ${String(language)}`)
      })
    })
    for (const hit of [false, true]) {
      for (const language of ['de-AT', 'fr', 'en']) {
        t.match(await app.ask({ url: '/', headers: { 'accept-language': language } }), { hit, text: `in ${language}` })
      }
    }
    t.match(await app.ask('/'), { hit: false, text: 'in undefined' })
  }))

t.test('bodies that the parser distinguishes never share a key, and unread bodies have none', async (t) =>
  forEachBackend(t, async (t, on) => {
    const post = cached({ methods: ['POST'] })
    const app = await build(t, {
      ...on,
      routes (app, probe) {
        app.addContentTypeParser('multipart/form-data', (_request, _payload, done) => { done(null) })
        app.post('/json', post, async (request) => {
          probe.ran()
          const { a, ...more } = request.body as { a: number }
          return `${String(a)} ${JSON.stringify(more)}`
        })
        app.post('/raw', post, async (request) => {
          probe.ran()
          let body = ''
          for await (const chunk of request.raw) body += String(chunk)
          return body
        })
      }
    })
    for (let times = 0; times < 2; times++) {
      for (const body of [
        '{"a":1e999}', '{"a":-1e999}', '{"a":null}', '{"a":"null"}', '{"a":0}', '{"a":-0}', '{"a":1,"b":2}', '{"a":1}', '{"b":2,"a":1}',
        '{"a":[1]}', '{"a":"1"}'
      ]) {
        const headers = { 'content-type': 'application/json' }
        t.match(await app.ask({ url: '/json', method: 'POST', body, headers }), { status: 200 }, body)
      }
      for (const body of ['one', 'two']) {
        t.match(await app.ask({ url: '/raw', method: 'POST', body, headers: { 'content-type': 'multipart/form-data; boundary=x' } }),
          { text: body, hit: false })
      }
    }
    const again = await app.ask({ url: '/json', method: 'POST', body: '{"a":1}', headers: { 'content-type': 'application/json' } })
    t.equal(again.hit, true)
  }))

t.test('a buffer that is reused is stored as it was sent, also by a backend that returns later', async (t) => {
  const slow = defineBackend<object>({
    name: 'slow',
    create (_options, { now }) {
      const inner = mapBackend(now)
      const later = async <T>(value: () => T): Promise<T> => { await turns(3); return value() }
      return {
        get: async (key: string) => await later(() => inner.get(key)),
        set: async (key: string, entry: StoredEntry) => await later(() => inner.set(key, entry)),
        delete: (key: string) => inner.delete(key),
        close: () => inner.close()
      }
    }
  })
  const pool = Buffer.alloc(5)
  const app = await build(t, {
    registry: builtIns().add('slow' as never, () => slow as never),
    backend: 'slow',
    compare: false,
    routes (app: FastifyInstance, probe: Probe) {
      app.addHook('onResponse', async () => { pool.fill('x') })
      for (const [url, options] of [['/plain', {}], ['/tags', { tags: () => ['a'] }], ['/vary', {}], ['/varied-once', {}]] as const) {
        app.get(url, cached(options as RouteCacheOptions), async (request, reply) => {
          probe.ran()
          pool.write('whole')
          if (url === '/vary' || request.headers.accept === 'text/html') reply.header('vary', 'accept')
          return reply.type('text/plain').send(pool)
        })
      }
    }
  })
  for (const url of ['/plain', '/tags', '/vary']) {
    t.match(await app.ask(url), { hit: false, text: 'whole' })
    await turns(50)
    t.match(await app.ask(url), { hit: true, text: 'whole' }, url)
  }
  await app.ask({ url: '/varied-once', headers: { accept: 'text/html' } })
  await turns(50)
  t.match(await app.ask({ url: '/varied-once', headers: { accept: 'text/plain' } }), { hit: false, text: 'whole' })
  await turns(50)
  t.match(await app.ask({ url: '/varied-once', headers: { accept: 'text/plain' } }), { hit: true, text: 'whole' })
})

t.test('a handler that changes the target of its request cannot store its response after an invalidation of that target', async (t) =>
  forEachBackend(t, async (t, on) => {
    const barrier = new Barrier()
    const app = await build(t, {
      ...on,
      compare: false,
      routes: (app, probe) => app.get('/p', cached(), async (request) => {
        request.raw.url = '/somewhere/else'
        if (probe.ran() === 1) await barrier.pass()
        return `run ${app === undefined ? '' : 'done'}`
      })
    })
    const before = app.ask('/p')
    await barrier.reached()
    await app.cache.invalidate({ url: 'http://test.example/p' })
    barrier.open()
    await before
    t.match(await app.ask('/p'), { hit: false })
    t.match(await app.ask('/p'), { hit: true })
  }))
