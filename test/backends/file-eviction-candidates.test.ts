// Which entries the file backend evicts first, when there are more candidates than it remembers.
import t from 'tap'
import fc from 'fast-check'
import { EvictionCandidates } from '../../backends/file/eviction-candidates.js'

t.test('file: of any number of candidates, the least recently used are kept, in order', async () => {
  const times = fc.array(fc.integer({ min: 0, max: 3_000 }), { maxLength: 4_000, size: 'max' })
  fc.assert(fc.property(times, fc.integer({ min: 1, max: 2_000 }), (times, most) => {
    const least = new EvictionCandidates<{ usedAt: number }>(most)
    for (const [at, usedAt] of times.entries()) {
      least.add({ usedAt })
      if (at === times.length >> 1 && least.inOrder.length !== Math.min(most, at + 1)) return false
    }
    const expected = times.toSorted((one, other) => one - other).slice(0, most)
    return JSON.stringify(least.inOrder.map(({ usedAt }) => usedAt)) === JSON.stringify(expected)
  }), { numRuns: 100 })
})
