// What a store was read for a moment ago, bounded by bytes: for backends that can tell cheaply whether it is still true.
import { LRUCache } from 'lru-cache'

/** Bytes of values held at most, and the largest value that is worth it. */
const MAX_BYTES = 16 * 1024 * 1024
const MAX_VALUE_BYTES = 1024 * 1024
const ALMOST_FULL_BYTES = MAX_BYTES * 0.9
const OVERHEAD_BYTES = 400

// Where more is read than fits, taking each of it in costs more than it saves, and none would stay until it is read again.
const HELD_OF_FULL = 32

/** What was read lately, by key. */
export class Recent<T extends { readonly value: Uint8Array }> {
  readonly #held = new LRUCache<string, T>({
    maxSize: MAX_BYTES,
    maxEntrySize: MAX_VALUE_BYTES,
    sizeCalculation: ({ value }, key) => value.byteLength + key.length * 2 + OVERHEAD_BYTES
  })

  #passed = 0

  get (key: string): T | undefined {
    return this.#held.get(key)
  }

  /** Whether what is read next is to be held: all of it while there is room, one in 32 where others would have to go. */
  takes (): boolean {
    return this.#held.calculatedSize <= ALMOST_FULL_BYTES || ++this.#passed % HELD_OF_FULL === 0
  }

  hold (key: string, read: T): void {
    this.#held.set(key, read)
  }

  drop (key: string): void {
    this.#held.delete(key)
  }

  clear (): void {
    this.#held.clear()
  }
}
