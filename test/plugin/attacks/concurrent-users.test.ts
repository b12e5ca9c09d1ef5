// Attacks: several concurrent users, and what one user's request leaves behind for another's.
import type { FastifyInstance } from 'fastify'
import t from 'tap'
import { build, forEachBackend, type Probe } from '../../support/app.js'
import { Barrier } from '../../support/barrier.js'
import { cached } from '../../support/document.js'

/** Options for another backend of the same kind, which is empty. */
let made = 0
const another = ({ options }: { options: { path?: string } }): object =>
  options.path === undefined ? {} : { path: `${options.path}.${++made}` }

t.test('concurrent requests of several users never share a response', async (t) => forEachBackend(t, async (t, on) => {
  const barrier = new Barrier()
  const routes = (app: FastifyInstance, probe: Probe): void => {
    app.get('/me', cached(), async (request) => {
      probe.ran()
      await barrier.pass()
      return `you are ${String(request.headers.authorization ?? request.headers.cookie)}`
    })
  }
  const app = await build(t, { ...on, compare: false, routes })
  const users = ['alice', 'bob', 'carol'].map((name) => app.canary(name))
  const asked = users.flatMap((user) =>
    [1, 2].flatMap(() => [app.ask({ url: '/me', headers: { authorization: user } }), app.ask({ url: '/me', headers: { cookie: user } })]))
  await barrier.reached(asked.length)
  barrier.open()
  const responses = await Promise.all(asked)
  t.equal(app.runs(), asked.length)
  t.strictSame(responses.map(({ text }) => text), users.flatMap((user) => Array.from({ length: 4 }, () => `you are ${user}`)))
}))

t.test('users who wait for a response that turns out to be private each get their own', async (t) => forEachBackend(t, async (t, on) => {
  const routes = (barrier: Barrier) => (app: FastifyInstance, probe: Probe): void => {
    app.get<{ Querystring: { how: string } }>('/me', cached(), async (request, reply) => {
      const first = probe.ran() === 1
      if (probe.cached && first) await barrier.pass()
      if (request.query.how === 'private') reply.header('cache-control', 'private')
      if (request.query.how === 'cookie') reply.header('set-cookie', `u=${String(request.headers['x-user'])}`)
      if (request.query.how === 'vary') reply.header('vary', 'X-User')
      if (request.query.how === 'store') reply.cache({ store: false })
      if (request.query.how === 'error') return reply.code(500).send(`you are ${String(request.headers['x-user'])}`)
      return `you are ${String(request.headers['x-user'])}`
    })
  }
  for (const how of ['private', 'cookie', 'vary', 'store', 'error']) {
    await t.test(how, async (t) => {
      const options = another(on)
      const barrier = new Barrier()
      const app = await build(t, { ...on, options, compare: false, routes: routes(barrier) })
      const users = Array.from({ length: 20 }, (_, at) => app.canary(`user ${at}`, { mayBeStored: how === 'vary' }))
      const asked = users.map((user) => app.ask({ url: `/me?how=${how}`, headers: { 'x-user': user } }))
      await barrier.reached()
      barrier.open()
      t.strictSame((await Promise.all(asked)).map(({ text }) => text), users.map((user) => `you are ${user}`))
    })
  }
}))

t.test("fields that hooks set for one user before the handler are never in another user's response", async (t) =>
  forEachBackend(t, async (t, on) => {
    const routes = (app: FastifyInstance, probe: Probe): void => {
      app.addHook('onRequest', async (request, reply) => {
        const user = request.headers['x-user'] as string
        reply.headers({ 'x-for': user, 'x-list': ['a', user], 'access-control-allow-origin': `https://${user}`, vary: 'Origin' })
        reply.raw.setHeader('x-raw', user)
      })
      app.addHook('onSend', async (request, reply, payload) => {
        reply.header('x-late', request.headers['x-user'])
        return payload
      })
      app.get('/', cached(), async (_request, reply) => {
        probe.ran()
        reply.header('x-handler', 'set').removeHeader('x-list')
        return { for: 'everybody' }
      })
      app.get('/plain', { ...cached(), onSend: [] }, async () => 'for everybody')
    }
    const app = await build(t, { ...on, routes })
    for (const user of ['alice', 'bob', 'carol'].map((name) => app.canary(name))) {
      t.match(await app.ask({ url: '/', headers: { 'x-user': user } }), {
        headers: { 'x-for': user, 'x-raw': user, 'x-late': user, 'x-handler': 'set' }
      })
      t.match(await app.ask({ url: '/plain', headers: { 'x-user': user } }), { headers: { 'x-for': user, 'x-raw': user } })
    }
    t.equal(app.runs(), 1)
  }))
