// Single flight: how long a flight may be joined and is waited for, which fills are superseded, which requests a handler makes itself.
import { mock } from 'node:test'
import t from 'tap'
import type { Flight } from '../../response/fill/flight.js'
import { FillsUnderWay } from '../../response/fill/single-flight.js'
import { until } from '../support/barrier.js'
import { leftBytes } from '../support/garbage.js'

const LOCK_TIMEOUT_MS = 10_000
const ANY = { key: 'k', mark: 0, mayBegin: true, names: [], selects: () => '', mayShare: () => true }
const begin = (fills: FillsUnderWay<object>): Flight<object> | undefined => fills.joinOrBegin(ANY).begun
const join = (fills: FillsUnderWay<object>): Flight<object> | undefined => fills.joinOrBegin({ ...ANY, mayBegin: false }).joined

t.test('a flight may be joined until its lock times out; then another one begins', async (t) => {
  const at = performance.now()
  const now = mock.method(performance, 'now', () => at)
  t.teardown(() => now.mock.restore())
  const fills = new FillsUnderWay<object>(() => 0, LOCK_TIMEOUT_MS)
  const first = begin(fills)
  now.mock.mockImplementation(() => at + LOCK_TIMEOUT_MS - 1)
  t.equal(join(fills), first)
  now.mock.mockImplementation(() => at + LOCK_TIMEOUT_MS)
  t.equal(join(fills), undefined, 'a request that comes now leads')
  const second = begin(fills)
  t.equal(join(fills), second)
  fills.release(first!, 'failed')
  t.equal(join(fills), second, 'the end of the first is not the end of the second')
})

t.test('a request that joins late waits for the rest of the lock timeout, not for all of it again', async (t) => {
  const at = performance.now()
  const now = mock.method(performance, 'now', () => at)
  const flight = begin(new FillsUnderWay<object>(() => 0, LOCK_TIMEOUT_MS))!
  now.mock.mockImplementation(() => at + LOCK_TIMEOUT_MS - 1)
  let outcome: unknown
  const waited = flight.wait(() => '').then((given) => { outcome = given })
  now.mock.restore()
  // Far less than the whole, and far more than the rest.
  await until(() => outcome !== undefined, LOCK_TIMEOUT_MS / 2).catch(() => {})
  t.same(outcome, { released: 'lock-timeout' })
  flight.release('failed')
  await waited
})

t.test('a flight for which nobody waits has no timer', async (t) => {
  const timers = (): number => process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length
  const before = timers()
  const ways: Record<string, (flight: Flight<object>) => void> = {
    released: (flight) => flight.release('failed'),
    shared: (flight) => flight.share(() => ({})),
    offered: (flight) => flight.offer(() => ({})),
    'for another variant': (flight) => flight.narrow(['accept-language'], 'en')
  }
  for (const [name, end] of Object.entries(ways)) {
    const flight = begin(new FillsUnderWay<object>(() => 0, LOCK_TIMEOUT_MS))!
    const waited = flight.wait((names) => names.length === 0 ? '' : 'de')
    t.equal(timers(), before + 1)
    end(flight)
    // The head of a stream may become known after the flight has ended.
    flight.limit()
    t.equal(timers(), before, name)
    await waited
  }
})

const fillOf = (key: string, language = 'en') =>
  ({ key, mayStore: true, flight: undefined, selects: (names: readonly string[]) => names.length === 0 ? '' : language })

t.test('a fill that stores supersedes the fills of its key that began before it, and no others', async (t) => {
  const fills = new FillsUnderWay<object>(() => 0, LOCK_TIMEOUT_MS)
  const places = ['a', 'a', 'a', 'b'].map((key) => fills.begin(fillOf(key), false))
  fills.supersede(places[1]!, [])
  t.same(places.map(({ isSuperseded }) => isSuperseded), [true, false, false, false])
})

t.test('a fill that stores a variant supersedes only the fills of that variant', async (t) => {
  const fills = new FillsUnderWay<object>(() => 0, LOCK_TIMEOUT_MS)
  const places = ['en', 'de', 'en', 'de'].map((language) => fills.begin(fillOf('a', language), false))
  fills.supersede(places[3]!, ['accept-language'])
  t.same(places.map(({ isSuperseded }) => isSuperseded), [false, true, false, false])
})

t.test('a fill may end twice: other fills of its key, and those of other keys, continue', async (t) => {
  const fills = new FillsUnderWay<object>(() => 0, LOCK_TIMEOUT_MS)
  const first = fills.begin(fillOf('a'), true)
  const second = fills.begin(fillOf('a'), true)
  fills.end(first)
  fills.end(first)
  const isNested = fills.follow(second, () => fills.isNested('a', () => false))
  t.same(second.among, [second])
  t.equal(isNested, true)
})

t.test('a request for the key that its own handler fills is nested, until the fill has ended', async (t) => {
  const fills = new FillsUnderWay<object>(() => 0, LOCK_TIMEOUT_MS)
  const place = fills.begin(fillOf('a'), true)
  const asks = (key: string): boolean => fills.follow(place, () => fills.isNested(key, () => false))
  t.equal(asks('a'), true)
  t.equal(asks('b'), false)
  t.equal(fills.isNested('a', () => false), false)
  fills.end(place)
  t.equal(asks('a'), false)
})

t.test('fills and flights that have ended are garbage-collected without a full collection', async (t) => {
  const fills = new FillsUnderWay<object>(() => 0, LOCK_TIMEOUT_MS)
  const underWay: Array<() => void> = []
  let number = 0
  const grownBytes = leftBytes((large) => {
    const key = `key ${number++}`
    const flight = fills.joinOrBegin({ ...ANY, key }).begun!
    const place = fills.begin(Object.assign(fillOf(key), { flight: Object.assign(flight, { large }), large }), false)
    underWay.push(() => {
      flight.share(() => ({}))
      fills.land(flight)
      fills.end(place)
    })
    if (underWay.length > 64) underWay.shift()!()
  })
  t.ok(grownBytes < 8_000_000, `${grownBytes} of 32 000 000 bytes are left`)
})
