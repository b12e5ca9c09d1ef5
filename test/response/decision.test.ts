// What is stale: served until its window is over, and not at that instant.
import t from 'tap'
import { whyServeStale } from '../../response/decision.js'
import type { ResponseHead } from '../../response/store/entry.js'

const HEAD: ResponseHead = {
  kind: 'response', key: 'k', status: 200, fields: [], storedAt: 0, freshUntil: 1_000, staleUntil: 2_000, ageMs: 0, text: true
}

t.test('a window ends at its instant, and what must be validated has none', async (t) => {
  t.equal(whyServeStale(HEAD, 1_999, undefined), 'serve-while-revalidate')
  t.equal(whyServeStale(HEAD, 2_000, undefined), undefined)
  t.equal(whyServeStale({ ...HEAD, mustRevalidate: true }, 1_999, undefined), undefined)
})
