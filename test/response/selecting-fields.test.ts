// Spellings with one meaning select the same variant, and no other spelling does.
import fc from 'fast-check'
import t from 'tap'
import { normalized, type Spelling } from '../../response/http/selecting-fields.js'
import { workedMs } from '../support/loop.js'
import { sized } from '../support/size.js'

const isOne = (name: string, one: string | string[], other: string | string[], spelling: Spelling = 'normalised'): boolean =>
  JSON.stringify(normalized(name, one, spelling)) === JSON.stringify(normalized(name, other, spelling))

t.test('RFC 9111 section 4.1: Accept-Encoding is the same in any case, with any blanks, in any order', async (t) => {
  for (const other of ['GZIP, br', 'br,gzip', ' br ,  gzip ', 'gzip;q=1, br;q=1.000', 'gzip ; q=1.0, br', ['gzip', 'br'], 'gzip,,br,']) {
    t.ok(isOne('accept-encoding', 'gzip, br', other), String(other))
  }
  for (const other of ['gzip', 'gzip, br, zstd', 'gzip, br;q=0.9', 'gzip, br;q=0', 'gzip, *', '']) {
    t.notOk(isOne('accept-encoding', 'gzip, br', other), other)
  }
  t.ok(isOne('accept-encoding', 'br;q=0.50', 'br;q=0.5'))
})

t.test('RFC 9111 section 4.1: Accept-Language is the same in any case, with any blanks, in any order', async (t) => {
  for (const other of ['EN, De', 'en,de', ' en ,   de', 'en;q=1.0, de', 'de, en']) t.ok(isOne('accept-language', 'en, de', other), other)
  t.notOk(isOne('accept-language', 'en, de;q=0.5', 'de, en;q=0.5'))
})

t.test('a field is compared to the letter, unless the route says otherwise', async (t) => {
  for (const name of ['accept-encoding', 'accept-language', 'foo']) {
    for (const other of ['A, b', 'a,b', 'b, a', 'a, b;q=1', ' a, b', ['a', 'b']]) {
      t.notOk(isOne(name, 'a, b', other, 'exact'), `${name} ${String(other)}`)
    }
  }
})

t.test('a field that cannot be parsed stays as it is', async (t) => {
  for (const field of ['gzip;q=2', 'gzip;q=', 'gzip;level=1', 'gzip br', '"gzip"', 'gzip;q=0.1234', 'gzip;q=1;x']) {
    t.equal(normalized('accept-encoding', field, 'normalised'), field, field)
  }
  t.equal(normalized('accept-encoding', undefined, 'normalised'), undefined)
  t.not(normalized('accept-encoding', '', 'normalised'), undefined, 'empty is not missing')
})

t.test('in other fields only blanks around commas are ignored', async (t) => {
  for (const other of [' 1, 2 ', '1 ,2', '1\t,\t2', ['1', '2']]) t.ok(isOne('foo', '1,2', other), JSON.stringify(other))
  for (const [one, other] of [
    ['"a, b"', '"a,b"'], ['a b', 'ab'], ['a "x" b', 'a"x"b'], ['A', 'a'], ['"a , b', '"a,b'], ['"\\", a"', '"\\",a"']
  ] as const) t.notOk(isOne('foo', one, other), `${one} | ${other}`)
})

t.test("a field that is not a list is compared as a whole, and only HTTP's blanks are blanks", async (t) => {
  for (const [name, one, other] of [
    ['cookie', 'u=smith, john', 'u=smith,john'], ['user-agent', 'M (a, b)', 'M (a,b)'], ['authorization', 'Digest a, b', 'Digest a,b']
  ] as const) t.notOk(isOne(name, one, other), name)
  for (const name of ['foo', 'accept-encoding']) {
    for (const other of ['bob\xa0', '\xa0bob', 'a,\xa0bob']) t.notOk(isOne(name, other.replace('\xa0', ''), other), name)
  }
})

t.test('only blanks are ever ignored', async (t) => {
  const text = fc.string({ unit: fc.constantFrom(...'ab," \\;=q01') })
  const bare = (field: string): string => field.replaceAll(/[ \t]/g, '')
  fc.assert(fc.property(text, text, (one, other) => bare(one) === bare(other) || !isOne('foo', one, other)), { numRuns: sized(10_000) })
  t.pass('for every pair')
})

t.test('100 KB take time in proportion to their length', async (t) => {
  for (const name of ['accept-encoding', 'accept-language', 'foo']) {
    for (const unit of [' ', ',', '"', ', ', ';', 'a,', ';q=', '\t']) {
      const before = workedMs()
      normalized(name, `a${unit.repeat(100_000 / unit.length)}x`, 'normalised')
      t.ok(workedMs() - before < 200, `${name} ${JSON.stringify(unit)}`)
    }
  }
})
