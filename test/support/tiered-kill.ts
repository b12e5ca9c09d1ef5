// What a process that is killed between two tiers and those that look at what it left have in common.
import type { StoredEntry } from '../../registry/backend.js'
import type { BackendChoice } from '../../registry/names.js'

export const NEAR_TTL = '10s'
export const NEAR_TTL_MS = 10_000

// So much that no store writes it at once.
const VALUE_BYTES = 1_000_000

/** An entry of some megabyte that is made of this word. */
export function valueOf (word: string): StoredEntry {
  return { value: Buffer.alloc(VALUE_BYTES, word), expiresAt: Number.MAX_SAFE_INTEGER }
}

/** The word that an entry is made of; 'torn' where it is none. */
export function wordOf (entry: StoredEntry | undefined): string | undefined {
  if (entry === undefined) return undefined
  return ['old', 'new'].find((word) =>
    valueOf(word).value.every((byte, at) => byte === entry.value[at]) && entry.value.byteLength === VALUE_BYTES) ?? 'torn'
}

/** A backend that keeps what it holds at `path`. */
export function choiceOf (backend: string, path: string): BackendChoice {
  return backend === 'file' ? { backend, options: { dir: path } } : { backend: 'sqlite', options: { path } }
}
