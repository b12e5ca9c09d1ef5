// The query in the key, and what a handler sees of it.
import t from 'tap'
import { keyBuilder, routePrefix, type Keyed } from '../../response/request/key.js'
import { limitedTarget, limitQuery } from '../../response/request/query.js'
import { routePolicy, type RouteCacheOptions } from '../../response/options/route-options.js'
import { fakeRequest, type RequestParts } from '../support/request.js'

function builder (key: RouteCacheOptions['key'] = {}, more: RouteCacheOptions = {}): (parts?: RequestParts) => Keyed {
  const build = keyBuilder(routePrefix('', 'GET', '/'), routePolicy('test', { ttl: 60, key, ...more }, {}))
  return (parts) => build(fakeRequest(parts))
}

/** The key, or the reason for a bypass. */
function keyOf (parts: RequestParts = {}, key?: RouteCacheOptions['key'], more?: RouteCacheOptions): string {
  const keyed = builder(key, more)(parts)
  return 'key' in keyed ? keyed.key : `bypass ${keyed.bypass}`
}

t.test('the raw query is in the key, in every spelling', async (t) => {
  const queries = [
    '', '?', '?a', '?a=', '?a=1', '?a=1&a=2', '?a=2&a=1', '?a=2', '?a[]=1', '?a=1;b=2', '?a=1&b=2', '?b=2&a=1', '?&a=1', '?a=1&',
    '?a=1&&b=2', '?=', '?a=+', '?a=%20', '?a= ', '?a=%zz', '?a=%C3%A9', '?a=%E9', '?A=1', '??a=1'
  ]
  t.equal(new Set(queries.map((query) => keyOf({ url: `/${query}` }))).size, queries.length)
  t.notMatch(keyOf({ url: '/p?token=secret' }), 'secret', 'it is not readable in the key')
})

t.test('listed parameters are in the key with all their values, and others are neither there nor in request.query', async (t) => {
  const of = (query: Record<string, unknown>, url = '/'): string => {
    const request = fakeRequest({ url, query: Object.assign(Object.create(null), query) })
    const keyed = keyBuilder('', routePolicy('test', { ttl: 60, key: { query: ['a', '__proto__'] } }, {}))(request)
    limitQuery(request, ['a', '__proto__'])
    t.same(Object.keys(request.query as object).filter((name) => !['a', '__proto__'].includes(name)), [])
    return (keyed as { key: string }).key
  }
  const queries = [
    {}, { a: '' }, { a: '1' }, { a: ['1'] }, { a: ['1', '2'] }, { a: '1,2' }, { a: ['1,2'] }, { a: '["1","2"]' }, { a: 1 }, { a: null },
    { a: { b: '1' } }
  ]
  t.equal(new Set(queries.map((query) => of(query))).size, queries.length)
  t.equal(of({ a: '1', evil: 'x' }, '/?a=1&evil=x'), of({ a: '1' }, '/?a=1'), 'other parameters do not split')
  const own = Object.create(null)
  Object.defineProperty(own, '__proto__', { value: 'x', enumerable: true })
  const polluted = fakeRequest({ query: own })
  limitQuery(polluted, ['__proto__'])
  t.same(Object.getOwnPropertyNames(polluted.query), ['__proto__'])
  t.equal(Object.getPrototypeOf(polluted.query), null)
  t.notOk(Object.hasOwn(Object.prototype, 'x'))
})

t.test('without parameters in the key the query is empty', async (t) => {
  const request = fakeRequest({ query: { a: '1', b: '2' } })
  limitQuery(request, false)
  t.same(request.query, {})
  limitQuery(request, true)
  t.equal(keyOf({ url: '/p?a=1' }, { query: false }), keyOf({ url: '/p?b' }, { query: false }))
})

t.test('a parameter is found in the target under each spelling of its name', async (t) => {
  for (const pair of ['a+b=1', 'a%20b=1', '%61+b=1', 'a%20%62=1', 'a b=1']) {
    t.equal(limitedTarget(`/p?x=1&${pair}&y=2`, ['a b']), `/p?${pair}`, pair)
  }
  for (const pair of ['a%2Bb=1', 'ab=1', 'a++b=1', 'A+b=1']) t.equal(limitedTarget(`/p?x=1&${pair}&y=2`, ['a b']), '/p', pair)
})
