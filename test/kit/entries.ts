// Entries as the cases set them.
import type { StoredEntry } from '../../registry/backend.js'
import type { ConformanceSubject } from './subject.js'

/** A minute: longer than any case takes. */
export const LIFE_MS = 60_000

/** The bytes of `text` in an object of their own. */
export function bytesOf (text: string): Uint8Array {
  return new TextEncoder().encode(text)
}

/** An entry of `text` that lives for a minute, or for `lifeMs`. */
export function entryOf (text: string, subject: Pick<ConformanceSubject, 'now'>, lifeMs = LIFE_MS): StoredEntry {
  return { value: bytesOf(text), expiresAt: subject.now() + lifeMs }
}
