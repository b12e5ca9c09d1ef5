// Plugin options from environment variables.
import { join } from 'node:path'
import Fastify from 'fastify'
import t from 'tap'
import responseCache, { builtIns, defineBackend, fromEnvironment } from '../../plugin.js'
import { VARIABLES } from '../../response/options/environment.js'

const refused = (environment: Record<string, string>): Error => {
  try {
    fromEnvironment(environment)
  } catch (err) {
    return err as Error
  }
  return new Error('nothing was thrown')
}

t.test('environment: without variables the backend is memory, with the defaults', async (t) => {
  t.same(fromEnvironment({}), { backend: 'memory', options: {} })
  t.same(fromEnvironment(Object.fromEntries(VARIABLES.map((name) => [name, '']))), { backend: 'memory', options: {} },
    'an empty variable counts as absent')
})

t.test('environment: each backend has its variables, and those of other backends are ignored', async (t) => {
  const all = {
    MEMORY_CACHE_BYTES: '1000',
    SQLITE_PATH: '/a/b.db',
    CACHE_DIR: '/c',
    REDIS_URL: 'rediss://user:secret@host:1/2',
    CACHE_HTTP_URL: 'https://host/x',
    CACHE_HTTP_TOKEN: 'secret'
  }
  const options = {
    memory: { maxBytes: 1_000 },
    sqlite: { path: '/a/b.db' },
    file: { dir: '/c' },
    redis: { url: 'rediss://user:secret@host:1/2' },
    http: { baseUrl: 'https://host/x', authToken: 'secret' }
  }
  for (const [backend, expected] of Object.entries(options)) {
    t.same(fromEnvironment({ ...all, CACHE_BACKEND: backend }), { backend, options: expected })
  }
  t.same(fromEnvironment({ CACHE_BACKEND: 'memory', REDIS_URL: 'nonsense', SQLITE_PATH: 'x' }), { backend: 'memory', options: {} })
})

t.test('environment: tiered is memory in front of the backend that a variable names, or SQLite if none does', async (t) => {
  const tiered = (far: object, near = {}) => ({ backend: 'tiered', options: { tiers: [{ backend: 'memory', options: near }, far] } })
  t.same(fromEnvironment({ CACHE_BACKEND: 'tiered' }), tiered({ backend: 'sqlite', options: {} }))
  t.same(fromEnvironment({ CACHE_BACKEND: 'tiered', REDIS_URL: 'redis://h', MEMORY_CACHE_BYTES: '5' }),
    tiered({ backend: 'redis', options: { url: 'redis://h' } }, { maxBytes: 5 }))
  t.same(fromEnvironment({ CACHE_BACKEND: 'tiered', CACHE_DIR: 'd' }), tiered({ backend: 'file', options: { dir: 'd' } }))
  t.match(refused({ CACHE_BACKEND: 'tiered', CACHE_DIR: 'd', SQLITE_PATH: 's' }), {
    code: 'CACHE_ERR_OPTION', message: /CACHE_BACKEND.*SQLITE_PATH and CACHE_DIR$/
  })
})

t.test('environment: namespace and ttl are options of the plugin, and a number is seconds', async (t) => {
  t.same(fromEnvironment({ CACHE_NAMESPACE: 'shop', CACHE_DEFAULT_TTL: '90' }), {
    backend: 'memory', options: {}, namespace: 'shop', defaults: { ttl: 90 }
  })
  t.same(fromEnvironment({ CACHE_DEFAULT_TTL: '5m' }), { backend: 'memory', options: {}, defaults: { ttl: '5m' } })
})

t.test('environment: a wrong value is refused by the name of its variable', async (t) => {
  const wrong: ReadonlyArray<readonly [name: string, environment: Record<string, string>]> = [
    ['CACHE_BACKEND', { CACHE_BACKEND: 'sqllite' }],
    ['CACHE_BACKEND', { CACHE_BACKEND: '__proto__' }],
    ['CACHE_BACKEND', { CACHE_BACKEND: 'toString' }],
    ...[
      '-1', '0', '5 m', 'soon', '1e400', 'Infinity', '99999d'
    ].map((value) => ['CACHE_DEFAULT_TTL', { CACHE_DEFAULT_TTL: value }] as const),
    ...[
      '-1', '0', '64mb', '1.5', '1e9', '99999999999999999999'
    ].map((value) => ['MEMORY_CACHE_BYTES', { MEMORY_CACHE_BYTES: value }] as const),
    ['REDIS_URL', { CACHE_BACKEND: 'redis' }],
    ['REDIS_URL', { CACHE_BACKEND: 'redis', REDIS_URL: 'http://host' }],
    ['CACHE_HTTP_URL', { CACHE_BACKEND: 'http' }],
    ['CACHE_HTTP_URL', { CACHE_BACKEND: 'http', CACHE_HTTP_URL: 'file:///etc/passwd' }],
    ['CACHE_HTTP_TOKEN', { CACHE_BACKEND: 'http', CACHE_HTTP_URL: 'http://host', CACHE_HTTP_TOKEN: 'a\r\nb' }]
  ]
  for (const [name, environment] of wrong) {
    t.match(refused(environment), { code: 'CACHE_ERR_OPTION', message: new RegExp(`^cache: '${name}' must be `) },
      JSON.stringify(environment))
  }
  t.throws(() => fromEnvironment(undefined as never), { code: 'CACHE_ERR_OPTION', message: /process\.env/ })
})

t.test('environment: no message contains a possible secret', async (t) => {
  for (const environment of [
    { CACHE_BACKEND: 'redis', REDIS_URL: 'redis://:secret@[host' },
    { CACHE_BACKEND: 'redis', REDIS_URL: 'ftp://user:secret@host' },
    { CACHE_BACKEND: 'http', CACHE_HTTP_URL: 'ws://user:secret@host' },
    { CACHE_BACKEND: 'http', CACHE_HTTP_URL: 'http://host', CACHE_HTTP_TOKEN: 'a secret' }
  ]) {
    const { message, cause, stack } = refused(environment)
    t.match(message, /not shown/)
    t.notMatch(`${message} ${stack} ${String(cause)}`, /secret/)
  }
})

t.test('environment: a custom backend may be chosen from a registry', async (t) => {
  const mine = 'mine' as 'memory'
  const registry = builtIns().add(mine, () =>
    defineBackend({ name: 'mine', create: async (_options, context) => await context.open({ backend: 'memory' }) }))
  t.same(fromEnvironment({ CACHE_BACKEND: 'mine' }, { registry }), { backend: 'mine', options: {}, registry })
  t.throws(() => fromEnvironment({ CACHE_BACKEND: 'yours' }, { registry }), { message: /one of memory, .*mine, got 'yours'/ })
})

t.test('environment: an application is registered with the returned options, and caches', async (t) => {
  for (const CACHE_BACKEND of ['memory', 'sqlite', 'tiered']) {
    const app = Fastify()
    const SQLITE_PATH = join(t.testdir({}), 'cache.db')
    await app.register(responseCache,
      fromEnvironment({ ...process.env, CACHE_BACKEND, SQLITE_PATH, CACHE_DEFAULT_TTL: '60', CACHE_NAMESPACE: 'n' }))
    app.get('/', { config: { cache: true } }, async () => 'response')
    t.match((await app.inject('/')).headers['cache-status'], /stored$/)
    t.match((await app.inject('/')).headers['cache-status'], /hit; ttl=\d+$/, CACHE_BACKEND)
    t.equal(app.cache.backend.name, CACHE_BACKEND)
    await app.close()
  }
})
