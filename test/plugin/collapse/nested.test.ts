// A handler that requests its own route, directly or through other routes, does not wait for itself. The inner response is not stored.
import t from 'tap'
import { build, forEachBackend } from '../../support/app.js'
import { Barrier } from '../../support/barrier.js'
import { HOST, portOf } from '../../support/client.js'

const MEMORY = { backend: 'memory', options: {} }

for (const via of ['socket', 'inject'] as const) {
  for (const lock of [true, false]) {
    t.test(`a handler that injects its own route does not wait for itself, over ${via}${lock ? '' : ', without a lock'}`, async (t) => {
      await forEachBackend(t, async (t, on) => {
        const { ask, runs, cache } = await build(t, {
          ...on,
          routes: (app, { ran }) => app.get('/a', { config: { cache: { ttl: '1m', lock } } }, async (request) => {
            ran()
            if (request.headers['x-inner'] === '1') return { inner: true }
            return { asked: (await app.inject({ url: '/a', headers: { 'x-inner': '1', host: HOST } })).json() }
          })
        })
        await ask({ url: '/a', via })
        const all = await Promise.all(Array.from({ length: 5 }, async () => await ask({ url: '/a', via })))
        t.ok(all.every(({ hit }) => hit))
        t.equal(runs(), 2)
        t.match(await cache.stats(), { bypasses: { nested: 1 }, stores: 1 })
      })
    })
  }
}

t.test('routes that request one another in a circle by inject, all at once, do not wait for one another', async (t) => {
  const barrier = new Barrier()
  const { ask } = await build(t, {
    ...MEMORY,
    lockTimeout: '20s',
    routes: (app, { cached }) => {
      app.get('/warm', { config: { cache: { ttl: '1m' } } }, async () => 'warm')
      for (const [own, other] of [['/a', '/b'], ['/b', '/a']] as const) {
        app.get(own, { config: { cache: { ttl: '1m' } } }, async (request) => {
          if (request.headers['x-inner'] === '1') return { own }
          if (cached) await barrier.pass()
          const { statusCode } = await app.inject({ url: other, headers: { 'x-inner': '1', host: HOST } })
          return { own, statusCode }
        })
      }
    }
  })
  await ask({ url: '/warm', via: 'inject' })
  const responses = [ask({ url: '/a', compare: false }), ask({ url: '/b', compare: false })]
  await barrier.reached(2)
  barrier.open()
  for (const { status, tookMs } of await Promise.all(responses)) {
    t.equal(status, 200)
    t.ok(tookMs < 5_000)
  }
})

t.test('a handler that requests its own route over the network ends after lockTimeout', async (t) => {
  const { ask, runs } = await build(t, {
    ...MEMORY,
    lockTimeout: '50ms',
    routes: (app, { ran }) => app.get('/a', { config: { cache: { ttl: '1m' } } }, async (request) => {
      ran()
      if (request.headers['x-inner'] === '1') return { inner: true }
      const inner = await fetch(`http://127.0.0.1:${await portOf(app)}/a`, { headers: { 'x-inner': '1' } })
      return { status: inner.status, body: await inner.json() }
    })
  })
  const { tookMs } = await ask('/a')
  t.ok(tookMs < 2_000, `${tookMs} ms`)
  t.ok(runs() >= 1)
})

t.test('what a handler does after its response does not belong to its fill', async (t) => {
  const barrier = new Barrier()
  let later: Promise<{ headers: Record<string, unknown> }> | undefined
  const { ask, cache } = await build(t, {
    ...MEMORY,
    routes: (app, { cached, ran }) => app.get('/a', { config: { cache: { ttl: '1m' } } }, async () => {
      if (ran() === 1 && cached) later = barrier.pass().then(async () => await app.inject({ url: '/a', headers: { host: HOST } }))
      return 'a'
    })
  })
  await ask({ url: '/a', via: 'inject' })
  await cache.clear()
  barrier.open()
  t.match((await later)?.headers['cache-status'], /stored/)
})
