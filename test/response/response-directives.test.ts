// Directives for this cache: a targeted field if there is a valid one, otherwise Cache-Control.
import fc from 'fast-check'
import t from 'tap'
import { responseDirectivesOf, parseTargeted } from '../../response/http/response-directives.js'
import { workedMs } from '../support/loop.js'
import { sized } from '../support/size.js'

const parsed = (field: string | string[]): unknown => {
  const found = parseTargeted(field)
  return found === undefined ? undefined : Object.fromEntries(found)
}

t.test('RFC 9213 section 2.1: a targeted field is a dictionary of directives', async (t) => {
  t.same(parsed('max-age=60, public'), { 'max-age': '60', public: true })
  t.same(parsed(['max-age=60', 'must-revalidate']), { 'max-age': '60', 'must-revalidate': true })
  t.same(parsed('max-age=60;x=y, no-cache="a, b", private'), { 'max-age': '60', 'no-cache': 'a, b', private: true },
    'parameters are ignored')
  t.same(parsed('max-age=1, max-age=2'), { 'max-age': '2' }, 'RFC 8941 section 3.2: the last one counts')
  t.same(parsed('max-age=2147483648'), { 'max-age': '2147483648' })
  t.same(parsed('foobar, other=1.5, more=(a b), max-age=5'), { foobar: true, other: '', more: '', 'max-age': '5' },
    'an unknown directive may have any value')
  t.same(parsed('max-age=-5'), { 'max-age': '-5' }, 'an integer, but not a number of seconds')
})

t.test('RFC 9213 section 2.1: an empty or malformed field, or one of the wrong type, counts as absent', async (t) => {
  const ignored = [
    '', ' ', ',', 'max-age=60,', 'max-age=60, &&&&&', 'max-age =60', 'max-age= 60', 'Max-Age=60', 'max-age="60"', 'max-age=60.5',
    'max-age=a', 'max-age', 'max-age=?1', 'no-store=1', 'no-store=?0', 'public="x"', 'no-cache=5', 'private=(a b)',
    'max-age=1234567890123456', 'max-age=60 public', '"max-age"=60', 'max-age=60; no-store, \u00e9', 'max-age=60, no-store=1',
    'no-store=?0, max-age=60', 'max-age=60, no-cache=5'
  ]
  for (const field of ignored) t.equal(parsed(field), undefined, JSON.stringify(field))
})

t.test('RFC 9213 section 2.2: only the first valid field of the target list counts', async (t) => {
  const fields = { 'one-cache-control': 'max-age=1', 'two-cache-control': 'max-age=2', 'cache-control': 'max-age=3, no-store' }
  const of = (targetList: string[], more = {}): unknown => {
    const { directives, isTargeted } = responseDirectivesOf({ ...fields, ...more }, targetList)
    return [directives.get('max-age'), directives.has('no-store'), isTargeted]
  }
  t.same(of([]), ['3', true, false])
  t.same(of(['one-cache-control', 'two-cache-control']), ['1', false, true])
  t.same(of(['two-cache-control', 'one-cache-control']), ['2', false, true])
  t.same(of(['zero-cache-control', 'two-cache-control']), ['2', false, true])
  t.same(of(['one-cache-control', 'two-cache-control'], { 'one-cache-control': '&' }), ['2', false, true])
  t.same(of(['one-cache-control'], { 'one-cache-control': '&' }), ['3', true, false])
  t.ok(responseDirectivesOf({ 'cache-control': '"' }, []).malformed)
  t.notOk(responseDirectivesOf({ 'cache-control': '"', 'one-cache-control': 'max-age=1' }, ['one-cache-control']).malformed)
})

t.test('the parser never throws, and 100 KB take time in proportion to their length', async (t) => {
  fc.assert(fc.property(fc.oneof(fc.string(), fc.string({ unit: fc.constantFrom(...'max-age=10,;"?()@%: ') })), (field) =>
    [true, false].includes(parseTargeted(field) === undefined)), { numRuns: sized(10_000) })
  for (const unit of [',', ' ', '"', 'a,', '=', '(', '\\', 'a;', '%"']) {
    const before = workedMs()
    parseTargeted(`a=${unit.repeat(100_000 / unit.length)}`)
    t.ok(workedMs() - before < 300, JSON.stringify(unit))
  }
})
