// Cache-Control is parsed strictly: what is certain is read, and anything else is malformed.
import fc from 'fast-check'
import t from 'tap'
import { joined, type FieldValue } from '../../response/http/field-values.js'
import { deltaSeconds, MAX_DELTA_SECONDS, parseCacheControl } from '../../response/http/cache-control.js'
import { sized } from '../support/size.js'

const MALFORMED = 'malformed'

/** The parsed directives, as an object. */
function read (value: FieldValue): object | typeof MALFORMED {
  const { directives, malformed } = parseCacheControl(value)
  return malformed ? MALFORMED : Object.fromEntries(directives)
}

t.test('directives are found in every form of the grammar', async (t) => {
  const rows: ReadonlyArray<readonly [value: FieldValue, read: object]> = [
    [undefined, {}], ['', {}], [[], {}], [',,, ,\t,', {}],
    ['no-store', { 'no-store': true }], ['PRIVATE', { private: true }], ['No-Store , pRiVaTe', { 'no-store': true, private: true }],
    ['private=""', { private: '' }], ['private="set-cookie"', { private: 'set-cookie' }], ['private="a, b"', { private: 'a, b' }],
    ['private="set-cookie", max-age=60', { private: 'set-cookie', 'max-age': '60' }],
    ['no-cache=set-cookie', { 'no-cache': 'set-cookie' }], ['max-age="10"', { 'max-age': '10' }],
    ['  max-age=10\t,\tno-store  ', { 'max-age': '10', 'no-store': true }],
    [['public', 'no-store'], { public: true, 'no-store': true }], [['max-age=1', ''], { 'max-age': '1' }],
    ['x="\\"", no-store', { x: '\\"', 'no-store': true }], ['x="a=b;c"', { x: 'a=b;c' }], [60, { 60: true }],
    ['__proto__=1, constructor', Object.fromEntries([['__proto__', '1'], ['constructor', true]])]
  ]
  for (const [value, expected] of rows) t.same(read(value), expected, JSON.stringify(value))
})

t.test('text outside the grammar is malformed, and so is text that a broken quote might hide', async (t) => {
  const values = [
    'no-cache = "x"', 'no-cache ="x"', 'max-age= 10', 's-maxage=', 'max-age=10;no-store', 'private="set-cookie', 'private="a\\',
    'private="a\\"', '"no-store"', '=1', 'a="b"c', 'a="b" no-store', 'max-age=1 no-store', 'x="y", no-store"', 'a="\u0000"', 'a="\n"',
    'a=\u00a0b', 'no-store\u00a0', 'no-store\u000b', 'näh=1', '(comment)', 'a=b=c', 'a=[1]', '🦊'
  ]
  for (const value of values) t.equal(read(value), MALFORMED, JSON.stringify(value))
  t.equal(read(['max-age=60', 'private="']), MALFORMED, 'over two lines')
})

t.test('seconds are digits, capped at 2^31-1; any other value counts as zero', async (t) => {
  const rows: ReadonlyArray<readonly [value: string, seconds: number | undefined]> = [
    ['max-age=0', 0], ['max-age=60', 60], ['max-age="10"', 10], ['max-age=007', 7],
    ['max-age=99999999999999999999', MAX_DELTA_SECONDS], [`max-age=${'9'.repeat(400)}`, MAX_DELTA_SECONDS],
    [`max-age=${2 ** 31 - 1}`, MAX_DELTA_SECONDS], [`max-age=${2 ** 31}`, MAX_DELTA_SECONDS],
    ['max-age=-1', 0], ['max-age=1e9', 0], ['max-age=1.5', 0], ['max-age=""', 0], ['max-age', 0], ['max-age=+5', 0], ['max-age=0x10', 0],
    ['max-age=NaN', 0], ['max-age=Infinity', 0], ['max-age="1 0"', 0],
    ['public', undefined], ['', undefined],
    ['max-age=10, max-age=20', 10], ['max-age=20, max-age=10', 10], ['max-age=10, max-age', 0], ['max-age, max-age=10', 0],
    ['max-age=x, max-age=10', 0], ['max-age=10, max-age=x', 0], ['max-age=10, MAX-AGE=0', 0]
  ]
  for (const [value, seconds] of rows) t.equal(deltaSeconds(parseCacheControl(value), 'max-age'), seconds, value.slice(0, 40))
})

t.test('a qualified form beside the unqualified one does not hide the directive', async (t) => {
  for (const value of ['private, private="x"', 'private="x", private', 'no-cache="a", no-cache="b"', 'no-store="x"']) {
    const { directives, malformed } = parseCacheControl(value)
    t.notOk(malformed, value)
    t.ok(['private', 'no-cache', 'no-store'].some((name) => directives.has(name)), value)
  }
})

/** Text that is likely to touch a rule of the grammar. */
const hostile = fc.string({
  unit: fc.oneof({ weight: 9, arbitrary: fc.constantFrom(...'"\\,= \tab1;\r\n\u0000\u00e9', 'no-store', 'max-age=1', 'private') }, {
    weight: 1, arbitrary: fc.string({ minLength: 1, maxLength: 1 })
  }),
  maxLength: 60
})

t.test('the parser never throws, for any value', async (t) => {
  fc.assert(fc.property(fc.oneof(hostile, fc.array(hostile), fc.string(), fc.integer()), (value) => {
    return [...parseCacheControl(value).directives.keys()].every((name) => name === name.toLowerCase() && name !== '')
  }), { numRuns: sized(20_000) })
  t.pass('for every value')
})

t.test('malformed text hides no valid directive', async (t) => {
  for (const [text, names] of [
    ['no-store, ext=a/b', ['no-store']], ['ext=a/b, no-store', ['no-store']], ['ext="a, no-store', ['no-store']],
    ['max-age=, no-cache', ['no-cache']], ['=, a b, max-age=5', ['max-age']]
  ] as const) {
    const { directives, malformed } = parseCacheControl(text)
    t.same([...directives.keys()], names, text)
    t.ok(malformed, text)
  }
})

const token = fc.string({ unit: fc.constantFrom(...'abcXYZ0189-_!#$%&\'*+.^`|~'), minLength: 1, maxLength: 12 })
const quoted = fc.string({ unit: fc.constantFrom(...'abc, =;\t\'', '\\"', '\\\\', '\u00e9'), maxLength: 12 }).map((inner) => `"${inner}"`)
const directive = fc.tuple(token, fc.option(fc.oneof(token, quoted), { nil: undefined })).map(([name, argument]) => ({
  name, text: argument === undefined ? name : `${name}=${argument}`
}))
const between = fc.constantFrom(',', ', ', ' ,', ',,', ' , \t,')

t.test('every directive in the grammar is understood, and no other is found', async (t) => {
  fc.assert(fc.property(fc.array(fc.tuple(directive, between)), (list) => {
    const { directives, malformed } = parseCacheControl(list.map(([{ text }, separator]) => text + separator).join(''))
    const names = new Set(list.map(([{ name }]) => name.toLowerCase()))
    return !malformed && directives.size === names.size && [...names].every((name) => directives.has(name))
  }), { numRuns: sized(5_000) })
  t.pass('for every list')
})

t.test('a directive before, after or between broken text is found, or the field is malformed', async (t) => {
  fc.assert(fc.property(hostile.filter((text) => !text.includes('"')), hostile.filter((text) => !text.includes('"')), (before, behind) => {
    const { directives, malformed } = parseCacheControl([before, 'no-store', behind])
    return malformed || directives.has('no-store')
  }), { numRuns: sized(10_000) })
  t.pass('for every text without a quote')
})

t.test('lines are joined as in HTTP', async (t) => {
  t.equal(joined(undefined), '')
  t.equal(joined(['a', 'b']), 'a, b')
  t.equal(joined(0), '0')
})

/** The least of several measurements, in milliseconds: the noise of a busy machine is never negative. */
function leastMs (run: () => unknown): number {
  let least = Infinity
  for (let times = 0; times < 7; times++) {
    const startedAt = performance.now()
    run()
    least = Math.min(least, performance.now() - startedAt)
  }
  return least
}

t.test('a field of 100 KB takes time in proportion to its length', async (t) => {
  const units = [
    ',', ' ', '\t', '"', '\\', '=', 'a', 'a,', 'a=,', '"a",', 'a="', 'a="",', 'a="b",', 'a="\\', 'a="\\"",', ' ,', 'no-store ', '\u0000',
    'é', '🦊'
  ]
  for (const unit of units) {
    for (const prefix of ['', 'a="', 'a']) {
      const of = (length: number): string => prefix + unit.repeat(length / unit.length)
      const [half, whole] = [of(50_000), of(100_000)]
      const [halfMs, wholeMs] = [leastMs(() => parseCacheControl(half)), leastMs(() => parseCacheControl(whole))]
      t.ok(wholeMs < Math.max(halfMs * 3.5, 60), `${JSON.stringify(prefix + unit)}...: ${halfMs.toFixed(2)} ms, ${wholeMs.toFixed(2)} ms`)
    }
  }
})
