// Cases about keys: any text can be claimed, and each key has its own lease and tokens.
import type { ConformanceCase } from '../case.js'
import { bytesOf, entryOf } from '../entries.js'
import { assertHolds, assertMiss } from '../expect.js'
import { show } from '../outcome.js'
import { assertBusy, claim, claiming, LONG, settle, take } from './claims.js'

const LONG_TEXT = 'k'.repeat(10_000)

/** Keys that some stores confuse, by what they have in common. */
const ALIKE: Readonly<Record<string, readonly string[]>> = {
  'with braces': ['{a}b', '{a}', 'a', '{}', '{}a', '{', '}{', '{{a}}', 'a{b}c', 'a{b}d'],
  'with white space': ['a b', 'a  b', ' a b', 'a b ', 'a\nb', 'a\r\nb', 'a\tb', ' ', '  '],
  'with a NUL or other control characters': ['a', 'a\0', '\0a', 'a\0b', '\0', '\x01', '\x1f', '\x7f'],
  'with lone surrogates': ['\ud800', '\udbff', '\udc00', '\ufffd', 'a\ud800', '\u{1f600}'],
  'of 10,000 characters': [LONG_TEXT, `${LONG_TEXT}a`, `${LONG_TEXT}b`, `a${LONG_TEXT}`],
  'that differ only in case or form': ['key', 'KEY', '\u00e9', 'e\u0301', '\u00c9', '\uff41', 'a'],
  'that look like paths, patterns or names of a store': [
    '../a', 'a/../a', 'a/b', 'a\\b', 'a*', 'a?', 'a%', 'lease', 'key:lease', '__proto__', ''
  ]
}

export const claimedKeyCases: readonly ConformanceCase[] = Object.entries(ALIKE).map(([kind, keys]) =>
  claiming(`keys ${kind} can be claimed and settled, each on its own`, async (backend, subject) => {
    const tokens: string[] = []
    for (const key of keys) tokens.push(await take(backend, key, LONG, `of the new key ${show(key)}`))
    for (const key of keys) assertBusy(await claim(backend, key, LONG), `of the key ${show(key)}, beside a lease`)
    const [deleted = '', ...rest] = keys
    await backend.delete(deleted)
    for (const [at, key] of rest.entries()) {
      await settle(backend, key, tokens[at + 1]!, { entry: entryOf(`value ${at}`, subject) }, true, `of the key ${show(key)}`)
    }
    await settle(backend, deleted, tokens[0]!, { entry: entryOf('late', subject) }, false, `of the deleted key ${show(deleted)}`)
    for (const [at, key] of rest.entries()) assertHolds(await backend.get(key), bytesOf(`value ${at}`), `get(${show(key)})`)
    assertMiss(await backend.get(deleted), `get(${show(deleted)}), which was deleted,`)
  }, { advice: 'Name the lease exactly as the entry of its key is named' }))
