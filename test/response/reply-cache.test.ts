// What handlers say by `reply.cache()`: several times, and wrongly.
import t from 'tap'
import { decisionOf, refusalFor, type ReplyCacheOptions } from '../../response/fill/reply-cache.js'

t.test('what is said later goes before what was said earlier, and leaves the rest of it', async (t) => {
  t.same(decisionOf({ tags: ['a'] }, { ttlMs: 5, store: true }), { ttlMs: 5, store: true, tags: ['a'] })
  t.same(decisionOf({ ttl: '2s', store: false }, { ttlMs: 5, tags: ['a'] }), { ttlMs: 2_000, store: false, tags: ['a'] })
  t.same(decisionOf({ ttl: 0 }, {}), { ttlMs: 0 })
})

t.test('a wrong option is told by what it is about', async (t) => {
  for (const [options, reason] of [[{ ttl: 'x' }, 'ttl'], [{ tags: [''] }, 'tags'], [{ store: 1 }, 'reply-cache'], [{ other: 1 }, 'reply-cache'], [5, 'reply-cache']] as const) {
    try {
      decisionOf(options as ReplyCacheOptions, {})
      t.fail(JSON.stringify(options))
    } catch (err) {
      t.equal(refusalFor(err), reason, JSON.stringify(options))
    }
  }
})
