// Bad input is refused with a coded error when it is registered. If it comes up while a request runs, it costs no response.
import { createRequire } from 'node:module'
import { join } from 'node:path'
import Fastify, { type FastifyInstance, type FastifyPluginAsync, type FastifyReply, type FastifyRequest } from 'fastify'
import fastifyPlugin from 'fastify-plugin'
import t from 'tap'
import responseCache, { builtIns, defineBackend, type BackendOptions, type Registry, type RouteCacheOptions } from '../../../plugin.js'
import { build, forEachBackend } from '../../support/app.js'

/** The error with which `register` ends. */
async function failure (register: (app: FastifyInstance) => unknown): Promise<{ code?: string, message: string }> {
  const app = Fastify()
  try {
    await register(app)
    await app.ready()
    return { message: 'no error' }
  } catch (err) {
    return err as Error
  } finally {
    await app.close().catch(() => {})
  }
}

const register = (options: object) => async (app: FastifyInstance) => await app.register(responseCache, options as never)

/** A registry with a backend that `create` makes, whatever that is. */
const withBackend = (create: unknown): Registry => builtIns().add('odd' as keyof BackendOptions, () => create as never)

const NOT_DURATIONS = [0, -1, NaN, Infinity, -Infinity, '5', '5 m', '', 'm', '-5m', '1e3s', true, null, 1e308, {}, [], 1n, 2 ** 53]

t.test("a value that is not a duration is refused wherever a duration is expected, with the option's name and the value", async (t) => {
  for (const value of NOT_DURATIONS) {
    const shown = typeof value === 'string' ? `'${value}'` : typeof value === 'bigint' ? '1n' : ''
    for (const option of ['deadline', 'lockTimeout']) {
      t.match(
        await failure(register({ [option]: value })),
        { code: 'CACHE_ERR_OPTION', message: `fastify-response-cache.${option}' must be a positive number of seconds` },
        `${option} ${String(value)}`)
    }
    t.match(await failure(register({ defaults: { ttl: value } })), { code: 'CACHE_ERR_OPTION', message: /defaults\.ttl' must be/ },
      `defaults.ttl ${String(value)}`)
    const { code, message } = await failure(async (app) => {
      await register({})(app)
      app.get('/products', { config: { cache: { ttl: value as number } } }, async () => 'x')
    })
    t.equal(code, 'CACHE_ERR_OPTION')
    t.ok(message.includes("'GET /products config.cache.ttl' must be a positive number of seconds or a string such as '250ms'") &&
      message.includes(shown), message)
  }
  for (const ttl of [1.5, '250ms', '40d', 2 ** 22, '1.5h', '3650d'] as const) {
    t.match(await failure(async (app) => { await register({})(app); app.get('/', { config: { cache: { ttl } } }, async () => 'x') }),
      { message: 'no error' }, String(ttl))
  }
})

const PLUGIN: Array<[why: string, options: object, code: string, says: RegExp]> = [
  ['an unknown backend', { backend: 'sqllite' }, 'CACHE_ERR_BACKEND_UNKNOWN', /'sqllite'; known are memory, .*sqlite.*registry\.add/],
  ['an unknown backend with the name of a property of Object', { backend: 'constructor' }, 'CACHE_ERR_BACKEND_UNKNOWN', /'constructor'/],
  ['a backend that is not a name', { backend: 5 }, 'CACHE_ERR_OPTION', /fastify-response-cache\.backend' must be a non-empty string.*got 5/],
  ['an empty name', { backend: '' }, 'CACHE_ERR_OPTION', /backend/],
  ['an unknown option', { ttl: 5 }, 'CACHE_ERR_OPTION', /fastify-response-cache\.ttl' must be absent.*known are backend, options/],
  ['an unknown option of the backend', { options: { maxbytes: 5 } }, 'CACHE_ERR_OPTION',
    /memory\.maxbytes' must be absent.*known are maxBytes/],
  ['a wrong option of the backend', { options: { maxBytes: '64mb' } }, 'CACHE_ERR_OPTION',
    /memory\.maxBytes' must be a positive integer, got '64mb'/],
  ['options that are null', { options: null }, 'CACHE_ERR_OPTION', /memory' must be an object, got null/],
  ['options that are a list', { options: [] }, 'CACHE_ERR_OPTION', /memory' must be an object, got \[\]/],
  ['a table name that is SQL', { backend: 'sqlite', options: { path: ':memory:', table: 'x; drop' } }, 'CACHE_ERR_OPTION',
    /sqlite\.table' must be .*got 'x; drop'/],
  ['a directory that does not exist', { backend: 'sqlite', options: { path: '/no/such/folder/cache.db' } }, 'CACHE_ERR_OPTION',
    /sqlite\.path/],
  ['a registry that is not a Registry', { registry: new Map() }, 'CACHE_ERR_OPTION', /registry' must be a Registry, made with builtIns/],
  ['a namespace that is not text', { namespace: 5 }, 'CACHE_ERR_OPTION', /namespace' must be a string, got 5/],
  ['a clock that is not a function', { now: 5 }, 'CACHE_ERR_OPTION', /now' must be a function/],
  ['a cacheStatus that is not a name', { cacheStatus: 'not a token' }, 'CACHE_ERR_OPTION', /cacheStatus/],
  ['a cacheStatus that would split the field', { cacheStatus: 'a\r\nx: y' }, 'CACHE_ERR_OPTION', /cacheStatus/],
  ['defaults that are null', { defaults: null }, 'CACHE_ERR_OPTION', /defaults' must be an object, got null/],
  ['defaults with an unknown option', { defaults: { maxAge: 5 } }, 'CACHE_ERR_OPTION', /defaults\.maxAge' must be absent.*known are ttl/],
  ['a decorator that is taken', { decorateAs: 'server' }, 'CACHE_ERR_OPTION',
    /decorateAs' must be an unused name, got 'server'.*Choose another/],
  ['a backend module without a definition', { backend: 'odd', registry: withBackend({}) }, 'CACHE_ERR_BACKEND_CONTRACT',
    /'odd' must have a definition made with defineBackend/],
  ['a backend without methods', { backend: 'odd', registry: withBackend({ create: () => ({ get () {} }) }) }, 'CACHE_ERR_BACKEND_CONTRACT',
    /'odd' must have the methods get, set, delete, close, got one without set, delete, close/],
  ['a backend that is nothing', { backend: 'odd', registry: withBackend({ create: () => undefined }) },
    'CACHE_ERR_BACKEND_CONTRACT', /'odd'/]
]

t.test('a wrong option of the plugin is refused with its name, what was expected, what came and what to do', async (t) => {
  for (const [why, options, code, says] of PLUGIN) t.match(await failure(register(options)), { code, message: says }, why)
  const opened = new Error('the disk is on fire')
  t.equal(
    await failure(register({ backend: 'odd', registry: withBackend(defineBackend({ name: 'odd', create: () => { throw opened } })) })),
    opened, 'an error that a backend throws is passed on unchanged')
})

const ROUTE: Array<[why: string, cache: unknown, says: RegExp]> = [
  ['not an object', 'yes', /config\.cache' must be an object, got text that is not shown/],
  ['null', null, /must be an object, got null/],
  ['a number', 5, /must be an object, got 5/],
  ['an unknown option', { tll: 5 }, /config\.cache\.tll' must be absent.*known are ttl/],
  ['a method that cannot be cached', { methods: ['PUT'] }, /methods' must be an array of GET, HEAD, POST, QUERY, got \[.*'PUT'/],
  ['a status that cannot be stored', { statuses: [206] }, /statuses' must be/],
  ['a status that is not a number', { statuses: ['200'] }, /statuses' must be/],
  ['a key that is text', { key: 'id' }, /key' must be an object or a function, got 'id'/],
  ['an unknown part of the key', { key: { user: true } }, /key\.user' must be absent.*known are query/],
  ['a query that is text', { key: { query: 'page' } }, /key\.query' must be/],
  ['a field that is not a name', { key: { headers: [''] } }, /key\.headers' must be/],
  ['a principal that is not a function', { key: { by: 'user' } }, /key\.by' must be a function/],
  ['credentials that is an unknown word', { credentials: 'yes' }, /credentials' must be 'bypass' or 'ignore' or 'shared', got 'yes'/],
  ['tags that are text', { tags: 'products' }, /tags' must be a function, or an array/],
  ['an empty tag', { tags: [''] }, /tags' must be/],
  ['too many tags', { tags: Array(65).fill('t') }, /tags' must be/],
  ['a limit that is not a number', { maxBodyBytes: '1mb' }, /maxBodyBytes' must be a positive integer, got '1mb'/],
  ['a limit of zero', { maxBodyBytes: 0 }, /maxBodyBytes/],
  ['clientCacheControl that is an unknown word', { clientCacheControl: true }, /clientCacheControl' must be 'honour' or 'ignore'/],
  ['a lock that is not true or false', { lock: 1 }, /lock' must be true or false, got 1/]
]

t.test('a wrong option of a route is refused at registration, and the error names the route', async (t) => {
  for (const [why, cache, says] of ROUTE) {
    const { code, message } = await failure(async (app) => {
      await register({})(app)
      app.register(async (child) => { child.get('/items/:id', { config: { cache: cache as RouteCacheOptions } }, async () => 'x') },
        { prefix: '/v1' })
    })
    t.equal(code, 'CACHE_ERR_OPTION', why)
    t.match(message, says, why)
    t.match(message, /'GET \/v1\/items\/:id config\.cache/, why)
  }
})

// Loaded without its types, because they give `app.cache` another type in the whole compilation.
const caching = createRequire(import.meta.url)('@fastify/caching') as FastifyPluginAsync

t.test('decorateAs: a name that another plugin has taken is refused, and @fastify/caching is named', async (t) => {
  const nested = async (app: FastifyInstance): Promise<void> => {
    await app.register(caching)
    app.register(async (child) => { await register({})(child) })
  }
  for (const [where, taken] of [
    ['in the same scope', async (app: FastifyInstance) => { await app.register(caching); await register({})(app) }],
    ['in a scope of its own', nested]
  ] as const) {
    t.match(await failure(taken), {
      code: 'CACHE_ERR_OPTION', message: /decorateAs' must be an unused name, got 'cache': @fastify\/caching took it/
    }, where)
  }
  t.match(await failure(async (app) => { await app.register(caching); await register({ decorateAs: 'responseCache' })(app) }),
    { message: 'no error' })
  const other = fastifyPlugin(async (app) => { app.decorate('cache' as 'other', {} as never) })
  t.match(await failure(async (app) => { await app.register(other); await register({})(app) }), {
    code: 'CACHE_ERR_OPTION', message: /another plugin took it, as @fastify\/caching does/
  })
  t.match(await failure(async (app) => { app.decorateReply('cache' as 'other', null as never); await register({})(app) }), {
    code: 'CACHE_ERR_OPTION', message: /decorates the reply/
  })
  t.match(await failure(async (app) => { await register({})(app); await register({ decorateAs: 'second' })(app) }), {
    code: 'CACHE_ERR_OPTION', message: /once in a scope.*scope of its own/
  })
})

type Handler = (request: FastifyRequest, reply: FastifyReply) => unknown
const given = (options: unknown): Handler => async (_request, reply) => { reply.cache(options as object); return { delivered: true } }
const plain: Handler = async () => ({ delivered: true })

/** What goes wrong while a request runs: options, handler, the counter and its reason, and whether there is a warning. */
const RUNNING: Array<[
  why: string, cache: RouteCacheOptions, handler: Handler, counter: 'bypasses' | 'refusals', reason: string, warned: boolean
]> = [
  ...NOT_DURATIONS.filter((ttl) => ttl !== 0)
    .map((ttl) => [`reply.cache ttl ${String(ttl)}`, {}, given({ ttl }), 'refusals', 'ttl', true] as (typeof RUNNING)[number]),
  ['reply.cache ttl 0', {}, given({ ttl: 0 }), 'refusals', 'ttl', false],
  ['reply.cache tags text', {}, given({ tags: 'a' }), 'refusals', 'tags', true],
  ['reply.cache empty tag', {}, given({ tags: [''] }), 'refusals', 'tags', true],
  ['reply.cache long tag', {}, given({ tags: ['x'.repeat(1025)] }), 'refusals', 'tags', true],
  ['reply.cache many tags', {}, given({ tags: Array(10_000).fill('t') }), 'refusals', 'tags', true],
  ['reply.cache store text', {}, given({ store: 'no' }), 'refusals', 'reply-cache', true],
  ['reply.cache unknown', {}, given({ max: 5 }), 'refusals', 'reply-cache', true],
  ['reply.cache null', {}, given(null), 'refusals', 'reply-cache', true],
  ['reply.cache nothing', {}, given(undefined), 'refusals', 'reply-cache', true],
  ['reply.cache store false', {}, given({ store: false }), 'refusals', 'reply-store-false', false],
  ['key throws', { key: () => { throw new Error('no user') } }, plain, 'bypasses', 'key', true],
  ['key promises', { key: (async () => 'x') as never }, plain, 'bypasses', 'key', true],
  ['key rejects', { key: (async () => { throw new Error('no user') }) as never }, plain, 'bypasses', 'key', true],
  ['key object', { key: (() => ({})) as never }, plain, 'bypasses', 'key', true],
  ['key number', { key: (() => NaN) as never }, plain, 'bypasses', 'key', true],
  ['key null', { key: (() => null) as never }, plain, 'bypasses', 'key', true],
  ['key empty', { key: () => '' }, plain, 'bypasses', 'key', false],
  ['key undefined', { key: () => undefined }, plain, 'bypasses', 'key', false],
  ['by throws', { key: { by: () => { throw new Error('no user') } } }, plain, 'bypasses', 'key', true],
  ['by undefined', { key: { by: (() => undefined) as never } }, plain, 'bypasses', 'key', false],
  ['by object', { key: { by: (() => ({})) as never } }, plain, 'bypasses', 'key', true],
  ['tags throws', { tags: () => { throw new Error('no tags') } }, plain, 'refusals', 'tags', true],
  ['tags text', { tags: (() => 'a') as never }, plain, 'refusals', 'tags', true],
  ['tags promises', { tags: (async () => ['a']) as never }, plain, 'refusals', 'tags', true],
  ['tags rejects', { tags: (async () => { throw new Error('no tags') }) as never }, plain, 'refusals', 'tags', true],
  ['tags number', { tags: (() => [5]) as never }, plain, 'refusals', 'tags', true]
]

t.test('after a mistake at run time the response is sent, not stored, counted with a reason, and warned about once', async (t) =>
  forEachBackend(t, async (t, on) => {
    const app = await build(t, {
      ...on,
      routes (app, probe) {
        RUNNING.forEach(([, cache, handler], at) => {
          app.get(`/${at}`, { config: { cache: { ttl: '1m', ...cache } } }, (request, reply) => {
            probe.ran(String(at))
            return handler(request, reply)
          })
        })
      }
    })
    for (const [at, [why, , , counter, reason, warned]] of RUNNING.entries()) {
      const before = app.warnings().length
      for (let times = 0; times < 3; times++) {
        t.match(await app.ask(`/${at}`), {
          status: 200, text: '{"delivered":true}', hit: false, cacheStatus: new RegExp(`detail=${reason}$`)
        }, why)
      }
      t.equal(app.runs(String(at)), 3)
      t.match((await app.cache.stats()).routes[`GET /${at}`], { stores: 0, [counter]: { [reason]: 3 } }, why)
      const warnings = app.warnings().slice(before)
      t.equal(warnings.length, warned ? 1 : 0, `${why}: ${JSON.stringify(warnings)}`)
      if (warned) t.match(warnings[0], { route: `GET /${at}`, reason, err: { message: String } }, why)
    }
    t.equal((await app.cache.stats()).entries, 0)
  }))

t.test('a key may have a megabyte, and keys with different lone surrogates are different', async (t) => forEachBackend(t, async (t, on) => {
  const keys = [
    'x'.repeat(1e6), `${'x'.repeat(1e6 - 1)}y`, '\ud800', '\udfff', '[object Object]', 'undefined', '__proto__', '../../etc', '\0'
  ]
  const app = await build(t, {
    ...on,
    routes (app) {
      app.get('/:at', { config: { cache: { ttl: '1m', key: (request) => keys[Number((request.params as { at: string }).at)] } } },
        async (request) => request.params)
    }
  })
  for (const hit of [false, true]) for (const at of keys.keys()) t.match(await app.ask(`/${at}`), { hit, text: `{"at":"${at}"}` })
  for (const key of await app.backends.at(-1)!.keys!()) t.ok(key.length < 200, 'a backend receives short keys')
}))

t.test('SQLite warns about a file that is not a database, and starts anew', async (t) => {
  const path = join(t.testdir({ 'cache.db': 'not a database, but long enough to be read as one '.repeat(100) }), 'cache.db')
  const app = await build(t, {
    backend: 'sqlite', options: { path }, routes (app) { app.get('/', { config: { cache: { ttl: '1m' } } }, async () => 'x') }
  })
  for (const hit of [false, true]) t.match(await app.ask('/'), { hit })
  t.match(app.warnings(), [{ msg: /damaged/ }])
})
