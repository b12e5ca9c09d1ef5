// Options that handlers set by `reply.cache()`: several times, and wrongly.
import t from 'tap'
import { replyOptionsOf, refusalFor, type ReplyCacheOptions } from '../../response/fill/reply-options.js'

t.test('a later call takes precedence over an earlier one, and leaves its other options', async (t) => {
  t.same(replyOptionsOf({ tags: ['a'] }, { ttlMs: 5, store: true }), { ttlMs: 5, store: true, tags: ['a'] })
  t.same(replyOptionsOf({ ttl: '2s', store: false }, { ttlMs: 5, tags: ['a'] }), { ttlMs: 2_000, store: false, tags: ['a'] })
  t.same(replyOptionsOf({ ttl: 0 }, {}), { ttlMs: 0 })
})

t.test('a wrong option has a reason that names it', async (t) => {
  for (const [options, reason] of [
    [{ ttl: 'x' }, 'ttl'], [{ tags: [''] }, 'tags'], [{ store: 1 }, 'reply-cache'], [{ other: 1 }, 'reply-cache'], [5, 'reply-cache']
  ] as const) {
    try {
      replyOptionsOf(options as ReplyCacheOptions, {})
      t.fail(JSON.stringify(options))
    } catch (err) {
      t.equal(refusalFor(err), reason, JSON.stringify(options))
    }
  }
})
