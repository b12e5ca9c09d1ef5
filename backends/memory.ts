// The memory backend: it keeps entries in an LRU cache, and limits their total size in bytes.
import { setImmediate as turn } from 'node:timers/promises'
import { LruMap } from 'toad-cache'
import { checkOptions, positiveInteger } from '../registry/check.js'
import { matchesGlob } from '../registry/glob.js'
import { defineBackend, type BackendContext } from '../registry/registry.js'
import type { BackendStats, CacheBackend, ClearOptions, MaybePromise, StoredEntry } from '../registry/backend.js'

/** Options of the backend `memory`. */
export interface MemoryOptions {
  /** The most bytes that all entries may take: keys, values, and an estimated overhead for each entry. @default 67108864 */
  maxBytes?: number
  /** The most entries that are kept. @default none */
  maxEntries?: number
}

/** The default value of the option `maxBytes`: 64 MiB. */
export const MEMORY_MAX_BYTES = 64 * 1024 * 1024

// The estimated memory that an entry takes in addition to its key and value: its places in the Map and in the LRU list, the entry object,
// the Buffer's header, and the remembered head and body. It was measured as 890 bytes after 100 000 small responses that all fit, and as
// 1040 to 1340 bytes after a flood of 1 000 000.
const ENTRY_OVERHEAD_BYTES = 1024

/** How long one step of `clear` may block the event loop. */
const STEP_MS = 4
/** How many keys a step checks before it looks at the clock again. */
const KEYS_AT_ONCE = 32

/** A `clear` with a prefix that is still running. */
interface Sweep {
  readonly prefix: string
  /** All keys, in the order in which they were first set. Changes to the cache do not disturb the iteration. */
  readonly keys: Iterator<string>
  /** How many of the keys that existed at the start are still to be checked. */
  left: number
  /** The keys that were set after the start. Their entries must not be removed. */
  readonly later: Set<string>
}

class MemoryBackend implements CacheBackend {
  #entries = empty()
  #bytes = 0
  readonly #maxBytes: number
  readonly #maxEntries: number
  readonly #sweeps = new Set<Sweep>()
  readonly #now: () => number

  constructor (options: MemoryOptions, context: BackendContext) {
    const { maxBytes = MEMORY_MAX_BYTES, maxEntries } = checkOptions<MemoryOptions>('memory', options, {
      maxBytes: positiveInteger, maxEntries: positiveInteger
    })
    this.#now = context.now
    this.#maxBytes = maxBytes
    this.#maxEntries = maxEntries ?? Infinity
  }

  get (key: string): StoredEntry | undefined {
    // The clock is read before the lookup, because the processor first finishes all earlier memory reads when it reads the clock.
    const at = this.#now()
    const entry = this.#entries.get(key)
    if (entry === undefined || entry.expiresAt > at) return entry
    this.delete(key)
    return undefined
  }

  getMany (keys: readonly string[]): Array<StoredEntry | undefined> {
    return keys.map((key) => this.get(key))
  }

  set (key: string, entry: StoredEntry): void {
    if (this.#sweeps.size > 0) this.#noteLater(key)
    this.delete(key)
    const bytes = bytesOf(key, entry)
    if (entry.expiresAt <= this.#now() || bytes > this.#maxBytes) return
    while (this.#bytes + bytes > this.#maxBytes || this.#entries.size >= this.#maxEntries) this.#evict()
    this.#entries.set(key, entry)
    this.#bytes += bytes
  }

  delete (key: string): void {
    const item = this.#entries.items.get(key)
    if (item === undefined) return
    this.#entries.delete(key)
    this.#bytes -= bytesOf(key, item.value)
  }

  has (key: string): boolean {
    return (this.#entries.items.get(key)?.value.expiresAt ?? 0) > this.#now()
  }

  /** Removes entries synchronously if a few milliseconds are enough for that, otherwise in steps. */
  clear (prefix = '', { onProgress }: ClearOptions = {}): MaybePromise<void> {
    if (prefix === '') return this.#removeAll()
    const { items } = this.#entries
    const sweep: Sweep = { prefix, keys: items.keys() as Iterator<string>, left: items.size, later: new Set() }
    this.#step(sweep)
    return sweep.left > 0 ? this.#sweep(sweep, onProgress) : undefined
  }

  keys (pattern = '*'): string[] {
    return [...this.#entries.items.keys() as Iterable<string>].filter((key) => this.has(key) && matchesGlob(pattern, key))
  }

  size (): number {
    return this.#entries.size
  }

  stats (): BackendStats {
    return { entries: this.#entries.size, bytes: this.#bytes, maxBytes: this.#maxBytes }
  }

  close (): void {
    this.#removeAll()
  }

  /** Replaces the cache with an empty one, because clearing a large one would block the event loop for a long time. */
  #removeAll (): void {
    this.#entries = empty()
    this.#bytes = 0
    for (const sweep of this.#sweeps) sweep.left = 0
  }

  /** Removes the entry that was not used for the longest time. */
  #evict (): void {
    const { key, value } = this.#entries.first as { key: string, value: StoredEntry }
    this.#entries.evict()
    this.#bytes -= bytesOf(key, value)
  }

  #noteLater (key: string): void {
    for (const { prefix, later } of this.#sweeps) if (key.startsWith(prefix)) later.add(key)
  }

  async #sweep (sweep: Sweep, onProgress: ClearOptions['onProgress']): Promise<void> {
    this.#sweeps.add(sweep)
    while (sweep.left > 0) {
      await turn()
      const removed = this.#step(sweep)
      onProgress?.(removed)
    }
    this.#sweeps.delete(sweep)
  }

  /** Checks keys until all are checked or the step's time is over. Returns how many entries it removed. */
  #step (sweep: Sweep): number {
    const endsAt = performance.now() + STEP_MS
    let removed = 0
    for (let looked = 0; sweep.left > 0; looked++, sweep.left--) {
      if (looked % KEYS_AT_ONCE === 0 && performance.now() > endsAt) break
      const { done, value: key } = sweep.keys.next()
      if (done === true) sweep.left = 1
      else if (key.startsWith(sweep.prefix) && !sweep.later.has(key)) {
        this.delete(key)
        removed++
      }
    }
    return removed
  }
}

/** Returns a cache without limits of its own. */
function empty (): LruMap<StoredEntry> {
  return new LruMap(0)
}

function bytesOf (key: string, { value }: StoredEntry): number {
  return value.byteLength + key.length * 2 + ENTRY_OVERHEAD_BYTES
}

export default defineBackend<MemoryOptions>({
  name: 'memory',
  create: (options, context) => new MemoryBackend(options, context)
})
