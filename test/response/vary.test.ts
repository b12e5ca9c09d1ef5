// Vary: its names, and which variant a request selects.
import fc from 'fast-check'
import t from 'tap'
import { variantOf } from '../../response/request/variant.js'
import { MAX_VARY_FIELDS, varyNames } from '../../response/http/vary.js'
import { fakeFields as asked } from '../support/request.js'
import { sized } from '../support/size.js'

t.test('`*` anywhere, invalid names, names that every object has, and too many names are refused', async (t) => {
  const many = (count: number): string => Array.from({ length: count }, (_, at) => `x-${at}`).join(',')
  for (const value of ['*', '* ', ' *', '*,', ',*', 'a, *', 'a,*,b', ['a', '*'], ['*'], 'constructor', 'a, Constructor', '__proto__', 'a b',
    'a\u00e9', 'a:b', '"a"', 'a\nb', 'a;q=1', 'ﬀ', many(MAX_VARY_FIELDS + 1)]) {
    t.equal(varyNames(value), undefined, JSON.stringify(value))
  }
  t.equal(varyNames(many(MAX_VARY_FIELDS))?.length, MAX_VARY_FIELDS, 'as many as are allowed')
  t.equal(varyNames(Array.from({ length: 50 }, () => 'Accept').join(','))?.length, 1, 'the same name counts once')
})

t.test('names are lower case, sorted, once each, from every line', async (t) => {
  t.same(varyNames(undefined), [])
  t.same(varyNames(''), [])
  t.same(varyNames(' , ,'), [])
  t.same(varyNames('Accept-Language , accept,ACCEPT'), ['accept', 'accept-language'])
  t.same(varyNames(['b', 'A, c']), ['a', 'b', 'c'])
  t.same(varyNames('valueOf, toString'), ['tostring', 'valueof'], 'in lower case these are ordinary names')
})

t.test('the parser never throws, whatever Vary contains', async (t) => {
  fc.assert(fc.property(fc.oneof(fc.string(), fc.array(fc.string())), (value) => {
    const names = varyNames(value)
    return names === undefined ||
      (names.length <= MAX_VARY_FIELDS && names.every((name) => /^[!#$%&'*+.^_`|~0-9a-z-]+$/.test(name) && name !== '*'))
  }), { numRuns: sized(10_000) })
  t.pass('for every value')
})

t.test('two requests select one variant exactly when all named fields are the same', async (t) => {
  const names = ['a', 'b']
  const value = fc.option(fc.oneof(fc.string({ unit: fc.constantFrom(...'-|:0123456789+,a '), maxLength: 6 }), fc.string({ maxLength: 3 })),
    { nil: undefined })
  const headers = fc.record({ a: value, b: value, other: value }, { requiredKeys: ['a', 'b'] })
  fc.assert(fc.property(headers, headers, (one, other) => {
    const same = one.a === other.a && one.b === other.b
    return same === (variantOf(names, asked(one)) === variantOf(names, asked(other)))
  }), { numRuns: sized(20_000) })
  t.pass('for every pair')
})

t.test('missing is not empty, lists are not their joined text, spelling counts', async (t) => {
  const of = (value: unknown): string => variantOf(['a'], asked({ a: value }))
  const all = [
    undefined, '', '-', '0:', 'de', 'DE', 'de,fr', 'de, fr', 'de ,fr', ['de', 'fr'], ['de'], ['2:de'], '2:de', '4:2:de', '+4:2:de', ['']
  ]
  t.equal(new Set(all.map(of)).size, all.length)
})

t.test('a field that a schema removed from request.headers, or turned into a number, still tells variants apart', async (t) => {
  const removed = ['alice', 'bob'].map((value) => variantOf(['authorization'], asked({}, ['Host', 'h', 'Authorization', value])))
  t.not(removed[0], removed[1])
  const coerced = [3, 4].map((value) => variantOf(['x-version'], asked({ 'x-version': value }, ['X-Version', String(value)])))
  t.not(coerced[0], coerced[1])
  t.not(variantOf(['a'], asked({ a: 'x' })), variantOf(['a'], asked({}, ['A', 'x'])), 'a removed field differs from one that was left')
})

t.test('names that every object has are not read from the prototype', async (t) => {
  for (const name of ['constructor', '__proto__', 'tostring', 'hasOwnProperty']) {
    t.equal(variantOf([name], asked({})), variantOf(['absent'], asked({})), name)
  }
})

t.test('a field that came twice differs from one that came once, though Node returns only its first line', async (t) => {
  const lines = (...values: string[]): string =>
    variantOf(['authorization'], asked({ authorization: values[0] }, values.flatMap((value) => ['Authorization', value])))
  const all = [lines('x'), lines('x', 'x'), lines('x', 'y'), lines('x', 'y', 'x'), lines('y', 'x')]
  t.equal(new Set(all).size, all.length)
})
