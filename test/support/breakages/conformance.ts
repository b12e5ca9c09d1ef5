// Broken backends by the name of the case of `conformance` that must find what is broken.
import { gunzipSync } from 'node:zlib'
import type { StoredEntry } from '../../../registry/backend.js'
import { mapBackend } from '../map-backend.js'
import { alone } from './alone.js'
import { ofMap, ofProgram, ofStore, type Broken } from './broken.js'
import {
  asText, clearsBy, countsSets, failsAfterClose, GARBAGE, immortal, inAnObject, expiriesAs, keepsThePast, keysAs, lastFirst, lastKeyOnly,
  oneBuffer, overflows, refuse, setsOnce, throughText, torn, valuesAs, type Breakage
} from './ways.js'

// Longer than the case waits, and short enough for the process to end.
const LEFT_MS = 4_000

const sharedByAll = new Map<string, StoredEntry>()

const breakages: Readonly<Record<string, Breakage>> = {
  'get of a key that was never set returns undefined': ({ correct }) => ({ get: (key) => correct.get(key) ?? null as never }),
  'get returns what was set': () => ({ get: () => undefined }),
  'an entry that lives one second is returned at once, and not after two': immortal,
  'get of a deleted key returns undefined': () => ({ delete () {} }),
  'deleting a key that does not exist is not an error': ({ correct }) => ({ delete (key) { if (!correct.has(key)) refuse() } }),
  'concurrent sets, and concurrent gets, do not affect each other': lastKeyOnly(),
  'close succeeds after the backend was used': () => ({ close: refuse }),

  'an empty value is an entry, not a miss': ({ correct }) => ({
    get: (key) => correct.get(key)?.value.byteLength === 0 ? undefined : correct.get(key)
  }),
  'a value of one byte survives': valuesAs((value) => value.byteLength === 1 ? GARBAGE : value),
  'each of the 256 bytes survives as a one-byte value': valuesAs((value) => value[0] === 0x1a ? value.subarray(1) : value),
  'a NUL, a newline and 0xFF survive': valuesAs((value) => value.subarray(0, value.indexOf(0))),
  'white space at either end of a value survives': valuesAs(asText((text) => text.replace(/^ +| +$/g, ''))),
  'a newline at either end of a value survives': valuesAs((value) => value.at(-1) === 0x0a ? value.subarray(0, -1) : value),
  'line endings within a value survive unchanged': valuesAs(asText((text) => text.replaceAll('\r\n', '\n'))),
  'a NUL at either end of a value survives': valuesAs(asText((text) => text.replace(/\0+$/, ''))),
  'all 256 bytes survive': valuesAs(throughText('utf8')),
  'bytes that are not valid UTF-8 survive': valuesAs(throughText('utf8')),
  'text in any script survives': valuesAs(asText((text) => text.replace(/[\u{10000}-\u{10ffff}]/gu, '?'))),
  'composed and decomposed letters in a value survive': valuesAs(asText((text) => text.normalize('NFC'))),
  'text that looks like null or like JSON survives': valuesAs((value) =>
    Buffer.from(value).toString().startsWith('null') ? GARBAGE : value),
  'text that looks like a number survives': valuesAs(asText((text) => /^0\d/.test(text) ? String(Number(text)) : text)),
  'text that looks like encoded bytes survives': valuesAs((value) => {
    const [prefix, text] = Buffer.from(value).toString().split(':')
    return prefix === 'base64' ? Buffer.from(text!, 'base64') : value
  }),
  'bytes that are already compressed survive': valuesAs((value) => value[0] === 0x1f && value[1] === 0x8b ? gunzipSync(value) : value),
  'a byte order mark at the start of a value survives': valuesAs((value) => new TextEncoder().encode(new TextDecoder().decode(value))),
  'a byte order mark survives at the end of a value, alone, and in another encoding': valuesAs(
    asText((text) => text.replace(/\ufeff$/, ''))
  ),
  'values around common buffer sizes survive': valuesAs((value) => value.byteLength === 4_097 ? value.subarray(0, -1) : value),
  'a value of 1 MiB survives': valuesAs((value) => value.subarray(0, 65_535)),
  'a view into a larger buffer is stored without the rest of the buffer': valuesAs((value) => new Uint8Array(value.buffer)),

  'keys in any script work': keysAs((key) => key.replace(/[^ -~]+/g, '?')),
  'composed and decomposed letters are different keys': keysAs((key) => key.normalize('NFC')),
  'compatibility forms of letters are different keys': keysAs((key) => key.replaceAll('\uff21', 'A')),
  'characters that differ only in their upper byte are different keys': keysAs((key) => Buffer.from(key, 'latin1').toString('latin1')),
  'a key and its encoded forms are different keys': keysAs((key) => /[^ -~]/.test(key) ? Buffer.from(key).toString('hex') : key),
  'keys that look like paths are different keys': keysAs((key) => new URL(key, 'http://cache/').href),
  'separators and escapes are part of the key': keysAs((key) => key.replace('/', ':')),
  'wildcards and quotes are part of the key': keysAs((key) => key.replace('_', '%')),
  'control characters are part of the key': keysAs((key) => key.split('\0', 1)[0] ?? ''),
  'spaces around a key are part of it': keysAs((key) => key.trim()),
  'a newline at either end of a key is part of it': keysAs((key) => key.replace(/\n$/, '')),
  'line endings within a key are part of it': keysAs((key) => key.replace(/\r(?!\n)/g, '\n')),
  'a NUL or a byte order mark at either end of a key is part of it': keysAs((key) => key.replace(/\ufeff$/, '')),
  'keys of 4 KiB that differ in their last character are different keys': keysAs((key) => key.slice(0, 255)),
  'keys that differ only in case are different keys': keysAs((key) => key.toLowerCase()),
  'lone surrogates are different keys': keysAs((key) => Buffer.from(key).toString()),
  'property names that every object has are ordinary keys': inAnObject,
  'numbers are ordinary keys': keysAs((key) => String(Number(key))),
  'the empty string is a key': ({ correct }) => ({ set (key, entry) { if (key !== '') correct.set(key, entry) } }),

  'the last set wins': ({ correct }) => ({ set (key, entry) { if (!correct.has(key)) correct.set(key, entry) } }),
  'a set replaces expiresAt too': ({ correct }) => ({
    set: (key, entry) => correct.set(key, { ...entry, expiresAt: correct.get(key)?.expiresAt ?? entry.expiresAt })
  }),
  'a deleted key can be set again': setsOnce(),
  'a delete removes only its own key': ({ correct }) => ({ delete: (key) => correct.clear(key) }),
  'later sets and deletes do not change the value of an earlier hit': oneBuffer(),
  'concurrent sets of one key leave the whole value of one of them': torn,
  'a get during a set of its key returns a whole value or a miss': torn,

  'changes of one key take effect in the order of the calls': lastFirst(),

  'an entry is returned until its expiresAt': expiriesAs((expiresAt) => Math.floor(expiresAt / 1_000) * 1_000),
  'an entry is not returned at or after its expiresAt': expiriesAs((expiresAt) => expiresAt + 1),
  'the expiresAt of a hit is in the future, and not later than the one that was set': expiriesAs((expiresAt) => expiresAt + 150_000),
  'a get does not extend the life of its entry': ({ correct, now, entries }) => ({
    get (key) {
      const hit = correct.get(key)
      if (hit !== undefined) entries.set(key, { ...hit, expiresAt: now() + 1_000 })
      return hit
    }
  }),
  'a set of an expired entry stores nothing': keepsThePast,
  'a set of an entry that expires now stores nothing': ({ entries, now }) => ({
    set (key, entry) { if (entry.expiresAt >= now()) entries.set(key, entry) },
    get: (key) => (entries.get(key)?.expiresAt ?? -1) >= now() ? entries.get(key) : undefined
  }),
  'a set of an expired entry removes the entry under its key': ({ correct, now }) => ({
    set (key, entry) { if (entry.expiresAt > now()) correct.set(key, entry) }
  }),
  'an expiresAt between two milliseconds is accepted': expiriesAs((expiresAt) => Number.isInteger(expiresAt) ? expiresAt : NaN),
  'an entry that lives 2^31 milliseconds is returned': overflows(2 ** 31),
  'an entry that lives 40 days is returned': overflows(40 * 86_400_000),
  'an entry that lives ten years is returned': expiriesAs((expiresAt, now) =>
    expiresAt - now > 30 * 365 * 86_400 ? Math.trunc(expiresAt / 1_000) : expiresAt),

  'close may be called twice': failsAfterClose('close'),
  'close may be called twice concurrently': failsAfterClose('close'),
  'close succeeds if the backend was never used': ({ entries }) => ({ close () { if (entries.size === 0) refuse() } }),
  'close settles while calls are pending, and so do the calls': ({ entries }) => ({ close () { if (entries.size > 1) refuse() } }),
  'after close, a get fails or returns undefined, and never hangs': failsAfterClose('get'),
  'after close, a set or a delete fails or does nothing, and never hangs': () => ({ close () {}, delete () {} }),

  'opening and closing backends leaves nothing open': () => ({ close () { setTimeout(() => {}, LEFT_MS) } }),

  'has: returns true for an entry, even for an empty one': ({ correct }) => ({
    has: (key) => (correct.get(key)?.value.byteLength ?? 0) > 0
  }),
  'has: returns false for a key that was never set, and for a deleted one': ({ entries }) => ({
    has: (key) => key in Object.fromEntries(entries)
  }),
  'has: distinguishes keys as get does': ({ correct }) => ({ has: (key) => correct.has(key.trim()) }),
  'has: returns false at and after expiresAt': ({ entries }) => ({ has: (key) => entries.has(key) }),
  'size: returns the number of entries': countsSets(),
  'stats: each value is a number that is not negative': () => ({ stats: () => ({ entries: 1, hitRatio: NaN }) }),
  'stats: entries and bytes, if present, agree with what was set': () => ({ stats: () => ({ entries: 0, bytes: 0 }) }),
  'getMany: returns entries in the order of the keys, and undefined for a miss': ({ entries }) => ({
    getMany: (keys) => [...entries].filter(([key]) => keys.includes(key)).map(([, entry]) => entry)
  }),
  'getMany: returns each value unchanged, for its own key': ({ correct }) => ({
    getMany: (keys) => keys.map((key) => {
      const entry = correct.get(key)
      return entry && { ...entry, value: asText((text) => text.trimEnd())(entry.value) }
    })
  }),
  'getMany: does not return an entry at or after its expiresAt': ({ entries }) => ({
    getMany: (keys) => keys.map((key) => entries.get(key))
  }),
  'getMany: returns an empty array for no keys': ({ correct }) => ({
    getMany: (keys) => keys.length === 0 ? [undefined] : correct.getMany(keys)
  }),

  'clear: removes everything if there is no prefix': ({ correct }) => ({
    clear (prefix) { if (prefix !== undefined) correct.clear(prefix) }
  }),
  'clear: removes only the keys that begin with the prefix': ({ correct }) => ({ clear: () => correct.clear() }),
  'clear: takes the prefix as text, not as a pattern': clearsBy((prefix) =>
    new RegExp(`^${prefix.replace(/[\\[]/g, '\\$&').replace(/[%*?_]/g, '.')}`, 'su')),
  'clear: accepts a prefix in any script, even at the end of its range': ({ correct }) => ({
    clear (prefix = '') {
      for (const key of correct.keys().filter((key) => key >= prefix && key < prefix + '\uffff')) correct.delete(key)
    }
  }),
  'clear: white space and control characters at either end of a prefix are part of it': ({ correct }) => ({
    clear: (prefix = '') => correct.clear(prefix.trim())
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
  'clear: is not an error if there is nothing to remove': ({ correct }) => ({ clear () { if (correct.size() === 0) refuse() } }),
  'keys: returns the keys of all entries, unchanged, if there is no pattern': ({ correct }) => ({
    keys: () => correct.keys().map((key) => Buffer.from(key).toString())
  }),
  'keys: a star matches any text, a question mark one character, everything else itself': ({ correct }) => ({
    keys: (pattern = '*') => correct.keys()
      .filter((key) => new RegExp(`^${pattern.replace(/[\\[()^+]/g, '\\$&').replace(/\*/g, '.*').replace(/\?/g, '.')}$`, 's').test(key))
  }),
  'keys: keeps white space and control characters at either end of a key': ({ correct }) => ({
    keys: (pattern) => correct.keys(pattern).map((key) => key.trim())
  }),
  'keys: a star and a question mark match line endings too': ({ correct }) => ({
    // Without the flag s, a dot matches no line ending.
    keys: (pattern) => correct.keys(pattern).filter((key) => pattern === undefined || /^.*$/.test(key))
  }),
  'keys: does not return the keys of deleted and expired entries': ({ entries }) => ({ keys: () => [...entries.keys()] })
}

export const brokenConformance: Readonly<Record<string, Broken>> = {
  ...Object.fromEntries([...Object.entries(breakages), ...alone.toReversed()].map(([name, breakage]) => [name, ofMap(breakage)])),

  'a process ends by itself after its backend is closed': ofProgram('alive', 'correct'),
  'a caller-owned client is open after close': ofStore(({ client }) => ({ close () { if (client !== undefined) client.isOpen = false } })),

  'two backends do not share entries': ofMap(({ now }) => mapBackend(now, sharedByAll)),
  'entries are returned after the store was closed and reopened': ofStore(({ entries }) => ({ close () { entries.clear() } })),
  'the characters at either end of a key or a value are unchanged after the store was reopened': ofStore(({ correct, entries }) => ({
    async close () {
      for (const [key, entry] of entries) entries.set(key, { ...entry, value: asText((text) => text.trimEnd())(entry.value) })
      await correct.close()
    }
  })),
  'deleted and expired entries are not returned after the store was reopened': ofStore(({ entries }) => ({
    get: (key) => entries.get(key)
  })),
  'a backend sees what another backend on its store sets and deletes': ofStore(({ entries }) => {
    const seen = new Map<string, StoredEntry>()
    return {
      get (key) {
        const found = seen.get(key) ?? entries.get(key)
        if (found !== undefined) seen.set(key, found)
        return found
      }
    }
  }),
  'closing a backend does not affect another backend on its store': ofStore(({ entries }) => ({ close () { entries.clear() } }))
}
