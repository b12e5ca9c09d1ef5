// What a read returns when nobody can say what is stored. Not a miss.
import type { StoredEntry } from './backend.js'

export const UNAVAILABLE = Symbol('unavailable')

/** What a read found. */
export type Read = StoredEntry | undefined | typeof UNAVAILABLE
