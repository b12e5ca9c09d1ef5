// `cache.explain()` agrees with what a request then gets, for a table of entries, ages and requests.
import Fastify from 'fastify'
import t from 'tap'
import responseCache, { type Explanation, type ResponseCacheOptions, type RouteCacheOptions } from '../../../plugin.js'
import { REFUSAL_REASONS } from '../../../response/observe/reasons.js'
import { Chaos } from '../../support/chaos.js'
import { testClock } from '../../support/clock.js'
import { cached } from '../../support/document.js'
import { someOf } from '../../support/size.js'

interface Kind {
  options?: RouteCacheOptions,
  fields?: Record<string, string>,
  /** Whether the handler compares ETags. */ validates?: true,
  soft?: boolean,
  isAbsent?: true,
  isUnavailable?: true
}

const MODIFIED = { 'last-modified': 'Tue, 06 May 2031 06:00:00 GMT' }

const KINDS: Readonly<Record<string, Kind>> = {
  absent: { isAbsent: true },
  plain: {},
  tag: { fields: { etag: '"1"' }, validates: true },
  'tag that the handler ignores': { fields: { etag: '"1"' } },
  date: { fields: MODIFIED },
  'tag that the cache makes': { options: { etag: true } },
  'served while a refresh runs': { options: { staleWhileRevalidate: '5m' } },
  'the same with a tag': { options: { staleWhileRevalidate: '5m' }, fields: { etag: '"1"' }, validates: true },
  'served for errors': { options: { staleIfError: '1h' } },
  'never stale': { fields: { 'cache-control': 'max-age=60, must-revalidate', etag: '"1"' }, options: { staleWhileRevalidate: '5m' } },
  'validated each time': { fields: { 'cache-control': 'no-cache', etag: '"1"' }, validates: true },
  'not stored': { fields: { 'cache-control': 'no-store' } },
  'of another language': { fields: { vary: 'x-lang' } },
  'client directives are ignored': { options: { clientCacheControl: 'ignore' } },
  invalidated: { options: { tags: ['gone'] }, fields: MODIFIED, soft: false },
  'softly invalidated': { options: { tags: ['stale'], staleWhileRevalidate: '5m' }, fields: MODIFIED, soft: true },
  'softly invalidated, and unusable': { options: { tags: ['useless'] }, soft: true },
  'in a backend that fails': { isUnavailable: true }
}

const CONTROLS = [
  '', 'no-cache', 'no-store', 'only-if-cached', 'max-age=0', 'max-age=30', 'min-fresh=55', 'max-stale', 'max-stale=60',
  'max-stale, only-if-cached', 'max-stale, max-age=30'
]

const asks = ['GET', 'HEAD'].flatMap((method) => CONTROLS.flatMap((control) => [undefined, '"1"', '"2"'].map((tag) => ({
  method: method as 'GET' | 'HEAD',
  headers: { 'x-lang': 'en', ...(control !== '' && { 'cache-control': control }), ...(tag !== undefined && { 'if-none-match': tag }) }
}))))

const ASKED = asks.flatMap((ask) => [10_000, 90_000, 400_000].map((ageMs) => ({ ask, ageMs })))

/** Only the handler's response decides these: they can't be known before. */
const LATER = REFUSAL_REASONS.filter((reason) => reason !== 'head' && reason !== 'unavailable')
const UNKNOWN = new RegExp(`; (stored|fwd-status=\\d+|detail=(${LATER.join('|')}))(?=;|$)`, 'g')

async function setUp (kind: Kind) {
  const clock = testClock()
  const chaos = new Chaos()
  const app = Fastify()
  let runs = 0
  await app.register(responseCache, { now: clock.now, ...chaos.over({ backend: 'memory' }) } as ResponseCacheOptions)
  app.get('/:id', cached(kind.options), async (request, reply) => {
    if (!request.isCacheRefresh) runs++
    reply.headers(kind.fields ?? {})
    return kind.validates === true && request.headers['if-none-match'] === '"1"' ? await reply.code(304).send() : 'response'
  })
  const counted = async () => {
    const { hits, staleHits, misses, bypasses } = await app.cache.stats()
    return { hit: hits, stale: staleHits, miss: misses, bypass: Object.values(bypasses).reduce((sum, times) => sum + times, 0), runs }
  }
  return { app, chaos, clock, counted }
}

const reasons = new Set<string>()

for (const [name, kind] of Object.entries(KINDS)) {
  t.test(`explain: it agrees with what the request gets: ${name}`, async (t) => {
    const { app, chaos, clock, counted } = await setUp(kind)
    t.teardown(async () => await app.close())
    for (const [id, { ask, ageMs }] of someOf(ASKED).entries()) {
      const url = `/${id}`
      if (kind.isAbsent !== true) await app.inject({ url, headers: { 'x-lang': 'de' } })
      if (kind.soft !== undefined) await app.cache.invalidate({ tags: kind.options!.tags as string[], soft: kind.soft })
      await clock.pass(ageMs)
      if (kind.isUnavailable === true) chaos.get.reject()
      const said: Explanation = await app.cache.explain({ url, ...ask })
      const before = await counted()
      const response = await app.inject({ url, ...ask })
      const after = await counted()
      const told = String(response.headers['cache-status'])
      reasons.add(said.reason)
      t.same({
        cacheStatus: said.decision === 'miss' ? told.replace(UNKNOWN, '') : told,
        counted: (['hit', 'stale', 'miss', 'bypass'] as const).filter((decision) => after[decision] > before[decision]),
        runs: after.runs - before.runs,
        isRefused: response.statusCode === 504
      }, {
        cacheStatus: said.cacheStatus,
        counted: [said.decision],
        runs: said.decision === 'hit' || said.decision === 'stale' || said.reason === 'only-if-cached' ? 0 : 1,
        isRefused: said.reason === 'only-if-cached'
      }, `${JSON.stringify(ask)} after ${ageMs}: ${said.decision}, ${said.reason}`)
    }
  })
}

t.test('explain: the table covers every reason that a route with a key can have', async (t) => {
  t.same([...reasons].sort(), [
    'absent', 'fresh', 'head', 'invalidated', 'max-stale', 'no-store', 'only-if-cached', 'request', 'stale', 'unavailable', 'variant',
    'while-revalidate'
  ])
})
