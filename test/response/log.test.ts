// Log lines that don't flood, and errors that reveal no secrets.
import t from 'tap'
import { ThrottledLog, safeError } from '../../response/observe/log.js'
import { testClock } from '../support/clock.js'

function setUp () {
  const clock = testClock()
  const lines: Array<Record<string, unknown>> = []
  const log = new ThrottledLog({
    debug () {}, info () {}, error () {}, warn: (details, message) => { lines.push({ ...details, message }) }
  }, clock.now)
  return { clock, lines, log }
}

t.test('ten thousand errors are a few lines, with the number of omitted ones', async (t) => {
  const { clock, lines, log } = setUp()
  for (let at = 0; at < 10_000; at++) {
    log.warn('get ECONNREFUSED', { at }, 'cache: get failed')
    await clock.pass(5)
  }
  t.equal(lines.length, 5, 'in fifty seconds')
  t.strictSame(lines[0], { at: 0, message: 'cache: get failed' })
  t.equal(lines[1]!['suppressed'], 1_999)
  t.equal(lines.reduce((sum, { suppressed = 0 }) => sum + (suppressed as number), 0) + lines.length + 1_999, 10_000,
    'all are counted, except those since the last line')
})

t.test('each kind has a line of its own, and a flood of kinds is not kept', async (t) => {
  const { lines, log } = setUp()
  log.warn('a', {}, 'a')
  log.warn('b', {}, 'b')
  log.warn('a', {}, 'a')
  t.strictSame(lines.map(({ message }) => message), ['a', 'b'])
  for (let at = 0; at < 100_000; at++) log.warn(`kind ${at}`, {}, 'x')
  t.ok(lines.length > 2)
})

t.test('only the type, the code and the beginning of the message of an error are logged', async (t) => {
  const err = Object.assign(new Error(`OOM command not allowed\nSET key ${'secret'.repeat(9)}`), {
    code: 'ERR', command: { args: ['key', 'secret body'] }, password: 'secret', cause: new Error('secret')
  })
  const safe = safeError(err)
  t.match(safe, { name: 'Error', code: 'ERR', message: 'OOM command not allowed', cause: { message: 'secret' } })
  t.strictSame(Object.keys(safe).sort(), ['code', 'name'])
  t.equal(safeError(new Error('x'.repeat(10_000))).message.length, 200)
  for (const url of [
    'redis://:secret@cache:6379/0', 'rediss://user:secret@cache', 'https://user:sec:ret@cache/path', 'https://user:s@ec@ret@cache/path',
    'connect to //secret@host failed'
  ]) {
    const { message } = safeError(new Error(`can not reach ${url}`))
    t.notMatch(message, 'sec', message)
    t.match(message, '@', 'the host is still there')
  }
})

t.test('the cause of another error reveals no more, and neither does its stack', async (t) => {
  const cause = safeError(Object.assign(new RangeError('too big\nSET secret'), { code: 'ERR_OOM', command: 'secret' }))
  t.match(cause, { name: 'RangeError', code: 'ERR_OOM', message: 'too big' })
  t.notMatch(cause.stack, 'secret')
  t.notOk('command' in cause)
  t.ok(safeError(undefined) instanceof Error)
})

t.test('a thrown value that is not an Error is logged as such', async (t) => {
  for (const [thrown, type] of [
    ['secret', 'string'], [undefined, 'undefined'], [null, 'object'], [{ message: 'secret' }, 'object'], [Symbol('secret'), 'symbol']
  ] as const) {
    const { name, message, stack } = safeError(thrown)
    t.strictSame([name, message], ['TypeError', `something that is not an Error was thrown: a value of type ${type}`])
    t.notMatch(stack, /secret/)
  }
})

t.test('a logged error has the frames of the original one, its causes, and nothing of the rest of its message', async (t) => {
  const inner = Object.assign(new Error('refused'), { code: 'ECONNREFUSED' })
  const err = new Error('get failed\n    at secret (secret.js:1:1)', { cause: inner })
  const safe = safeError(err)
  t.match(safe.stack, /^Error: get failed\n {4}at .*log\.test/)
  t.notMatch(safe.stack, /secret/)
  t.match(safe.cause, { code: 'ECONNREFUSED', message: 'refused', stack: /^Error: refused\n {4}at .*log\.test/ })
  const circular = new Error('circular')
  circular.cause = circular
  t.match(safeError(circular), { cause: { cause: { cause: { message: 'circular', cause: undefined } } } })
})
