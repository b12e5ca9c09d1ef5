// Ranges: which bytes a request selects, and when it selects none.
import fc from 'fast-check'
import t from 'tap'
import { allowsRanges, announcesRanges, MAX_RANGES, rangesOf } from '../../response/http/ranges.js'
import { workedMs } from '../support/loop.js'
import { sized } from '../support/size.js'

const of = (field: string | string[], length = 10): unknown => {
  const ranges = rangesOf(field, length)
  return Array.isArray(ranges) ? ranges.map(({ first, last }) => `${first}-${last}`).join() : ranges
}

t.test('RFC 9110 section 14.1.2: a range is from a byte on, from one to another, or the last bytes', async (t) => {
  const rows: ReadonlyArray<readonly [field: string, ranges: string | undefined]> = [
    ['bytes=0-0', '0-0'], ['bytes=0-', '0-9'], ['bytes=2-4', '2-4'], ['bytes=9-', '9-9'], ['bytes=5-99', '5-9'], ['bytes=-3', '7-9'],
    ['bytes=-99999999999', '0-9'], ['Bytes=1-2', '1-2'], ['bytes=0-99999999999999999999999', '0-9'], ['bytes= 1-2 , 5-6', '1-2,5-6'],
    ['bytes=,1-2,,', '1-2'], ['bytes=10-, 1-2', '1-2']
  ]
  for (const [field, ranges] of rows) t.equal(of(field), ranges, field)
})

t.test('RFC 9110 section 14.2: another unit, or an invalid range, is ignored', async (t) => {
  const ignored = [
    '', 'bytes', 'bytes=', 'bytes=,', 'x=0-1', 'bytes 0-1', 'bytes=a-b', 'bytes=4-2', 'bytes=-', 'bytes=--1', 'bytes=1', 'bytes=0-1;2-3',
    'bytes=0-1x', 'bytes=0x1-', 'bytes=1.5-2', 'bytes=0 - 1', 'bytes=0-1, x'
  ]
  for (const field of ignored) t.equal(of(field), undefined, JSON.stringify(field))
})

t.test('RFC 9110 section 15.5.17: ranges that all begin after the end are unsatisfiable', async (t) => {
  for (const field of ['bytes=10-', 'bytes=10-20', 'bytes=-0', 'bytes=99-, 11-12', 'bytes=99999999999999999999-']) {
    t.equal(of(field), 'unsatisfiable', field)
  }
  for (const field of ['bytes=0-', 'bytes=0-0', 'bytes=-5']) t.equal(of(field, 0), 'unsatisfiable', `${field} of nothing`)
})

t.test('RFC 9110 section 15.3.7.2: ranges that overlap or touch are merged, in ascending order', async (t) => {
  const rows = [
    ['bytes=0-3,2-5', '0-5'], ['bytes=0-3,4-5', '0-5'], ['bytes=5-6,0-1', '0-1,5-6'], ['bytes=0-,0-,0-', '0-9'], ['bytes=-1,-2,-3', '7-9'],
    ['bytes=0-0,2-2,4-4', '0-0,2-2,4-4'], ['bytes=1-8,3-4', '1-8']
  ] as const
  for (const [field, ranges] of rows) t.equal(of(field), ranges, field)
})

t.test('a request for too many parts gets the whole', async (t) => {
  const many = (count: number): string => `bytes=${Array.from({ length: count }, (_, at) => `${at * 2}-${at * 2}`).join()}`
  t.equal((rangesOf(many(MAX_RANGES), 1_000) as unknown[]).length, MAX_RANGES)
  t.equal(rangesOf(many(MAX_RANGES + 1), 1_000), undefined)
})

t.test('the parts are always within the response, apart and ascending', async (t) => {
  const spec = fc.oneof(fc.tuple(fc.nat(30), fc.nat(30)).map(([one, other]) => `${one}-${one + other}`),
    fc.nat(30).map((first) => `${first}-`), fc.nat(30).map((last) => `-${last}`), fc.string({ unit: fc.constantFrom(...'0123456789-, ') }))
  fc.assert(fc.property(fc.array(spec, { maxLength: 8 }), fc.nat(20), (specs, length) => {
    const ranges = rangesOf(`bytes=${specs.join(',')}`, length)
    return ranges === undefined || ranges === 'unsatisfiable' ||
      ranges.every(({ first, last }, at) => first >= 0 && last >= first && last < length && (at === 0 || first > ranges[at - 1]!.last + 1))
  }), { numRuns: sized(10_000) })
  t.pass('for every field')
})

t.test('100 KB take time in proportion to their length', async (t) => {
  for (const unit of [' ', ',', '-', '0', '0-,', ' ,', '\t']) {
    const before = workedMs()
    rangesOf(`bytes=${unit.repeat(100_000 / unit.length)}x`, 1_000)
    t.ok(workedMs() - before < 100, JSON.stringify(unit))
  }
})

t.test('RFC 9110 section 14.3: a response may be cut if Accept-Ranges lists bytes, or is absent', async (t) => {
  for (const field of [undefined, 'bytes', 'Bytes', 'items, bytes', 'bytes ,items', ['items', 'bytes']]) {
    t.equal(allowsRanges(field), true, String(field))
  }
  for (const field of ['none', '', 'items', 'bytesx', 'xbytes', 'none, items']) t.equal(allowsRanges(field), false, field)
})

t.test('ranges are announced on the whole, a part and an unsatisfiable range, to GET and HEAD', async (t) => {
  for (const status of [200, 206, 416]) {
    for (const [method, is] of [['GET', true], ['HEAD', true], ['POST', false], ['QUERY', false]] as const) {
      t.equal(announcesRanges(method, status), is, `${method} ${status}`)
    }
  }
  for (const status of [203, 204, 301, 304, 404, 412, 500]) t.equal(announcesRanges('GET', status), false, String(status))
})
