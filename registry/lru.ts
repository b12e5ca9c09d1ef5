// An LRU cache with a limit on the number of its values.
import { LRUCache } from 'lru-cache'

const one = (): number => 1

/**
 * Keeps the `count` most recently used values, and grows as it fills. With `max`, lru-cache allocates all of it at once, which takes a
 * millisecond for 10 000.
 */
export function lruOf<V extends {}> (count: number): LRUCache<string, V> {
  return new LRUCache({ maxSize: count, sizeCalculation: one })
}
