// Applications that rewrite URLs: an invalidation by the URL that routes see removes every response to it, whichever URL the client
// requested.
import t from 'tap'
import { build, forEachBackend } from '../../support/app.js'

t.test('O6: an invalidation by URL reaches responses to URLs that were rewritten, in a scope too', async (t) =>
  forEachBackend(t, async (t, on) => {
    for (const host of [true, false]) {
      const app = await build(t, {
        ...on,
        ...(on.backend === 'sqlite' && { options: { path: ':memory:' } }),
        compare: false,
        fastify: { rewriteUrl: (request) => request.url!.replace(/^\/old/, '/new') },
        routes: (app, probe) => app.register(async (scope) => {
          scope.get('/new/:id', { config: { cache: { ttl: '1m', key: { host } } } }, async () => { probe.ran(); return probe.version() })
        })
      })
      for (const url of [host ? 'http://a.example/new/1' : '/new/1', '/new/1']) {
        await app.ask({ url: '/old/1', headers: { host: 'a.example' } })
        await app.ask({ url: '/new/1', headers: { host: 'a.example' } })
        t.match(await app.ask({ url: '/old/1', headers: { host: 'a.example' } }), { hit: true })
        await app.cache.invalidate({ url })
        t.match(await app.ask({ url: '/old/1', headers: { host: 'a.example' } }), { hit: false }, `${url}, rewritten`)
        t.match(await app.ask({ url: '/new/1', headers: { host: 'a.example' } }), { hit: false }, `${url}, as it is`)
      }
    }
  }))
