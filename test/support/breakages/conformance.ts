// Backends broken in one way each, by the name of the case of `conformance` that has to notice it.
import { gunzipSync } from 'node:zlib'
import type { StoredEntry } from '../../../registry/backend.js'
import { mapBackend } from '../map-backend.js'
import { alone } from './alone.js'
import { ofMap, ofProgram, ofStore, type Broken } from './broken.js'
import {
  asText, clearsBy, countsSets, failsAfterClose, GARBAGE, immortal, inAnObject, instantsAs, keepsThePast, keysAs, lastFirst, lastKeyOnly,
  oneBuffer, overflows, refuse, setsOnce, throughText, torn, valuesAs, type Breakage
} from './ways.js'

// Longer than the case waits, short enough for the process to end.
const LEFT_MS = 4_000

const ofEverybody = new Map<string, StoredEntry>()

const breakages: Readonly<Record<string, Breakage>> = {
  'a key that was never set answers undefined': ({ correct }) => ({ get: (key) => correct.get(key) ?? null as never }),
  'get answers what was set': () => ({ get: () => undefined }),
  'an entry of a second is there at once and gone after two': immortal,
  'a key that was deleted answers undefined': () => ({ delete () {} }),
  'deleting a key that is not there is no error': ({ correct }) => ({ delete (key) { if (!correct.has(key)) refuse() } }),
  'many sets at once, and many gets at once, do not disturb each other': lastKeyOnly(),
  'a backend that was used closes': () => ({ close: refuse }),

  'an empty value is an entry and not a miss': ({ correct }) => ({
    get: (key) => correct.get(key)?.value.byteLength === 0 ? undefined : correct.get(key)
  }),
  'a value of one byte survives': valuesAs((value) => value.byteLength === 1 ? GARBAGE : value),
  'each of the 256 bytes survives as a value of its own': valuesAs((value) => value[0] === 0x1a ? value.subarray(1) : value),
  'a NUL, a newline and 0xFF survive': valuesAs((value) => value.subarray(0, value.indexOf(0))),
  'white space at either end of a value survives': valuesAs(asText((text) => text.replace(/^ +| +$/g, ''))),
  'a newline at either end of a value survives': valuesAs((value) => value.at(-1) === 0x0a ? value.subarray(0, -1) : value),
  'line ends within a value survive as they are': valuesAs(asText((text) => text.replaceAll('\r\n', '\n'))),
  'a NUL at either end of a value survives': valuesAs(asText((text) => text.replace(/\0+$/, ''))),
  'all 256 bytes survive': valuesAs(throughText('utf8')),
  'bytes that are not UTF-8 survive': valuesAs(throughText('utf8')),
  'text in any script survives': valuesAs(asText((text) => text.replace(/[\u{10000}-\u{10ffff}]/gu, '?'))),
  'composed and decomposed letters of a value survive': valuesAs(asText((text) => text.normalize('NFC'))),
  'text that looks like nothing or like JSON survives': valuesAs((value) =>
    Buffer.from(value).toString().startsWith('null') ? GARBAGE : value),
  'text that looks like a number survives': valuesAs(asText((text) => /^0\d/.test(text) ? String(Number(text)) : text)),
  'text that looks like bytes in some encoding survives': valuesAs((value) => {
    const [prefix, text] = Buffer.from(value).toString().split(':')
    return prefix === 'base64' ? Buffer.from(text!, 'base64') : value
  }),
  'bytes that are compressed already survive': valuesAs((value) => value[0] === 0x1f && value[1] === 0x8b ? gunzipSync(value) : value),
  'a byte order mark survives': valuesAs((value) => new TextEncoder().encode(new TextDecoder().decode(value))),
  'a byte order mark at the end of a value, alone, or of another encoding survives': valuesAs(
    asText((text) => text.replace(/\ufeff$/, ''))
  ),
  'values of sizes around those of buffers survive': valuesAs((value) => value.byteLength === 4_097 ? value.subarray(0, -1) : value),
  '1 MiB survives': valuesAs((value) => value.subarray(0, 65_535)),
  'of a view into a larger buffer only the view is stored': valuesAs((value) => new Uint8Array(value.buffer)),

  'keys in any script survive': keysAs((key) => key.replace(/[^ -~]+/g, '?')),
  'composed and decomposed letters are different keys': keysAs((key) => key.normalize('NFC')),
  'compatibility forms of letters are different keys': keysAs((key) => key.replaceAll('\uff21', 'A')),
  'characters that differ in their upper byte alone are different keys': keysAs((key) => Buffer.from(key, 'latin1').toString('latin1')),
  'a key and what it is in some encoding are different keys': keysAs((key) => /[^ -~]/.test(key) ? Buffer.from(key).toString('hex') : key),
  'keys that look like paths are different keys': keysAs((key) => new URL(key, 'http://cache/').href),
  'separators and escapes are part of the key': keysAs((key) => key.replace('/', ':')),
  'wildcards and quotes are part of the key': keysAs((key) => key.replace('_', '%')),
  'control characters are part of the key': keysAs((key) => key.split('\0', 1)[0] ?? ''),
  'spaces around a key are part of it': keysAs((key) => key.trim()),
  'a newline at either end of a key is part of it': keysAs((key) => key.replace(/\n$/, '')),
  'line ends within a key are part of it': keysAs((key) => key.replace(/\r(?!\n)/g, '\n')),
  'a NUL or a byte order mark at either end of a key is part of it': keysAs((key) => key.replace(/\ufeff$/, '')),
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

  'changes of one key take effect in the order in which they were called': lastFirst(),

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
  'an instant between two milliseconds is taken': instantsAs((expiresAt) => Number.isInteger(expiresAt) ? expiresAt : NaN),
  'an entry of 2^31 milliseconds is there': overflows(2 ** 31),
  'an entry of 40 days is there': overflows(40 * 86_400_000),
  'an entry of ten years is there': instantsAs((expiresAt, now) =>
    expiresAt - now > 30 * 365 * 86_400 ? Math.trunc(expiresAt / 1_000) : expiresAt),

  'close may be called twice': failsAfterClose('close'),
  'close may be called twice at once': failsAfterClose('close'),
  'a backend that was never used closes': ({ entries }) => ({ close () { if (entries.size === 0) refuse() } }),
  'close while calls are under way settles, and so do they': ({ entries }) => ({ close () { if (entries.size > 1) refuse() } }),
  'after close a get is an error or a miss, and never hangs': failsAfterClose('get'),
  'after close a set or a delete is an error or nothing, and never hangs': () => ({ close () {}, delete () {} }),

  'openings and closings leave nothing open': () => ({ close () { setTimeout(() => {}, LEFT_MS) } }),

  'has: true for an entry, also for an empty one': ({ correct }) => ({ has: (key) => (correct.get(key)?.value.byteLength ?? 0) > 0 }),
  'has: false for what was never set, and for what was deleted': ({ entries }) => ({ has: (key) => key in Object.fromEntries(entries) }),
  'has: tells keys apart as get does': ({ correct }) => ({ has: (key) => correct.has(key.trim()) }),
  'has: false from expiresAt on': ({ entries }) => ({ has: (key) => entries.has(key) }),
  'size: the number of entries held': countsSets(),
  'stats: what it tells is a number that is not negative': () => ({ stats: () => ({ entries: 1, hitRatio: NaN }) }),
  'stats: entries and bytes, where it knows them, are those that were set': () => ({ stats: () => ({ entries: 0, bytes: 0 }) }),
  'getMany: the answers stand in the order of the keys, a miss as undefined': ({ entries }) => ({
    getMany: (keys) => [...entries].filter(([key]) => keys.includes(key)).map(([, entry]) => entry)
  }),
  'getMany: bytes come back as they were, each under its own key': ({ correct }) => ({
    getMany: (keys) => keys.map((key) => {
      const entry = correct.get(key)
      return entry && { ...entry, value: asText((text) => text.trimEnd())(entry.value) }
    })
  }),
  'getMany: an entry is gone from its expiresAt on': ({ entries }) => ({ getMany: (keys) => keys.map((key) => entries.get(key)) }),
  'getMany: of no keys answers an empty list': ({ correct }) => ({
    getMany: (keys) => keys.length === 0 ? [undefined] : correct.getMany(keys)
  }),

  'clear: without a prefix, everything is forgotten': ({ correct }) => ({
    clear (prefix) { if (prefix !== undefined) correct.clear(prefix) }
  }),
  'clear: with a prefix, the keys that begin with it and no others': ({ correct }) => ({ clear: () => correct.clear() }),
  'clear: a prefix is text and not a pattern': clearsBy((prefix) =>
    new RegExp(`^${prefix.replace(/[\\[]/g, '\\$&').replace(/[%*?_]/g, '.')}`, 'su')),
  'clear: a prefix of any script, also at the end of its range': ({ correct }) => ({
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
  'clear: of nothing is no error': ({ correct }) => ({ clear () { if (correct.size() === 0) refuse() } }),
  'keys: without a pattern, the keys of all entries, as they were set': ({ correct }) => ({
    keys: () => correct.keys().map((key) => Buffer.from(key).toString())
  }),
  'keys: a star is any text, a question mark any one character, everything else is itself': ({ correct }) => ({
    keys: (pattern = '*') => correct.keys()
      .filter((key) => new RegExp(`^${pattern.replace(/[\\[()^+]/g, '\\$&').replace(/\*/g, '.*').replace(/\?/g, '.')}$`, 's').test(key))
  }),
  'keys: white space and control characters at either end of a key are told too': ({ correct }) => ({
    keys: (pattern) => correct.keys(pattern).map((key) => key.trim())
  }),
  'keys: a star and a question mark stand for line ends too': ({ correct }) => ({
    // A dot that is not told otherwise stands for no line end.
    keys: (pattern) => correct.keys(pattern).filter((key) => pattern === undefined || /^.*$/.test(key))
  }),
  'keys: what was deleted or is over is not among them': ({ entries }) => ({ keys: () => [...entries.keys()] })
}

export const brokenConformance: Readonly<Record<string, Broken>> = {
  ...Object.fromEntries([...Object.entries(breakages), ...alone.toReversed()].map(([name, breakage]) => [name, ofMap(breakage)])),

  'a process whose backend is closed ends by itself': ofProgram('alive', 'correct'),
  'a client that was lent is open after close': ofStore(({ client }) => ({ close () { if (client !== undefined) client.isOpen = false } })),

  'two backends that were opened do not share entries': ofMap(({ now }) => mapBackend(now, ofEverybody)),
  'what was set before a close is there when the store is opened again': ofStore(({ entries }) => ({ close () { entries.clear() } })),
  'what stands at either end of a key or a value is kept when the store is opened again': ofStore(({ correct, entries }) => ({
    async close () {
      for (const [key, entry] of entries) entries.set(key, { ...entry, value: asText((text) => text.trimEnd())(entry.value) })
      await correct.close()
    }
  })),
  'what was deleted or is over is not there when the store is opened again': ofStore(({ entries }) => ({ get: (key) => entries.get(key) })),
  'what one backend of a store sets and deletes, another one sees': ofStore(({ entries }) => {
    const seen = new Map<string, StoredEntry>()
    return {
      get (key) {
        const found = seen.get(key) ?? entries.get(key)
        if (found !== undefined) seen.set(key, found)
        return found
      }
    }
  }),
  'a backend that is closed leaves another one on its store as it was': ofStore(({ entries }) => ({ close () { entries.clear() } }))
}
