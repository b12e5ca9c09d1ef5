// The targets that an invalidation may have. Anything else is refused by name.
import t from 'tap'
import { parseTarget, parseTargets, partsOf } from '../../response/options/invalidation-target.js'

t.test('a target is parsed, and a single tag is a list of one', async (t) => {
  t.same(parseTarget('products', 'x'), { tags: ['products'] })
  for (const target of [{ tags: [] }, { tags: ['a', 'b'], soft: true }, { url: '/a?b=1', method: 'QUERY' }, { url: 'https://a.example' },
    { route: 'GET /a' }, { key: 'k' }]) t.equal(parseTarget(target, 'x'), target)
})

t.test('an invalid target is refused with its name, what was expected and what came', async (t) => {
  const none: unknown[] = [
    '', 1, null, undefined, [], ['a'], {}, { tags: 'a' }, { tags: [''] }, { tags: ['x'.repeat(1_025)] }, { tags: ['a'], soft: 1 },
    { tags: ['a'], url: '/a' }, { url: '/a', soft: true }, { route: '/a', soft: true }, { key: 'a', soft: true }, { url: 'a' },
    { url: '/a#b' }, { url: '/a', method: 1 }, { route: 1 }, { key: '' }, { soft: true }
  ]
  for (const target of none) {
    t.throws(() => parseTarget(target, 'here'), { code: 'CACHE_ERR_OPTION', message: /'here(\.\w+)?' must be/ }, JSON.stringify(target))
  }
})

t.test('a list of targets is refused if one of them is invalid', async (t) => {
  t.same(parseTargets(['a', { key: 'b' }], 'x'), [{ tags: ['a'] }, { key: 'b' }])
  t.throws(() => parseTargets(['a', 1], 'x'), { code: 'CACHE_ERR_OPTION' })
  t.throws(() => parseTargets('a', 'x'), { code: 'CACHE_ERR_OPTION' })
})

t.test('a URL is a request target, with or without an origin', async (t) => {
  t.same(partsOf('/a?b'), { origin: undefined, target: '/a?b' })
  t.same(partsOf('https://a.example/b?c=/d'), { origin: 'https://a.example', target: '/b?c=/d' })
  t.same(partsOf('http://a.example:8080'), { origin: 'http://a.example:8080', target: '/' })
  t.same(partsOf('http://a.example?b'), { origin: 'http://a.example', target: '/?b' })
})
