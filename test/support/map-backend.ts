// A correct backend in a Map with every optional method, for tests to break and to wrap.
import { matchesGlob } from '../../registry/glob.js'
import type { CacheBackend, StoredEntry } from '../../registry/backend.js'

/** Every method of the contract, each synchronous. */
export interface MapBackend extends Required<CacheBackend> {
  get (key: string): StoredEntry | undefined
  set (key: string, entry: StoredEntry): void
  delete (key: string): void
  close (): void
  has (key: string): boolean
  clear (prefix?: string): void
  keys (pattern?: string): string[]
  size (): number
}

/** The test may read and change `entries`. */
export function mapBackend (now: () => number, entries = new Map<string, StoredEntry>()): MapBackend {
  const live = (entry: StoredEntry | undefined): entry is StoredEntry => entry !== undefined && entry.expiresAt > now()
  const backend: MapBackend = {
    get (key) {
      const entry = entries.get(key)
      return live(entry) ? entry : undefined
    },
    set (key, { value, expiresAt }) {
      if (expiresAt > now()) entries.set(key, { value: Uint8Array.from(value), expiresAt })
      else entries.delete(key)
    },
    delete (key) { entries.delete(key) },
    close () { entries.clear() },
    has: (key) => live(entries.get(key)),
    clear (prefix = '') {
      for (const key of [...entries.keys()]) {
        if (key.startsWith(prefix)) entries.delete(key)
      }
    },
    keys: (pattern = '*') => [...entries.keys()].filter((key) => live(entries.get(key)) && matchesGlob(pattern, key)),
    size: () => entries.size,
    stats: () => ({ entries: entries.size, bytes: [...entries.values()].reduce((sum, { value }) => sum + value.byteLength, 0) }),
    getMany: (keys) => keys.map((key) => backend.get(key))
  }
  return backend
}
