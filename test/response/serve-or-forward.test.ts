// What is done with what was found: each decision, and the instants at which it changes.
import t from 'tap'
import { decide, whyServeStale } from '../../response/serve-or-forward.js'
import type { RequestDirectives } from '../../response/http/request-directives.js'
import type { ResponseHead } from '../../response/store/entry.js'
import type { Found } from '../../response/store/store.js'

const HEAD: ResponseHead = {
  kind: 'response', key: 'k', status: 200, fields: [], storedAt: 0, freshUntil: 1_000, staleUntil: 2_000, ageMs: 0, text: true
}
const NONE: RequestDirectives = { noStore: false, noCache: false, onlyIfCached: false, maxAgeMs: Infinity, minFreshMs: 0, maxStaleMs: 0 }
const ABSENT: Found = { state: 'absent', missing: 'absent' }

interface Asked {
  readonly head?: Partial<ResponseHead>
  readonly directives?: Partial<RequestDirectives>
  readonly isRefresh?: boolean
}

/** The decision on a response that is looked up at an instant. */
function decided (at: number, { head, directives, isRefresh = false }: Asked = {}) {
  const state = at < HEAD.freshUntil ? 'fresh' : 'stale'
  const found: Found = { state, entry: { head: { ...HEAD, ...head }, body: Buffer.of() }, at, variants: undefined }
  return decide(found, 'GET', directives === undefined ? undefined : { ...NONE, ...directives }, isRefresh).name
}

t.test('a fresh response is served, unless the request requires one that is younger, or fresh for longer', async (t) => {
  t.equal(decided(999), 'serve-fresh')
  t.equal(decided(499, { directives: { maxAgeMs: 500 } }), 'serve-fresh')
  t.equal(decided(500, { directives: { maxAgeMs: 500 } }), 'forward-request')
  t.equal(decided(400, { head: { ageMs: 100 }, directives: { maxAgeMs: 500 } }), 'forward-request')
  t.equal(decided(500, { directives: { minFreshMs: 500 } }), 'serve-fresh')
  t.equal(decided(501, { directives: { minFreshMs: 500 } }), 'forward-request')
})

t.test('a stale response is served within its window, or if the client accepts it, but not to a refresh', async (t) => {
  t.equal(decided(1_999), 'serve-while-revalidate')
  t.equal(decided(1_999, { directives: { maxAgeMs: 1_999 } }), 'forward-stale')
  t.equal(decided(1_999, { isRefresh: true }), 'forward-stale')
  t.equal(decided(2_000), 'forward-stale')
  t.equal(decided(2_000, { directives: {} }), 'forward-stale')
  t.equal(decided(2_000, { directives: { maxStaleMs: 1_000 } }), 'serve-max-stale')
  t.equal(decided(2_001, { directives: { maxStaleMs: 1_000 } }), 'forward-stale')
})

t.test('without a response to serve the request is forwarded, a HEAD as a HEAD, unless the request forbids it', async (t) => {
  t.equal(decide(ABSENT, 'GET', undefined, false).name, 'forward-miss')
  t.equal(decide(ABSENT, 'HEAD', undefined, false).name, 'forward-head')
  t.equal(decide(ABSENT, 'GET', { ...NONE, onlyIfCached: true }, false).name, 'unsatisfiable')
  t.equal(decided(2_000, { directives: { onlyIfCached: true } }), 'unsatisfiable')
  t.equal(decided(999, { directives: { onlyIfCached: true } }), 'serve-fresh')
})

t.test('a window ends at its instant, and a response that must be validated has none', async (t) => {
  t.equal(whyServeStale(HEAD, 1_999, undefined), 'serve-while-revalidate')
  t.equal(whyServeStale(HEAD, 2_000, undefined), undefined)
  t.equal(whyServeStale({ ...HEAD, mustRevalidate: true }, 1_999, undefined), undefined)
})
