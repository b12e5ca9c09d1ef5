// Keys as log lines show them.
import t from 'tap'
import { readableKey } from '../../response/observe/readable-key.js'
import { customKey, dataKey, originPart, routePrefix, targetPart } from '../../response/request/key.js'

t.test('the key of a response shows its route, target and origin', async (t) => {
  for (const namespace of ['', 'rest', '4:4']) {
    const prefix = routePrefix(namespace, 'HEAD', '/products/:id')
    const route = 'GET /products/:id'
    const plain = prefix + targetPart('/products/1')
    for (const [key, shown] of [
      [plain + originPart('http://localhost:80'), '/products/1, http://localhost:80'],
      [plain, '/products/1'],
      [prefix + targetPart('/products/1?secret=1') + originPart('http://a'), '/products/1?..., http://a'],
      [prefix + targetPart(`/products/${'x'.repeat(600)}`) + originPart('http://a'), '..., http://a'],
      [`${plain}${originPart('http://a')} 5:{...}`, '/products/1, http://a ...'],
      [customKey(prefix, 'of a function'), '... ...']
    ] as const) {
      t.match(readableKey(key), { route }, key)
      t.match(readableKey(key).key, `${route}: `, key)
      if (!key.includes('=')) t.equal(readableKey(key).key, `${route}: ${shown}`)
    }
  }
})

t.test('other keys: a tag by its name, a value of the application without its key, and any other key as it is', async (t) => {
  t.strictSame(readableKey('4:restt 8:products'), { key: 'tag products' })
  t.strictSame(readableKey('0:t 1:a'), { key: 'tag a' })
  t.strictSame(readableKey(dataKey('rest', 'user 5')), { key: 'a value of the application' })
  for (const key of ['k', '', '99:short', 'x 1:a', '5:', '~']) t.strictSame(readableKey(key), { key })
})
