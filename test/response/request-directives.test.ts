// A request's directives, and which entries satisfy them.
import t from 'tap'
import { satisfies, requestDirectivesOf } from '../../response/http/request-directives.js'

t.test('the directives of a request are read', async (t) => {
  t.equal(requestDirectivesOf({}), undefined)
  t.match(requestDirectivesOf({ pragma: 'No-Cache' }), { noCache: true, noStore: false })
  t.equal(requestDirectivesOf({ pragma: 'x' }), undefined)
  t.match(requestDirectivesOf({ 'cache-control': 'max-age=5', pragma: 'no-cache' }), { noCache: false, maxAgeMs: 5_000 },
    'Pragma counts only alone')
  t.match(requestDirectivesOf({ 'cache-control': 'no-store, only-if-cached' }), { noStore: true, onlyIfCached: true })
  t.match(requestDirectivesOf({ 'cache-control': 'max-age=x, min-fresh=3' }), { maxAgeMs: 0, minFreshMs: 3_000 })
  t.match(requestDirectivesOf({ 'cache-control': '"broken' }), { noStore: false, noCache: false, onlyIfCached: false, maxAgeMs: Infinity })
  t.match(requestDirectivesOf({ 'cache-control': 'max-stale=9e9' }), { maxAgeMs: Infinity, minFreshMs: 0, maxStaleMs: 0 },
    'not a number of seconds')
})

t.test('an entry satisfies a request if it is young enough and fresh for long enough', async (t) => {
  const wishes = { noStore: false, noCache: false, onlyIfCached: false, maxAgeMs: 10_000, minFreshMs: 5_000, maxStaleMs: 0 }
  t.ok(satisfies(wishes, 9_999, 5_000))
  t.notOk(satisfies(wishes, 10_000, 5_000))
  t.notOk(satisfies(wishes, 0, 4_999))
  t.notOk(satisfies({ ...wishes, noCache: true }, 0, 60_000))
})

t.test(
  'RFC 9111 section 5.2.1.2: max-stale accepts any stale entry, or one up to its number of seconds; none that must be validated',
  async (t) => {
    const staleMs = (control: string, byMs: number, mayBeStale = true): boolean =>
      satisfies(requestDirectivesOf({ 'cache-control': control })!, 100_000, -byMs, mayBeStale)
    t.ok(staleMs('max-stale', 9e9))
    t.ok(staleMs('max-stale=10', 10_000))
    t.notOk(staleMs('max-stale=10', 10_001), 'exceeded')
    t.notOk(staleMs('max-stale', 1, false), 'the entry forbids it')
    t.notOk(staleMs('max-stale=10, max-age=99', 1), 'nevertheless too old')
    t.notOk(staleMs('max-stale=10, min-fresh=1', 1), 'min-fresh requires a fresh one')
    t.notOk(staleMs('max-stale=10, no-cache', 1))
    t.notOk(staleMs('max-stale=x', 1))
    t.notOk(staleMs('only-if-cached', 1))
    t.notOk(staleMs('only-if-cached', 0), 'stale since this millisecond')
    t.notOk(staleMs('max-age=1000', 0))
  })
