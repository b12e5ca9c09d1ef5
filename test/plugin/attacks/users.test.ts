// Attacks: one user's response shown to another. Each user's responses contain a text of their own, which the oracles look for
// everywhere.
import cookie from '@fastify/cookie'
import session from '@fastify/session'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import t from 'tap'
import { build, forEachBackend, type Probe } from '../../support/app.js'
import { cached } from '../../support/document.js'

/** Options for another backend of the same kind, which is empty. */
let made = 0
const another = ({ options }: { options: { path?: string } }): object =>
  options.path === undefined ? {} : { path: `${options.path}.${++made}` }

/** A page that names the user who requested it. */
const whoAmI = (probe: Probe) => async (request: FastifyRequest): Promise<string> => {
  probe.ran()
  return `you are ${request.headers.authorization ?? request.headers.cookie ?? 'nobody'}`
}

t.test('a request with Authorization, in any form, is neither stored nor served from the cache', async (t) =>
  forEachBackend(t, async (t, on) => {
    const app = await build(t, { ...on, routes: (app, probe) => app.get('/me', cached(), whoAmI(probe)) })
    const users = ['alice', 'bob'].map((name) => app.canary(name))
    for (const times of [1, 2]) {
      for (const user of users) {
        for (const authorization of [`Bearer ${user}`, `Basic ${user}`, user]) {
          t.match(await app.ask({ url: '/me', headers: { authorization } }), { hit: false, text: `you are ${authorization}` })
        }
        t.match(await app.ask({ url: '/me', headers: { authorization: [`Bearer ${user}`, 'Bearer second'] } }), {
          hit: false, cacheStatus: /credentials/
        })
      }
      t.match(await app.ask({ url: '/me', headers: { authorization: '' } }), { hit: false, cacheStatus: /credentials/ }, 'an empty one')
      t.match(await app.ask('/me'), { hit: times === 2, text: 'you are nobody' })
    }
  }))

t.test('a request with a Cookie is neither stored nor served from the cache', async (t) => forEachBackend(t, async (t, on) => {
  const app = await build(t, { ...on, routes: (app, probe) => app.get('/me', cached(), whoAmI(probe)) })
  for (const user of ['alice', 'bob', 'alice'].map((name) => app.canary(name))) {
    for (const header of [`session=${user}`, user, `a=b; session=${user}`]) {
      t.match(await app.ask({ url: '/me', headers: { cookie: header } }), { hit: false, text: `you are ${header}` })
    }
  }
  t.match(await app.ask('/me'), { hit: false })
  t.match(await app.ask({ url: '/me', headers: { cookie: '' } }), { hit: false })
  t.match(await app.ask('/me'), { hit: true, text: 'you are nobody' })
}))

t.test('a response to Authorization is stored only if it allows that, even if a schema or the handler removed the field', async (t) =>
  forEachBackend(t, async (t, on) => {
    const routes = (app: FastifyInstance, probe: Probe): void => {
      app.decorateRequest('who', '')
      app.addHook('onRequest', async (request) => { (request as unknown as { who: string }).who = request.headers.authorization as string })
      const who = async (request: FastifyRequest): Promise<string> => {
        probe.ran()
        delete request.headers.authorization
        return `you are ${(request as unknown as { who: string }).who}`
      }
      const options = cached({ credentials: 'ignore' })
      app.get('/handler', options, who)
      app.get('/schema', { schema: { headers: { type: 'object', properties: {}, additionalProperties: false } }, ...options }, who)
    }
    const app = await build(t, { ...on, routes })
    for (const url of ['/handler', '/schema']) {
      for (const user of [app.canary('alice'), app.canary('bob')]) {
        t.match(await app.ask({ url, headers: { authorization: user } }), {
          hit: false, text: `you are ${user}`, cacheStatus: /detail=authorization/
        }, url)
      }
    }
  }))

t.test('a headers schema that removes Authorization, Cookie and Host does not merge users', async (t) =>
  forEachBackend(t, async (t, on) => {
    const routes = (app: FastifyInstance, probe: Probe): void => {
      app.decorateRequest('who', '')
      app.addHook('onRequest', async (request) => {
        (request as unknown as { who: string }).who = `${request.headers.authorization ?? ''}${request.headers.cookie ?? ''}${request.host}`
      })
      const who = async (request: FastifyRequest): Promise<string> => {
        probe.ran()
        return `you are ${(request as unknown as { who: string }).who}, ${String(request.headers.authorization)}`
      }
      const schema = { headers: { type: 'object', properties: { 'x-v': { type: 'integer' } }, additionalProperties: false } }
      app.get('/me', { schema, ...cached() }, who)
      app.get('/keyed', { schema, ...cached({ key: { headers: ['authorization'] } }) }, who)
      app.get('/cookie', { schema, ...cached({ key: { cookies: ['session'] } }) }, who)
      app.get('/vary', { schema, ...cached({ credentials: 'ignore' }) }, async (request, reply) => {
        reply.header('vary', 'Authorization, Cookie').header('cache-control', 'public')
        return await who(request)
      })
    }
    const app = await build(t, { ...on, routes })
    const [alice, bob] = ['alice', 'bob'].map((name) => app.canary(name, { mayBeStored: true }))
    for (const times of [1, 2]) {
      for (const user of [alice, bob]) {
        t.match(await app.ask({ url: '/me', headers: { authorization: `Bearer ${user}` } }), { hit: false, cacheStatus: /credentials/ })
        t.match(await app.ask({ url: '/me', headers: { cookie: `session=${user}` } }), { hit: false, cacheStatus: /credentials/ })
        t.match(await app.ask({ url: '/keyed', headers: { authorization: `Bearer ${user}` } }), { hit: times === 2 })
        t.match(await app.ask({ url: '/cookie', headers: { cookie: `session=${user}` } }), { hit: times === 2 })
        t.match(await app.ask({ url: '/vary', headers: { cookie: `session=${user}` } }), { hit: times === 2 })
      }
      for (const host of ['a.example', 'b.example']) {
        t.match(await app.ask({ url: '/me', headers: { host } }), { hit: times === 2, text: `you are ${host}, undefined` })
      }
    }
  }))

t.test('a response that sets a cookie is not stored, wherever it is set', async (t) => forEachBackend(t, async (t, on) => {
  const places: Record<string, (app: FastifyInstance, set: (reply: FastifyReply, request: FastifyRequest) => unknown) => void> = {
    'an onRequest hook': (app, set) => { app.addHook('onRequest', async (request, reply) => { set(reply, request) }) },
    'a preHandler hook': (app, set) => { app.addHook('preHandler', async (request, reply) => { set(reply, request) }) },
    'a preSerialization hook': (app, set) => {
      app.addHook('preSerialization', async (request, reply, payload) => { set(reply, request); return payload })
    },
    'an onSend hook': (app, set) => { app.addHook('onSend', async (request, reply, payload) => { set(reply, request); return payload }) },
    'the raw response of Node': (app, set) => {
      app.addHook('onSend', async (request, reply, payload) => {
        set({ header: (name: string, value: string) => reply.raw.setHeader(name, value) } as unknown as FastifyReply, request)
        return payload
      })
    }
  }
  for (const [place, hook] of Object.entries(places)) {
    for (const order of ['before', 'routes'] as const) {
      await t.test(`${place}, ${order === 'before' ? 'before the plugin' : 'after the plugin'}`, async (t) => {
        const add = (app: FastifyInstance): void =>
          hook(app, (reply, request) => reply.header('set-cookie', `user=${String(request.headers['x-user'])}`))
        const page = (app: FastifyInstance, probe: Probe): void => {
          app.get('/', cached(), async () => { probe.ran(); return { ok: true } })
        }
        const options = another(on)
        const app = await build(t, {
          ...on,
          options,
          ...(order === 'before' ? { before: add, routes: page } : { routes: (app, probe) => { add(app); page(app, probe) } })
        })
        for (const user of ['alice', 'bob', 'alice'].map((name) => app.canary(name))) {
          t.match(await app.ask({ url: '/', headers: { 'x-user': user } }), {
            hit: false, cacheStatus: /detail=set-cookie/, headers: { 'set-cookie': [`user=${user}`] }
          })
        }
        t.equal(app.runs(), 3)
      })
    }
  }
}))

t.test('a response in which @fastify/session begins or renews a session is not stored', async (t) =>
  forEachBackend(t, async (t, on) => {
    for (const order of ['before', 'after'] as const) {
      const sessions = (app: FastifyInstance): void => {
        app.register(cookie)
        app.register(session, { secret: 's'.repeat(40), cookie: { secure: false }, rolling: true })
      }
      const routes = (app: FastifyInstance, probe: Probe): void => {
        if (order === 'after') sessions(app)
        app.register(async (child) => {
          child.get('/', cached({ credentials: 'ignore' }), async (request) => {
            probe.ran()
            ;(request.session as unknown as { seen: number }).seen = 1
            return 'welcome'
          })
        })
      }
      const options = another(on)
      const app = await build(t, { ...on, options, compare: { headers: false }, ...(order === 'before' && { before: sessions }), routes })
      const first = await app.ask('/')
      t.match(first, { hit: false, cacheStatus: /set-cookie/ })
      const own = [first.headers['set-cookie']].flat()[0]!.split(';')[0]!
      t.match(await app.ask({ url: '/', headers: { cookie: own } }), { hit: false, cacheStatus: /set-cookie/ })
      const other = await app.ask('/')
      t.match(other, { hit: false })
      t.not([other.headers['set-cookie']].flat()[0]!.split(';')[0], own, 'each has their own session')
      t.equal(app.runs(), 3)
    }
  }))

t.test('Vary: Authorization and Vary: Cookie share nothing between users', async (t) => forEachBackend(t, async (t, on) => {
  const routes = (app: FastifyInstance, probe: Probe): void => {
    app.get('/me', cached({ credentials: 'ignore' }), async (request, reply) => {
      reply.header('vary', 'Authorization, Cookie').header('cache-control', 'public')
      return await whoAmI(probe)(request)
    })
  }
  const app = await build(t, { ...on, routes })
  for (const times of [1, 2]) {
    for (const user of ['alice', 'bob'].map((name) => app.canary(name, { mayBeStored: true }))) {
      for (const name of ['authorization', 'cookie']) {
        t.match(await app.ask({ url: '/me', headers: { [name]: `u=${user}` } }), { hit: times === 2, text: `you are u=${user}` })
      }
    }
    t.match(await app.ask('/me'), { hit: times === 2, text: 'you are nobody' })
  }
}))

t.test('credentials are ignored only for responses that are marked as shared', async (t) =>
  forEachBackend(t, async (t, on) => {
    const routes = (app: FastifyInstance, probe: Probe): void => {
      app.get<{ Querystring: { cc?: string } }>('/', cached({ credentials: 'ignore' }), async (request, reply) => {
        if (request.query.cc !== undefined) reply.header('cache-control', request.query.cc)
        probe.ran()
        return 'the same for all'
      })
    }
    const app = await build(t, { ...on, routes })
    const authorization = 'Bearer x'
    for (const [cc, stored] of [
      ['public', true], ['s-maxage=9', true], ['must-revalidate, max-age=9', true], ['max-age=9', false], ['private', false],
      ['no-cache', false]
    ] as const) {
      const url = `/?cc=${encodeURIComponent(cc)}`
      t.match(await app.ask({ url, headers: { authorization } }), { hit: false }, cc)
      t.match(await app.ask({ url, headers: { authorization } }), { hit: stored }, cc)
    }
    t.match(await app.ask({ url: '/', headers: { authorization } }), { hit: false, cacheStatus: /detail=authorization/ })
    t.match(await app.ask('/'), { hit: false })
    t.match(await app.ask({ url: '/', headers: { authorization } }), { hit: true }, 'a response without credentials is shared')
  }))

t.test('credentials in the key have an entry for each value, and other credentials still bypass', async (t) =>
  forEachBackend(t, async (t, on) => {
    const routes = (app: FastifyInstance, probe: Probe): void => {
      app.get('/header', cached({ key: { headers: ['Authorization'] } }), whoAmI(probe))
      app.get('/cookie', cached({ key: { cookies: ['session'] } }), async (request) => {
        probe.ran()
        return `you are ${String(request.cookies['session'])}`
      })
      app.get('/by', cached({ key: { by: (request) => String(request.headers['x-user'] ?? '') } }), async (request) => {
        probe.ran()
        return `you are ${String(request.headers['x-user'])}`
      })
      app.get('/fn', cached({ key: (request) => request.headers['x-user'] as string | undefined }), async (request) => {
        probe.ran()
        return `you are ${String(request.headers['x-user'])}`
      })
    }
    const app = await build(t, { ...on, before: (app) => app.register(cookie), routes })
    const users = ['alice', 'bob'].map((name) => app.canary(name, { mayBeStored: true }))
    for (const times of [1, 2]) {
      for (const user of users) {
        t.match(await app.ask({ url: '/header', headers: { authorization: user } }), { hit: times === 2 })
        t.match(await app.ask({ url: '/header', headers: { authorization: user, cookie: 'a=b' } }), { cacheStatus: /credentials/ })
        for (const spelling of [`session=${user}`, `session =${user}`, `other=1; session=${user}`, `session="${user}"`]) {
          await app.ask({ url: '/cookie', headers: { cookie: spelling } })
        }
        t.match(await app.ask({ url: '/cookie', headers: { cookie: `session=${user}` } }), { hit: true, text: `you are ${user}` })
        t.match(await app.ask({ url: '/by', headers: { 'x-user': user } }), { hit: times === 2, text: `you are ${user}` })
        t.match(await app.ask({ url: '/fn', headers: { 'x-user': user } }), { hit: times === 2, text: `you are ${user}` })
      }
      t.match(await app.ask('/header'), { hit: times === 2, text: 'you are nobody' })
      t.match(await app.ask('/cookie'), { hit: times === 2, text: 'you are undefined' })
      t.match(await app.ask('/by'), { hit: false, cacheStatus: /detail=key/ }, 'requests without a user share nothing')
      t.match(await app.ask('/fn'), { hit: false, cacheStatus: /detail=key/ })
    }
  }))

t.test('a route that did not opt in is never cached, whatever its URL looks like', async (t) => forEachBackend(t, async (t, on) => {
  const routes = (app: FastifyInstance, probe: Probe): void => {
    app.get('/me/*', async (request) => await whoAmI(probe)(request))
    app.get('/static/*', cached(), async () => 'static')
  }
  const app = await build(t, { ...on, routes })
  for (const user of ['alice', 'bob'].map((name) => app.canary(name))) {
    for (const url of ['/me/x.css', '/me/..%2fstatic/x', '/me/;.js', '/me/x.css%00', '/me/.ico?x.js']) {
      const response = await app.ask({ url, headers: { cookie: user } })
      t.match(response, { cacheStatus: '', text: `you are ${user}` }, url)
    }
  }
}))

t.test('a user in the default key is also in the key of a route with its own key options', async (t) =>
  forEachBackend(t, async (t, on) => {
    const routes = (app: FastifyInstance, probe: Probe): void => {
      app.get('/me', cached({ key: { query: ['a'] }, credentials: 'ignore' }), async (request) => {
        probe.ran()
        return `you are ${String(request.headers['x-user'])}`
      })
    }
    const app = await build(t, { ...on, defaults: { key: { by: (request) => String(request.headers['x-user']) } }, routes })
    for (const hit of [false, true]) {
      for (const user of ['alice', 'bob'].map((name) => app.canary(name, { mayBeStored: true }))) {
        t.match(await app.ask({ url: '/me?a=1', headers: { 'x-user': user } }), { hit, text: `you are ${user}` })
      }
    }
  }))
