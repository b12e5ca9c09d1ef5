// Attacks: names and keys, hostile ones and those of other applications, and what logs show of them.
import type { FastifyInstance } from 'fastify'
import t from 'tap'
import fc from 'fast-check'
import { builtIns, defineBackend } from '../../../plugin.js'
import { build, forEachBackend, type Probe } from '../../support/app.js'
import { Barrier, until } from '../../support/barrier.js'
import { cached } from '../../support/document.js'
import { isFull, sized } from '../../support/size.js'

const HOSTILE = [
  '', '__proto__', 'constructor', 'a\0b', 'a\nb', '../../etc/passwd', '%2e%2e/', '*', '?', '[', "'; drop table cache_entries; --", '\ud800',
  '\udfff', '\u00e9', 'e\u0301', '0:', '0:d ', '0:r GET 1:/', 'CON', 'a:b', 'a/b', 'x'.repeat(1_000), 'x'.repeat(1_001), ' ', '  '
]

t.test('values under hostile keys stay apart, and apart from responses', async (t) => forEachBackend(t, async (t, on) => {
  const app = await build(t, { ...on, routes: (app, probe) => app.get('/', cached(), async () => { probe.ran(); return 'response' }) })
  await app.ask('/')
  const keys = HOSTILE.filter((key) => key !== '')
  for (const key of [...keys, ...await app.backends[0]!.keys!()]) await app.cache.set(key, { key }, { ttl: 60 })
  for (const key of keys) t.strictSame(await app.cache.get(key), { key }, JSON.stringify(key.slice(0, 20)))
  t.match(await app.ask('/'), { hit: true, text: 'response' }, 'a value is never taken for a response')
  for (const key of ['', undefined, null, 1, {}, ['a']]) await t.rejects(app.cache.get(key as string), { code: 'CACHE_ERR_OPTION' })
}))

t.test('thousands of random keys stay apart from each other', async (t) => forEachBackend(t, async (t, on) => {
  const app = await build(t, { ...on, routes: () => {} })
  const key = fc.oneof(fc.string({ unit: 'binary', minLength: 1, maxLength: 4 }),
    fc.string({ unit: fc.constantFrom('\ud800', '\udfff', '\0', ':', '0', 'd', ' ', '~'), minLength: 1, maxLength: 3 }))
  const keys = fc.sample(key, on.backend === 'memory' ? sized(10_000) : 500)
  for (const [at, one] of keys.entries()) await app.cache.set(one, at, { ttl: 60 })
  const last = new Map(keys.map((one, at) => [one, at]))
  let wrong = 0
  for (const [one, at] of last) if (await app.cache.get(one) !== at) wrong++
  t.equal(wrong, 0, `of ${last.size} keys`)
}))

t.test('a tag is only a name: invalidating one leaves every other alone', async (t) => forEachBackend(t, async (t, on) => {
  const app = await build(t, {
    ...on,
    deadline: '5s',
    routes: (app, probe) => app.get<{ Querystring: { tag: string } }>('/', cached({
      tags: (request) => [JSON.parse((request.query as { tag: string }).tag)]
    }), async (request) => { probe.ran(); return request.query.tag })
  })
  const tags = HOSTILE.filter((tag) => tag !== '')
  const url = (tag: string): string => `/?tag=${encodeURIComponent(JSON.stringify(tag))}`
  for (const tag of tags) t.match(await app.ask(url(tag)), { hit: false })
  // A response whose tags are new is not stored if anything is invalidated meanwhile.
  await until(async () => (await app.cache.stats()).stores === tags.length)
  for (const tag of tags) {
    await app.cache.invalidate(tag)
    const hits = await Promise.all(tags.map(async (other) => (await app.ask(url(other))).hit))
    t.strictSame(tags.filter((_, at) => !hits[at]), [tag], JSON.stringify(tag.slice(0, 20)))
  }
}))

t.test('invalid tags that a handler makes from its input are refused, and the response is sent', async (t) =>
  forEachBackend(t, async (t, on) => {
    const app = await build(t, {
      ...on,
      routes: (app, probe) => app.get<{ Querystring: { tags: string } }>('/', cached(), async (request, reply) => {
        probe.ran()
        reply.cache({ tags: JSON.parse(request.query.tags) })
        return 'response'
      })
    })
    for (const tags of [[''], [1], [null], 'a', null, {}, Array.from({ length: 65 }, (_, at) => `t${at}`), ['x'.repeat(1_025)], [['a']]]) {
      const url = `/?tags=${encodeURIComponent(JSON.stringify(tags))}`
      t.match(await app.ask(url), { hit: false, text: 'response', cacheStatus: /detail=(tags|reply-cache)/ }, url.slice(0, 40))
      t.match(await app.ask(url), { hit: false, text: 'response' })
    }
  }))

t.test('a hostile target of an invalidation is refused, or invalidates exactly what it names', async (t) =>
  forEachBackend(t, async (t, on) => {
    const app = await build(t, {
      ...on,
      routes: (app, probe) => {
        app.get('/kept', cached(), async () => { probe.ran(); return 'kept' })
        app.get('/items/:id', cached({ key: { headers: ['x-user'] } }), async () => { probe.ran(); return 'item' })
      }
    })
    await app.ask('/kept')
    const refused: unknown[] = [
      '', {}, [], null, undefined, 1, { url: '' }, { url: 'kept' }, { url: 'javascript:alert(1)' }, { url: '//evil#x' }, { url: '/a#b' },
      { url: 1 }, { url: ['/kept'] }, { method: 'GET' }, { url: '/kept', tags: ['a'] }, { tags: [''] }, { tags: 'kept' }, { tags: [1] },
      { route: '' }, { route: '/none' }, { route: '*' }, { route: '__proto__' }, { route: 'POST /kept' }, { key: '' }, { key: {} },
      { keys: ['a'] }, { url: '/*' }, { url: '/items/*' }, Object.create({ url: '/kept' }), 'x'.repeat(2_000)
    ]
    for (const target of refused) {
      await t.rejects(app.cache.invalidate(target as string), { code: 'CACHE_ERR_OPTION' }, JSON.stringify(target)?.slice(0, 60))
    }
    const harmless: unknown[] = [
      '*', '%', 'kept', '/kept', { tags: [] }, { tags: ['*', '__proto__'] }, { url: '/*a' }, { url: '/kep' }, { url: '/kept/' },
      { url: '/kept?' }, { url: '//kept' }, { url: '/%zz' }, { url: '/kept%' }, { url: 'http://other.example/kept' },
      { url: 'https://test.example/kept' }, { url: '/kept', method: 'POST' }, { url: '/kept', method: '__proto__' },
      { url: '/items/' + 'x'.repeat(1e5) }, { key: '*' }, { key: '/kept' }, { key: '__proto__' }, { route: '/items/:id' }
    ]
    for (const target of harmless) {
      await app.cache.invalidate(target as string)
      t.match(await app.ask('/kept'), { hit: true }, JSON.stringify(target).slice(0, 60))
    }
    for (const target of [
      { url: '/kept' }, { url: 'http://test.example/kept' }, { url: '/kept', method: 'head' }, { route: '/kept' }, { route: 'GET /kept' }
    ]) {
      await app.cache.invalidate(target)
      t.match(await app.ask('/kept'), { hit: false }, JSON.stringify(target))
    }
  }))

t.test('a URL that ends in parameters after a semicolon is invalidated as the router cuts it', async (t) =>
  forEachBackend(t, async (t, on) => {
    const app = await build(t, {
      ...on,
      fastify: { routerOptions: { useSemicolonDelimiter: true } as object },
      routes: (app, probe) => app.get('/p', cached(), async () => { probe.ran(); return 'x' })
    })
    await app.ask('/p;a=1')
    t.match(await app.ask('/p;a=1'), { hit: true })
    await app.cache.invalidate({ url: 'http://test.example/p;a=1' })
    t.match(await app.ask('/p;a=1'), { hit: false })
  }))

t.test('two applications on one store see nothing of each other, and clear only their own entries', async (t) =>
  forEachBackend(t, async (t, on) => {
    const shared = (await builtIns().open({ backend: on.backend, options: on.options } as never))
    const lent = {
      ...Object.fromEntries(['get', 'set', 'delete', 'has', 'clear', 'keys'].map((name) => [
        name, (...args: unknown[]) => (shared as unknown as Record<string, (...args: unknown[]) => unknown>)[name]!(...args)
      ])),
      close () {}
    }
    const names = ['', 'a', 'a:', '1:a', '*', '%', '0:r GET ']
    const apps = []
    for (const namespace of names) {
      const registry = builtIns().add('lent' as never, () => defineBackend<object>({ name: 'lent', create: () => lent as never }) as never)
      apps.push(await build(t, {
        registry,
        backend: 'lent',
        namespace,
        compare: false,
        routes: (app: FastifyInstance, probe: Probe) =>
          app.get('/', cached({ tags: ['all'] }), async () => { probe.ran(); return `of ${namespace}` })
      } as never))
    }
    // The store has the system's clock, like any store of several applications.
    for (const app of apps) await app.clock.pass(Date.now() - app.clock.now())
    for (const app of apps) await app.cache.set('key', names[apps.indexOf(app)], { ttl: 60 })
    for (const hit of [false, true]) {
      for (const [at, app] of apps.entries()) t.match(await app.ask('/'), { hit, text: `of ${names[at]}` }, `namespace ${names[at]}`)
    }
    for (const [at, app] of apps.entries()) {
      await app.cache.invalidate('all')
      t.match(await app.ask('/'), { hit: false })
      await app.cache.clear()
      for (const [other, its] of apps.entries()) {
        t.equal(await its.cache.get('key'), other <= at ? undefined : names[other])
        if (other !== at) t.match(await its.ask('/'), { hit: true }, `${names[at]} cleared, ${names[other]} asked`)
      }
      await app.ask('/')
    }
    await shared.close()
  }, ['memory', 'sqlite', 'file', 'tiered']))

t.test('whatever fails, no log line contains a password, a token, a cookie or a body', async (t) => forEachBackend(t, async (t, on) => {
  const secrets = { password: 'pw-4f1c', bearer: 'tok-77aa', cookie: 'ck-90de', body: 'body-31bb', query: 'q-5e5e' }
  const failing = (): never => {
    throw Object.assign(new Error(`connect redis://:${secrets.password}@cache:6379\n${secrets.body}`), {
      code: 'ERR', command: { name: 'set', args: ['key', secrets.body] }, url: `redis://:${secrets.password}@cache`
    })
  }
  const registry = builtIns().add('broken' as never, () => defineBackend<object>({
    name: 'broken', create: () => ({ get: failing, set: failing, delete: failing, clear: failing, stats: failing, close: failing })
  }) as never)
  const inner = await builtIns().open({ backend: on.backend, options: on.options } as never)
  await inner.close()
  const app = await build(t, {
    registry,
    backend: 'broken',
    routes (app, probe) {
      app.get('/', cached({ tags: ['a'] }), async () => { probe.ran(); return secrets.body })
      app.get(
        '/key',
        cached({ key: () => { throw Object.assign(new Error('no user'), { request: { headers: { authorization: secrets.bearer } } }) } }),
        async () => secrets.body)
      app.get('/tags', cached({ tags: () => { throw new Error('no tags') } }), async (request) =>
        `${secrets.body}${String(request.headers.cookie)}`)
      app.get('/data', async (request) => { await request.server.cache?.set('k', secrets.body, { ttl: 60 }); return 'x' })
    }
  })
  await app.ask({ url: '/data', compare: false })
  for (let times = 0; times < 8; times++) {
    for (const url of ['/', '/key', '/tags']) {
      await app.ask({ url: `${url}?token=${secrets.query}`, headers: { 'x-token': secrets.bearer } })
    }
    await app.ask({ url: '/', headers: { authorization: `Bearer ${secrets.bearer}`, cookie: secrets.cookie } })
  }
  for (const call of [app.cache.invalidate('a'), app.cache.clear(), app.cache.get('k'), app.cache.set('k', secrets.body, { ttl: 1 })]) {
    await t.rejects(call)
  }
  await app.app.close()
  const lines = app.logs.filter(({ msg }) => /^cache: /.test(String(msg))).map((line) => JSON.stringify(line))
  t.ok(lines.length > 2, `${lines.length} lines were written`)
  for (const [what, secret] of Object.entries(secrets)) t.strictSame(lines.filter((line) => line.includes(secret)), [], what)
}))

t.test('a hundred thousand parameters or fields of a request cost time in proportion', async (t) =>
  forEachBackend(t, async (t, on) => {
    const app = await build(t, {
      ...on,
      compare: false,
      routes: (app, probe) => {
        app.get('/', cached({ key: { query: ['a'], cookies: ['session'] } }), async () => { probe.ran(); return 'x' })
      }
    })
    const query = Array.from({ length: 100_000 }, (_, at) => `${at}=1`).join('&')
    const cookies = Array.from({ length: 100_000 }, (_, at) => `${at}=1`).join('; ')
    for (const ask of [{ url: `/?${query}` }, { url: '/', headers: { cookie: cookies } }]) {
      t.ok((await app.ask({ ...ask, via: 'inject' })).tookMs < 1_500)
    }
  }))

t.test('when the clock goes back or far ahead, entries neither live forever nor expire all at once', async (t) =>
  forEachBackend(t, async (t, on) => {
    const app = await build(t, { ...on, compare: false, routes: (app, probe) => app.get('/', cached(), async () => `run ${probe.ran()}`) })
    t.match(await app.ask('/'), { text: 'run 1' })
    await app.clock.pass(-30_000)
    const back = await app.ask('/')
    t.match(back, { hit: true, text: 'run 1', headers: { age: '0' } }, 'a little back: no negative age')
    await app.clock.pass(-3_600_000)
    t.match(await app.ask('/'), { hit: false, text: 'run 2' }, 'an entry from the future is not trusted')
    t.match(await app.ask('/'), { hit: true, text: 'run 2' })
    await app.clock.pass(86_400_000)
    t.match(await app.ask('/'), { hit: false, text: 'run 3' })
    await app.clock.pass(-86_400_000)
    t.match(await app.ask('/'), { hit: false, text: 'run 4' })
    t.match(await app.ask('/'), { hit: true, text: 'run 4' })
  }))

t.test('an invalid ttl from the handler stores nothing and costs no response', async (t) =>
  forEachBackend(t, async (t, on) => {
    const values: Record<string, unknown> = {
      0: 0,
      minus: -1,
      nan: NaN,
      infinity: Infinity,
      text: '5',
      space: '5 m',
      null: null,
      true: true,
      huge: 1e308,
      bigint: 1n,
      object: {},
      list: [5],
      empty: ''
    }
    const app = await build(t, {
      ...on,
      routes: (app, probe) => app.get<{ Params: { which: string } }>('/:which', cached(), async (request, reply) => {
        probe.ran()
        reply.cache({ ttl: values[request.params.which] as number })
        return 'response'
      })
    })
    for (const which of Object.keys(values)) {
      t.match(await app.ask(`/${which}`), { hit: false, text: 'response', cacheStatus: /detail=ttl/ }, which)
      t.match(await app.ask(`/${which}`), { hit: false, text: 'response' }, which)
    }
  }))

t.test('a flood of URLs that are requested once does not evict those that are requested often', async (t) => {
  const app = await build(t, {
    backend: 'memory',
    options: { maxBytes: 200 * 2_500 },
    compare: false,
    routes: (app, probe) => app.get('/*', cached(), async () => { probe.ran(); return 'x'.repeat(1_000) })
  })
  let [asked, hits] = [0, 0]
  for (let round = 0; round < (isFull ? 60 : 20); round++) {
    for (let at = 0; at < 40; at++) await app.ask({ url: `/flood/${round}/${at}`, via: 'inject' })
    for (let at = 0; at < 20; at++) {
      asked++
      if ((await app.ask({ url: `/hot/${at}`, via: 'inject' })).hit) hits++
    }
  }
  t.ok(hits / asked > 0.8, `${hits} of ${asked}`)
})

t.test('clear() during a fill is not undone by it', async (t) => forEachBackend(t, async (t, on) => {
  const barrier = new Barrier()
  const app = await build(t, {
    ...on,
    compare: false,
    routes: (app, probe) => app.get('/', cached(), async () => { if (probe.ran() === 1) await barrier.pass(); return 'x' })
  })
  const first = app.ask('/')
  await barrier.reached()
  await app.cache.clear()
  barrier.open()
  t.match(await first, { text: 'x' })
  t.match(await app.ask('/'), { hit: false })
}))
