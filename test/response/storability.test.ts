// Whether a response may be stored, and for how long it is fresh: tables, and a verdict for any response.
import fc from 'fast-check'
import t from 'tap'
import { routePolicy, type RouteCacheOptions } from '../../response/options/route-options.js'
import type { Fields } from '../../response/http/field-values.js'
import { storability, type StorableResponse, type Storable } from '../../response/http/storability.js'
import { requestDirectivesOf } from '../../response/http/request-directives.js'
import { workedMs } from '../support/loop.js'
import { sized } from '../support/size.js'

const AT = Date.UTC(2031, 4, 6, 7, 8, 9)
const DATE = 'Tue, 06 May 2031 07:08:09 GMT'
const policyOf = (options: RouteCacheOptions = { ttl: '1m' }) => routePolicy('test', options, {})
const WITH_TTL = policyOf()
const WITHOUT = policyOf({})
const PLAIN = { authorized: false, hasValidator: false, askedAt: AT, at: AT, options: {} }

/** The verdict in a word: for how many seconds the response is fresh, or why it is refused. */
function verdict (
  fields: Fields, { policy = WITH_TTL, ...more }: Partial<StorableResponse> & { policy?: ReturnType<typeof policyOf> } = {}
): number | string {
  const decided = storability({
    status: 200, fields, vary: fields.vary, setsCookie: fields['set-cookie'] !== undefined, ...PLAIN, ...more
  }, policy)
  return 'refused' in decided ? decided.refused : decided.freshMs / 1000
}

const cc = (value: Fields[string]): Fields => ({ 'cache-control': value })

t.test('a directive that forbids storing does so in every spelling, and so does any doubt', async (t) => {
  const rows: ReadonlyArray<readonly [value: Fields[string], verdict: string]> = [
    ['private', 'private'], ['PRIVATE', 'private'], ['no-store', 'no-store'], ['no-cache', 'no-cache'], ['No-Cache', 'no-cache'],
    ['private=""', 'private'], ['private="set-cookie', 'cache-control'], ['no-cache = "x"', 'cache-control'],
    [['public, max-age=60', 'private'], 'private'], [['public', 'max-age=60', 'no-store'], 'no-store'],
    ['max-age=60, no-store', 'no-store'], ['public, private, max-age=9', 'private'], ['private=", max-age=60', 'cache-control'],
    ['max-age=60; private', 'cache-control'], ['max-age=60 private', 'cache-control'], ['x="\\", no-store', 'cache-control'],
    ['max-age="60, no-store', 'cache-control'], ['private, private="x"', 'private'], ['no-store="x"', 'no-store']
  ]
  for (const [value, expected] of rows) {
    t.equal(verdict(cc(value)), expected, JSON.stringify(value))
    t.equal(verdict(cc(value), { options: { ttlMs: 5_000 } }), expected,
      `${JSON.stringify(value)}, and reply.cache({ ttl }) does not change that`)
  }
})

t.test('max-age and s-maxage with invalid seconds make a response stale', async (t) => {
  const rows: ReadonlyArray<readonly [value: string, verdict: number | string]> = [
    ['max-age=10', 10], ['max-age="10"', 10], ['s-maxage=10, max-age=99', 10], ['max-age=99, s-maxage=10', 10],
    ['s-maxage=0, max-age=99', 'expired'],
    ['max-age=10, max-age=20', 10], ['max-age=20, max-age=10', 10], ['max-age=99999999999999999999', 2 ** 31 - 1],
    ['max-age=0', 'expired'], ['max-age=-1', 'expired'], ['max-age=1e9', 'expired'], ['max-age', 'expired'], ['max-age=1.5', 'expired'],
    ['s-maxage=x, max-age=99', 'expired'],
    ['s-maxage=', 'cache-control'], ['max-age=', 'cache-control'], ['max-age= 9', 'cache-control'],
    ['public', 60], ['must-revalidate', 60], ['immutable', 60], ['', 60]
  ]
  for (const [value, expected] of rows) t.equal(verdict(cc(value)), expected, value)
})

t.test('the directives of the response take precedence over the route, and reply.cache() over both', async (t) => {
  t.equal(verdict({}), 60)
  t.equal(verdict({}, { policy: WITHOUT }), 'no-freshness')
  t.equal(verdict(cc('public'), { policy: WITHOUT }), 'no-freshness')
  t.equal(verdict(cc('max-age=5'), { policy: WITHOUT }), 5)
  t.equal(verdict(cc('max-age=5'), { options: { ttlMs: 7_000 } }), 7)
  t.equal(verdict(cc('max-age=5'), { options: { ttlMs: 0 } }), 'ttl')
  t.equal(verdict({}, { options: { ttlMs: 7_000 }, policy: WITHOUT }), 7)
  t.equal(verdict({}, { options: { store: false } }), 'reply-store-false')
  t.equal(verdict({}, { options: { store: false, ttlMs: 9_000 } }), 'reply-store-false')
  t.equal(verdict(cc('no-store'), { options: { store: true } }), 'no-store', 'store: true overrules no prohibition')
})

t.test('Expires counts from Date, and an invalid one is in the past', async (t) => {
  const rows: ReadonlyArray<readonly [fields: Fields, verdict: number | string]> = [
    [{ expires: 'Tue, 06 May 2031 07:09:09 GMT' }, 60], [{ expires: 'Tue, 06 May 2031 07:09:09 GMT', date: DATE }, 60],
    [{ expires: 'Tue, 06 May 2031 07:09:09 GMT', date: 'Tue, 06 May 2031 07:08:39 GMT' }, 30],
    [{ expires: 'Tue, 06 May 2031 07:09:09 GMT', date: 'garbage' }, 60], [{ expires: DATE }, 'expired'],
    [{ expires: 'Tue, 06 May 2031 07:00:00 GMT' }, 'expired'], [{ expires: '0' }, 'expired'], [{ expires: '' }, 'expired'],
    [{ expires: '-1' }, 'expired'], [{ expires: 'Tue, 06-May-31 07:09:09 GMT' }, 'expired'], [{ expires: 'Tue May  6 07:09:09 2031' }, 60],
    [{ expires: '2031-05-06T07:09:09Z' }, 'expired'], [{ expires: 'Tue, 06 May 2031 07:09:09 UTC' }, 'expired'],
    [{ expires: ['Tue, 06 May 2031 07:09:09 GMT', 'Tue, 06 May 2031 07:09:09 GMT'] }, 'expired'],
    [{ expires: 'Tue, 99 May 2031 07:09:09 GMT' }, 'expired'],
    [{ expires: 'Tue, 06 May 2031 07:09:09 GMT', 'cache-control': 'max-age=5' }, 5],
    [{ expires: 'Tue, 06 May 9999 07:09:09 GMT' }, 2 ** 31 - 1],
    [{ expires: 'Tue, 06 May 2031 07:09:09 GMT', date: 'Tue, 06 May 1970 07:08:39 GMT' }, 60]
  ]
  for (const [fields, expected] of rows) t.equal(verdict(fields, { policy: WITHOUT }), expected, JSON.stringify(fields))
})

t.test('a response with an Age is fresh for that much less', async (t) => {
  const rows: ReadonlyArray<readonly [age: Fields[string], verdict: number | string]> = [
    ['10', 50], ['59', 1], ['60', 'expired'], ['999999999999', 'expired'], ['0', 60], ['10, 20', 50], [['10', '20'], 50], [10, 50],
    ['-5', 60], ['x', 60], ['1.5', 60], ['', 60]
  ]
  for (const [age, expected] of rows) t.equal(verdict({ age, 'cache-control': 'max-age=60' }), expected, JSON.stringify(age))
  t.equal(verdict({ age: '50' }, { options: { ttlMs: 60_000 } }), 60, 'except for the ttl of reply.cache(), which counts from now')
})

t.test('a status without whole content of its own is never stored; others only if the route or the response allows it', async (t) => {
  for (const status of [206, 304, 412, 416, 100, 101, 103, 199, 600, 0, NaN]) {
    const expected = [206, 304, 412, 416].includes(status) ? 'condition' : 'status'
    t.equal(verdict({}, { status }), expected, String(status))
    t.equal(verdict(cc('public, max-age=60'), { status, options: { ttlMs: 5_000 } }), expected, `${status}, whatever the directives`)
  }
  for (const status of [200, 203, 301, 308]) t.equal(verdict({}, { status }), 60, String(status))
  for (const status of [201, 202, 204, 300, 302, 303, 307, 400, 401, 403, 404, 405, 410, 413, 414, 429, 431, 500, 501, 502, 503, 504]) {
    t.equal(verdict({}, { status }), 'status', `${status}`)
    t.equal(verdict(cc('max-age=5'), { status }), 5, `${status} with its own lifetime`)
  }
  t.equal(verdict({}, { status: 404, policy: policyOf({ ttl: 60, statuses: [404] }) }), 60)
  t.equal(verdict({}, { status: 200, policy: policyOf({ ttl: 60, statuses: [404] }) }), 'status')
})

t.test('a response that sets a cookie, even an empty one, is not stored', async (t) => {
  for (const value of ['a=b', '', ['a=b', 'c=d'], []] as const) {
    t.equal(verdict({ 'set-cookie': value, 'cache-control': 'public, max-age=60' }), 'set-cookie', JSON.stringify(value))
  }
})

t.test('a response to Authorization must allow being shared', async (t) => {
  const rows: ReadonlyArray<readonly [value: string, verdict: number | string]> = [
    ['', 'authorization'], ['max-age=60', 'authorization'], ['public', 60], ['public, max-age=5', 5], ['s-maxage=5', 5],
    ['must-revalidate, max-age=5', 5], ['proxy-revalidate, max-age=5', 'authorization'], ['public, private', 'private'],
    ['x="public"', 'authorization'], ['"public"', 'cache-control'], ['PUBLIC', 60]
  ]
  for (const [value, expected] of rows) t.equal(verdict(cc(value), { authorized: true }), expected, value)
})

t.test('a response with an invalid Vary is not stored, wherever the Vary was set', async (t) => {
  for (const vary of [
    '*', '* ', '*,', 'a, *', ['a', '*'], 'constructor', '__proto__', 'a b', 'a;q=1', '"a"',
    Array.from({ length: 11 }, (_, at) => `x-${at}`).join(',')
  ]) {
    t.equal(verdict({ vary }), 'vary', JSON.stringify(vary))
    t.equal(verdict({ vary }, { vary: undefined }), 'vary', `${JSON.stringify(vary)}, set by a hook behind the handler`)
  }
})

t.test('a response that was made for one request only is not stored', async (t) => {
  for (const name of ['content-security-policy', 'content-security-policy-report-only']) {
    t.equal(verdict({ [name]: "script-src 'nonce-abc'" }), 'csp-nonce')
    t.equal(verdict({ [name]: ["default-src 'self'", "script-src 'NONCE-abc'"] }), 'csp-nonce')
    t.equal(verdict({ [name]: "script-src 'self'" }), 60)
  }
  for (const type of ['text/event-stream', 'TEXT/event-stream; charset=utf-8', ' text/event-stream']) {
    t.equal(verdict({ 'content-type': type }), 'event-stream', type)
  }
  t.equal(verdict({ 'content-type': 'text/plain' }), 60)
})

t.test('RFC 9111 section 5.2.2.3: must-understand overrules no-store for known statuses, and forbids storing others',
  async (t) => {
    t.equal(verdict(cc('no-store, must-understand, max-age=5')), 5)
    t.equal(verdict(cc('no-store, must-understand, max-age=5'), { status: 599 }), 'status')
    t.equal(verdict(cc('must-understand, max-age=5'), { status: 299 }), 'status')
    t.equal(verdict(cc('must-understand, private, max-age=5')), 'private')
  })

t.test('RFC 9111 sections 5.2.2.4 and 5.2.2.7: no-cache and private with a list of fields apply to those only, with an empty list to all',
  async (t) => {
    const withheld = (value: string): unknown => (storability({
      status: 200, fields: cc(value), vary: undefined, setsCookie: false, ...PLAIN
    }, WITH_TTL) as Storable).withheld
    t.same(withheld('private="X-User, x-role", max-age=5'), ['x-user', 'x-role'])
    t.same(withheld('no-cache="a", private="b", no-cache="c"'), ['b', 'a', 'c'])
    t.same(withheld('max-age=5'), [])
    for (const value of [
      'private=""', 'private=" , "', 'private="a b"', 'private="a", private', 'private="", private="a"', 'private=x, private=""'
    ]) t.equal(verdict(cc(value)), 'private', value)
  })

t.test('RFC 9111 section 4.3: a response that is stale at once, or must be validated each time, is kept if it has a validator',
  async (t) => {
    const kept = (fields: Fields, more: Partial<StorableResponse> = {}): unknown => {
      const decided = storability({
        status: 200, fields, vary: undefined, setsCookie: false, ...PLAIN, hasValidator: true, ...more
      }, WITH_TTL)
      return 'refused' in decided ? decided.refused : [decided.freshMs, decided.keptMs, decided.mustRevalidate]
    }
    const HOUR = 3_600_000
    t.same(kept({}), [60_000, HOUR, false])
    t.same(kept(cc('no-cache')), [0, HOUR, true])
    t.same(kept(cc('no-cache, max-age=99')), [0, HOUR, true])
    t.same(kept(cc('no-cache'), { options: { ttlMs: 9_000 } }), [0, HOUR, true], 'reply.cache() does not make it fresh')
    t.same(kept(cc('max-age=0')), [0, HOUR, false])
    t.same(kept({ ...cc('max-age=60'), age: '90' }), [-30_000, HOUR, false])
    t.equal(kept({ ...cc('max-age=60'), age: '3660' }), 'expired')
    t.equal(kept(cc('no-cache'), { hasValidator: false }), 'no-cache')
    t.equal(kept(cc('max-age=0'), { hasValidator: false }), 'expired')
    for (const status of [301, 404, 500, 503]) t.equal(kept(cc('max-age=0'), { status }), 'expired', `a 304 does not apply to a ${status}`)
    t.equal(kept({}, { status: 404 }), 'status')
  })

t.test('RFC 5861: a response has windows after its freshness, and its own directives take precedence over the route', async (t) => {
  const policy = policyOf({ ttl: 60, staleWhileRevalidate: 10, staleIfError: 20 })
  const windows = (value: string | undefined, more: Partial<StorableResponse> = {}): unknown => {
    const decided = storability({
      status: 200, fields: cc(value), vary: undefined, setsCookie: false, ...PLAIN, ...more
    }, policy) as Storable
    return [decided.staleWhileRevalidateMs, decided.staleIfErrorMs, decided.keptMs].map((ms) => ms / 1_000)
  }
  t.same(windows(undefined), [10, 20, 20])
  t.same(windows('stale-while-revalidate=30'), [30, 20, 30])
  t.same(windows('stale-while-revalidate=0, stale-if-error=5'), [0, 5, 5])
  t.same(windows('stale-if-error=x'), [10, 0, 10], 'an invalid number counts as zero')
  for (const directive of ['must-revalidate', 'proxy-revalidate', 's-maxage=60']) {
    t.same(windows(`max-age=60, stale-while-revalidate=30, ${directive}`), [0, 0, 0], `RFC 9111 section 4.2.4: ${directive}`)
  }
  for (const status of [404, 500, 503]) {
    t.same(windows('max-age=60, stale-if-error=60', { status }), [0, 0, 0], `a stored ${status} replaces no error`)
  }
})

t.test('RFC 9111 section 4.2.2: a heuristic lifetime is used if the route asks for it and nothing else gives one', async (t) => {
  const heuristic = policyOf({ heuristic: true })
  const before = (seconds: number): Fields => ({ 'last-modified': new Date(AT - seconds * 1_000).toUTCString() })
  t.equal(verdict(before(1_000), { policy: heuristic }), 100)
  t.equal(verdict(before(1_000), { policy: WITHOUT }), 'no-freshness')
  t.equal(verdict({}, { policy: heuristic }), 'no-freshness')
  t.equal(verdict({ 'last-modified': 'garbage' }, { policy: heuristic }), 'no-freshness')
  t.equal(verdict(before(1e9), { policy: heuristic }), 86_400, 'a day at most')
  t.equal(verdict(before(-60), { policy: heuristic }), 'expired', 'changed in the future')
  t.equal(verdict({ ...before(1_000), ...cc('max-age=7') }, { policy: heuristic }), 7)
  t.equal(verdict(before(1_000), { policy: policyOf({ heuristic: true, ttl: 60 }) }), 60, 'the route gives a lifetime')
  t.equal(verdict({ ...before(1_000), date: new Date(AT - 30_000).toUTCString() }, {
    policy: policyOf({ heuristic: true, ttl: 60 }), status: 404
  }), 67, "the route's ttl does not apply to a 404, and the heuristic lifetime counts from Date")
  t.equal(verdict({ ...before(1_000), date: new Date(AT - 500_000).toUTCString() }, { policy: heuristic }), 'expired',
    'a tenth of the time until Date')
  for (const status of [200, 203, 204, 300, 301, 308, 404, 405, 410, 414, 501]) {
    t.equal(verdict(before(1_000), { policy: heuristic, status }), 100, String(status))
  }
  for (const status of [201, 202, 302, 303, 307, 400, 403, 500, 502, 503, 504, 599]) {
    t.equal(verdict(before(1_000), { policy: heuristic, status }), 'no-freshness', String(status))
    t.equal(verdict({ ...before(1_000), ...cc('public') }, { policy: heuristic, status }), 100, `${status} with public`)
  }
})

t.test('RFC 9213: a targeted field that the route lists replaces Cache-Control and Expires, and one that it does not list is ignored',
  async (t) => {
    const cdn = policyOf({ targetList: ['CDN-Cache-Control'] })
    const fields: Fields = { 'cdn-cache-control': 'max-age=5', 'cache-control': 'no-store', expires: '0' }
    t.equal(verdict(fields, { policy: cdn }), 5)
    t.equal(verdict(fields), 'no-store', 'not addressed to this cache')
    t.equal(verdict({ 'cdn-cache-control': 'no-store', 'cache-control': 'max-age=60' }, { policy: cdn }), 'no-store')
    t.equal(verdict({ 'cdn-cache-control': 'private', 'cache-control': 'max-age=60' }, { policy: cdn }), 'private')
    t.equal(verdict({ 'cdn-cache-control': 'public', expires: 'Tue, 06 May 2031 07:09:09 GMT' }, { policy: cdn }), 'no-freshness',
      'Expires is ignored beside it')
    for (const broken of ['max-age=10000, &&&&&', 'max-age="10000"', '', 'max-age=1.5', 'MaX-aGe=5', 'max-age =5']) {
      t.equal(verdict({ 'cdn-cache-control': broken, 'cache-control': 'no-store' }, { policy: cdn }), 'no-store', JSON.stringify(broken))
    }
  })

t.test('RFC 9111 section 7.3: a response that sets cookies is stored if the route says so', async (t) => {
  t.equal(verdict({ 'set-cookie': 'a=b', ...cc('max-age=5') }, { policy: policyOf({ setCookie: 'store' }) }), 5)
  t.equal(verdict({ 'set-cookie': 'a=b', ...cc('private, max-age=5') }, { policy: policyOf({ setCookie: 'store' }) }), 'private')
})

t.test(
  'RFC 9111 section 4.2.3: the age of a response is that of its Date or its Age, whichever is older, and Age grows in transit',
  async (t) => {
    const age = (said: Fields, askedAt = AT): number => (storability({
      status: 200,
      fields: { 'cache-control': 'max-age=4000000000', ...said },
      vary: undefined,
      setsCookie: false,
      ...PLAIN,
      askedAt
    }, WITHOUT) as Storable).ageMs / 1_000
    t.equal(age({}), 0)
    t.equal(age({}, AT - 5_000), 0, 'the handler made it just now')
    t.equal(age({ age: '10' }, AT - 5_000), 15)
    t.equal(age({ date: 'Tue, 06 May 2031 07:08:00 GMT' }), 9)
    t.equal(age({ date: 'Tue, 06 May 2031 07:08:00 GMT', age: '4' }), 9)
    t.equal(age({ date: 'Tue, 06 May 2031 07:08:00 GMT', age: '40' }), 40)
    t.equal(age({ date: 'Tue, 06 May 2031 09:08:00 GMT' }), 0, 'a clock that is ahead')
    t.equal(verdict({ date: 'Tue, 06 May 2031 07:00:00 GMT' }), 60, 'the ttl of a route counts from now')
    t.equal(verdict({ date: 'Tue, 06 May 2031 07:00:00 GMT', age: '20' }), 40)
  })

const anything = fc.oneof(fc.string(), fc.array(fc.string()), fc.integer(), fc.constant(undefined),
  fc.constantFrom('max-age=10', 'public', 'no-store', '*', 'Accept', DATE, '-1'))
const anyFields = fc.record({
  'cache-control': anything,
  expires: anything,
  date: anything,
  age: anything,
  vary: anything,
  'set-cookie': anything,
  'content-type': anything,
  'content-security-policy': anything
}, { requiredKeys: [] })

t.test('there is a verdict for any response, and a stored one is kept for a positive whole number of milliseconds', async (t) => {
  fc.assert(
    fc.property(anyFields, fc.integer({ min: -1, max: 999 }), fc.boolean(), fc.boolean(), (fields, status, authorized, hasValidator) => {
      const decided = storability({
        status, fields, vary: fields.vary, setsCookie: fields['set-cookie'] !== undefined, ...PLAIN, authorized, hasValidator
      }, WITH_TTL)
      return 'refused' in decided || (Number.isSafeInteger(decided.freshMs) && decided.freshMs + decided.keptMs > 0 &&
        decided.freshMs <= (2 ** 31 - 1) * 1000 && decided.ageMs >= 0 && fields['set-cookie'] === undefined)
    }), { numRuns: sized(10_000) })
  t.pass('for every response')
})

t.test('100 KB in any field that is read are judged in time', async (t) => {
  for (const unit of [',', ' ', '"', 'a,', "'nonce", '0', '* ', '\t']) {
    const value = unit.repeat(100_000 / unit.length)
    const fields = { age: value, expires: value, vary: value, 'content-type': value, 'content-security-policy': value }
    const before = workedMs()
    verdict(fields)
    requestDirectivesOf({ pragma: value })
    requestDirectivesOf({ 'cache-control': value })
    t.ok(workedMs() - before < 200, JSON.stringify(unit))
  }
})
