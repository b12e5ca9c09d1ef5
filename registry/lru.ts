// Remembers the last so many of something, by name.
import { LRUCache } from 'lru-cache'

const one = (): number => 1

/**
 * At most `count` values, those that were used last. It grows as it is filled: with `max`, lru-cache makes room for all of them at once,
 * which takes a millisecond for 10 000.
 */
export function lruOf<V extends {}> (count: number): LRUCache<string, V> {
  return new LRUCache({ maxSize: count, sizeCalculation: one })
}
