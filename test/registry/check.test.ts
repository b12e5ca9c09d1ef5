// Checks of options, durations above all: a refusal names the option, what was expected and what was given.
import fc from 'fast-check'
import t from 'tap'
import {
  boolean, checkOptions, discreet, duration, exactlyOne, hasMethods, isRecord, kindOf, MAX_DURATION_MS, oneOf, parseDuration,
  positiveInteger, show, storePrefix, text, textList
} from '../../registry/check.js'

const REFUSED: ReadonlyArray<readonly [name: string, value: unknown]> = [
  ['-1', -1], ['NaN', NaN], ['Infinity', Infinity], ['-Infinity', -Infinity], ['1e308', 1e308], ['2^53', 2 ** 53],
  ['2^31 seconds', 2 ** 31], ["'5'", '5'], ["'5 m'", '5 m'], ["''", ''], ["'-5m'", '-5m'], ["' 5m'", ' 5m'], ["'5m\\n'", '5m\n'],
  ["'5M'", '5M'], ["'1e3s'", '1e3s'], ["'.5s'", '.5s'], ["'5w'", '5w'], ["'Infinityms'", 'Infinityms'], ["'0x10s'", '0x10s'],
  ["'3651d'", '3651d'], ["'1.1234567s'", '1.1234567s'], ["'٥s'", '٥s'], ['null', null], ['undefined', undefined], ['true', true],
  ['false', false], ['1n', 1n], ['{}', {}], ['[]', []], ['[5]', [5]], ['a function', () => 5], ['a symbol', Symbol('5')],
  ['an object with valueOf', { valueOf: () => 5 }], ['a Date', new Date(5)], ['a String', Object('5s')]
]

const TAKEN: ReadonlyArray<readonly [value: number | string, ms: number]> = [
  [1, 1_000], [1.5, 1_500], [0.25, 250], [0.0001, 1], [0.0014, 1], [60, 60_000], [2 ** 31 / 1_000, 2 ** 31],
  [MAX_DURATION_MS / 1_000, MAX_DURATION_MS], ['250ms', 250], ['90s', 90_000], ['5m', 300_000], ['2h', 7_200_000], ['1d', 86_400_000],
  ['40d', 3_456_000_000], ['1.5h', 5_400_000], ['0.4ms', 1], ['3650d', MAX_DURATION_MS], ['007s', 7_000]
]

const option = { code: 'CACHE_ERR_OPTION' }

for (const [name, value] of REFUSED) {
  t.test(`check: a duration of ${name} is refused, and the error names the option`, async (t) => {
    t.equal(parseDuration(value), undefined)
    for (const check of [duration(), duration({ zero: true })]) {
      t.throws(() => check(value, 'route.ttl'), { ...option, message: /^cache: 'route\.ttl' must be a .*number of seconds/ })
    }
  })
}

for (const [value, ms] of TAKEN) {
  t.test(`check: a duration of ${typeof value === 'string' ? `'${value}'` : value} is ${ms} ms`, async (t) => {
    t.equal(duration()(value, 'ttl'), ms)
  })
}

t.test('check: a duration of zero is refused unless it is allowed', async (t) => {
  for (const zero of [0, -0, '0s', '0ms', '0.0d']) {
    t.throws(() => duration()(zero, 'ttl'), { ...option, message: /'ttl' must be a positive number/ })
    t.ok(Object.is(duration({ zero: true })(zero, 'ttl'), 0), 'it is 0 and not -0')
  }
})

t.test('check: every accepted duration is a whole number of milliseconds between zero and ten years', async (t) => {
  fc.assert(fc.property(fc.oneof(fc.anything(), fc.double(), fc.string(),
    fc.tuple(fc.double(), fc.constantFrom('ms', 's', 'm', 'h', 'd')).map(([n, unit]) => `${n}${unit}`)), (value) => {
    const ms = parseDuration(value)
    return ms === undefined || (Number.isInteger(ms) && ms >= 0 && ms <= MAX_DURATION_MS)
  }))
  t.pass('for every value that was tried')
})

t.test('check: a whole number with a unit is that many units', async (t) => {
  const unitsMs = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 }
  fc.assert(fc.property(fc.nat(3_650), fc.constantFrom('ms', 's', 'm', 'h', 'd'), (amount, unit) =>
    parseDuration(`${amount}${unit}`) === amount * unitsMs[unit]))
  fc.assert(fc.property(fc.nat(315_360_000), (seconds) => parseDuration(seconds) === seconds * 1_000))
  t.pass('for every amount that was tried')
})

t.test('check: a longer duration is never fewer milliseconds', async (t) => {
  const seconds = fc.double({ min: 0, max: MAX_DURATION_MS / 1_000, noNaN: true })
  fc.assert(fc.property(seconds, seconds, (a, b) => parseDuration(Math.min(a, b))! <= parseDuration(Math.max(a, b))!))
  t.pass('for every pair that was tried')
})

t.test('check: the error for an option is a TypeError', async (t) => {
  try {
    duration()(-1, 'ttl')
    t.fail('it was accepted')
  } catch (err) {
    t.ok(err instanceof TypeError)
  }
})

t.test('check: each check accepts its kind of value, and otherwise names the option, what was expected and what was given', async (t) => {
  t.equal(positiveInteger(1, 'memory.maxBytes'), 1)
  for (const value of [0, -1, 1.5, '5', NaN, Infinity, 2 ** 53, null, 1n]) {
    t.throws(() => positiveInteger(value, 'memory.maxBytes'), {
      ...option, message: `cache: 'memory.maxBytes' must be a positive integer, got ${show(value)}`
    })
  }
  t.equal(boolean(false, 'file.fsync'), false)
  t.throws(() => boolean('false', 'file.fsync'), { ...option, message: "cache: 'file.fsync' must be true or false, got 'false'" })
  t.equal(text('a', 'namespace'), 'a')
  t.throws(() => text('', 'namespace'), { ...option, message: "cache: 'namespace' must be a non-empty string, got ''" })
  t.same(textList([], 'tags'), [])
  t.same(textList(['a'], 'tags'), ['a'])
  for (const value of ['a', [''], [1], null, { 0: 'a', length: 1 }]) t.throws(() => textList(value, 'tags'), option)
  t.equal(oneOf('bypass', 'ignore')('ignore', 'credentials'), 'ignore')
  t.throws(() => oneOf('bypass', 'ignore')('both', 'credentials'), {
    ...option, message: "cache: 'credentials' must be 'bypass' or 'ignore', got 'both'"
  })
})

t.test('check: given options are checked, and undefined ones stay absent', async (t) => {
  const checks = { path: text, maxEntries: positiveInteger }
  t.same(checkOptions('sqlite', { path: 'a.db', maxEntries: 5 }, checks), { path: 'a.db', maxEntries: 5 })
  t.same(Object.keys(checkOptions('sqlite', { path: undefined }, checks)), [])
  t.same(checkOptions('sqlite', Object.create(null), checks), {})
  t.throws(() => checkOptions('sqlite', { maxEntries: -5 }, checks), {
    ...option, message: "cache: 'sqlite.maxEntries' must be a positive integer, got -5"
  })
})

t.test('check: an unknown option is refused with a list of the known ones, also if it is undefined', async (t) => {
  for (const options of [{ paht: 'a.db' }, { paht: undefined }]) {
    t.throws(() => checkOptions('sqlite', options, { path: text, table: text }), {
      ...option, message: /'sqlite\.paht' must be absent: .* known are path, table/
    })
  }
})

t.test('check: neither the value of an unknown option nor a value in place of options is shown, because it may be a password',
  async (t) => {
    for (const secret of ['hunter2', 4713, ['hunter2'], { password: 'hunter2' }, () => 'hunter2', Symbol('hunter2'), 4713n]) {
      try {
        checkOptions('redis', { pasword: secret }, { password: text })
        t.fail('it was accepted')
      } catch (error) {
        t.match(error, {
          ...option,
          message: /^cache: 'redis\.pasword' must be absent: it is not an option; known are password, got .* that is not shown, since it may hold a password; did you mean password\?$/
        })
        t.notMatch((error as Error).message, /hunter2|4713/)
      }
    }
    for (const options of ['redis://:hunter2@host', ['hunter2'], new (class Client { password = 'hunter2' })()]) {
      t.throws(() => checkOptions('redis', options, { password: text }), {
        ...option, message: /^cache: 'redis' must be an object, got (?!.*hunter2).* that is not shown/
      })
    }
    t.throws(() => checkOptions('redis', 5, { password: text }), { ...option, message: "cache: 'redis' must be an object, got 5" })
  })

t.test('check: a discreet check names what was expected and the kind of what was given', async (t) => {
  const check = discreet<string>('a URL', (value) => value === 'url')
  t.equal(check('url', 'redis.url'), 'url')
  t.throws(() => check('user:hunter2@host', 'redis.url'), {
    ...option, message: "cache: 'redis.url' must be a URL, got text that is not shown, since it may hold a password"
  })
  t.same([undefined, null, '', []].map(kindOf), ['undefined', 'null', "''", '[]'], 'empty values are shown')
  t.match(kindOf({}), /^a value of type object that is not shown/)
})

t.test('check: exactly one of some options is required, methods are checked, and a prefix is short and in lower case', async (t) => {
  exactlyOne<{ a?: number, b?: number, c?: number }>('keyv', { b: 0, c: 1 }, ['a', 'b'])
  t.throws(() => exactlyOne<{ a?: number | undefined, b?: number }>('keyv', { a: undefined }, ['a', 'b']), {
    ...option, message: "cache: 'keyv' must be given exactly one of a, b, got none"
  })
  t.throws(() => exactlyOne('keyv', { a: 1, b: 1, c: 1 }, ['a', 'b', 'c']), {
    ...option, message: "cache: 'keyv' must be given exactly one of a, b, c, got a and b and c"
  })
  t.same([{ get () {}, set () {} }, { get () {}, set: 5 }, { get () {} }, null, 5].map((value) => hasMethods(value, 'get', 'set')), [
    true, false, false, false, false
  ])
  t.equal(storePrefix('a-0_b', 'keyv.prefix'), 'a-0_b')
  for (const wrong of ['', 'A', 'a b', 'a:b', 'a'.repeat(65), 5]) {
    t.throws(() => storePrefix(wrong, 'keyv.prefix'), { ...option, message: /must be 1 to 64 of a-z, 0-9, - and _, got/ })
  }
})

t.test('check: names that every object has are unknown options and change nothing', async (t) => {
  for (const json of ['{"__proto__":{"polluted":true}}', '{"constructor":{"prototype":{"polluted":true}}}', '{"toString":1}']) {
    t.throws(() => checkOptions('sqlite', JSON.parse(json), { path: text }), { ...option, message: /must be absent/ })
  }
  t.equal(Object.hasOwn(Object.prototype, 'polluted'), false)
})

t.test('check: a value that is not a record is refused as options', async (t) => {
  for (const options of [null, undefined, [], 'path', 5, () => {}, new Map(), new (class Options {})()]) {
    t.equal(isRecord(options), false)
    t.throws(() => checkOptions('sqlite', options, { path: text }), { ...option, message: /^cache: 'sqlite' must be an object, got / })
  }
})

t.test('check: a list that Node.js would print in columns is shown on one line', async (t) => {
  t.equal(show([null, false, false, 0, 0, false, false]), '[ null, false, false, 0, 0, false, false ]')
})

t.test('check: any value is shown on one short line', async (t) => {
  fc.assert(fc.property(fc.anything(), (value) => !show(value).includes('\n') && show(value).length < 130))
  t.equal(show('x'.repeat(10_000)).length < 130, true)
  t.notMatch(show(Buffer.alloc(1_000_000)), /\n/)
  t.notMatch(show('a\nb'), /\n/)
})
