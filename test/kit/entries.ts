// The entries that the cases set.
import type { StoredEntry } from '../../registry/backend.js'
import type { ConformanceSubject } from './subject.js'

/** A minute: longer than any case takes. */
export const LIFE_MS = 60_000

/** The bytes of `text`, in a new object. */
export function bytesOf (text: string): Uint8Array {
  return new TextEncoder().encode(text)
}

/** An entry with the value `text` that lives for a minute, or for `lifeMs`. */
export function entryOf (text: string, subject: Pick<ConformanceSubject, 'now'>, lifeMs = LIFE_MS): StoredEntry {
  return { value: bytesOf(text), expiresAt: subject.now() + lifeMs }
}
