// Keys: two different strings are two entries, whatever stands in them.
import { always, type ConformanceCase } from './case.js'
import { bytesOf, entryOf } from './entries.js'
import { assertHolds, assertMiss } from './expect.js'

const LONG = 'k'.repeat(4096)

const KEYS: ReadonlyArray<readonly [name: string, keys: readonly string[]]> = [
  ['keys in any script survive', ['ключ', '鍵', 'schlüssel', '🗝️', '🗝']],
  ['composed and decomposed letters are different keys', ['\u00e9', 'e\u0301', 'e']],
  ['keys that look like paths are different keys', ['a', './a', '/a', '../a', '../../a', 'b/../a', 'a/', 'a//b', 'a/b', 'a\\b', 'C:\\a', 'CON', 'a.']],
  ['separators and escapes are part of the key', ['a:b', 'a/b', 'a%3Ab', 'a%3ab', 'a%2Fb', 'a?b', 'a#b', 'a&b', 'a+b', 'a b', 'a%20b', '%', '%00', '%zz']],
  ['wildcards and quotes are part of the key', ['*', '?', '[a]', 'a_b', 'aXb', 'a%b', "'", '"', "'; DROP TABLE cache_entries; --", '{a}', '`$(a)`']],
  ['control characters are part of the key', ['a', 'a\0', '\0', 'a\0b', 'ab', 'a\nb', 'a\r\nb', 'a\tb', 'a\x7fb']],
  ['spaces around a key are part of it', [' a', 'a ', 'a', '\ufeffa', '\u00a0a']],
  ['keys of 4 KiB that differ in their last character are different keys', [LONG, `${LONG.slice(1)}x`, LONG.slice(1)]],
  ['keys that differ only in case are different keys', ['key', 'Key', 'KEY']],
  ['lone surrogates are different keys', ['\ud800', '\udfff', '\ufffd', '\udfff\ud800', 'a\ud800', 'a\udfff']],
  ['names that every object has are keys like others', ['__proto__', 'constructor', 'toString', 'hasOwnProperty', 'prototype']],
  ['numbers are keys like others', ['0', '1', '01', '1.0', '1e0', '-1', '4294967295', 'NaN', 'null', 'undefined']],
  ['the empty string is a key', ['', ' ', '""']]
]

const ADVICE = 'Keys are any JavaScript strings, told apart by their UTF-16 code units: escape what your store gives a meaning, or name an entry by a digest of the key'

const SHOWN_CHARACTERS = 40

function get (key: string, when = ''): string {
  return `get(${JSON.stringify(key.length > SHOWN_CHARACTERS ? `${key.slice(0, SHOWN_CHARACTERS)}...` : key)})${when}`
}

export const keyCases: readonly ConformanceCase[] = KEYS.map(([name, keys]) =>
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
