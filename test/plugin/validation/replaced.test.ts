// What removes a stored response that is being validated, what leaves it, and what is sent in its place.
import { Readable } from 'node:stream'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import t, { type Test } from 'tap'
import type { RouteCacheOptions } from '../../../plugin.js'
import { build, forEachBackend, type TestApp } from '../../support/app.js'
import { Barrier, until } from '../../support/barrier.js'

type Handler = (request: FastifyRequest, reply: FastifyReply) => unknown

/** A route with a stale stored response, and a handler that the test can replace. */
async function stale (
  t: Test, on: object, cache: RouteCacheOptions, more: object = {}
): Promise<TestApp & { does: (handler: Handler) => void }> {
  let handler: Handler = () => 'good'
  const app = await build(t, {
    ...on,
    compare: false,
    routes (app) { app.get('/', { config: { cache: { ttl: '1m', ...cache } } }, async (request, reply) => await handler(request, reply)) },
    ...more
  })
  await app.ask('/')
  await app.clock.pass(61_000)
  return Object.assign(app, { does (next: Handler) { handler = next } })
}

const broken: Readonly<Record<string, () => Readable>> = {
  'before its first byte': () => new Readable({ read () { this.destroy(new Error('no such file')) } }),
  'half-way': () => Readable.from((function * () { yield 'half'; throw new Error('broken off') })())
}

for (const [when, stream] of Object.entries(broken)) {
  t.test(`a stream that breaks off ${when} does not remove the stale response, which is sent in place of the next error`, async (t) =>
    forEachBackend(t, async (t, on) => {
      const app = await stale(t, on, { staleIfError: '1h' })
      app.does((_request, reply) => reply.type('text/plain').send(stream()))
      const response = await app.ask('/')
      if (when === 'half-way') t.match(response, { whole: false })
      else t.match(response, { status: 200, text: 'good', cacheStatus: /; fwd=stale; fwd-status=500; detail=stream-failed$/ })
      app.does((_request, reply) => reply.code(503).send('down'))
      t.match(await app.ask('/'), { status: 200, text: 'good' })
    }))

  t.test(`a refresh whose stream breaks off ${when} has failed, and the stale response is still served`, async (t) =>
    forEachBackend(t, async (t, on) => {
      const app = await stale(t, on, { staleWhileRevalidate: '1h' })
      app.does((_request, reply) => reply.type('text/plain').send(stream()))
      t.match(await app.ask('/'), { text: 'good', hit: true })
      await until(() => app.warnings().some(({ reason }) => reason === 'stream-failed'))
      t.match(await app.ask('/'), { text: 'good', hit: true })
    }))
}

t.test('a client that requests a new response and leaves does not remove the fresh one', async (t) => forEachBackend(t, async (t, on) => {
  const app = await stale(t, on, {})
  t.match(await app.ask('/'), { hit: false })
  const leaving = new Barrier()
  app.does((_request, reply) => reply.type('text/plain').send(Readable.from((async function * () {
    yield 'other'
    await leaving.pass()
    yield 'response'
  })())))
  t.match(await app.ask({ url: '/', headers: { 'cache-control': 'no-cache' }, leaveAfterBytes: 1 }), { whole: false })
  await until(async () => (await app.cache.stats()).routes['GET /']?.refusals['client-gone'] === 1)
  leaving.open()
  t.match(await app.ask('/'), { text: 'good', hit: true })
}))

t.test('a request that waited for the leader in vain removes nothing that the leader has stored meanwhile', async (t) =>
  forEachBackend(t, async (t, on) => {
    const app = await stale(t, on, {}, { lockTimeout: '50ms' })
    const [leader, follower] = [new Barrier(), new Barrier()]
    let runs = 0
    app.does(async () => {
      const run = ++runs
      await (run === 1 ? leader : follower).pass()
      return `run ${run}`
    })
    const first = app.ask('/')
    await leader.reached()
    const second = app.ask('/')
    await follower.reached()
    leader.open()
    t.match(await first, { text: 'run 1', cacheStatus: /; stored/ })
    follower.open()
    t.match(await second, { text: 'run 2', cacheStatus: /; detail=lock-timeout/ })
    t.match(await app.ask('/'), { text: 'run 1', hit: true })
  }))

t.test('a HEAD that shows that the stale response is outdated removes it, but not a response that was stored since', async (t) =>
  forEachBackend(t, async (t, on) => {
    for (const isStoredSince of [true, false]) {
      const head = new Barrier()
      const app = await stale(t, on, { staleIfError: '1h' })
      app.does(async ({ method }, reply) => {
        if (method === 'HEAD') await head.pass()
        return await reply.header('etag', '"2"').send('better')
      })
      const asking = app.ask({ url: '/', method: 'HEAD' })
      await head.reached()
      if (isStoredSince) t.match(await app.ask('/'), { text: 'better', hit: false })
      head.open()
      t.match(await asking, { status: 200 })
      if (isStoredSince) t.match(await app.ask('/'), { text: 'better', hit: true })
      app.does((_request, reply) => reply.code(503).send('down'))
      if (!isStoredSince) t.match(await app.ask('/'), { status: 503 })
    }
  }))

for (const says of ['private', 'no-store']) {
  t.test(`RFC 9111 section 3.2: a 304 with ${says} removes the response that it validates`, async (t) =>
    forEachBackend(t, async (t, on) => {
      const app = await stale(t, on, { ttl: '1m', staleIfError: '1h', staleWhileRevalidate: '1s' })
      app.does((_request, reply) => reply.header('etag', '"1"').send('validated'))
      await app.ask('/')
      await app.clock.pass(62_000)
      app.does((_request, reply) => reply.code(304).headers({ etag: '"1"', 'cache-control': says }).send())
      t.match(await app.ask('/'), { status: 200, text: 'validated', cacheStatus: new RegExp(`; detail=${says}$`) })
      app.does((_request, reply) => reply.code(503).send('down'))
      t.match(await app.ask('/'), { status: 503 })
    }))
}

t.test('a 304 with a cookie is sent to its client only, and leaves the response that it validates', async (t) =>
  forEachBackend(t, async (t, on) => {
    const app = await stale(t, on, { staleIfError: '1h' })
    app.does((_request, reply) => reply.header('etag', '"1"').send('validated'))
    await app.ask('/')
    await app.clock.pass(61_000)
    app.does((_request, reply) => reply.code(304).headers({ etag: '"1"', 'set-cookie': 'a=1' }).send())
    t.match(await app.ask('/'), { status: 200, text: 'validated', cacheStatus: /; detail=set-cookie$/ })
    app.does((_request, reply) => reply.code(503).send('down'))
    t.match(await app.ask('/'), { status: 200, text: 'validated' })
  }))

for (const statusCode of [404, 410, 451]) {
  t.test(`a ${statusCode} removes the stale response, sent or thrown`, async (t) => forEachBackend(t, async (t, on) => {
    for (const handler of [
      (_request, reply) => reply.code(statusCode).send('gone'),
      () => { throw Object.assign(new Error('gone'), { statusCode }) }
    ] as Handler[]) {
      const app = await stale(t, on, { staleIfError: '1h' })
      app.does(handler)
      t.match(await app.ask('/'), { status: statusCode })
      app.does((_request, reply) => reply.code(503).send('down'))
      t.match(await app.ask('/'), { status: 503 })
    }
  }))
}

t.test('a 404 that the handler throws removes the stale response, whatever status a hook sends it with', async (t) =>
  forEachBackend(t, async (t, on) => {
    const app = await stale(t, on, { staleIfError: '1h' }, {
      before (app: FastifyInstance) { app.addHook('onSend', async (_request, reply) => { if (reply.statusCode === 404) reply.code(200) }) }
    })
    app.does(() => { throw Object.assign(new Error('gone'), { statusCode: 404 }) })
    t.match(await app.ask('/'), { status: 200, text: /gone/ })
    app.does((_request, reply) => reply.code(503).send('down'))
    t.match(await app.ask('/'), { status: 503 })
  }))

t.test('an error of a hook is not stored in place of the new response on which the hook failed', async (t) =>
  forEachBackend(t, async (t, on) => {
    let isBroken = false
    const app = await stale(t, on, { staleIfError: '1h' }, {
      before (app: FastifyInstance) {
        app.addHook('onSend', async (_request, reply) => { if (isBroken && reply.statusCode === 200) throw new Error('the hook failed') })
      }
    })
    app.does((_request, reply) => reply.header('cache-control', 'max-age=60').send('better'))
    isBroken = true
    t.match(await app.ask('/'), { status: 500, cacheStatus: /; fwd=stale; detail=handler-error$/ })
    isBroken = false
    t.match(await app.ask('/'), { status: 200, text: 'better', hit: false })
  }))

t.test('a stored response in place of an error has the fields that hooks set for this request, as a hit has', async (t) =>
  forEachBackend(t, async (t, on) => {
    let isDown = false
    const app = await build(t, {
      ...on,
      compare: false,
      routes (app) {
        app.addHook('onRequest', async (_request, reply) => {
          reply.headers({ 'content-security-policy': "default-src 'none'", 'x-frame-options': 'DENY', 'set-cookie': ['csrf=1', 'sid=2'] })
        })
        app.get('/', { config: { cache: { ttl: '1m', staleIfError: '1h', setCookie: 'store' } } }, async (_request, reply) => {
          if (isDown) {
            reply.code(503)
              .header('content-security-policy', "default-src 'self'").header('set-cookie', 'error=1').removeHeader('x-frame-options')
          }
          return isDown ? 'error page' : 'good'
        })
      }
    })
    const fields = { 'content-security-policy': "default-src 'none'", 'x-frame-options': 'DENY', 'set-cookie': ['csrf=1', 'sid=2'] }
    await app.ask('/')
    t.match(await app.ask('/'), { hit: true, headers: fields })
    await app.clock.pass(61_000)
    isDown = true
    t.match(await app.ask('/'), { text: 'good', cacheStatus: /fwd-status=503/, headers: fields })
  }))

t.test('a response that removes the stored one is newer than the response of a fill that began before it', async (t) =>
  forEachBackend(t, async (t, on) => {
    const app = await stale(t, on, { staleIfError: '1h' })
    const slow = new Barrier()
    app.does(async ({ method }, reply) => {
      if (method === 'HEAD') return await reply.code(410).send('gone')
      await slow.pass()
      return 'the earlier state'
    })
    const asking = app.ask('/')
    await slow.reached()
    t.match(await app.ask({ url: '/', method: 'HEAD' }), { status: 410 })
    slow.open()
    await asking
    t.match(await app.ask('/'), { hit: false })
    t.match((await app.cache.stats()).routes['GET /'], { refusals: { superseded: 1 } })
  }))
