// A route whose responses are never stored: one warning that says why.
import t from 'tap'
import type { FastifyReply } from 'fastify'
import type { RouteCacheOptions } from '../../../plugin.js'
import { build, forEachBackend, type AskMore } from '../../support/app.js'
import { until } from '../../support/barrier.js'

const MINUTE: RouteCacheOptions = { ttl: '1m' }

interface Case { cache?: RouteCacheOptions, handler?: (reply: FastifyReply) => unknown, headers?: Record<string, string>, says: RegExp }

const CASES: Record<string, Case> = {
  credentials: { headers: { cookie: 'a=b' }, says: /credentials \(20\); .*key: \{ by: .*credentials: 'shared'/ },
  'set-cookie': { handler: (reply) => reply.header('set-cookie', 'a=b'), says: /set-cookie \(20\); .* sets a cookie; name the user in the key/ },
  'no-freshness': { cache: { statuses: [200] }, says: /no-freshness \(20\); .* give the route a ttl/ },
  'no-store': { handler: (reply) => reply.header('cache-control', 'no-store'), says: /no-store \(20\); .*Cache-Control/ },
  private: { handler: (reply) => reply.header('cache-control', 'private'), says: /private \(20\)/ },
  vary: { handler: (reply) => reply.header('vary', '*'), says: /vary \(20\)/ },
  'too-large': { cache: { ttl: '1m', maxBodyBytes: 1 }, says: /too-large \(20\); .*maxBodyBytes/ },
  authorization: { cache: { ttl: '1m', credentials: 'ignore' }, headers: { authorization: 'Bearer a' }, says: /authorization \(20\); .*'shared'/ },
  key: { cache: { ttl: '1m', key: { by: () => '' } }, says: /key \(20\)/ }
}

const about = (lines: ReadonlyArray<Record<string, any>>): unknown[] => lines.filter(({ msg }) => /none of the last/.test(msg))

for (const [reason, { cache = MINUTE, handler, headers = {}, says }] of Object.entries(CASES)) {
  t.test(`never stored: ${reason} is logged after 20 responses, and only once`, async (t) => forEachBackend(t, async (t, on) => {
    const app = await build(t, {
      ...on,
      compare: false,
      routes (app) {
        app.get('/', { config: { cache } }, async (_request, reply) => { handler?.(reply); return 'text' })
        app.get('/stored', { config: { cache: { ttl: '1m' } } }, async () => 'text')
      }
    })
    const ask: AskMore = { url: '/', headers }
    for (let times = 0; times < 19; times++) await app.ask(ask)
    t.same(about(app.warnings()), [])
    await app.ask(ask)
    t.match(about(app.warnings()), [{ route: 'GET /', reasons: { [reason]: 20 } }])
    t.match(about(app.warnings()), [{ msg: says }])
    for (let times = 0; times < 45; times++) await app.ask(ask)
    t.equal(about(app.warnings()).length, 1)
  }))
}

t.test('never stored: another reason is logged, too; a stored response ends the count', async (t) => forEachBackend(t, async (t, on) => {
  let field: [name: string, value: string] | undefined
  const app = await build(t, {
    ...on,
    compare: false,
    routes (app) {
      app.get('/:id', { config: { cache: { ttl: '1m' } } }, async (_request, reply) => {
        if (field !== undefined) reply.header(...field)
        return 'text'
      })
    }
  })
  let asked = 0
  const ask = async (given: typeof field, times: number): Promise<unknown[]> => {
    field = given
    for (let time = 0; time < times; time++) await app.ask(`/${asked++}`)
    return about(app.warnings())
  }
  t.same(await ask(['set-cookie', 'a=b'], 19), [])
  t.same(await ask(undefined, 1), [])
  await until(async () => (await app.cache.stats()).stores === 1)
  t.same(await ask(['set-cookie', 'a=b'], 19), [], 'one was stored in between')
  t.match(await ask(['cache-control', 'private'], 1), [{ reasons: { 'set-cookie': 19, private: 1 } }])
  t.equal((await ask(['cache-control', 'private'], 20)).length, 1, 'both are known')
  t.match(await ask(['vary', '*'], 20), [{}, { reasons: { vary: 20 } }])
}))

t.test('never stored: what the application or the client asked for is not counted', async (t) => forEachBackend(t, async (t, on) => {
  const app = await build(t, {
    ...on,
    compare: false,
    routes (app) {
      app.get('/chosen', { config: { cache: { ttl: '1m' } } }, async (_request, reply) => await reply.cache({ store: false }).send('text'))
      app.get('/status', { config: { cache: { ttl: '1m' } } }, async (_request, reply) => await reply.code(404).send('text'))
      app.get('/client', { config: { cache: { ttl: '1m' } } }, async () => 'text')
      app.get('/broken', { config: { cache: { ttl: '1m' } } }, async () => { throw new Error('broken') })
      app.post('/post', { config: { cache: { ttl: '1m', invalidates: ['a'] } } }, async () => 'text')
    }
  })
  for (let times = 0; times < 25; times++) {
    for (const url of ['/chosen', '/status', '/broken']) await app.ask(url)
    await app.ask({ url: '/client', headers: { 'cache-control': 'no-store' } })
    await app.ask({ method: 'HEAD', url: `/client?${times}` })
    await app.ask({ method: 'POST', url: '/post' })
  }
  t.same(about(app.warnings()), [])
}))
