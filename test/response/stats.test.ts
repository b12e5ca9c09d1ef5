// Counters, and their sum.
import t from 'tap'
import { count, emptyStats, sum } from '../../response/observe/stats.js'

t.test('the whole is the sum of the routes', async (t) => {
  const [one, other] = [emptyStats(), emptyStats()]
  one.hits = 2
  other.hits = 3
  other.staleHits = other.misses = other.coalesced = other.stores = 1
  count(one.bypasses, 'upgrade')
  count(one.bypasses, 'upgrade')
  count(other.bypasses, 'upgrade')
  count(other.refusals, 'private')
  t.strictSame(sum([one, other]), {
    hits: 5, staleHits: 1, misses: 1, coalesced: 1, stores: 1, bypasses: { upgrade: 3 }, refusals: { private: 1 }
  })
  t.strictSame(sum([]), emptyStats())
})

t.test('no two routes share a counter', async (t) => {
  const [one, other] = [emptyStats(), emptyStats()]
  count(one.refusals, 'vary')
  const total = sum([one, other])
  count(total.refusals, 'vary')
  t.strictSame(other.refusals, {})
  t.strictSame(one.refusals, { vary: 1 })
})
