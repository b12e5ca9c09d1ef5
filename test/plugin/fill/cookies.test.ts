// Cookies that the handler or hooks set: what may be stored, and what a hit sends.
import cookie from '@fastify/cookie'
import session from '@fastify/session'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import t from 'tap'
import type { RouteCacheOptions } from '../../../plugin.js'
import { build, forEachBackend, type Probe } from '../../support/app.js'

const userOf = (request: FastifyRequest): string => String(request.headers['x-user'])
const PERSONAL = { config: { cache: { ttl: '1m', key: { by: userOf } } } } as const
const KEYED: Record<string, [options: { config: { cache: RouteCacheOptions } }, headers: Record<string, string>]> = {
  by: [PERSONAL, { 'x-user': 'ada', authorization: 'Bearer ada', cookie: 'id=ada' }],
  'a cookie': [{ config: { cache: { ttl: '1m', key: { cookies: ['id'] } } } }, { cookie: 'id=ada' }],
  Authorization: [{ config: { cache: { ttl: '1m', key: { headers: ['Authorization'] } } } }, { authorization: 'Bearer ada' }]
}
const PUBLIC = { config: { cache: { ttl: '1m' } } } as const

t.test('the cookie of @fastify/session with rolling: true is set on hits, too; personal responses are stored', async (t) =>
  forEachBackend(t, async (t, on) => {
    const app = await build(t, {
      ...on,
      compare: false,
      async before (app) {
        await app.register(cookie)
        await app.register(session, { secret: 'a secret that is long enough, thirty-two', cookie: { secure: false } })
        app.addHook('preHandler', async (request) => { request.session.set('user' as never, 'ada' as never) })
      },
      routes (app, { ran }) {
        app.get('/', PERSONAL, async () => `run ${ran()}`)
        app.get('/public', PUBLIC, async () => 'for all')
      }
    })
    const headers = { 'x-user': 'ada' }
    const first = await app.ask({ url: '/', headers })
    const second = await app.ask({ url: '/', headers })
    t.match([first, second], [{ hit: false }, { hit: true }])
    t.ok(first.headers['set-cookie'] !== undefined && second.headers['set-cookie'] !== undefined, 'both have a cookie')
    t.not(String(second.headers['set-cookie']), String(first.headers['set-cookie']), 'each its own')
    t.equal(app.runs(), 1)
    for (let times = 0; times < 2; times++) t.match(await app.ask('/public'), { hit: false, cacheStatus: /detail=set-cookie/ })
  }))

for (const [name, [options, headers]] of Object.entries(KEYED)) {
  t.test(`with ${name} in the key, the handler's own cookie is refused, a hook's is not`, async (t) => forEachBackend(t, async (t, on) => {
    const app = await build(t, {
      ...on,
      compare: false,
      async before (app) { await app.register(cookie) },
      routes (app) {
        const get = (path: string, { hook, handler }: Record<string, (reply: FastifyReply) => unknown>, stage = 'onSend'): void => {
          const run = (_request: FastifyRequest, reply: FastifyReply, ...more: unknown[]): void => {
            hook?.(reply);
            (more.at(-1) as (...args: unknown[]) => void)(null, ...(stage === 'onSend' ? [more[0]] : []))
          }
          app.get(path, { ...options, [stage]: run }, async (_request, reply) => { handler?.(reply); return path })
        }
        const byField = (reply: FastifyReply): unknown => reply.header('set-cookie', 'seen=1')
        const byPlugin = (reply: FastifyReply): unknown => reply.setCookie('seen', '1')
        const byNode = (reply: FastifyReply): unknown => reply.raw.setHeader('set-cookie', 'seen=1')
        for (const [how, set] of Object.entries({ byField, byPlugin, byNode })) {
          get(`/hook/${how}`, { hook: set })
          get(`/early-hook/${how}`, { hook: set }, 'preHandler')
          get(`/handler/${how}`, { handler: set })
          get(`/both/${how}`, { handler: set, hook: byField })
        }
      }
    })
    for (const how of ['byField', 'byPlugin', 'byNode']) {
      for (const hook of ['hook', 'early-hook']) {
        const [first, second] = [await app.ask({ url: `/${hook}/${how}`, headers }), await app.ask({ url: `/${hook}/${how}`, headers })]
        t.match([first, second], [{ hit: false }, { hit: true }], `${hook} ${how}`)
        for (const one of [first, second]) t.match(String(one.headers['set-cookie']), /seen=1/, `${hook} ${how}`)
      }
      for (const setter of ['handler', 'both']) {
        for (let times = 0; times < 2; times++) {
          t.match(await app.ask({ url: `/${setter}/${how}`, headers }), { hit: false, cacheStatus: /detail=set-cookie/ }, `${setter} ${how}`)
        }
      }
    }
  }))
}

t.test('the same response for everybody: with credentials: \'shared\' it is stored from any request, and nothing is logged', async (t) =>
  forEachBackend(t, async (t, on) => {
    const routes = (app: FastifyInstance, { ran }: Probe): void => {
      app.get('/shared', { config: { cache: { ttl: '1m', credentials: 'shared' } } }, async () => `run ${ran('shared')}`)
      app.get('/ignoring', { config: { cache: { ttl: '1m', credentials: 'ignore' } } }, async () => 'ignoring')
    }
    const app = await build(t, {
      ...on,
      compare: false,
      async before (app) {
        await app.register(cookie)
        await app.register(session, { secret: 'a secret that is long enough, thirty-two', saveUninitialized: false })
      },
      routes
    })
    for (const [at, given] of [{ authorization: 'Bearer a' }, { authorization: 'Bearer b' }, { cookie: 'a=b' }, {}].entries()) {
      t.match(await app.ask({ url: '/shared', headers: given }), { hit: at > 0 })
      t.match(await app.ask({ url: '/ignoring', headers: { authorization: 'Bearer a' } }), { hit: false, cacheStatus: /detail=authorization/ })
    }
    t.same(app.warnings().map(({ routes }) => routes), [['GET /ignoring']])
  }))
