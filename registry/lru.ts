// Creates LRU caches that keep a limited number of values.
import { LRUCache } from 'lru-cache'

const one = (): number => 1

/**
 * Creates a cache that keeps the `count` most recently used values, and allocates memory as it fills. The option `max` would limit the
 * count too, but with `max`, lru-cache allocates all memory at once, which takes a millisecond for 10 000 values.
 */
export function lruOf<V extends {}> (count: number): LRUCache<string, V> {
  return new LRUCache({ maxSize: count, sizeCalculation: one })
}
