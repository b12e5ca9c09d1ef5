// From a request to its key: distinct requests may be split, but are never merged.
import fc from 'fast-check'
import t from 'tap'
import { customKey, digest, keyBuilder, originPart, routePrefix, targetPart, type Keyed } from '../../response/request/key.js'
import { encodeField, lengthPrefixed } from '../../response/request/key-parts.js'
import { routePolicy, type KeyOptions, type RouteCacheOptions } from '../../response/options/route-options.js'
import { fakeRequest, type RequestParts } from '../support/request.js'
import { workedMs } from '../support/loop.js'
import { sized } from '../support/size.js'

function builder (key: RouteCacheOptions['key'] = {}, more: RouteCacheOptions = {}): (parts?: RequestParts) => Keyed {
  const build = keyBuilder(routePrefix('', 'GET', '/'), routePolicy('test', { ttl: 60, key, ...more }, {}))
  return (parts) => build(fakeRequest(parts))
}

/** The key, or the reason for a bypass. */
function keyOf (parts: RequestParts = {}, key?: RouteCacheOptions['key'], more?: RouteCacheOptions): string {
  const keyed = builder(key, more)(parts)
  return 'key' in keyed ? keyed.key : `bypass ${keyed.bypass}`
}

const DELIMITERS = [
  '\0', ':', '|', '?', '&', ',', '"', '{', '\n', '~', '+', '=', '-', ' ', '#', '/', '//', '://', ';', '0', '1', '2', '12', 'a', 'http',
  '\ud800', '\udfff', '\u00e9', 'e\u0301', '__proto__'
]
const nasty = fc.array(fc.constantFrom(...DELIMITERS), { maxLength: 5 }).map((pieces) => pieces.join(''))

/** Picks numbers in sequence, faster than fast-check for a hundred thousand of them. A failure reports the seed. */
function picker (seed: number): (count: number) => number {
  let state = seed >>> 0
  return (count) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return Math.floor(state / 2 ** 32 * count)
  }
}

t.test('random tuples of parts have the same key exactly when they are the same', async (t) => {
  const count = sized(100_000)
  const seed = Date.now() >>> 0
  const pick = picker(seed)
  const text = (): string => Array.from({ length: pick(4) }, () => DELIMITERS[pick(DELIMITERS.length)]).join('')
  const field = (): string | undefined => pick(4) === 0 ? undefined : text()
  const seen = new Map<string, string>()
  const keys = new Map<string, string>()
  const build = builder({ headers: ['a', 'b'], cookies: [], by: ({ headers }) => headers['by'] as string })
  let [merged, split] = [0, 0]
  for (let times = 0; times < count; times++) {
    const parts = {
      url: `/${text().replaceAll('#', '')}`,
      a: field(),
      b: field(),
      by: `x${text()}`,
      host: text(),
      protocol: pick(3) === 0 ? text() : 'http',
      originalUrl: pick(3) === 0 ? text() : undefined
    }
    const keyed = build({
      url: parts.url,
      host: parts.host,
      protocol: parts.protocol,
      ...(parts.originalUrl !== undefined && { originalUrl: parts.originalUrl }),
      headers: { a: parts.a, b: parts.b, by: parts.by }
    })
    if (!('key' in keyed)) return t.fail(`no key: ${keyed.bypass}`)
    const whole = JSON.stringify([...Object.values({ ...parts, originalUrl: parts.originalUrl ?? parts.url }).map((item) => item ?? null)])
    if ((seen.get(keyed.key) ?? whole) !== whole) merged++
    if ((keys.get(whole) ?? keyed.key) !== keyed.key) split++
    seen.set(keyed.key, whole)
    keys.set(whole, keyed.key)
  }
  t.strictSame({ merged, split }, { merged: 0, split: 0 }, `seed ${seed}`)
  t.ok(seen.size > 0.9 * count, `${seen.size} of them were different`)
})

t.test('the parts of a key stay distinct whatever they are', async (t) => {
  const one = fc.record({
    namespace: nasty,
    method: fc.constantFrom('GET', 'POST'),
    pattern: nasty,
    target: nasty.map((path) => `/${path}`),
    origin: fc.option(nasty, { nil: undefined })
  })
  const whole = ({ namespace, method, pattern, target, origin }: {
    namespace: string, method: string, pattern: string, target: string, origin: string | undefined
  }): string =>
    routePrefix(namespace, method, pattern) + targetPart(target) + (origin === undefined ? '' : originPart(origin))
  fc.assert(fc.property(one, one, (a, b) => (whole(a) === whole(b)) === (JSON.stringify(a) === JSON.stringify(b))),
    { numRuns: sized(20_000) })
  t.pass('for every pair')
})

t.test('no key of one route or namespace begins with the prefix of another', async (t) => {
  const prefixes = fc.tuple(nasty, fc.constantFrom('GET', 'POST'), nasty)
  fc.assert(fc.property(prefixes, prefixes, (a, b) => {
    const [one, other] = [routePrefix(...a), routePrefix(...b)]
    return JSON.stringify(a) === JSON.stringify(b) || (!one.startsWith(other) && !other.startsWith(one))
  }), { numRuns: sized(10_000) })
  t.pass('for every pair')
})

t.test('long parts and the results of key functions do not look like short parts', async (t) => {
  const long = 'x'.repeat(600)
  const keys = [
    keyOf({ url: `/${long}` }), keyOf({ url: `/~${digest(`/${long}`)}` }), keyOf({ url: `/${long}y` }), keyOf({ url: '/', host: long }),
    keyOf({ url: '/', host: `~${digest(`http://${long}`)}` }), customKey(routePrefix('', 'GET', '/'), `/${long}`)
  ]
  t.equal(new Set(keys).size, keys.length)
})

t.test('digests of lone surrogates do not collide, with each other or with their JSON', async (t) => {
  const texts = ['\ud800', '\udfff', '\ufffd', '"\\ud800"', '\\ud800', 'a\ud800', '\ud800a', '', '\0']
  t.equal(new Set(texts.map(digest)).size, texts.length)
  fc.assert(fc.property(fc.string({ unit: 'binary' }), fc.string({ unit: 'binary' }), (a, b) => (digest(a) === digest(b)) === (a === b)))
  fc.assert(fc.property(nasty, nasty, (a, b) => (lengthPrefixed(a) === lengthPrefixed(b)) === (a === b)))
})

t.test('every spelling of the host has its own key, and so has the protocol', async (t) => {
  const hosts = ['a', 'b', 'a:80', 'A', 'a.', 'a"<x>/..', '', ' a', 'a, b']
  const keys = [...hosts.map((host) => keyOf({ host })), keyOf({ host: 'a', protocol: 'https' }), keyOf({ host: 'a', protocol: '' })]
  t.equal(new Set(keys).size, keys.length)
  t.equal(keyOf({ host: 'a' }, { host: false }), keyOf({ host: 'b' }, { host: false }))
  t.not(keyOf({ protocol: 'http://a', host: 'b' }), keyOf({ protocol: 'http', host: 'a://b' }),
    'X-Forwarded-Proto does not run into the host')
  t.not(keyOf({ protocol: 'x:a://b', host: 'c' }), keyOf({ protocol: 'x:a', host: 'b://c' }))
  t.not(keyOf({ host: '', rawHeaders: ['Host', 'a'] }), keyOf({ host: '', rawHeaders: ['Host', 'b'] }),
    'also when a schema removed it from the header fields')
  t.not(keyOf({ host: '', headers: { host: 'a' } }), keyOf({ host: 'a', headers: { host: 'a' } }), 'X-Forwarded-Host: , makes an empty one')
})

t.test('only a target in origin form without a fragment has a key, with any options', async (t) => {
  const bad = ['http://evil/p', 'HTTP://a/', 'evil:80', '*', '', '/p#frag', '/p?#x', '#', 'p', '?a', '\\p', ' /p']
  const good = ['/p', '//p', '/p;x', '/./p', '/../p', '//evil/p', '/?', '/??', '/p?', '/p?a', '/%23', '/p%00', '/\\p']
  for (const options of [{}, { query: false }, { host: false }, { body: true }, () => 'mine'] as Array<RouteCacheOptions['key']>) {
    for (const url of bad) t.equal(keyOf({ url }, options), 'bypass target', url)
    for (const url of good) t.notMatch(keyOf({ url }, options), 'bypass', url)
  }
  t.equal(new Set(good.map((url) => keyOf({ url }))).size, good.length)
})

t.test('every raw spelling of a path has its own key', async (t) => {
  const urls = [
    '/1', '/%31', '/a/b', '/a%2Fb', '/a%2fb', '/a%252Fb', '/a%3Fx', '/%00', '/%2e%2e', '/..', '/A', '/a', '/a/', '//a', '/a//', '/a;b',
    '/a%3bb', '/é', '/%C3%A9', '/%E9'
  ]
  for (const options of [{}, { query: false }, { query: ['x'] }] as KeyOptions[]) {
    t.equal(new Set(urls.map((url) => keyOf({ url }, options))).size, urls.length)
  }
})

t.test('Authorization and Cookie make a request bypass the cache, whatever their value', async (t) => {
  for (const field of ['', 'Bearer x', ['a', 'b']]) {
    t.equal(keyOf({ headers: { authorization: field } }), 'bypass credentials')
    t.equal(keyOf({ headers: { cookie: field } }), 'bypass credentials')
  }
  t.equal(keyOf({ rawHeaders: ['Host', 'a', 'AUTHORIZATION', 'x'] }), 'bypass credentials',
    'also when a schema removed it from request.headers')
  t.equal(keyOf({ rawHeaders: ['cooKie', ''] }), 'bypass credentials')
  t.notMatch(keyOf({ rawHeaders: ['x', 'Authorization', 'x-y', 'cookie'] }), 'bypass', 'values are not names')
  t.equal(keyOf({ headers: { authorization: 'x' } }, {}, { credentials: 'ignore' }), keyOf())
})

t.test('having one of them in the key does not admit the other', async (t) => {
  const both = { headers: { authorization: 'x', cookie: 'a=b' } }
  t.equal(keyOf(both, { headers: ['Authorization'] }), 'bypass credentials')
  t.equal(keyOf(both, { headers: ['cookie'] }), 'bypass credentials')
  t.equal(keyOf(both, { cookies: ['a'] }), 'bypass credentials')
  t.equal(keyOf(both, { headers: ['x-other'] }), 'bypass credentials')
  t.notMatch(keyOf(both, { headers: ['authorization'], cookies: ['a'] }), 'bypass')
  t.notMatch(keyOf(both, { by: () => 'me' }), 'bypass')
})

t.test('with Authorization in the key every value of it has its own key', async (t) => {
  const rows: RequestParts[] = [
    {}, { headers: { authorization: '' } }, { headers: { authorization: 'a' } }, { headers: { authorization: 'A' } },
    { headers: { authorization: 'a ' } }, { rawHeaders: ['Authorization', 'b'] }, { rawHeaders: ['authorization', 'c'] }
  ]
  const keys = rows.map((parts) => keyOf(parts, { headers: ['authorization'] }))
  t.equal(new Set(keys).size, keys.length)
  t.not(keyOf({ rawHeaders: ['Authorization', 'a'] }, { headers: ['authorization'] }), keyOf({ headers: { authorization: 'a' } },
    { headers: ['authorization'] }), 'a removed field differs from one that was left')
})

t.test('no spelling of header fields makes them run into each other', async (t) => {
  const of = (a: unknown, b: unknown): string => keyOf({ headers: { a, b } }, { headers: ['a', 'b'] })
  const pairs: unknown[][] = [
    [undefined, undefined], ['', ''], ['-', '-'], ['x', undefined], [undefined, 'x'], ['x:b=y', undefined], ['x', 'b=y'], ['1:x|1', 'y'],
    ['x|1:y', ''], ['x', 'y'], ['xy', ''], ['', 'xy'], [['x', 'y'], undefined], ['1:x1:y', undefined], ['+6:1:x1:y', undefined],
    [['x'], 'y']
  ]
  t.equal(new Set(pairs.map(([a, b]) => of(a, b))).size, pairs.length)
  fc.assert(fc.property(fc.oneof(nasty, fc.array(nasty)), fc.oneof(nasty, fc.array(nasty)), (a, b) =>
    (encodeField(a) === encodeField(b)) === (JSON.stringify(a) === JSON.stringify(b))), { numRuns: sized(10_000) })
})

t.test('a header field that validation turned into a number is in the key as it came', async (t) => {
  const of = (n: unknown, raw: string): string => keyOf({ headers: { 'x-n': n }, rawHeaders: ['X-N', raw] }, { headers: ['x-n'] })
  t.not(of(3, '3'), of(4, '4'))
  t.not(of(3, '3'), of(3, '3.0'))
})

t.test('cookies are found in every spelling that some parser accepts', async (t) => {
  const of = (cookie: string | undefined): string => keyOf(cookie === undefined ? {} : { headers: { cookie } }, { cookies: ['session'] })
  const without = of(undefined)
  for (const cookie of ['', 'a=b', 'sessions=x', 'xsession=x', 'session2=x', 'a=session=x', 'a=session']) {
    t.equal(of(cookie), without, cookie)
  }
  const named = [
    'session=x', 'session =x', ' session\t= x', 'session= x', 'session=', 'session="x"', 'session=%78', 'a=b,session=x', 'session=x,y',
    'session=x; session=y', 'session=y; session=x', 'session=y', '\u00a0session=x', 'session=x\u00a0', 'session'
  ]
  t.equal(new Set([without, ...named.map(of)]).size, named.length + 1, 'each of them has its own key')
  t.equal(of('a=b; session=x; c=d'), of('session=x'), 'other cookies do not split')
  const changed = (cookie: string): string => keyOf({ headers: { cookie }, rawHeaders: ['Cookie', 'session=x'] }, { cookies: ['session'] })
  t.equal(new Set(['session=x', 'session=y', ''].map(changed)).size, 3, 'the changed field is in the key beside the original one')
  t.equal(changed('session=x; a=b'), of('session=x'))
})

t.test('a Cookie field of 100 KB is searched in time', async (t) => {
  for (const unit of [';', '=', ' ', 'session;', 'session=', ' ;', ',', ';session =x']) {
    const headers = { cookie: unit.repeat(100_000 / unit.length) }
    const tookMs = (before = workedMs()): number => Number(keyOf({ headers }, { cookies: ['session', 'b'] }) !== '') * (workedMs() - before)
    t.ok(Math.min(tookMs(), tookMs(), tookMs()) < 300, unit)
  }
})

t.test('a key function may return text, or nothing for a bypass; anything else is a fault', async (t) => {
  const keyed = (value: () => unknown): Keyed => builder(value as () => string)()
  const same = (text: string): string => (keyed(() => text) as { key: string }).key
  t.equal(new Set(['a', 'b', '\ud800', '\udfff', 'x'.repeat(1e6), 'x'.repeat(1e6) + 'y', 'undefined', '[object Object]'].map(same)).size, 8)
  for (const value of ['', undefined]) t.strictSame(keyed(() => value), { bypass: 'key' }, 'a bypass without a fault')
  for (const value of [
    {}, NaN, 1, null, true, [], Symbol('x'), Promise.resolve('x'), Promise.reject(new Error('rejected')), Object('x')
  ]) {
    t.match(keyed(() => value), { bypass: 'key', fault: TypeError })
  }
  const thrown = new Error('thrown')
  t.match(keyed(() => { throw thrown }), { bypass: 'key', fault: thrown })
  for (const by of [() => '', () => undefined, () => ({}), () => { throw thrown }]) {
    t.match(builder({ by: by as () => string })(), { bypass: 'key' })
  }
})

t.test('a body that is not expected makes the request bypass the cache', async (t) => {
  for (const headers of [
    { 'content-length': '1' }, { 'content-length': '00' }, { 'content-length': '' }, { 'transfer-encoding': 'chunked' },
    { 'transfer-encoding': '' }
  ]) {
    t.equal(keyOf({ headers }), 'bypass request-body', JSON.stringify(headers))
    t.equal(keyOf({ headers }, () => 'mine'), 'bypass request-body')
    t.equal(keyOf({ headers }, { body: true }), 'bypass request-body', 'an unparsed body, with body: true too')
  }
  t.equal(keyOf({ headers: { 'content-length': '0' } }), keyOf())
  t.equal(keyOf({ rawHeaders: ['Content-Length', '5'] }), 'bypass request-body', 'also when a schema removed the field')
})

t.test('an upgrade bypasses the cache, and a range has the key of the whole', async (t) => {
  t.equal(keyOf({ headers: { range: 'bytes=0-0' } }), keyOf({}))
  t.equal(keyOf({ headers: { upgrade: 'websocket' } }), 'bypass upgrade')
})

t.test('only the method counts, and HEAD has the key of GET', async (t) => {
  const override = { headers: { 'x-http-method-override': 'DELETE' } }
  t.equal(keyOf(override), keyOf(), 'an unknown field changes nothing')
  t.equal(routePrefix('', 'HEAD', '/'), routePrefix('', 'GET', '/'))
  t.equal(new Set(['GET', 'POST', 'QUERY'].map((method) => routePrefix('', method, '/'))).size, 3)
})

t.test('a body is in the key, with its type, exactly as it was parsed', async (t) => {
  const post = (body: unknown, type = 'application/json', more: Record<string, unknown> = {}): string =>
    keyOf({ method: 'POST', body, headers: { 'content-type': type, 'content-length': '9', ...more } }, {}, { methods: ['POST'] })
  const bodies: unknown[] = [
    null, 'null', '', 'a', '"a"', {}, [], [null], { a: 1 }, { a: '1' }, { a: [1] }, { a: null }, [1, 2], [[1], 2],
    '1', 1, true, 'true', Buffer.from('a'), Buffer.from(''), Buffer.from([0xff]), Buffer.from([0xc3, 0xbf]), 'ÿ', '\ud800', '\udfff',
    Object.assign(Object.create(null), { a: 2 })
  ]
  const keys = bodies.map((body) => post(body))
  t.notOk(keys.some((key) => key.startsWith('bypass')), 'each has a key')
  t.equal(new Set(keys).size, keys.length)
  t.not(post('a', 'text/plain'), post('a', 'text/html'))
  for (const body of [
    undefined, { a: Infinity }, { a: -Infinity }, { a: NaN }, { a: -0 }, { a: undefined }, [undefined], { a: new Date(0) },
    { a: new Map() }, { a: Buffer.from('x') }, { a: () => {} }, { toJSON: () => 1 }, new (class Form {})(), new Date(0), NaN, 1n,
    Symbol('x'), 'x'.repeat(2e6), Buffer.alloc(2e6)
  ]) {
    t.equal(post(body), 'bypass request-body', typeof body)
  }
  t.notMatch(keyOf({ method: 'POST' }, {}, { methods: ['POST'] }), 'bypass', 'a request without a body has a key too')
})

t.test('recent keys are remembered, whatever other hosts are requested in between, and not forever', async (t) => {
  const build = builder()
  const asks = ['a.example', 'b.example'].flatMap((host) =>
    ['http', 'https'].flatMap((protocol) => ['/p', '/p?q=1'].map((url) => ({ url, host, protocol }))))
  const first = asks.map(build)
  t.equal(new Set(first.map((keyed) => JSON.stringify(keyed))).size, asks.length)
  for (let times = 0; times < 2; times++) for (const [at, ask] of asks.entries()) t.equal(build(ask), first[at], JSON.stringify(ask))
  for (let at = 0; at < 1_000; at++) build({ url: '/p', host: `${at}.example` })
  t.not(build(asks[0]), first[0])
  t.same(asks.map(build), first, 'they are the same when they are made anew')
  const long = { url: '/p', host: 'x'.repeat(300) }
  t.not(build(long), build(long), 'long keys are not remembered')
})

t.test('rewriteUrl: the original target is in the key beside the rewritten one', async (t) => {
  t.not(keyOf({ url: '/p', originalUrl: '/de/p' }), keyOf({ url: '/p', originalUrl: '/fr/p' }))
  t.not(keyOf({ url: '/p', originalUrl: '/de/p' }), keyOf({ url: '/p' }))
  t.not(keyOf({ url: '/p', originalUrl: 'x' }, { by: () => 'y' }), keyOf({ url: '/p', protocol: 'a:' }, { by: () => 'y' }))
})

t.test('paths that are difficult for file systems and databases stay apart', async (t) => {
  const urls = [
    '/', '/\0', '/\n', '/../', '/%2e', '/\u00e9', '/e\u0301', '/\ud800', '/\udfff', '/__proto__', '/constructor', `/${'a'.repeat(300)}`,
    `/${'a'.repeat(301)}`, '/CON', '/con', '/a.', '/a', '/' + 'x'.repeat(1e6), '/' + 'x'.repeat(1e6) + 'y'
  ]
  const keys = urls.map((url) => keyOf({ url }))
  t.equal(new Set(keys).size, urls.length)
  t.ok(keys.every((key) => key.length < 2_000), 'no key is long')
})
