// Creates LRU caches that keep a limited number of values.
import { LRUCache } from 'lru-cache'

const one = (): number => 1

/** Creates a cache of the `count` most recently used values. With `max`, it would allocate all memory at once: 1 ms for 10 000 values. */
export function lruOf<V extends {}> (count: number): LRUCache<string, V> {
  return new LRUCache({ maxSize: count, sizeCalculation: one })
}
