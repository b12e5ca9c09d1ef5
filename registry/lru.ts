// An LRU cache with a limit on the number of its values.
import { LRUCache } from 'lru-cache'

const one = (): number => 1

/**
 * Creates a cache of the `count` most recently used values, which grows as it fills. The option `max` would limit the count too, but
 * lru-cache then allocates all memory at once, which takes a millisecond for 10 000 values.
 */
export function lruOf<V extends {}> (count: number): LRUCache<string, V> {
  return new LRUCache({ maxSize: count, sizeCalculation: one })
}
