// The report at ready: a line for each cached route, and likely mistakes, each with what to do.
import type { RouteOptions } from 'fastify'
import t from 'tap'
import type { RouteCacheOptions } from '../../plugin.js'
import { rfc9111 } from '../../plugin.js'
import { routePolicy } from '../../response/options/route-options.js'
import { described, nearTtlOf, StartupReport, type Facts } from '../../response/explain/startup-report.js'

const FACTS: Facts = { backendName: 'sqlite', nearTtlMs: 0, hasClear: true, isOneOfSeveral: false, authPlugins: [] }
const policyOf = (cache: RouteCacheOptions | true) => routePolicy('test', cache, {})

type Told = Partial<RouteOptions> & { cache?: RouteCacheOptions | true }

function mistakes (routes: Told[], facts: Partial<Facts> = {}): Array<readonly [routes: string, message: string]> {
  const report = new StartupReport()
  for (const { cache, ...route } of routes) {
    report.add({ method: 'GET', url: '/', handler: async () => '', ...route }, cache === undefined ? undefined : policyOf(cache))
  }
  return report.mistakes({ ...FACTS, ...facts }).map(({ routes, message }) => [routes.join(), message])
}

t.test('report: correct routes are not mentioned', async (t) => {
  t.same(mistakes([
    { cache: { ttl: '1m', tags: ['a'] } }, { cache: { heuristic: true } }, { cache: rfc9111 }, { url: '/none' },
    { method: 'POST', url: '/', cache: { invalidates: ['a'] } },
    { method: 'POST', url: '/search', cache: { ttl: 1, methods: ['POST'], safe: true } },
    { url: '/mine', cache: { ttl: 1, key: { by: () => 'me' }, tags: ['mine'] } }, { method: 'PUT', url: '/mine' }
  ], { isOneOfSeveral: true, authPlugins: [] }), [])
})

t.test('report: routes with neither ttl nor heuristic are reported once, together', async (t) => {
  t.match(mistakes([{ url: '/a', cache: true }, { url: '/b', cache: {} }, { url: '/c', cache: { ttl: 1 } }]), [
    ['GET /a,GET /b', /no ttl.*heuristic: true/]
  ])
})

t.test('report: statuses without the ttl that they need are reported', async (t) => {
  t.match(mistakes([{ cache: { statuses: [200, 404] } }]), [['GET /', /statuses without ttl/]])
  t.same(mistakes([{ cache: { statuses: [200, 404], ttl: 1 } }]), [])
})

t.test('report: a nearTtl is reported if a process serves for that long what another process has invalidated', async (t) => {
  const cached: Told[] = [{ cache: { ttl: 1 } }, { url: '/none' }]
  const facts = { backendName: 'tiered', isOneOfSeveral: true }
  t.match(mistakes(cached, { ...facts, nearTtlMs: 10_000 }), [['GET /', /'tiered' has a nearTtl of 10 s: .*set it to 1 s or less/]])
  t.same(mistakes(cached, { ...facts, nearTtlMs: 1_000 }), [])
  t.same(mistakes(cached, { ...facts, nearTtlMs: 10_000, isOneOfSeveral: false }), [], 'there is only one process')
})

t.test('report: a nearTtl counts if it was given, and the last tier may be shared', async (t) => {
  const near = (last: string, options: object = {}) =>
    nearTtlOf('tiered', { tiers: [{ backend: 'memory' }, { backend: last }], ...options })
  t.same([near('redis', { nearTtl: '10s' }), near('redis'), near('memory', { nearTtl: '10s' }), nearTtlOf('sqlite', {})], [10_000, 0, 0, 0])
})

t.test("report: tags are reported if other processes don't learn of their invalidation", async (t) => {
  const tagged: Told[] = [
    { cache: { ttl: 1, tags: ['a'] } }, { url: '/f', cache: { ttl: 1, tags: () => [] } }, { url: '/none', cache: { ttl: 1 } }
  ]
  t.match(mistakes(tagged, { backendName: 'memory', isOneOfSeveral: true }), [['GET /,GET /f', /each process's own.*redis/]])
  t.same(mistakes(tagged, { backendName: 'memory' }), [], 'there is only one process')
  t.same(mistakes(tagged, { isOneOfSeveral: true }), [], 'the processes share the backend')
})

t.test("report: credentials: 'ignore' is reported if something tells users apart and the key does not", async (t) => {
  const ignoring: RouteCacheOptions = { ttl: 1, credentials: 'ignore' }
  const hook = { async checkAuth () {} }.checkAuth
  t.match(mistakes([{ cache: ignoring }], { authPlugins: ['@fastify/jwt'] }), [['GET /', /@fastify\/jwt.*key: \{ by:/]])
  for (const name of ['onRequest', 'preParsing', 'preValidation', 'preHandler'] as const) {
    t.match(mistakes([{ cache: ignoring, [name]: hook }, { url: '/open', cache: ignoring, [name]: async function count () {} }]), [
      ['GET /', /ignore/]
    ], name)
    t.match(mistakes([{ cache: ignoring, [name]: [async () => {}, hook] }]), [['GET /', /ignore/]], `${name}, of several`)
  }
  for (const key of [{ by: () => 'me' }, { cookies: ['session'] }, { headers: ['Authorization'] }, () => 'me']) {
    t.same(mistakes([{ cache: { ...ignoring, key }, onRequest: hook }]), [], 'the key tells users apart')
  }
  t.same(mistakes([{ cache: { ttl: 1 }, onRequest: hook }], { authPlugins: ['@fastify/jwt'] }), [], 'bypassing')
})

t.test('report: writes are reported if they invalidate nothing since the keys contain more than the URL', async (t) => {
  for (const key of [{ headers: ['x-user'] }, { cookies: ['a'] }, { query: ['a'] }, { by: () => 'me' }, { body: true }, () => 'k']) {
    t.match(mistakes([{ url: '/a', cache: { ttl: 1, key } }, { url: '/a', method: 'PUT' }]), [['GET /a', /invalidate nothing/]])
    t.same(mistakes([{ url: '/a', cache: { ttl: 1, key, tags: ['a'] } }, { url: '/a', method: 'PUT' }]), [], 'it has tags')
    t.same(mistakes([{ url: '/a', cache: { ttl: 1, key } }, { url: '/a', method: 'PUT', cache: { invalidates: [{ route: '/a' }] } }]), [],
      'the write lists its targets')
    t.same(mistakes([{ url: '/a', cache: { ttl: 1, key } }, { url: '/b', method: 'PUT' }, { url: '/a', method: 'OPTIONS' }]), [],
      'no route writes there')
  }
  t.same(mistakes([{ url: '/a', cache: { ttl: 1, key: { host: false } } }, { url: '/a', method: 'PUT' }]), [], 'the URL is the key')
})

t.test('report: a route without a cached method is reported', async (t) => {
  t.match(mistakes([{ method: 'POST', cache: { ttl: 1 } }]), [['POST /', /methods: \['POST'\]/]])
  t.same(mistakes([{ method: ['GET', 'POST'], cache: { ttl: 1 } }, { method: 'POST', cache: { invalidates: () => [] } }]), [])
})

t.test('report: invalidates is reported on a route that changes nothing, and for a backend without the method for it', async (t) => {
  t.match(mistakes([{ cache: { ttl: 1, invalidates: ['a'] } }]), [['GET /', /safe methods/]])
  const byRoute: Told[] = [{ method: 'POST', cache: { invalidates: ['a', { route: '/' }] } }]
  t.match(mistakes(byRoute, { hasClear: false, backendName: 'http' }), [['POST /', /'http' has none.*tag/]])
  t.same(mistakes(byRoute), [])
})

t.test('report: a policy is described in words', async (t) => {
  t.equal(described(policyOf(true)), 'fresh as the response says; keyed by path, query, host')
  t.equal(described(policyOf({ heuristic: true })), 'fresh as the response says, else a tenth of its age; keyed by path, query, host')
  t.equal(described(policyOf({
    ttl: '1m',
    staleWhileRevalidate: '10m',
    staleIfError: 1,
    key: { query: ['q', 'page'], headers: ['Accept'], cookies: ['lang'], host: false, body: true, by: () => '' },
    credentials: 'ignore',
    tags: ['a', 'b']
  })),
  'fresh as the response says, else 60 s; stale for 600 s while a refresh runs; stale for 1 s if the handler fails; keyed by path, parameters q page, fields accept, cookies lang, body, the user (by); credentials ignored; tags a, b')
  t.equal(described(policyOf({ ttl: '250ms', key: () => '', tags: () => [] })),
    'fresh as the response says, else 0.25 s; keyed by its function; tags by its function')
})

t.test('report: a duration that looks like milliseconds, and a ttl above 30 days', async (t) => {
  for (const name of ['ttl', 'staleWhileRevalidate', 'staleIfError', 'keep']) {
    t.match(mistakes([{ cache: { ttl: '1m', [name]: 60_000 } }]), [['GET /', new RegExp(`^${name} is a number of seconds`)]], name)
    for (const fine of [3_600, 9_000, 10_001, '60000s']) t.same(mistakes([{ cache: { ttl: '1m', [name]: fine } }]), [], `${name}: ${fine}`)
  }
  t.match(mistakes([{ cache: { ttl: '31d' } }]), [['GET /', /^ttl is longer than 30 days/]])
  t.same(mistakes([{ cache: { ttl: '30d' } }]), [])
})
