// Entity tags: when two are the same, lists of them, and those that the cache makes, one for each body.
import fc from 'fast-check'
import t from 'tap'
import { entityTags, etagOf, isSameStrongly, isSameWeakly } from '../../response/http/etag.js'
import { workedMs } from '../support/loop.js'
import { sized } from '../support/size.js'

t.test('an ETag is a strong entity tag, the same for the same bytes and different for others', async (t) => {
  const tags = Array.from({ length: 10_000 }, (_, at) => etagOf(String(at)))
  t.equal(new Set(tags).size, tags.length)
  t.equal(etagOf(Buffer.from('é')), etagOf('é'))
  for (const tag of [etagOf(''), ...tags.slice(0, 10)]) t.match(tag, /^"[\w-]{27}"$/)
})

t.test('RFC 9110 section 8.8.3.2: the four examples are compared correctly, weakly and strongly', async (t) => {
  const rows: ReadonlyArray<readonly [one: string, other: string, strongly: boolean, weakly: boolean]> = [
    ['W/"1"', 'W/"1"', false, true], ['W/"1"', 'W/"2"', false, false], ['W/"1"', '"1"', false, true], ['"1"', '"1"', true, true]
  ]
  for (const [one, other, strongly, weakly] of rows) {
    t.same([isSameStrongly(one, other), isSameWeakly(one, other)], [strongly, weakly], `${one} ${other}`)
  }
})

t.test('RFC 9110 section 13.1.2: a field is a list of entity tags, `*`, or neither', async (t) => {
  t.same(entityTags('"a"'), ['"a"'])
  t.same(entityTags('"a", W/"b" ,"c,d",,\t"e"'), ['"a"', 'W/"b"', '"c,d"', '"e"'])
  t.same(entityTags(['"a"', '"b"']), ['"a"', '"b"'])
  t.equal(entityTags(' * '), '*')
  for (const field of ['', ',', 'a', '"a" "b"', '"a", b', '"a', '*, "a"', '"a"; x', 'w/"a"']) {
    t.equal(entityTags(field), undefined, JSON.stringify(field))
  }
})

t.test('the parser never throws, and takes time in proportion to the length', async (t) => {
  fc.assert(fc.property(fc.string({ unit: fc.constantFrom(...'"W/, \\a*\t') }), (field) => {
    const tags = entityTags(field)
    return tags === undefined || tags === '*' || tags.length > 0
  }), { numRuns: sized(10_000) })
  t.equal(entityTags(Array.from({ length: 10_000 }, (_, at) => `"${at}"`).join(', '))?.length, 10_000)
  for (const unit of [' ', '"', '","', 'W/', '" ,', '\t,']) {
    const before = workedMs()
    entityTags(`"a"${unit.repeat(100_000 / unit.length)}x`)
    t.ok(workedMs() - before < 100, JSON.stringify(unit))
  }
})
