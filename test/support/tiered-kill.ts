// Shared by the process that is killed between two tiers and the tests that read what it left.
import type { StoredEntry } from '../../registry/backend.js'
import type { BackendChoice } from '../../registry/names.js'

export const NEAR_TTL = '10s'
export const NEAR_TTL_MS = 10_000

// So large that no store writes it at once.
const VALUE_BYTES = 1_000_000

/** An entry of a megabyte, filled with this word. */
export function valueOf (word: string): StoredEntry {
  return { value: Buffer.alloc(VALUE_BYTES, word), expiresAt: Number.MAX_SAFE_INTEGER }
}

/** The word that an entry is filled with; 'torn' if there is none. */
export function wordOf (entry: StoredEntry | undefined): string | undefined {
  if (entry === undefined) return undefined
  return ['old', 'new'].find((word) =>
    valueOf(word).value.every((byte, at) => byte === entry.value[at]) && entry.value.byteLength === VALUE_BYTES) ?? 'torn'
}

/** A backend that stores its entries at `path`. */
export function choiceOf (backend: string, path: string): BackendChoice {
  return backend === 'file' ? { backend, options: { dir: path } } : { backend: 'sqlite', options: { path } }
}
