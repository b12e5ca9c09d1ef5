// The oracles themselves: each of them finds its violations, and nothing else.
import { setTimeout as after } from 'node:timers/promises'
import type { FastifyInstance } from 'fastify'
import t, { type Test } from 'tap'
import { build, forEachBackend, type Probe, type Spec, type TestApp } from './app.js'

const TTL = { config: { cache: { ttl: '1m' } } } as const

/** Returns what the oracles report about an application in which `act` goes wrong. */
async function verdict (t: Test, spec: Spec, act: (app: TestApp) => Promise<unknown>): Promise<string> {
  const ends: Array<() => Promise<void>> = []
  let said = 'nothing'
  const parent = { fail: (_message: string, { oracles }: { oracles: string[] }) => { said = oracles.join('\n') } }
  const app = await build({ name: t.name, parent, teardown: (end: () => Promise<void>) => ends.push(end) } as unknown as Test, spec)
  await act(app)
  await ends[0]!()
  return said
}

const route = (respond: (probe: Probe, app: FastifyInstance) => unknown): Spec => ({
  routes (app, probe) { app.get('/', TTL, async () => await respond(probe, app)) }
})

t.test('a hit is told apart from a miss, and equals the handler\'s response', async (t) => forEachBackend(t, async (t, on) => {
  const app = await build(t, { ...on, ...route((probe) => ({ hello: probe.ran() > 0 })) })
  for (const via of ['socket', 'inject'] as const) {
    t.match(await app.ask({ url: `/?${via}`, via }), { status: 200, hit: false })
    t.match(await app.ask({ url: `/?${via}`, via }), { status: 200, hit: true, text: '{"hello":true}' })
  }
  t.equal(app.runs(), 2)
  t.match(await app.raw('GET /raw HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n'), /404/)
}))

t.test('O1 finds a response that the cache changed', async (t) => {
  t.match(await verdict(t, route((probe) => ({ from: probe.cached })), async (app) => await app.ask('/')), /O1: body .*true.*false/)
  const head = route(() => 'same')
  head.before = (app, probe) => { app.addHook('onRequest', async (_request, reply) => { reply.header('x-side', String(probe.cached)) }) }
  t.match(await verdict(t, head, async (app) => await app.ask('/')), /O1: x-side: true, without the cache false/)
  t.equal(await verdict(t, head, async (app) => await app.ask({ url: '/', compare: { ignore: ['x-side'] } })), 'nothing')
  t.match(await verdict(t, head, async (app) => await app.raw('GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n')),
    /O1: to these bytes/)
})

t.test('O2 finds a canary in the response to another user, in the backend, and in the log', async (t) => {
  const greedy: Spec = {
    routes (app) {
      app.get('/', { config: { cache: { ttl: '1m', credentials: 'ignore' } } }, async (request, reply) => {
        reply.header('cache-control', 'public')
        request.log.info(request.headers, 'seen')
        return request.headers.authorization ?? 'nobody'
      })
    },
    compare: false
  }
  const said = await verdict(t, greedy, async (app) => {
    await app.ask({ url: '/', headers: { authorization: app.canary('alice') } })
    await app.ask({ url: '/', headers: { authorization: app.canary('bob') } })
  })
  t.match(said, /O2: what belongs to alice was sent to somebody else/)
  t.match(said, /O2: what belongs to alice is in the backend/)
  t.match(said, /O2: what belongs to alice is in the log/)
})

t.test('O3 finds a response for which the cache took longer than the deadline and its slack', async (t) => {
  const slow = (byMs: number) => route(async (probe) => { if (probe.cached) await after(byMs) })
  t.match(await verdict(t, { ...slow(500), deadline: '10ms' }, async (app) => await app.ask({ url: '/', slow: true })),
    /O3: the cache cost/)
  t.equal(await verdict(t, { ...slow(90), deadline: '100ms' }, async (app) => await app.ask({ url: '/', slow: true })), 'nothing')
})

t.test('O4 finds a warning', async (t) => {
  t.match(await verdict(t, route(() => 'x'), async () => process.emitWarning('odd')), /O4: warning Warning: odd/)
})

t.test('O5 finds a timer that is left after close', async (t) => {
  let timer: NodeJS.Timeout | undefined
  t.match(await verdict(t, route(() => 'x'), async () => { timer = setTimeout(() => {}, 60_000) }), /O5: \d+ Timeout after close/)
  clearTimeout(timer)
})

t.test('O6 finds a response that was made before an acknowledged invalidation', async (t) => {
  const versioned: Spec = {
    routes (app, probe) {
      app.get('/', TTL, async (_request, reply) => {
        reply.header('x-version', probe.version())
        return 'x'
      })
    }
  }
  t.match(await verdict(t, versioned, async (app) => {
    await app.ask('/')
    await app.change(async () => {})
    await app.ask('/')
  }), /O6: version 1 was sent, 2 had been acknowledged/)
  t.equal(await verdict(t, versioned, async (app) => {
    await app.ask('/')
    await app.change(async () => await app.cache.invalidate({ url: '/' }))
    await app.ask('/')
  }), 'nothing')
})

t.test('O7 finds a heap that grew more than allowed', async (t) => {
  const kept: Buffer[] = []
  t.match(await verdict(t, { ...route(() => 'x'), heapBytes: 1e6 }, async () => kept.push(Buffer.alloc(64e6, 1))),
    /O7: the heap grew by 6\d MB/)
})
