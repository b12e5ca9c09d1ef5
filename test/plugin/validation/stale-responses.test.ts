// Validation: a stored response may not be served as it is, and the handler is asked whether it is still current.
import type { FastifyReply, FastifyRequest } from 'fastify'
import t from 'tap'
import { build, forEachBackend } from '../../support/app.js'
import { cached, Document } from '../../support/document.js'

t.test('RFC 9111 section 4.3.1: the handler sees the validators of the stale entry, and a 304 makes the entry fresh again', async (t) =>
  forEachBackend(t, async (t, on) => {
    const document = new Document()
    const app = await build(t, { ...on, routes: (app, probe) => document.serve(app, probe) })
    await app.ask('/')
    await app.clock.pass(61_000)
    t.match(await app.ask('/'), {
      status: 200, text: 'version 1', cacheStatus: 'fastify-response-cache; fwd=stale; fwd-status=304; stored', headers: { etag: '"v1"' }
    })
    t.match(await app.ask('/'), { hit: true, text: 'version 1', cacheStatus: /ttl=60/ })
    t.same(document.asked, [undefined, '"v1"'])
  }))

t.test('RFC 9111 section 4.3.3: a 200 replaces the entry', async (t) => forEachBackend(t, async (t, on) => {
  const document = new Document()
  const app = await build(t, { ...on, routes: (app, probe) => document.serve(app, probe) })
  await app.ask('/')
  await app.clock.pass(61_000)
  document.version = 2
  t.match(await app.ask('/'), { status: 200, text: 'version 2', cacheStatus: 'fastify-response-cache; fwd=stale; stored' })
  t.match(await app.ask('/'), { hit: true, text: 'version 2' })
  t.same(document.asked, [undefined, '"v1"'])
}))

t.test('RFC 9111 section 4.3.3: a response that cannot be stored removes the entry that it replaces', async (t) =>
  forEachBackend(t, async (t, on) => {
    const asked: unknown[] = []
    const app = await build(t, {
      ...on,
      routes (app, probe) {
        app.get('/', cached(), async (request, reply) => {
          if (probe.cached) asked.push(request.headers['if-none-match'])
          return probe.ran() === 1
            ? await reply.header('etag', '"1"').send('open')
            : await reply.header('cache-control', 'no-store').send('closed')
        })
      }
    })
    await app.ask('/')
    await app.clock.pass(61_000)
    for (let times = 0; times < 2; times++) t.match(await app.ask('/'), { text: 'closed', cacheStatus: /detail=no-store/ })
    t.same(asked, [undefined, '"1"', undefined], 'the second time there was nothing to validate')
  }))

t.test('RFC 9111 section 3.2: the fields of a 304 are sent, and update the entry, except those that describe the body',
  async (t) => forEachBackend(t, async (t, on) => {
    const app = await build(t, {
      ...on,
      compare: false,
      routes (app, probe) {
        app.get('/', cached(), async (_request, reply) => {
          const times = probe.ran()
          reply.headers({
            etag: '"1"',
            'x-times': String(times),
            'cache-control': `max-age=${times}0`,
            'content-type': `text/${times}`,
            'content-digest': String(times)
          })
          if (times === 1) return await reply.header('x-once', 'yes').send('body')
          return await reply.code(304).headers({ 'content-encoding': 'br', connection: 'x-hop', 'x-hop': 'x' }).send('')
        })
      }
    })
    await app.ask('/')
    await app.clock.pass(11_000)
    const fields = {
      'x-times': '2',
      'x-once': 'yes',
      'cache-control': 'max-age=20',
      'content-type': 'text/1',
      'content-digest': '1',
      'content-encoding': undefined,
      'content-length': '4'
    }
    t.match(await app.ask('/'), { status: 200, text: 'body', headers: fields })
    t.match(await app.ask('/'), { hit: true, text: 'body', cacheStatus: /ttl=20/, headers: { ...fields, 'x-hop': undefined } })
  }))

t.test('RFC 9111 section 5.2.2.4: a response with no-cache is kept, and validated each time', async (t) =>
  forEachBackend(t, async (t, on) => {
    const document = new Document({ 'cache-control': 'no-cache' })
    const app = await build(t, { ...on, routes: (app, probe) => document.serve(app, probe) })
    t.match(await app.ask('/'), { cacheStatus: /fwd=miss; stored/ })
    for (let times = 0; times < 2; times++) t.match(await app.ask('/'), { text: 'version 1', cacheStatus: /fwd=stale; fwd-status=304/ })
    document.version = 2
    t.match(await app.ask('/'), { text: 'version 2' })
    t.match(await app.ask({ url: '/', headers: { 'cache-control': 'max-stale' } }), { cacheStatus: /fwd-status=304/ },
      'whatever stale response the client would accept')
    t.same(document.asked, [undefined, '"v1"', '"v1"', '"v1"', '"v2"'])
  }))

t.test('RFC 9111 section 5.2.1.4: a client that accepts no stored response has it validated', async (t) =>
  forEachBackend(t, async (t, on) => {
    const document = new Document()
    const app = await build(t, { ...on, routes: (app, probe) => document.serve(app, probe) })
    await app.ask('/')
    t.match(await app.ask({ url: '/', headers: { 'cache-control': 'no-cache' } }), {
      status: 200, text: 'version 1', cacheStatus: 'fastify-response-cache; fwd=request; fwd-status=304; stored'
    })
    t.same(document.asked, [undefined, '"v1"'])
  }))

t.test("RFC 9111 section 4.3.2: the client's conditions are set aside, and evaluated on the outcome of the validation", async (t) =>
  forEachBackend(t, async (t, on) => {
    const document = new Document()
    const app = await build(t, { ...on, compare: { ignore: ['content-type'] }, routes: (app, probe) => document.serve(app, probe) })
    const ask = async (etag: string) => await app.ask({ url: '/', headers: { 'if-none-match': etag } })
    await app.ask('/')
    await app.clock.pass(61_000)
    t.match(await ask('"v1"'), { status: 304, text: '', cacheStatus: /fwd-status=304; stored/ })
    await app.clock.pass(61_000)
    t.match(await ask('"old"'), { status: 200, text: 'version 1' })
    await app.clock.pass(61_000)
    document.version = 2
    t.match(await ask('"v1"'), { status: 200, text: 'version 2' }, 'the client has the version that was stored')
    await app.clock.pass(61_000)
    document.version = 3
    t.match(await ask('"v3"'), { status: 304, text: '' }, 'the client has the new version')
    t.match(await app.ask('/'), { hit: true, text: 'version 3' }, 'the new version was stored whole')
    t.same(document.asked, [undefined, '"v1"', '"v1"', '"v1"', '"v2"'], "the handler never sees the client's conditions")
  }))

t.test("a 304 to the client's own condition is never taken as a validation of the entry", async (t) => forEachBackend(t, async (t, on) => {
  const app = await build(t, {
    ...on,
    compare: false,
    routes (app, probe) {
      // The condition reaches the handler in another way: a hook kept the original field.
      app.addHook('onRequest', async (request) => { (request as { seen?: unknown }).seen = request.headers['if-none-match'] })
      app.get<{ Querystring: { named?: string } }>('/', cached(), async (request, reply) => {
        const { seen } = request as { seen?: unknown }
        const etag = probe.ran() === 1 ? '"v1"' : '"v2"'
        if (seen !== etag) return await reply.header('etag', etag).send(etag)
        if (request.query.named !== undefined) reply.header('etag', etag)
        return await reply.code(304).send()
      })
    }
  })
  await app.ask('/?named')
  await app.clock.pass(61_000)
  t.match(await app.ask({ url: '/?named', headers: { 'if-none-match': '"v2"' } }), { status: 304, cacheStatus: /detail=condition/ },
    'the 304 is passed on')
  t.match(await app.ask('/?named'), { text: '"v2"', hit: false, cacheStatus: /fwd=miss; stored/ }, 'the entry was removed')
}))

t.test('RFC 9111 section 4.3.4: a 304 with the weak form of the stored ETag makes the entry fresh', async (t) =>
  forEachBackend(t, async (t, on) => {
    const app = await build(t, {
      ...on,
      compare: false,
      routes (app, probe) {
        app.get('/', cached(), async (_request, reply) => {
          return probe.ran() === 1 ? await reply.header('etag', '"1"').send('one') : await reply.code(304).header('etag', 'W/"1"').send()
        })
      }
    })
    await app.ask('/')
    await app.clock.pass(61_000)
    t.match(await app.ask('/'), { status: 200, text: 'one', cacheStatus: /fwd=stale; fwd-status=304; stored$/ })
    t.match(await app.ask('/'), { text: 'one', hit: true })
  }))

t.test("a 304 with another version's ETag makes nothing fresh, and removes the entry", async (t) => forEachBackend(t, async (t, on) => {
  const app = await build(t, {
    ...on,
    compare: false,
    routes (app, probe) {
      app.get('/', cached(), async (_request, reply) =>
        probe.ran() === 2 ? await reply.code(304).header('etag', '"2"').send() : await reply.header('etag', '"1"').send('one'))
    }
  })
  await app.ask('/')
  await app.clock.pass(61_000)
  t.match(await app.ask('/'), { status: 200, text: 'one', headers: { etag: '"1"' }, cacheStatus: /fwd-status=304; detail=condition/ })
  t.match(await app.ask('/'), { hit: false, text: 'one', cacheStatus: /fwd=miss; stored/ })
}))

t.test('the request has its original fields again behind the handler, however the handler ends, whatever a schema does', async (t) =>
  forEachBackend(t, async (t, on) => {
    const seen: unknown[] = []
    const ends: Record<string, (reply: FastifyReply) => unknown> = {
      response: (reply) => reply.header('etag', '"1"').send('x'),
      'not-modified': (reply) => reply.code(304).send(),
      throw: () => { throw new Error('thrown') }
    }
    const schema = { headers: { type: 'object', properties: { 'x-number': { type: 'integer' } } } }
    const app = await build(t, {
      ...on,
      compare: false,
      routes (app, probe) {
        app.addHook('onSend', async (request: FastifyRequest) => {
          if (probe.cached) {
            seen.push([
              request.headers['if-none-match'], request.headers['if-modified-since'], request.headers.range,
              request.raw.headers['if-none-match'], request.headers['x-number']
            ])
          }
        })
        for (const [end, act] of Object.entries(ends)) {
          app.get(`/${end}`, { ...cached(), schema }, async (request, reply) => {
            if (probe.ran(end) === 1) return await reply.header('etag', '"1"').send('x')
            t.same(
              [request.headers['if-none-match'], request.headers['if-modified-since'], request.headers.range, request.headers['x-number']],
              probe.cached ? ['"1"', undefined, undefined, 5] : ['"own"', 'then', 'bytes=0-1', 5])
            return await (act(reply) as Promise<unknown>)
          })
        }
      }
    })
    for (const end of Object.keys(ends)) {
      await app.ask(`/${end}`)
      await app.clock.pass(61_000)
      seen.length = 0
      await app.ask({
        url: `/${end}`, headers: { 'if-none-match': '"own"', 'if-modified-since': 'then', range: 'bytes=0-1', 'x-number': '5' }
      })
      t.same(seen, [['"own"', 'then', 'bytes=0-1', '"own"', 5]], end)
    }
  }))
