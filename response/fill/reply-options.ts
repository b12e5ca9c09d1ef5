// `reply.cache({ ... })`: the options of a single response.
import { boolean, checkOptions, expects, type Duration } from '../../registry/check.js'
import { aDurationOrZero, durationOrZero } from '../options/route-options.js'
import type { ReplyOptions } from '../http/storability.js'
import { areTags, MAX_TAGS } from '../options/invalidation-target.js'

/** Options of `reply.cache()`, for this response only. */
export interface ReplyCacheOptions {
  /**
   * How long this response is fresh. This overrides the lifetime that the response states, but not its `no-store`, `private` and
   * `no-cache`. With 0, the response is not stored.
   */
  ttl?: Duration
  /** The tags of this response, instead of the route's tags. */
  tags?: readonly string[]
  /** Whether this response may be stored. With `false`, it is not stored. */
  store?: boolean
}

const REPLY_CHECKS = {
  // Zero means that the response is not stored.
  ttl: aDurationOrZero,
  tags: expects<readonly string[]>(`an array of at most ${MAX_TAGS} strings`, areTags),
  store: boolean
}

/** Returns the reason why a response with a wrong option is not stored. `err` is the error that `replyOptionsOf` threw for that option. */
export function refusalFor (err: unknown): 'ttl' | 'tags' | 'reply-cache' {
  return /reply\.cache\.(ttl|tags)/.exec((err as Error).message)?.[1] as 'ttl' | 'tags' | undefined ?? 'reply-cache'
}

/** Returns the options in `before`, overridden by `options`. Throws CACHE_ERR_OPTION if one of `options` is invalid. */
export function replyOptionsOf (options: ReplyCacheOptions, before: ReplyOptions): ReplyOptions {
  const { ttl, ...others } = checkOptions<ReplyCacheOptions>('reply.cache', options, REPLY_CHECKS)
  return { ...before, ...others, ...(ttl !== undefined && { ttlMs: durationOrZero(ttl, 'reply.cache.ttl') }) }
}
