// Likely mistakes: each error names the argument, what was expected, what was given, and what was probably meant.
import Fastify, { type FastifyInstance } from 'fastify'
import t from 'tap'
import responseCache, { type ResponseCache } from '../../../plugin.js'

type Mistake = [what: string, says: RegExp[], make: (app: FastifyInstance) => unknown]

const route = (cache: unknown) => async (app: FastifyInstance): Promise<void> => {
  await app.register(responseCache)
  app.get('/products/:id', { config: { cache: cache as object } }, async () => '')
}
const plugin = (options: object) => async (app: FastifyInstance): Promise<void> => { await app.register(responseCache, options as object) }
const call = (act: (cache: ResponseCache) => unknown) => async (app: FastifyInstance): Promise<void> => {
  await route({ ttl: '1m' })(app)
  await app.ready()
  await act(app.cache)
}
const any = (value: unknown): never => value as never

const MISTAKES: Mistake[] = [
  // Where an option belongs.
  ['path beside backend', [/fastify-response-cache\.path'/, /got '\.\/cache\.db'/, /options of a backend go in options: \{/],
    plugin({ backend: 'sqlite', path: './cache.db' })],
  ['maxBytes beside backend', [/maxBytes'/, /got 1000/, /go in options/], plugin({ maxBytes: 1000 })],
  ['dir beside backend', [/go in options/], plugin({ backend: 'file', dir: '/tmp' })],
  ['ttl of the registration', [/fastify-response-cache\.ttl'/, /got 60/, /options of routes go in defaults: \{/], plugin({ ttl: 60 })],
  ['statuses of the registration', [/go in defaults/], plugin({ statuses: [200] })],
  ['a timeout of the registration', [/timeout'/, /did you mean deadline\?/], plugin({ timeout: 100 })],
  ['a type of backend', [/did you mean backend\?/], plugin({ type: 'redis' })],
  ['headers beside key', [/GET \/products\/:id config\.cache\.headers'/, /belongs in key: \{/], route({ ttl: 1, headers: ['accept'] })],
  ['by beside key', [/belongs in key/], route({ ttl: 1, by: () => 'me' })],
  ['a backend of a route', [/is an option of the registration/], route({ ttl: 1, backend: 'redis' })],
  // Other names.
  ['maxAge', [/config\.cache\.maxAge'/, /got 60; did you mean ttl, in seconds/], route({ maxAge: 60 })],
  ['expiresIn', [/did you mean ttl/], route({ expiresIn: '1m' })],
  ['swr', [/did you mean staleWhileRevalidate\?/], route({ ttl: 1, swr: 5 })],
  ['statusCodes', [/did you mean statuses\?/], route({ ttl: 1, statusCodes: [200] })],
  ['method', [/did you mean methods, an array\?/], route({ ttl: 1, method: 'POST' })],
  ['shouldCache', [/did you mean when\?/], route({ ttl: 1, shouldCache: () => true })],
  ['enabled', [/a route whose cache is false or absent is not cached/], route({ enabled: false })],
  ['private', [/did you mean key: \{ by:/], route({ ttl: 1, private: true })],
  ['keyGenerator', [/did you mean key: \{ by:/], route({ ttl: 1, keyGenerator: () => '' })],
  // Typing errors.
  ['tll', [/config\.cache\.tll'/, /got 5; did you mean ttl\?/], route({ tll: 5 })],
  ['staleIfErorr', [/did you mean staleIfError\?/], route({ ttl: 1, staleIfErorr: 5 })],
  ['invalidate', [/did you mean invalidates\?/], route({ invalidate: ['a'] })],
  ['namepsace', [/got 'a'; did you mean namespace\?/], plugin({ namepsace: 'a' })],
  ['quary of a key', [/key\.quary'/, /did you mean query\?/], route({ ttl: 1, key: { quary: true } })],
  ['maxbytes of memory', [/memory\.maxbytes'/, /got 5; did you mean maxBytes\?/], plugin({ options: { maxbytes: 5 } })],
  // Values of a wrong kind.
  ['a ttl with a word', [/config\.cache\.ttl' must be a positive number of seconds or a string such as '250ms'/, /got '1 minute'/],
    route({ ttl: '1 minute' })],
  ['tags that are a text', [/tags' must be a function, or an array/, /got 'a'/], route({ ttl: 1, tags: 'a' })],
  ['methods that are a text', [/methods' must be an array of GET/, /got 'POST'/], route({ ttl: 1, methods: 'POST' })],
  ['methods in small letters', [/methods' must be an array of GET/, /got \[ 'get' \]/], route({ ttl: 1, methods: ['get'] })],
  ['a status that is a text', [/statuses'/, /got \[ '200' \]/], route({ ttl: 1, statuses: ['200'] })],
  ['when that is a value', [/when' must be a function, got true/], route({ ttl: 1, when: true })],
  ['invalidates: true', [/invalidates' must be an array/, /got true/], route({ invalidates: true })],
  // Calls.
  ['getOrSet without options', [/the options of cache\.getOrSet' must be an object with a ttl/, /\(key, \{ ttl \}, produce\), got \[/],
    call((cache) => cache.getOrSet('key', any(async () => 1), any(undefined)))],
  ['getOrSet with a number', [/\(key, \{ ttl \}, produce\), got 60/], call((cache) => cache.getOrSet('key', any(60), async () => 1))],
  ['getOrSet without a producer', [/cache\.getOrSet\(key, options, produce\)' must be a function, got undefined/],
    call((cache) => cache.getOrSet('key', { ttl: 5 }, any(undefined)))],
  ['set with a number', [/the options of cache\.set' must be an object with a ttl/, /\(key, value, \{ ttl \}\), got 60/],
    call((cache) => cache.set('key', 1, any(60)))],
  ['set without options', [/the options of cache\.set'/, /got undefined/], call((cache) => cache.set('key', 1, any(undefined)))],
  ['set with maxAge', [/cache\.set\.maxAge'/, /got 5; did you mean ttl/], call((cache) => cache.set('key', 1, any({ maxAge: 5 })))],
  ['a key that is a number', [/cache key' must be a non-empty string, got 5/], call((cache) => cache.get(any(5)))],
  ['a wildcard', [/invalidate\.url'|\.url'/, /\* is no wildcard: use a tag, or \{ route \}/, /got '\/products\/\*'/],
    call((cache) => cache.invalidate({ url: '/products/*' }))],
  ['a route that is not cached', [/invalidate\(\{ route \}\)'/, /one of GET \/products\/:id/, /got '\/product\/:id'; did you mean \/products\/:id\?/],
    call((cache) => cache.invalidate({ route: '/product/:id' }))],
  ['a list of tags', [/got \[ 'a', 'b' \]; did you mean \{ tags: \[\.\.\.\] \}\?/], call((cache) => cache.invalidate(any(['a', 'b'])))],
  ['tag', [/did you mean tags: \[\.\.\.\]\?/], call((cache) => cache.invalidate(any({ tag: 'a' })))],
  ['path', [/did you mean url\?/], call((cache) => cache.invalidate(any({ path: '/a' })))],
  ['a URL without a slash', [/must be a path that begins with \//, /got 'products'/], call((cache) => cache.invalidate({ url: 'products' }))],
  ['explain with a text', [/explain' must be an object/], call((cache) => cache.explain(any('/products/1')))]
]

for (const [what, says, make] of MISTAKES) {
  t.test(`mistake: ${what}`, async (t) => {
    const app = Fastify()
    const err = await (async () => { await make(app); await app.ready() })().then(() => undefined, (err: Error) => err)
    await app.close()
    t.match(err, { code: 'CACHE_ERR_OPTION' })
    for (const one of says) t.match(err?.message, one)
  })
}

t.test('mistake: no route is cached, so none can be invalidated', async (t) => {
  const app = Fastify()
  await app.register(responseCache)
  t.teardown(() => app.close())
  await t.rejects(app.cache.invalidate({ route: '/a' }), { message: /a cached route's pattern, of which there is none, got '\/a'$/ })
})

t.test('mistake: the value of a secret is not shown, even if its name has a typing error', async (t) => {
  for (const name of ['password', 'pasword', 'authTokn', 'redisUrl', 'dsn', 'connectionString', 'toekn', 'apiKey']) {
    const app = Fastify()
    const err = await app.register(responseCache, { [name]: 'hunter2' } as object).then(() => undefined, (err: Error) => err)
    await app.close().catch(() => {})
    t.match(err, { code: 'CACHE_ERR_OPTION' }, name)
    t.notMatch(err?.message, 'hunter2', name)
  }
})
