// The oracles themselves: each of them finds what it is there for.
import t from 'tap'
import { build, forEachBackend } from '../support/app.js'

t.test('a hit is told apart from a miss, and is what the handler would have answered', async (t) => forEachBackend(t, async (t, on) => {
  const app = await build(t, {
    ...on,
    routes (app, probe) {
      app.get('/', { config: { cache: { ttl: '1m' } } }, async () => { probe.ran(); return { hello: 'world' } })
    }
  })
  for (const via of ['socket', 'inject'] as const) {
    t.match(await app.ask({ url: `/?${via}`, via }), { status: 200, hit: false })
    t.match(await app.ask({ url: `/?${via}`, via }), { status: 200, hit: true, text: '{"hello":"world"}' })
  }
  t.equal(app.runs(), 2)
  t.match(await app.raw('GET /raw HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n'), /404/)
}))
