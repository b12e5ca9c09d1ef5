// Hooks behind the handler, trailers and interim responses behave as they would without the cache, for hits too.
import http from 'node:http'
import { Readable } from 'node:stream'
import t from 'tap'
import { build, databasePath, forEachBackend } from '../../support/app.js'
import { turns } from '../../support/barrier.js'
import { portOf } from '../../support/client.js'

const CACHED = { config: { cache: { ttl: '1m' } } } as const

t.test('an onSend hook receives the same kind of payload on a hit as on a miss', async (t) =>
  forEachBackend(t, async (t, on) => {
    const kinds: string[] = []
    const kindOf = (payload: unknown): string =>
      payload === null ? 'null' : Buffer.isBuffer(payload) ? 'Buffer' : typeof payload === 'object' ? 'stream' : typeof payload
    const app = await build(t, {
      ...on,
      routes (app, probe) {
        app.addHook('onSend', async (request, _reply, payload) => { if (probe.cached) kinds.push(`${request.url} ${kindOf(payload)}`) })
        app.get('/object', CACHED, async () => ({ a: 1 }))
        app.get('/string', CACHED, async () => 'text')
        app.get('/empty', CACHED, async (_request, reply) => await reply.send(''))
        app.get('/buffer', CACHED, async () => Buffer.from([1, 2, 255]))
        app.get('/nothing', CACHED, async (_request, reply) => await reply.send())
      }
    })
    for (const [url, kind] of [
      ['/object', 'string'], ['/string', 'string'], ['/empty', 'string'], ['/buffer', 'Buffer'], ['/nothing', 'undefined']
    ] as const) {
      for (const hit of [false, true, true]) t.equal((await app.ask(url)).hit, hit)
      t.same(kinds.splice(0), Array(3).fill(`${url} ${kind}`))
    }
  }))

t.test('the payload that a hook returns is made anew for each response, and never stored', async (t) =>
  forEachBackend(t, async (t, on) => {
    const app = await build(t, {
      ...on,
      routes (app) {
        app.addHook('onSend', async (request, _reply, payload) => {
          await turns(1)
          if (Buffer.isBuffer(payload)) {
            payload[0]!++
            payload.reverse()
            return payload
          }
          return typeof payload === 'string' ? `${payload} for ${String(request.headers['x-for'])}` : payload
        })
        app.get('/text', CACHED, async () => 'text')
        app.get('/bytes', CACHED, async () => Buffer.from([1, 2, 3]))
      }
    })
    for (const who of ['one', 'two', 'three']) {
      t.equal((await app.ask({ url: '/text', headers: { 'x-for': who } })).text, `text for ${who}`)
      t.same([...(await app.ask('/bytes')).body], [3, 2, 2], 'changed in place once, each time')
    }
  }))

t.test('a change that the handler makes to its object, Buffer or list of fields after sending changes nothing', async (t) =>
  forEachBackend(t, async (t, on) => {
    for (const hooked of [false, true]) {
      const options = on.backend === 'sqlite' ? { path: databasePath(t) } : {}
      await t.test(hooked ? 'with a hook' : 'straight', async (t) => {
        const app = await build(t, {
          ...on,
          options,
          routes (app) {
            if (hooked) app.addHook('onSend', async () => {})
            const after = (act: () => void): void => { setImmediate(act) }
            app.get('/object', CACHED, (_request, reply) => {
              const made = { list: [1] }
              reply.send(made)
              made.list.push(2)
            })
            app.get('/buffer', CACHED, (_request, reply) => {
              const made = Buffer.from('bytes')
              const links = ['</a>', '</b>']
              reply.header('link', links).send(made)
              after(() => { made.fill('x'); links.push('</c>') })
            })
            app.get('/array', { config: { cache: { ttl: '1m', tags: ['t'] } } }, (_request, reply) => {
              const made = new Uint8Array([1, 2, 3])
              reply.send(made)
              after(() => made.fill(9))
            })
          }
        })
        for (let times = 0; times < 3; times++) {
          t.equal((await app.ask('/object')).text, '{"list":[1]}')
          t.match(await app.ask('/buffer'), { text: 'bytes', headers: { link: '</a>, </b>' } })
          t.same([...(await app.ask('/array')).body], [1, 2, 3])
          await turns(2)
        }
      })
    }
  }))

t.test('an onSend hook that throws has the same effect as without the cache, and nothing is stored', async (t) =>
  forEachBackend(t, async (t, on) => {
    const app = await build(t, {
      ...on,
      routes (app) {
        app.addHook('onSend', async (request) => { if (request.headers['x-throw'] !== undefined) throw new Error('the hook failed') })
        app.get('/', CACHED, async () => ({ fine: true }))
      }
    })
    const headers = { 'x-throw': 'yes' }
    t.match(await app.ask({ url: '/', headers }), { status: 500, hit: false })
    t.equal((await app.cache.stats()).stores, 0)
    t.match(await app.ask('/'), { status: 200, hit: false })
    t.match(await app.ask('/'), { status: 200, hit: true })
    t.match(await app.ask({ url: '/', headers }), { status: 500 }, 'on a hit too')
    t.match(await app.ask('/'), { status: 200, hit: true })
  }))

t.test('with a list of query parameters, hooks behind the handler find only those on a miss, and all parameters on a hit', async (t) =>
  forEachBackend(t, async (t, on) => {
    const seen: unknown[] = []
    const app = await build(t, {
      ...on,
      compare: false,
      routes (app, probe) {
        app.addHook('onSend', async ({ url, query }) => { if (probe.cached) seen.push([url, { ...query as object }]) })
        app.get('/', { config: { cache: { ttl: '1m', key: { query: ['a'] } } } }, async () => 'x')
      }
    })
    for (const hit of [false, true]) t.match(await app.ask('/?a=1&b=2'), { hit })
    t.same(seen, [['/?a=1', { a: '1' }], ['/?a=1&b=2', { a: '1', b: '2' }]])
  }))

t.test('a cookie that a later hook sets keeps the response out of the cache', async (t) => forEachBackend(t, async (t, on) => {
  const app = await build(t, {
    ...on,
    routes (app) {
      app.addHook('onSend', async (request, reply) => {
        if (request.url.startsWith('/raw')) reply.raw.setHeader('Set-Cookie', 'a=1')
        else reply.header('set-cookie', ['a=1', 'b=2'])
      })
      app.get('/', CACHED, async () => 'x')
      app.get('/raw', CACHED, async () => Readable.from(['x']))
    }
  })
  for (const url of ['/', '/raw']) {
    for (let times = 0; times < 2; times++) t.match(await app.ask(url), { hit: false })
    t.match((await app.cache.stats()).routes[`GET ${url}`], { stores: 0, refusals: { 'set-cookie': 2 } })
  }
}))

t.test('a field set on the raw response as the head is written keeps the response out of the cache as one set earlier does', async (t) =>
  forEachBackend(t, async (t, on) => {
    const late: Record<string, readonly [name: string, value: string]> = {}
    for (const url of ['/', '/stream', '/kept']) late[url] = ['Set-Cookie', 'a=1']
    for (const url of ['/private', '/private-stream']) late[url] = ['Cache-Control', 'private']
    late['/packed'] = ['Vary', 'Accept-Encoding']
    const app = await build(t, {
      ...on,
      routes (app) {
        // express-session and compression do this, using on-headers.
        app.addHook('onRequest', async ({ url }, { raw }) => {
          const writeHead = raw.writeHead.bind(raw) as (status: number, fields: object) => typeof raw
          raw.writeHead = ((status: number, fields: object) => {
            raw.setHeader(...late[url]!)
            return writeHead(status, fields)
          }) as typeof raw.writeHead
        })
        for (const url of ['/', '/private', '/packed']) app.get(url, CACHED, async () => 'x')
        for (const url of ['/stream', '/private-stream']) app.get(url, CACHED, async () => Readable.from(['x']))
        app.get('/kept', { config: { cache: { ttl: '1m', setCookie: 'store' } } }, async () => 'x')
      }
    })
    for (const [url, reason] of [
      ['/', 'set-cookie'], ['/stream', 'set-cookie'], ['/private', 'private'], ['/private-stream', 'private']
    ] as const) {
      for (let times = 0; times < 2; times++) t.match(await app.ask(url), { hit: false })
      t.match((await app.cache.stats()).routes[`GET ${url}`], { stores: 0, refusals: { [reason]: 2 } })
    }
    for (const url of ['/kept', '/packed']) for (const hit of [false, true]) t.match(await app.ask(url), { hit })
  }))

t.test('trailers are sent, from the handler on a miss and from a hook each time', async (t) => forEachBackend(t, async (t, on) => {
  const app = await build(t, {
    ...on,
    routes (app) {
      app.addHook('preHandler', async (request, reply) => { if (request.url === '/hook') reply.trailer('x-checked', async () => 'yes') })
      app.get('/hook', CACHED, async () => 'x')
    }
  })
  for (const hit of [false, true, true]) {
    t.match(await app.ask({ url: '/hook', headers: { te: 'trailers' } }), { hit, text: 'x', trailers: { 'x-checked': 'yes' } })
  }
}))

t.test('early hints are sent, before the handler and from it', async (t) => forEachBackend(t, async (t, on) => {
  const app = await build(t, {
    ...on,
    routes (app) {
      app.get('/', { ...CACHED, preHandler: async (_request, reply) => { reply.raw.writeEarlyHints({ link: '</a>; rel=preload' }) } },
        async (_request, reply) => {
          reply.writeEarlyHints({ link: '</b>; rel=preload' }, () => {})
          return 'x'
        })
    }
  })
  t.same((await app.ask('/')).hints, [103, 103])
  t.match(await app.ask('/'), { hit: true, hints: [103] })
}))

t.test('an upgrade is left alone', async (t) => forEachBackend(t, async (t, on) => {
  const app = await build(t, {
    ...on,
    routes (app) {
      app.get('/', CACHED, (request, reply) => {
        if (request.headers.upgrade === undefined) return reply.send('plain')
        reply.hijack()
        request.raw.socket.end('HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: own\r\n\r\nhello')
      })
    }
  })
  await app.ask('/')
  t.match(await app.ask('/'), { hit: true })
  const bytes = 'GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: own\r\n\r\n'
  t.match(await app.raw(bytes), /^HTTP\/1\.1 101 [^]*hello$/)
  t.match((await app.cache.stats()).bypasses, { upgrade: 1 })
}))

t.test('pipelined requests, and requests on one kept connection, get their responses in order', async (t) =>
  forEachBackend(t, async (t, on) => {
    const app = await build(t, {
      ...on, routes (app) { app.get('/:id', CACHED, async (request) => `id ${(request.params as { id: string }).id}`) }
    })
    const line = (id: string, more = ''): string => `GET /${id} HTTP/1.1\r\nHost: a\r\n${more}\r\n`
    const bytes = line('a') + line('b') + line('a') + line('b') + line('a', 'Connection: close\r\n')
    t.same((await app.raw(bytes)).match(/id \w/g), ['id a', 'id b', 'id a', 'id b', 'id a'])
    const { hits, coalesced, stores } = await app.cache.stats()
    t.same({ fromCache: hits + coalesced, stores }, { fromCache: 3, stores: 2 })
    const agent = new http.Agent({ keepAlive: true, maxSockets: 1 })
    t.teardown(() => agent.destroy())
    const port = await portOf(app.app)
    const get = async (path: string): Promise<string> => await new Promise((resolve) => {
      http.get({ port, host: '127.0.0.1', path, agent }, (response) => {
        let text = ''
        response.on('data', (chunk) => { text += String(chunk) }).on('end', () => resolve(text))
      })
    })
    t.same(await Promise.all(['/a', '/c', '/a', '/c', '/b'].map(get)), ['id a', 'id c', 'id a', 'id c', 'id b'])
    agent.destroy()
  }))

t.test('hits over HTTP/2 are complete: objects, streams, large bodies, and their HEAD', async (t) => forEachBackend(t, async (t, on) => {
  const app = await build(t, {
    ...on,
    fastify: { http2: true },
    routes (app) {
      app.get('/', CACHED, async (_request, reply) => await reply.headers({ link: ['</a>', '</b>'], 'x-own': 'yes' }).send({ a: 1 }))
      app.get('/stream', CACHED, async () => Readable.from([Buffer.alloc(100_000, 'x'), 'end']))
      app.get('/large', { config: { cache: { ttl: '1m' } } }, async () => Buffer.alloc(300_000, 'y'))
    }
  })
  for (const url of ['/', '/stream', '/large']) {
    for (const hit of [false, true, true]) t.match(await app.ask({ url, via: 'h2' }), { hit, status: 200, whole: true }, url)
    t.match(await app.ask({ url, via: 'h2', method: 'HEAD' }), { hit: true, text: '' })
  }
  t.match(await app.ask({ url: '/', via: 'h2', headers: { cookie: 'a=1' } }), { hit: false })
}))
