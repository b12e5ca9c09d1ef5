// Creates the entries that the cases set.
import type { StoredEntry } from '../../registry/backend.js'
import type { ConformanceSubject } from './subject.js'

/** The lifetime of most entries: one minute, which is longer than any case takes. */
export const LIFE_MS = 60_000

/** Returns the bytes of `text`, in a new object. */
export function bytesOf (text: string): Uint8Array {
  return new TextEncoder().encode(text)
}

/** Returns an entry with the value `text` that expires after `lifeMs`, or after a minute. */
export function entryOf (text: string, subject: Pick<ConformanceSubject, 'now'>, lifeMs = LIFE_MS): StoredEntry {
  return { value: bytesOf(text), expiresAt: subject.now() + lifeMs }
}
