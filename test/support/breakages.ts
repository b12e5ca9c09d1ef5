// Backends broken in one way each, by the name of the conformance case that has to notice it.
import type { CacheBackend, StoredEntry } from '../../registry/backend.js'
import type { MapBackend } from './map-backend.js'

/** What is put over the methods of a correct backend. */
export type Breakage = (given: { correct: MapBackend, now: () => number, entries: Map<string, StoredEntry> }) => Partial<CacheBackend>

const GARBAGE = Uint8Array.of(1, 2, 3)

/** Keys pass through `change` before they are used, so that some of them become one. */
const keysAs = (change: (key: string) => string): Breakage => ({ correct }) => ({
  get: (key) => correct.get(change(key)),
  set: (key, entry) => correct.set(change(key), entry),
  delete: (key) => correct.delete(change(key)),
  has: (key) => correct.has(change(key)),
  clear: (prefix) => correct.clear(prefix === undefined ? undefined : change(prefix))
})

/** Values pass through `change` when they are stored. */
const valuesAs = (change: (value: Uint8Array) => Uint8Array): Breakage => ({ correct }) => ({
  set: (key, entry) => correct.set(key, { ...entry, value: change(entry.value) })
})

/** Instants pass through `change` when they are stored. */
const instantsAs = (change: (expiresAt: number, now: number) => number): Breakage => ({ correct, now }) => ({
  set: (key, entry) => correct.set(key, { ...entry, expiresAt: change(entry.expiresAt, now()) })
})

const throughText = (encoding: BufferEncoding) => (value: Uint8Array) => Buffer.from(Buffer.from(value).toString(encoding), encoding)

/** Entries never expire by themselves. */
const immortal: Breakage = ({ entries }) => ({ get: (key) => entries.get(key) })

/** Stores whatever the instant is, and never drops what is over. */
const keepsThePast: Breakage = ({ entries }) => ({ ...immortal, set: (key, entry) => { entries.set(key, entry) }, get: (key) => entries.get(key) })

/** As a backend on an overflowing timer does: everything is dropped after a millisecond. */
const overflows = (fromMs: number): Breakage => ({ correct, now }) => ({
  set (key, entry) {
    correct.set(key, entry)
    if (entry.expiresAt - now() >= fromMs) setTimeout(() => correct.delete(key), 1)
  }
})

/** As a plain object does. */
const inAnObject: Breakage = ({ now }) => {
  const entries: Record<string, StoredEntry | undefined> = {}
  return {
    get: (key) => entries[key],
    set (key, entry) { if (entry.expiresAt > now()) entries[key] = entry },
    delete (key) { entries[key] = undefined }
  }
}

/** Writes in two halves with a pause between them. */
const torn: Breakage = ({ correct }) => ({
  async set (key, { value, expiresAt }) {
    const half = value.byteLength >> 1
    correct.set(key, { value: Buffer.concat([value.subarray(0, half), (correct.get(key)?.value ?? GARBAGE).subarray(half)]), expiresAt })
    await Promise.resolve()
    correct.set(key, { value: Buffer.concat([(correct.get(key)?.value ?? GARBAGE).subarray(0, half), value.subarray(half)]), expiresAt })
  }
})

const failsAfterClose = (method: 'close' | 'get'): Breakage => ({ correct }) => {
  let closed = false
  return {
    close () {
      if (closed && method === 'close') throw new Error('it is closed already')
      closed = true
    },
    get: (key) => correct.get(key)
  }
}

export const breakages: Readonly<Record<string, Breakage>> = {
  'a key that was never set answers undefined': ({ correct }) => ({ get: (key) => correct.get(key) ?? null as never }),
  'get answers what was set': () => ({ get: () => undefined }),
  'an entry of a second is there at once and gone after two': immortal,
  'a key that was deleted answers undefined': () => ({ delete () {} }),
  'deleting a key that is not there is no error': ({ correct }) => ({ delete (key) { if (!correct.has(key)) refuse() } }),
  'many sets at once, and many gets at once, do not disturb each other': lastKeyOnly(),
  'a backend that was used closes': () => ({ close: refuse }),

  'an empty value is an entry and not a miss': ({ correct }) => ({ get: (key) => correct.get(key)?.value.byteLength === 0 ? undefined : correct.get(key) }),
  'a value of one byte survives': valuesAs((value) => value.byteLength === 1 ? GARBAGE : value),
  'a NUL, a newline and 0xFF survive': valuesAs((value) => value.subarray(0, value.indexOf(0))),
  'all 256 bytes survive': valuesAs(throughText('utf8')),
  'bytes that are not UTF-8 survive': valuesAs(throughText('utf8')),
  'text that looks like nothing or like JSON survives': valuesAs((value) => Buffer.from(value).toString().startsWith('null') ? GARBAGE : value),
  'a byte order mark survives': valuesAs((value) => new TextEncoder().encode(new TextDecoder().decode(value))),
  '1 MiB survives': valuesAs((value) => value.subarray(0, 65_535)),
  'of a view into a larger buffer only the view is stored': valuesAs((value) => new Uint8Array(value.buffer)),

  'keys in any script survive': keysAs((key) => key.replace(/[^ -~]+/g, '?')),
  'composed and decomposed letters are different keys': keysAs((key) => key.normalize('NFC')),
  'keys that look like paths are different keys': keysAs((key) => new URL(key, 'http://cache/').href),
  'separators and escapes are part of the key': keysAs((key) => key.replace('/', ':')),
  'wildcards and quotes are part of the key': keysAs((key) => key.replace('_', '%')),
  'control characters are part of the key': keysAs((key) => key.split('\0', 1)[0] ?? ''),
  'spaces around a key are part of it': keysAs((key) => key.trim()),
  'keys of 4 KiB that differ in their last character are different keys': keysAs((key) => key.slice(0, 255)),
  'keys that differ only in case are different keys': keysAs((key) => key.toLowerCase()),
  'lone surrogates are different keys': keysAs((key) => Buffer.from(key).toString()),
  'names that every object has are keys like others': inAnObject,
  'numbers are keys like others': keysAs((key) => String(Number(key))),
  'the empty string is a key': ({ correct }) => ({ set (key, entry) { if (key !== '') correct.set(key, entry) } }),

  'the last set wins': ({ correct }) => ({ set (key, entry) { if (!correct.has(key)) correct.set(key, entry) } }),
  'a set replaces the life of the entry too': ({ correct }) => ({
    set: (key, entry) => correct.set(key, { ...entry, expiresAt: correct.get(key)?.expiresAt ?? entry.expiresAt })
  }),
  'a key can be set again after it was deleted': setsOnce(),
  'a delete takes its own key and no other': ({ correct }) => ({ delete: (key) => correct.clear(key) }),
  'the value of a hit is not changed by later sets and deletes': oneBuffer(),
  'sets of one key at once leave the whole value of one of them': torn,
  'a get while its key is set answers a whole value or a miss': torn,

  'an entry is there until its expiresAt': instantsAs((expiresAt) => Math.floor(expiresAt / 1_000) * 1_000),
  'an entry is gone from its expiresAt on': instantsAs((expiresAt) => expiresAt + 1),
  'a hit tells an expiresAt that is not over and not later than the one that was set': instantsAs((expiresAt) => expiresAt + 150_000),
  'a hit does not prolong the life of its entry': ({ correct, now, entries }) => ({
    get (key) {
      const hit = correct.get(key)
      if (hit !== undefined) entries.set(key, { ...hit, expiresAt: now() + 1_000 })
      return hit
    }
  }),
  'an entry that expired already leaves nothing': keepsThePast,
  'an entry that expires at this very instant leaves nothing': ({ entries, now }) => ({
    set (key, entry) { if (entry.expiresAt >= now()) entries.set(key, entry) },
    get: (key) => (entries.get(key)?.expiresAt ?? -1) >= now() ? entries.get(key) : undefined
  }),
  'an entry that expired already removes what was there': ({ correct, now }) => ({
    set (key, entry) { if (entry.expiresAt > now()) correct.set(key, entry) }
  }),
  'an entry of 2^31 milliseconds is there': overflows(2 ** 31),
  'an entry of 40 days is there': overflows(40 * 86_400_000),
  'an entry of ten years is there': instantsAs((expiresAt, now) => expiresAt - now > 30 * 365 * 86_400 ? Math.trunc(expiresAt / 1_000) : expiresAt),

  'close may be called twice': failsAfterClose('close'),
  'close may be called twice at once': failsAfterClose('close'),
  'a backend that was never used closes': ({ entries }) => ({ close () { if (entries.size === 0) refuse() } }),
  'close while calls are under way settles, and so do they': ({ entries }) => ({ close () { if (entries.size > 1) refuse() } }),
  'after close a get is an error or a miss, and never hangs': failsAfterClose('get'),
  'after close a set or a delete is an error or nothing, and never hangs': ({ correct }) => ({ delete () {}, set: (key, entry) => correct.set(key, entry) }),

  'has: true for an entry, also for an empty one': ({ correct }) => ({ has: (key) => (correct.get(key)?.value.byteLength ?? 0) > 0 }),
  'has: false for what was never set, and for what was deleted': ({ entries }) => ({ has: (key) => key in Object.fromEntries(entries) }),
  'has: false from expiresAt on': ({ entries }) => ({ has: (key) => entries.has(key) }),
  'size: the number of entries held': countsSets(),
  'stats: what it tells is a number that is not negative': () => ({ stats: () => ({ entries: 1, hitRatio: NaN }) }),
  'stats: entries and bytes, where it knows them, are those that were set': () => ({ stats: () => ({ entries: 0, bytes: 0 }) }),
  'getMany: the answers stand in the order of the keys, a miss as undefined': ({ entries }) => ({
    getMany: (keys) => [...entries].filter(([key]) => keys.includes(key)).map(([, entry]) => entry)
  }),
  'getMany: an entry is gone from its expiresAt on': ({ entries }) => ({ getMany: (keys) => keys.map((key) => entries.get(key)) }),
  'getMany: of no keys answers an empty list': ({ correct }) => ({ getMany: (keys) => keys.length === 0 ? [undefined] : correct.getMany(keys) }),

  'clear: without a prefix, everything is forgotten': ({ correct }) => ({ clear (prefix) { if (prefix !== undefined) correct.clear(prefix) } }),
  'clear: with a prefix, the keys that begin with it and no others': ({ correct }) => ({ clear: () => correct.clear() }),
  'clear: a prefix is text and not a pattern': clearsBy((prefix) => new RegExp(`^${prefix.replace(/[\\[]/g, '\\$&').replace(/[%*?_]/g, '.')}`, 'su')),
  'clear: a prefix of any script, also at the end of its range': ({ correct }) => ({
    clear (prefix = '') {
      for (const key of correct.keys().filter((key) => key >= prefix && key < prefix + '\uffff')) correct.delete(key)
    }
  }),
  'clear: a key can be set again afterwards': ({ correct }) => {
    let cleared = false
    return {
      clear (prefix) {
        cleared = true
        correct.clear(prefix)
      },
      set (key, entry) { if (!cleared) correct.set(key, entry) }
    }
  },
  'clear: of nothing is no error': ({ correct }) => ({ clear () { if (correct.size() === 0) refuse() } }),
  'keys: without a pattern, the keys of all entries, as they were set': ({ correct }) => ({ keys: () => correct.keys().map((key) => Buffer.from(key).toString()) }),
  'keys: a star is any text, a question mark any one character, everything else is itself': ({ correct }) => ({
    keys: (pattern = '*') => correct.keys().filter((key) => new RegExp(`^${pattern.replace(/[\\[()^+]/g, '\\$&').replace(/\*/g, '.*').replace(/\?/g, '.')}$`, 's').test(key))
  }),
  'keys: what was deleted or is over is not among them': ({ entries }) => ({ keys: () => [...entries.keys()] })
}

function refuse (): never {
  throw new Error('it failed')
}

function lastKeyOnly (): Breakage {
  return ({ correct }) => ({
    set (key, entry) {
      correct.clear()
      correct.set(key, entry)
    }
  })
}

function setsOnce (): Breakage {
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

/** Copies every value into one buffer that is used again for the next. */
function oneBuffer (): Breakage {
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

function countsSets (): Breakage {
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

function clearsBy (patternOf: (prefix: string) => RegExp): Breakage {
  return ({ correct }) => ({
    clear (prefix = '') {
      for (const key of correct.keys()) {
        if (patternOf(prefix).test(key)) correct.delete(key)
      }
    }
  })
}
