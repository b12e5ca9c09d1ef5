// Validators: what is one, and when two are the same.
import fc from 'fast-check'
import t from 'tap'
import { canBeValidated, entityTags, isSameStrongly, isSameWeakly, validatorsOf } from '../../response/http/validators.js'
import { workedMs } from '../support/loop.js'
import { sized } from '../support/size.js'

const AT = Date.UTC(2031, 4, 6, 7, 8, 9)
const DATE = 'Tue, 06 May 2031 07:00:00 GMT'

t.test('RFC 9110 section 8.8.3: an entity tag is quoted text, weak or not; anything else is no validator', async (t) => {
  for (const etag of ['"a"', '""', 'W/"a"', '"\xfc"', '"a,b"', '"W/"']) t.equal(validatorsOf(['etag', etag], AT).etag, etag)
  for (const etag of ['a', '"a', 'w/"a"', 'W\\"a"', 'W"a"', '"a b"', '"a"b"', '', ' "a"', '"\x7f"', '"a", "b"']) {
    t.equal(validatorsOf(['etag', etag], AT).etag, undefined, JSON.stringify(etag))
    t.notOk(canBeValidated(validatorsOf(['x', 'y', 'etag', etag], AT)))
  }
})

t.test('RFC 9110 section 8.8.2: a date of modification is one that can be read, and is passed on as it was written', async (t) => {
  t.same(validatorsOf(['last-modified', DATE], AT), { etag: undefined, lastModified: DATE, lastModifiedAt: Date.UTC(2031, 4, 6, 7) })
  t.notOk(canBeValidated(validatorsOf(['last-modified', 'yesterday'], AT)))
  t.ok(canBeValidated(validatorsOf(['last-modified', DATE], AT)))
})

t.test('RFC 9110 section 8.8.3.2: the comparison of the four examples, weak and strong', async (t) => {
  const rows: ReadonlyArray<readonly [one: string, other: string, strongly: boolean, weakly: boolean]> = [
    ['W/"1"', 'W/"1"', false, true], ['W/"1"', 'W/"2"', false, false], ['W/"1"', '"1"', false, true], ['"1"', '"1"', true, true]
  ]
  for (const [one, other, strongly, weakly] of rows) {
    t.same([isSameStrongly(one, other), isSameWeakly(one, other)], [strongly, weakly], `${one} ${other}`)
  }
})

t.test('RFC 9110 section 13.1.2: a list of entity tags, `*`, and what is neither', async (t) => {
  t.same(entityTags('"a"'), ['"a"'])
  t.same(entityTags('"a", W/"b" ,"c,d",,\t"e"'), ['"a"', 'W/"b"', '"c,d"', '"e"'])
  t.same(entityTags(['"a"', '"b"']), ['"a"', '"b"'])
  t.equal(entityTags(' * '), '*')
  for (const field of ['', ',', 'a', '"a" "b"', '"a", b', '"a', '*, "a"', '"a"; x', 'w/"a"']) {
    t.equal(entityTags(field), undefined, JSON.stringify(field))
  }
})

t.test('never throws, and takes time in proportion to the length', async (t) => {
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
