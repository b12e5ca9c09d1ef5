// Cases for keys: two different strings are the keys of two different entries, whatever characters they contain.
import { always, type ConformanceCase } from './case.js'
import { bytesOf, entryOf } from './entries.js'
import { assertHolds, assertMiss } from './expect.js'

const LONG = 'k'.repeat(4096)
const LONGER = 'k'.repeat(20_000)
const MANY_KEYS = 5_000
const FEW_KEYS = 200
const AT_ONCE = 10
const LONGEST_MS = 500

/** Returns `text` with an x instead of the character at `at`. */
const markedAt = (text: string, at: number): string => `${text.slice(0, at)}x${text.slice(at + 1)}`

const KEYS: ReadonlyArray<readonly [name: string, keys: readonly string[]]> = [
  ['keys in any script work', ['ключ', '鍵', 'schlüssel', '🗝️', '🗝']],
  ['composed and decomposed letters are different keys', ['\u00e9', 'e\u0301', 'e']],
  [
    'compatibility forms of letters are different keys',
    ['\ufb01', 'fi', '\uff21', 'A', '\u212b', '\u00c5', 'A\u030a', '\u2460', '1', '\u017f', 's']
  ],
  ['characters that differ only in their upper byte are different keys', ['A', '\u0141', '\u0241', '\u4e41', '\u{1f441}']],
  [
    'a key and its encoded forms are different keys',
    ['\u00e9', 'c3a9', 'C3A9', 'w6k=', '%C3%A9', '\\u00e9', '\u00c3\u00a9', 'xn--9ca']
  ],
  ['keys that look like paths are different keys',
    ['a', './a', '/a', '../a', '../../a', 'b/../a', 'a/', 'a//b', 'a/b', 'a\\b', 'C:\\a', 'CON', 'a.']],
  ['separators and escapes are part of the key',
    ['a:b', 'a/b', 'a%3Ab', 'a%3ab', 'a%2Fb', 'a?b', 'a#b', 'a&b', 'a+b', 'a b', 'a%20b', '%', '%00', '%zz']],
  ['wildcards and quotes are part of the key',
    ['*', '?', '[a]', 'a_b', 'aXb', 'a%b', "'", '"', "'; DROP TABLE cache_entries; --", '{a}', '`$(a)`']],
  ['control characters are part of the key', ['a', 'a\0', '\0', 'a\0b', 'ab', 'a\nb', 'a\r\nb', 'a\tb', 'a\x7fb']],
  ['spaces around a key are part of it', [' a', 'a ', 'a', '\ufeffa', '\u00a0a']],
  ['a newline at either end of a key is part of it', ['a', 'a\n', '\na', 'a\n\n', 'a\r\n', '\r\na', 'a\r', '\ra', 'a\u2028', '\n', '\r\n']],
  ['line endings within a key are part of it', ['a\nb', 'a\r\nb', 'a\rb', 'a\n\rb', 'a\u0085b', 'a\u2028b']],
  [
    'a NUL or a byte order mark at either end of a key is part of it',
    ['a', 'a\ufeff', '\ufeffa', '\ufeff', '\ufffea', 'a\0', '\0a', 'a\0\0', '\0\0']
  ],
  ['keys of 4 KiB that differ in their last character are different keys', [LONG, `${LONG.slice(1)}x`, LONG.slice(1)]],
  ['keys of 4 KiB that differ only in their middle are different keys',
    [LONG, ...[1_024, 2_047, 2_048, 3_072].map((at) => markedAt(LONG, at))]],
  ['keys that differ only beyond 8 KiB are different keys', [LONGER, ...[8_192, 12_000, 16_384, 19_999].map((at) => markedAt(LONGER, at))]],
  ['keys that differ only in case are different keys', ['key', 'Key', 'KEY']],
  [
    'keys in any script that differ only in case are different keys',
    ['\u00e9', '\u00c9', '\u00df', 'ss', 'SS', '\u1e9e', '\u0130', 'i', 'I', '\u0131', '\u03c3', '\u03c2', '\u03a3']
  ],
  ['lone surrogates are different keys', ['\ud800', '\udfff', '\ufffd', '\udfff\ud800', 'a\ud800', 'a\udfff']],
  ['property names that every object has are ordinary keys', ['__proto__', 'constructor', 'toString', 'hasOwnProperty', 'prototype']],
  ['numbers are ordinary keys', ['0', '1', '01', '1.0', '1e0', '-1', '4294967295', 'NaN', 'null', 'undefined']],
  ['the empty string is a key', ['', ' ', '""']]
]

const ADVICE =
  'A key is any JavaScript string, and two keys are the same only if their UTF-16 code units are: escape what is special in your store, or name entries by a digest of the key'

const SHOWN_CHARACTERS = 40

function get (key: string, when = ''): string {
  return `get(${JSON.stringify(key.length > SHOWN_CHARACTERS ? `${key.slice(0, SHOWN_CHARACTERS)}...` : key)})${when}`
}

const tableCases: readonly ConformanceCase[] = KEYS.map(([name, keys]) =>
  always(name, async (backend, subject) => {
    for (const key of keys) assertMiss(await backend.get(key), get(key, ' before it is set'))
    for (const [at, key] of keys.entries()) await backend.set(key, entryOf(`value ${at}`, subject))
    for (const [at, key] of keys.entries()) assertHolds(await backend.get(key), bytesOf(`value ${at}`), get(key))
    for (const [at, key] of keys.entries()) {
      await backend.delete(key)
      assertMiss(await backend.get(key), get(key, ' after it was deleted'))
      const next = keys[at + 1]
      if (next !== undefined) assertHolds(await backend.get(next), bytesOf(`value ${at + 1}`), get(next, ' after another key was deleted'))
    }
  }, { advice: ADVICE }))

/** Calls `call` for each key, for a few keys at the same time. */
async function forEach (keys: readonly string[], call: (key: string) => Promise<void>): Promise<void> {
  for (let at = 0; at < keys.length; at += AT_ONCE) await Promise.all(keys.slice(at, at + AT_ONCE).map(call))
}

export const keyCases: readonly ConformanceCase[] = [
  ...tableCases,

  always('none of thousands of keys returns the value of another', async (backend, subject) => {
    const keys: string[] = []
    const endsAt = performance.now() + LONGEST_MS
    // If the store is slow, fewer keys are set.
    while (keys.length < MANY_KEYS && (keys.length < FEW_KEYS || performance.now() < endsAt)) {
      const more = Array.from({ length: AT_ONCE }, (_, at) => `GET /items/${keys.length + at}`)
      await Promise.all(more.map(async (key) => backend.set(key, entryOf(key, subject))))
      keys.push(...more)
    }
    await forEach(keys, async (key) => {
      const hit = await backend.get(key)
      // There may be no hit, because a bounded backend may have evicted the entry.
      if (hit !== undefined) assertHolds(hit, bytesOf(key), get(key))
    })
    // The keys are deleted because, if all backends use one store, scans in other cases would find them.
    await forEach(keys, async (key) => { await backend.delete(key) })
  }, {
    advice: 'A short hash has collisions: name an entry by its key or by a digest of at least 128 bits, or store the key with the entry and compare it'
  })
]
