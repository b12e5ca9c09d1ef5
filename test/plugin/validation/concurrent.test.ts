// Validation with variants, waiting requests and invalidations, and how long an entry is kept for validation.
import t from 'tap'
import { build, forEachBackend } from '../../support/app.js'
import { cached, Document } from '../../support/document.js'

t.test("Last-Modified alone is a validator too; without one, the handler of a route without a lock sees the client's own", async (t) =>
  forEachBackend(t, async (t, on) => {
    const asked: unknown[] = []
    const date = 'Tue, 06 May 2031 07:00:00 GMT'
    const app = await build(t, {
      ...on,
      compare: false,
      routes (app) {
        app.get('/dated', cached(), async (request, reply) => {
          asked.push(request.headers['if-modified-since'])
          return request.headers['if-modified-since'] === date
            ? await reply.code(304).send()
            : await reply.header('last-modified', date).send('x')
        })
        app.get('/bare', cached({ lock: false }), async (request) => { asked.push(request.headers['if-modified-since']); return 'x' })
        app.get('/odd', cached(), async (request, reply) => {
          asked.push(request.headers['if-none-match'])
          return await reply.header('etag', 'unquoted').send('x')
        })
        app.get('/kept', cached({ keep: 0 }), async (request, reply) => {
          asked.push(request.headers['if-none-match'])
          return await reply.header('etag', '"1"').send('x')
        })
      }
    })
    for (const [url, expected] of [['/dated', date], ['/bare', 'own'], ['/odd', undefined], ['/kept', undefined]] as const) {
      await app.ask(url)
      await app.clock.pass(61_000)
      await app.ask({ url, headers: { 'if-modified-since': 'own' } })
      t.equal(asked.at(-1), expected, url)
    }
  }))

t.test('keep: a response with a validator is kept for this long after it became stale, and no longer', async (t) =>
  forEachBackend(t, async (t, on) => {
    const document = new Document()
    const app = await build(t, { ...on, routes: (app, probe) => document.serve(app, probe, { keep: '2m' }) })
    await app.ask('/')
    await app.clock.pass(60_000 + 119_000)
    await app.ask('/')
    await app.clock.pass(60_000 + 121_000)
    await app.ask('/')
    t.same(document.asked, [undefined, '"v1"', undefined])
  }))

t.test('an invalidation while the handler validates is not undone by its 304', async (t) => forEachBackend(t, async (t, on) => {
  let meanwhile = async (): Promise<void> => {}
  const app = await build(t, {
    ...on,
    routes (app, probe) {
      app.get('/', cached({ tags: ['t'] }), async (request, reply) => {
        if (probe.cached) await meanwhile()
        reply.header('etag', '"1"')
        return request.headers['if-none-match'] === '"1"' ? await reply.code(304).send() : 'x'
      })
    }
  })
  await app.ask('/')
  await app.clock.pass(61_000)
  meanwhile = async () => await app.cache.invalidate('t')
  t.match(await app.ask('/'), { status: 200, text: 'x', cacheStatus: /detail=invalidated/ })
  meanwhile = async () => {}
  t.match(await app.ask('/'), { hit: false, cacheStatus: /fwd=miss; stored/ })
}))

t.test('each variant is validated by itself', async (t) => forEachBackend(t, async (t, on) => {
  const asked: unknown[] = []
  const app = await build(t, {
    ...on,
    routes (app, probe) {
      app.get('/', cached(), async (request, reply) => {
        const language = String(request.headers['accept-language'])
        if (probe.cached) asked.push(request.headers['if-none-match'])
        reply.headers({ vary: 'accept-language', etag: `"${language}"` })
        return request.headers['if-none-match'] === `"${language}"` ? await reply.code(304).send() : language
      })
    }
  })
  const ask = async (language: string) => await app.ask({ url: '/', headers: { 'accept-language': language } })
  for (const language of ['de', 'fr']) await ask(language)
  await app.clock.pass(61_000)
  for (const language of ['fr', 'de']) t.match(await ask(language), { text: language, cacheStatus: /fwd-status=304; stored/ })
  for (const language of ['fr', 'de']) t.match(await ask(language), { text: language, hit: true })
  t.same(asked, [undefined, undefined, '"fr"', '"de"'])
}))

t.test('requests that wait for a validation receive its outcome', async (t) => forEachBackend(t, async (t, on) => {
  const document = new Document()
  const app = await build(t, { ...on, routes: (app, probe) => document.serve(app, probe) })
  await app.ask('/')
  await app.clock.pass(61_000)
  const responses = await Promise.all(Array.from({ length: 20 }, async () => await app.ask('/')))
  t.ok(responses.every(({ status, text }) => status === 200 && text === 'version 1'))
  t.equal(document.asked.length, 2)
}))

t.test('after a 304, an entry keeps the tags that its handler set when it made the response', async (t) =>
  forEachBackend(t, async (t, on) => {
    const app = await build(t, {
      ...on,
      routes (app, { ran }) {
        app.get('/', cached({ tags: ['route'] }), async (request, reply) => {
          ran()
          reply.header('etag', '"1"')
          if (request.headers['if-none-match'] === '"1"') return await reply.code(304).send()
          reply.cache({ tags: ['route', 'product 1'] })
          return 'product'
        })
      }
    })
    await app.ask('/')
    await app.clock.pass(61_000)
    t.match(await app.ask('/'), { hit: false, cacheStatus: /fwd-status=304; stored/ })
    t.match(await app.ask('/'), { hit: true })
    await app.cache.invalidate('product 1')
    t.match(await app.ask('/'), { hit: false }, 'it was fresh again, and is invalidated')
  }))
