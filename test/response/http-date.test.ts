// Dates: three formats in any case of letters, and no text that is only almost a date.
import fc from 'fast-check'
import t from 'tap'
import { parseHttpDate } from '../../response/http/http-date.js'
import { workedMs } from '../support/loop.js'

const AT = Date.UTC(2031, 4, 6, 7, 8, 9)

t.test('RFC 9110 section 5.6.7: the current format and the two obsolete ones are read', async (t) => {
  const rows: ReadonlyArray<readonly [text: string, at: number]> = [
    ['Sun, 06 Nov 1994 08:49:37 GMT', Date.UTC(1994, 10, 6, 8, 49, 37)],
    ['Sunday, 06-Nov-94 08:49:37 GMT', Date.UTC(1994, 10, 6, 8, 49, 37)], ['Sun Nov  6 08:49:37 1994', Date.UTC(1994, 10, 6, 8, 49, 37)],
    ['Sun Nov 16 08:49:37 1994', Date.UTC(1994, 10, 16, 8, 49, 37)], ['THU, 18 AUG 2050 02:01:18 gmt', Date.UTC(2050, 7, 18, 2, 1, 18)],
    ['Sat, 31 Dec 2016 23:59:60 GMT', Date.UTC(2017, 0, 1)], ['Sun, 21 Nov 2286 04:46:39 GMT', Date.UTC(2286, 10, 21, 4, 46, 39)],
    ['Tue, 29 Feb 2028 00:00:00 GMT', Date.UTC(2028, 1, 29)]
  ]
  for (const [text, at] of rows) t.equal(parseHttpDate(text, AT), at, text)
})

t.test('RFC 9110 section 5.6.7: a two-digit year more than 50 years in the future is of the previous century', async (t) => {
  const year = (short: string, at = AT): number =>
    new Date(parseHttpDate(`Thursday, 18-Aug-${short} 02:01:18 GMT`, at) as number).getUTCFullYear()
  t.equal(year('50'), 2050)
  t.equal(year('81'), 2081)
  t.equal(year('82'), 1982)
  t.equal(year('00', Date.UTC(1999, 0)), 1900)
  t.equal(year('99', Date.UTC(2049, 0)), 2099)
})

t.test('RFC 9111 section 5.3: text that is only almost a date is not a date', async (t) => {
  const none = [
    '', '0', '-1', 'Thu, 18 Aug 2050 02:01:18 UTC', 'Thu, 18 Aug 2050 02:01:18 AEST', 'Thu, 18 Aug 2050 02:01:18',
    'Thu, 18 Aug 50 02:01:18 GMT', 'Thu 18 Aug 2050 02:01:18 GMT', 'Thu, 18  Aug  2050 02:01:18 GMT', 'Thu, 18-Aug-2050 02:01:18 GMT',
    'Thu, 18 Aug 2050 02.01.18 GMT', 'Thu, 18 Aug 2050 2:01:18 GMT', ' Thu, 18 Aug 2050 02:01:18 GMT', 'Thu, 18 Aug 2050 02:01:18 GMT ',
    'Thu, 32 Aug 2050 02:01:18 GMT', 'Thu, 31 Feb 2050 02:01:18 GMT', 'Thu, 00 Aug 2050 02:01:18 GMT', 'Thu, 18 Aug 2050 24:01:18 GMT',
    'Thu, 18 Aug 2050 02:60:18 GMT', 'Thu, 18 Aug 2050 02:01:61 GMT', '2031-05-06T07:09:09Z', 'Thu Aug 8 02:01:18 2050',
    'Xyz, 18 Aug 2050 02:01:18 GMT', 'Thu, 18 Xyz 2050 02:01:18 GMT'
  ]
  for (const text of none) t.equal(parseHttpDate(text, AT), undefined, JSON.stringify(text))
  t.equal(parseHttpDate(undefined, AT), undefined)
  t.equal(parseHttpDate(['Thu, 18 Aug 2050 02:01:18 GMT', 'Thu, 18 Aug 2050 02:01:18 GMT'], AT), undefined, 'two dates are none')
})

t.test('every second that JavaScript writes as an HTTP date is read back', async (t) => {
  fc.assert(fc.property(fc.integer({ min: 0, max: 250_000_000_000 }), (second) =>
    parseHttpDate(new Date(second * 1_000).toUTCString(), AT) === second * 1_000))
  t.pass('for every second')
})

t.test('the parser never throws, and 100 KB take no time', async (t) => {
  fc.assert(fc.property(fc.oneof(fc.string(), fc.array(fc.string())), (text) =>
    [undefined, 'number'].includes(typeof parseHttpDate(text, AT) === 'number' ? 'number' : undefined)))
  const before = workedMs()
  for (const unit of [' ', 'Thu, ', '0', ':', ',']) parseHttpDate(unit.repeat(100_000), AT)
  t.ok(workedMs() - before < 100)
})
