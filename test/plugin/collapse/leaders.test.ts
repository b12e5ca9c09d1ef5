// Single flight when the request that runs the handler fails, leaves or never ends: the waiting requests still get a response.
import http from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import type { FastifyReply, FastifyRequest } from 'fastify'
import t, { type Test } from 'tap'
import { build, forEachBackend, type Spec } from '../../support/app.js'
import { Barrier, turns, until } from '../../support/barrier.js'
import { Chaos } from '../../support/chaos.js'
import { HOST, portOf } from '../../support/client.js'

type On = Parameters<Parameters<typeof forEachBackend>[1]>[1]
type Handler = (request: FastifyRequest, reply: FastifyReply) => unknown
const MEMORY: On = { backend: 'memory', options: {} }

/** The route `/a`. Its first handler waits at the barrier and then does what `first` does; the others respond with 'good'. */
async function setUp (
  t: Test, on: On, first: Handler, { method = 'GET', route = {}, ...spec }: Partial<Spec> & { method?: 'GET' | 'POST', route?: object } = {}
) {
  const barrier = new Barrier()
  const built = await build(t, {
    ...on,
    compare: false,
    before: (app, probe) => { app.addHook('preHandler', async () => { probe.ran('asked') }) },
    routes: (app, { cached, ran }) => {
      app.route({
        method,
        url: '/a',
        ...route,
        config: { cache: { ttl: '1m', methods: [method] } },
        handler: async (request, reply) => {
          if (ran() > 1 || !cached) return 'good'
          await barrier.pass()
          return await first(request, reply)
        }
      })
    },
    ...spec
  })
  const asked = async (count: number): Promise<void> => {
    await until(() => built.runs('asked') === count)
    await turns()
  }
  const ask = async () =>
    await built.ask({ url: '/a', method, ...(method === 'POST' && { body: '{"a":1}', headers: { 'content-type': 'application/json' } }) })
  return { ...built, ask, asked, barrier }
}

/** A request whose client can leave. */
async function leaver (app: Parameters<typeof portOf>[0], method = 'GET'): Promise<{ leave (others?: number): Promise<void> }> {
  const headers = { host: HOST, ...(method === 'POST' && { 'content-type': 'application/json' }) }
  const request = http.request({ host: '127.0.0.1', port: await portOf(app), path: '/a', method, headers, agent: false })
  request.on('error', () => {})
  request.end(method === 'POST' ? '{"a":1}' : undefined)
  return {
    async leave (others = 0) {
      request.destroy()
      await new Promise((resolve) => request.once('close', resolve))
      // The server does not know yet.
      await until(() => new Promise((resolve) => app.server.getConnections((_err, count) => resolve(count === others))))
    }
  }
}
const failures: ReadonlyArray<readonly [name: string, first: Handler, status: number | undefined]> = [
  ['throws', () => { throw new Error('broken') }, 500],
  ['responds with 500', (_request, reply) => reply.code(500).send('bad'), 500],
  ['responds with nothing', () => undefined, 200],
  ['calls callNotFound', (_request, reply) => { reply.callNotFound(); return reply }, 404],
  ['hijacks', (_request, reply) => { reply.hijack(); reply.raw.end('by hand') }, 200],
  ['writes to the socket itself', (_request, reply) => { reply.raw.end('by hand') }, 200],
  ['sends a value that cannot be serialised', (_request, reply) => reply.send({ get a () { throw new Error('broken') } }), 500]
]

for (const [name, first, status] of failures) {
  t.test(`requests that wait for a leader that ${name} get a response`, async (t) => {
    await forEachBackend(t, async (t, on) => {
      const { ask, asked, barrier, cache } = await setUp(t, on, first)
      const leader = ask()
      await barrier.reached()
      const followers = Array.from({ length: 5 }, async () => await ask())
      await asked(6)
      barrier.open()
      t.equal((await leader).status, status)
      if (name === 'responds with nothing') return t.same((await Promise.all(followers)).map(({ text }) => text), ['', '', '', '', ''])
      t.same((await Promise.all(followers)).map(({ text }) => text), ['good', 'good', 'good', 'good', 'good'])
      const next = await ask()
      t.ok(next.hit, `the response of a follower is stored: ${next.cacheStatus} ${JSON.stringify(await cache.stats())}`)
      t.equal((await ask()).text, 'good')
      t.equal((await cache.stats()).coalesced, 0)
    })
  })
}

t.test('a request does not wait for the end of a leader that has hijacked its response', async (t) => {
  await forEachBackend(t, async (t, on) => {
    const left = new Barrier()
    const { ask, asked, barrier } = await setUp(t, on, (_request, reply) => {
      reply.hijack()
      left.pass().then(() => reply.raw.end('by hand'), () => {})
    }, { lockTimeout: '1h' })
    const leader = ask()
    await barrier.reached()
    const follower = ask()
    await asked(2)
    barrier.open()
    let text: string | undefined
    follower.then((response) => { text = response.text }, () => {})
    await until(() => text === 'good').finally(() => left.open())
    t.equal((await leader).text, 'by hand')
  })
})

t.test('requests that wait for a leader get a response when it exceeds handlerTimeout', async (t) => {
  await forEachBackend(t, async (t, on) => {
    const { ask, asked, barrier, runs } = await setUp(t, on, () => 'too late', { route: { handlerTimeout: 60 } })
    const leader = ask()
    await barrier.reached()
    const followers = Array.from({ length: 5 }, async () => await ask())
    await asked(6)
    t.equal((await leader).status, 503)
    t.same((await Promise.all(followers)).map(({ status }) => [200, 503].includes(status)), [true, true, true, true, true])
    barrier.open()
    await turns()
    t.equal((await ask()).text, 'good')
    t.ok(runs() >= 2)
  })
})

t.test('requests that wait for a leader that never responds run the handler after lockTimeout', async (t) => {
  await forEachBackend(t, async (t, on) => {
    const { ask, asked, app, barrier, cache } = await setUp(t, on, () => 'never', { lockTimeout: '40ms' })
    const leader = await leaver(app)
    await barrier.reached()
    const followers = Array.from({ length: 5 }, async () => await ask())
    await asked(6)
    t.same((await Promise.all(followers)).map(({ text }) => text), ['good', 'good', 'good', 'good', 'good'])
    t.equal((await ask()).text, 'good', 'the next one leads')
    t.ok((await ask()).hit)
    await leader.leave()
    await until(async () => (await cache.stats()).refusals['client-gone'] === 1)
  })
})

for (const method of ['GET', 'POST'] as const) {
  t.test(`a handler whose client leaves still serves the waiting requests, ${method}`, async (t) => {
    await forEachBackend(t, async (t, on) => {
      const { ask, asked, app, barrier, cache, runs } = await setUp(t, on, () => 'made', { method })
      const leader = await leaver(app, method)
      await barrier.reached()
      await leader.leave()
      const followers = Array.from({ length: 5 }, async () => await ask())
      await asked(6)
      t.equal(runs(), 1, 'they wait')
      barrier.open()
      t.same((await Promise.all(followers)).map(({ text }) => text), ['made', 'made', 'made', 'made', 'made'])
      t.equal(runs(), 1)
      t.ok((await ask()).hit)
      t.match(await cache.stats(), { coalesced: 5, stores: 1 })
    })
  })
}

t.test('a handler that throws because its client left makes the waiting requests run the handler', async (t) => {
  const { ask, asked, app, barrier, cache } = await setUp(t, MEMORY, (request) => { throw new Error(`gone: ${request.raw.aborted}`) })
  const leader = await leaver(app)
  await barrier.reached()
  const followers = Array.from({ length: 3 }, async () => await ask())
  await asked(4)
  await leader.leave(3)
  barrier.open()
  t.same((await Promise.all(followers)).map(({ text }) => text), ['good', 'good', 'good'])
  t.match(await cache.stats(), { refusals: { 'handler-error': 1 } })
})

t.test('a callback handler whose client leaves still serves the waiting requests, on a backend that returns later', async (t) => {
  const chaos = new Chaos()
  chaos.get.later()
  const barrier = new Barrier()
  const { ask, app, cache, runs } = await build(t, {
    ...chaos.over(),
    compare: false,
    routes: (app, { ran }) => app.get('/a', { config: { cache: { ttl: '1m' } } }, (_request, reply) => {
      ran()
      barrier.pass().then(() => { reply.send('made') }, () => {})
    })
  })
  const leader = await leaver(app)
  await barrier.reached()
  const followers = Array.from({ length: 3 }, async () => await ask({ url: '/a' }))
  await until(async () => (await cache.stats()).misses === 4)
  await leader.leave(3)
  await sleep(5)
  barrier.open()
  t.same((await Promise.all(followers)).map(({ text }) => text), ['made', 'made', 'made'])
  t.equal(runs(), 1)
})

t.test('a waiting request whose client leaves does not affect the others', async (t) => {
  await forEachBackend(t, async (t, on) => {
    const { ask, asked, app, barrier, runs, cache } = await setUp(t, on, () => 'made')
    const leader = ask()
    await barrier.reached()
    const leaving = await leaver(app)
    const followers = Array.from({ length: 3 }, async () => await ask())
    await asked(5)
    await leaving.leave(4)
    barrier.open()
    t.same((await Promise.all([leader, ...followers])).map(({ text }) => text), ['made', 'made', 'made', 'made'])
    t.equal(runs(), 1)
    t.ok((await ask()).hit)
    t.match(await cache.stats(), { stores: 1 })
  })
})
