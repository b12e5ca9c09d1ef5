// What a handler may say of its one response: `reply.cache({ ... })`.
import { boolean, checkOptions, expects, type Duration } from '../../registry/check.js'
import { aDurationOrZero, durationOrZero } from '../options/route-options.js'
import type { ReplyOptions } from '../http/storability.js'
import { areTags, MAX_TAGS } from '../options/invalidation-target.js'

/** What `reply.cache()` takes: what to do with this one response. */
export interface ReplyCacheOptions {
  /**
   * How long this response is fresh, whatever lifetime it states; `no-store`, `private` and `no-cache` count all the same. 0: it is not
   * stored.
   */
  ttl?: Duration
  /** In place of the route's tags. */
  tags?: readonly string[]
  /** `false`: this response is not stored. */
  store?: boolean
}

const REPLY_CHECKS = {
  // Zero has a meaning here: not this one.
  ttl: aDurationOrZero,
  tags: expects<readonly string[]>(`an array of at most ${MAX_TAGS} strings`, areTags),
  store: boolean
}

/** Why a response is not stored for which an option was wrong: the error that `decisionOf` threw. */
export function refusalFor (err: unknown): 'ttl' | 'tags' | 'reply-cache' {
  return /reply\.cache\.(ttl|tags)/.exec((err as Error).message)?.[1] as 'ttl' | 'tags' | undefined ?? 'reply-cache'
}

/** What was decided, and what was decided before. Throws CACHE_ERR_OPTION. */
export function replyOptionsOf (options: ReplyCacheOptions, before: ReplyOptions): ReplyOptions {
  const { ttl, ...others } = checkOptions<ReplyCacheOptions>('reply.cache', options, REPLY_CHECKS)
  return { ...before, ...others, ...(ttl !== undefined && { ttlMs: durationOrZero(ttl, 'reply.cache.ttl') }) }
}
