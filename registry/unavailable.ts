// Stands for the result of a read when the backend can't say whether there is an entry. Such a read is not a miss.
import type { StoredEntry } from './backend.js'

export const UNAVAILABLE = Symbol('unavailable')

/** The result of a read: an entry, undefined if there is none, or UNAVAILABLE. */
export type Read = StoredEntry | undefined | typeof UNAVAILABLE
