// A correct backend in a Map with every optional method, for tests to break and to wrap.
import { matchesGlob } from '../../registry/glob.js'
import type { CacheBackend, Claim, ClaimOptions, Settlement, StoredEntry } from '../../registry/backend.js'
import { MapLeases, mapVersion } from './map-leases.js'

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
  claim (key: string, options: ClaimOptions): Claim
  settle (key: string, token: string, settlement: Settlement): boolean
  version (name: string, raise?: boolean): number
}

/** The test may read and change `entries`. */
export function mapBackend (now: () => number, entries = new Map<string, StoredEntry>()): MapBackend {
  const live = (entry: StoredEntry | undefined): entry is StoredEntry => entry !== undefined && entry.expiresAt > now()
  const leases = new MapLeases(entries, now)
  const store = (key: string, { value, expiresAt }: StoredEntry): void => {
    entries.set(key, { value: Uint8Array.from(value), expiresAt })
  }
  const backend: MapBackend = {
    get (key) {
      const entry = entries.get(key)
      return live(entry) ? entry : undefined
    },
    set (key, entry) {
      leases.void(key)
      if (entry.expiresAt > now()) store(key, entry)
      else entries.delete(key)
    },
    delete (key) {
      leases.void(key)
      entries.delete(key)
    },
    close: () => backend.clear(),
    has: (key) => live(entries.get(key)),
    clear (prefix = '') {
      leases.voidAll(prefix)
      for (const key of [...entries.keys()]) {
        if (key.startsWith(prefix)) entries.delete(key)
      }
    },
    keys: (pattern = '*') => [...entries.keys()].filter((key) => live(entries.get(key)) && matchesGlob(pattern, key)),
    size: () => entries.size,
    stats: () => ({ entries: entries.size, bytes: [...entries.values()].reduce((sum, { value }) => sum + value.byteLength, 0) }),
    getMany: (keys) => keys.map((key) => backend.get(key)),
    claim: (key, options) => leases.claim(key, options),
    settle: (key, token, settlement) => leases.settle(key, token, settlement, (entry) => store(key, entry)),
    version: (name, raise) => mapVersion(entries, name, raise)
  }
  return backend
}
