// Creates LRU caches that keep a limited number of values.
import { LruMap } from 'toad-cache'

/** Creates a cache of the `count` most recently used values. */
export function lruOf<V extends {}> (count: number): LruMap<V> {
  return new LruMap(count)
}
