// Single flight: how long it may be joined, and how long who has joined it waits.
import { mock } from 'node:test'
import t from 'tap'
import { Flights, type Flight } from '../../response/fill/single-flight.js'
import { until } from '../support/barrier.js'

const LOCK_TIMEOUT_MS = 10_000
const begin = (flights: Flights): Flight | undefined => flights.joinOrBegin('k', 0, true, () => true).begun
const join = (flights: Flights): Flight | undefined => flights.joinOrBegin('k', 0, false, () => true).joined

t.test('a flight is joined until its lock times out; then another one begins', async (t) => {
  const at = performance.now()
  const now = mock.method(performance, 'now', () => at)
  t.teardown(() => now.mock.restore())
  const flights = new Flights(() => 0, LOCK_TIMEOUT_MS)
  const first = begin(flights)
  now.mock.mockImplementation(() => at + LOCK_TIMEOUT_MS - 1)
  t.equal(join(flights), first)
  now.mock.mockImplementation(() => at + LOCK_TIMEOUT_MS)
  t.equal(join(flights), undefined, 'who comes now leads')
  const second = begin(flights)
  t.equal(join(flights), second)
  flights.release(first!, 'failed')
  t.equal(join(flights), second, 'the end of the first is not that of the second')
})

t.test('who joins late waits for what is left of the lock timeout, and not for all of it again', async (t) => {
  const at = performance.now()
  const now = mock.method(performance, 'now', () => at)
  const flight = begin(new Flights(() => 0, LOCK_TIMEOUT_MS))!
  now.mock.mockImplementation(() => at + LOCK_TIMEOUT_MS - 1)
  let outcome: unknown
  const waited = flight.wait().then((given) => { outcome = given })
  now.mock.restore()
  // Far less than the whole, and far more than what is left.
  await until(() => outcome !== undefined, LOCK_TIMEOUT_MS / 2).catch(() => {})
  t.same(outcome, { released: 'lock-timeout' })
  flight.settle({ released: 'failed' })
  await waited
})
