// Helpers for tests of any backend.
import type { CacheBackend, StoredEntry } from '../../registry/backend.js'

export function entry (text: string, expiresAt = Infinity): StoredEntry {
  return { value: Buffer.from(text), expiresAt }
}

/** Gets an entry, and returns its value as text. */
export async function textAt (backend: CacheBackend, key: string): Promise<string | undefined> {
  const found = await backend.get(key)
  return found === undefined ? undefined : Buffer.from(found.value).toString()
}

/** What `call` throws or rejects with. */
export async function failureOf (call: () => unknown): Promise<{ code?: string, name: string, message: string } | undefined> {
  try {
    await call()
    return undefined
  } catch (error) {
    return error as Error
  }
}

/** One call of every method of a backend except `close`, by the name of the method. */
export function everyCall (backend: Required<CacheBackend>): Record<string, () => unknown> {
  return {
    get: () => backend.get('key'),
    set: () => backend.set('key', entry('value')),
    delete: () => backend.delete('key'),
    has: () => backend.has('key'),
    getMany: () => backend.getMany(['key']),
    clear: () => backend.clear(),
    keys: () => backend.keys(),
    size: () => backend.size(),
    stats: () => backend.stats()
  }
}
