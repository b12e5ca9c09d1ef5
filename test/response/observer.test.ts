// The observer: one call reports an outcome to the counters, the log, Cache-Status and subscribers.
import t from 'tap'
import { CacheStatus } from '../../response/observe/cache-status.js'
import { ThrottledLog } from '../../response/observe/log.js'
import { emptyStats, Observer, sum } from '../../response/observe/observer.js'
import type { Outcome, RouteOutcome } from '../../response/observe/outcome.js'

function setUp (throwsImpossible = true) {
  const lines: Array<{ details: object, message: string }> = []
  const log = new ThrottledLog(
    { debug () {}, info () {}, error () {}, warn: (details, message) => { lines.push({ details, message }) } }, () => 0)
  return { lines, observer: new Observer(new CacheStatus('cache'), log, throwsImpossible), route: { name: 'GET /', stats: emptyStats() } }
}

t.test('each outcome is counted under its name', async (t) => {
  const { observer, route } = setUp()
  const outcomes: RouteOutcome[] = [
    { name: 'hit', ttlMs: 1_000 },
    { name: 'stale', ttlMs: -1_000 },
    { name: 'served-on-error' },
    { name: 'miss' },
    { name: 'collapsed', forward: 'miss', isStream: true }, { name: 'stalled' },
    { name: 'unsatisfiable' },
    { name: 'bypass', reason: 'credentials' },
    { name: 'nested' },
    { name: 'forwarded', forward: 'miss', isStored: true, detail: undefined, status: undefined },
    { name: 'stored' },
    { name: 'refused', reason: 'set-cookie' },
    { name: 'refused', reason: 'set-cookie' }
  ]
  for (const outcome of outcomes) observer.tell(route, outcome)
  t.same(route.stats, {
    hits: 1,
    staleHits: 2,
    misses: 1,
    coalesced: 1,
    coalescedStreams: 1,
    stalled: 1,
    stores: 1,
    bypasses: { credentials: 1, nested: 1 },
    refusals: { 'set-cookie': 2 }
  })
})

t.test('a subscriber receives every outcome, with its route, until the subscription ends', async (t) => {
  const { observer, route } = setUp()
  const told: unknown[] = []
  const end = observer.subscribe((outcome, of) => { told.push([of?.name, outcome.name]) })
  const other: Array<Outcome['name']> = []
  observer.subscribe(({ name }) => { other.push(name) })
  observer.tell(route, { name: 'miss' })
  t.equal(observer.tellSent(route, { name: 'hit', ttlMs: 5_000 }), 'cache; hit; ttl=5')
  end()
  observer.tell(route, { name: 'stored' })
  t.same(told, [['GET /', 'miss'], ['GET /', 'hit']])
  t.same(other, ['miss', 'hit', 'stored'])
})

t.test('an outcome of the backend is counted, logged and passed on, without a route', async (t) => {
  const { lines, observer } = setUp()
  const told: unknown[] = []
  observer.subscribe((outcome, route) => { told.push([outcome.name, route]) })
  const err = { type: 'Error', code: 'ECONNREFUSED', message: 'refused' }
  for (const operation of ['get', 'get', 'set']) {
    observer.tellOfBackend({ name: 'backend-failed', backend: 'redis', operation, err, key: 'k' })
  }
  observer.tellOfBackend({ name: 'damaged', key: 'k' })
  t.same({ ...observer.errors }, { get: 2, set: 1 })
  t.equal(observer.damaged, 1)
  t.match(lines, [
    { details: { err, backend: 'redis', operation: 'get', key: 'k' }, message: 'cache: get failed, continuing without the backend' },
    { details: { operation: 'set' } },
    { details: { key: 'k' }, message: /damaged/ }
  ])
  t.equal(lines.length, 3)
  t.same(told, [['backend-failed', undefined], ['backend-failed', undefined], ['backend-failed', undefined], ['damaged', undefined]])
})

t.test("a developer's mistake is logged, once in ten seconds, and an outcome without a fault is not", async (t) => {
  const { lines, observer, route } = setUp()
  for (let at = 0; at < 3; at++) observer.tell(route, { name: 'refused', reason: 'tags', fault: new TypeError('no tags') })
  observer.tell(route, { name: 'bypass', reason: 'credentials' })
  t.match(lines, [{ details: { route: 'GET /', reason: 'tags', err: { name: 'TypeError', message: 'no tags' } } }])
})

t.test('an impossible state throws in tests and is logged elsewhere', async (t) => {
  t.throws(() => setUp(true).observer.impossible('a fill that is stored becomes running'),
    /impossible.*a fill that is stored becomes running/)
  const { lines, observer } = setUp(false)
  observer.impossible('a fill that is stored becomes running')
  t.match(lines, [{ message: /impossible, please report it: a fill that is stored becomes running/ }])
})

t.test('the total is the sum of the routes', async (t) => {
  const [one, other] = [emptyStats(), emptyStats()]
  one.hits = 2
  other.hits = 3
  other.staleHits = other.misses = other.coalesced = other.coalescedStreams = other.stalled = other.stores = 1
  one.bypasses.upgrade = 2
  other.bypasses.upgrade = other.refusals.private = 1
  t.strictSame(sum([one, other]), {
    hits: 5,
    staleHits: 1,
    misses: 1,
    coalesced: 1,
    coalescedStreams: 1,
    stalled: 1,
    stores: 1,
    bypasses: { upgrade: 3 },
    refusals: { private: 1 }
  })
  t.strictSame(sum([]), emptyStats())
})

t.test('no two routes share a counter', async (t) => {
  const [one, other] = [emptyStats(), emptyStats()]
  one.refusals.vary = 1
  sum([one, other]).refusals.vary = 2
  t.strictSame(other.refusals, {})
  t.strictSame(one.refusals, { vary: 1 })
})
