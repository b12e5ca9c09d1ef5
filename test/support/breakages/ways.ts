// Ways in which a backend in a Map is broken.
import { isUtf8 } from 'node:buffer'
import type { CacheBackend, StoredEntry } from '../../../registry/backend.js'
import type { MapBackend } from '../map-backend.js'
import type { LeaseRecord } from '../map-leases.js'

/** What a breakage is given: a correct backend, its clock, and the maps in which it keeps entries and leases. */
export interface MapGiven {
  readonly correct: MapBackend
  readonly now: () => number
  readonly entries: Map<string, StoredEntry>
  readonly leases: Map<string, LeaseRecord>
}

/** Replaces methods of a correct backend. */
export type Breakage = (given: MapGiven) => Partial<CacheBackend>

export const GARBAGE = Uint8Array.of(1, 2, 3)

/** Keys pass through `change` before they are used, so that some different keys become the same. */
export const keysAs = (change: (key: string) => string): Breakage => ({ correct }) => ({
  get: (key) => correct.get(change(key)),
  set: (key, entry) => correct.set(change(key), entry),
  delete: (key) => correct.delete(change(key)),
  has: (key) => correct.has(change(key)),
  clear: (prefix) => correct.clear(prefix === undefined ? undefined : change(prefix))
})

/** Values pass through `change` when they are stored. */
export const valuesAs = (change: (value: Uint8Array) => Uint8Array): Breakage => ({ correct }) => ({
  set: (key, entry) => correct.set(key, { ...entry, value: change(entry.value) })
})

/** The expiresAt of an entry passes through `change` when it is stored. */
export const expiriesAs = (change: (expiresAt: number, now: number) => number): Breakage => ({ correct, now }) => ({
  set: (key, entry) => correct.set(key, { ...entry, expiresAt: change(entry.expiresAt, now()) })
})

export const throughText = (encoding: BufferEncoding) => (value: Uint8Array) => Buffer.from(Buffer.from(value).toString(encoding), encoding)

/** Values that are valid UTF-8 pass through `change`. */
export const asText = (change: (text: string) => string) => (value: Uint8Array): Uint8Array =>
  isUtf8(value) ? Buffer.from(change(Buffer.from(value).toString())) : value

/** Entries never expire by themselves. */
export const immortal: Breakage = ({ entries }) => ({ get: (key) => entries.get(key) })

/** Stores an entry whatever its expiresAt is, and never removes expired ones. */
export const keepsThePast: Breakage = ({ entries }) => ({
  ...immortal, set: (key, entry) => { entries.set(key, entry) }, get: (key) => entries.get(key)
})

/** As a backend with an overflowing timer does: an entry that lives at least `fromMs` is dropped after a millisecond. */
export const overflows = (fromMs: number): Breakage => ({ correct, now }) => ({
  set (key, entry) {
    correct.set(key, entry)
    if (entry.expiresAt - now() >= fromMs) setTimeout(() => correct.delete(key), 1)
  }
})

/** Keeps entries in a plain object. */
export const inAnObject: Breakage = ({ now }) => {
  const entries: Record<string, StoredEntry | undefined> = {}
  return {
    get: (key) => entries[key],
    set (key, entry) { if (entry.expiresAt > now()) entries[key] = entry },
    delete (key) { entries[key] = undefined }
  }
}

/** Writes in two halves with a pause between them. */
export const torn: Breakage = ({ correct }) => ({
  async set (key, { value, expiresAt }) {
    const half = value.byteLength >> 1
    correct.set(key, { value: Buffer.concat([value.subarray(0, half), (correct.get(key)?.value ?? GARBAGE).subarray(half)]), expiresAt })
    await Promise.resolve()
    correct.set(key, { value: Buffer.concat([(correct.get(key)?.value ?? GARBAGE).subarray(0, half), value.subarray(half)]), expiresAt })
  }
})

export const failsAfterClose = (method: 'close' | 'get'): Breakage => ({ correct }) => {
  let closed = false
  return {
    close () {
      if (closed && method === 'close') throw new Error('it is closed already')
      closed = true
    },
    get: (key) => correct.get(key)
  }
}

export function refuse (): never {
  throw new Error('it failed')
}

export function lastKeyOnly (): Breakage {
  return ({ correct }) => ({
    set (key, entry) {
      correct.clear()
      correct.set(key, entry)
    }
  })
}

export function setsOnce (): Breakage {
  return ({ correct }) => {
    const seen = new Set<string>()
    return {
      set (key, entry) {
        if (!seen.has(key)) correct.set(key, entry)
        seen.add(key)
      }
    }
  }
}

/** Copies every value into the same buffer. */
export function oneBuffer (): Breakage {
  return ({ entries }) => {
    const buffer = new Uint8Array(5)
    return {
      set (key, { value, expiresAt }) {
        buffer.set(value.subarray(0, 5))
        entries.set(key, { value: buffer, expiresAt })
      }
    }
  }
}

export function countsSets (): Breakage {
  return ({ correct }) => {
    let sets = 0
    return {
      set (key, entry) {
        sets++
        correct.set(key, entry)
      },
      size: () => sets
    }
  }
}

export function clearsBy (patternOf: (prefix: string) => RegExp): Breakage {
  return ({ correct }) => ({
    clear (prefix = '') {
      for (const key of correct.keys()) {
        if (patternOf(prefix).test(key)) correct.delete(key)
      }
    }
  })
}

/** The later a change is called, the earlier it takes effect. */
export function lastFirst (): Breakage {
  return ({ correct }) => {
    let turns = 20
    const later = async (change: () => void): Promise<void> => {
      for (let turn = --turns; turn > 0; turn--) await null
      change()
    }
    return { set: (key, entry) => later(() => correct.set(key, entry)), delete: (key) => later(() => correct.delete(key)) }
  }
}
