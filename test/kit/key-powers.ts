// Powers over many keys: clear, with and without a prefix, and keys by pattern.
import assert from 'node:assert/strict'
import { answerOf, assertHolds, assertMiss, bytesOf, entryOf, withPower, type ConformanceCase, type ConformanceSubject } from './case.js'
import type { CacheBackend } from '../../registry/backend.js'

async function fill (backend: CacheBackend, subject: ConformanceSubject, keys: readonly string[]): Promise<void> {
  for (const key of keys) await backend.set(key, entryOf(key, subject))
}

async function keptOf (backend: CacheBackend, keys: readonly string[]): Promise<string[]> {
  const kept: string[] = []
  for (const key of keys) {
    if (await backend.get(key) !== undefined) kept.push(key)
  }
  return kept
}

const WILD_KEYS = ['a*b', 'a?b', 'a[b]', 'a%b', 'a_b', 'a\\b', 'a.b', 'aXb', 'aXXb', '^a', 'a+', '(a)', 'A*b']

// Pattern, and the keys of WILD_KEYS that it matches.
const PATTERNS: ReadonlyArray<readonly [pattern: string, matches: readonly string[]]> = [
  ['*', WILD_KEYS],
  ['a?b', ['a*b', 'a?b', 'a%b', 'a_b', 'a\\b', 'a.b', 'aXb']],
  ['a*b', ['a*b', 'a?b', 'a%b', 'a_b', 'a\\b', 'a.b', 'aXb', 'aXXb']],
  ['a[b]', ['a[b]']],
  ['a[b*', ['a[b]']],
  ['a.b', ['a.b']],
  ['a_b', ['a_b']],
  ['a%b', ['a%b']],
  ['a\\b', ['a\\b']],
  ['(a)', ['(a)']],
  ['^a', ['^a']],
  ['a+', ['a+']],
  ['A?b', ['A*b']],
  ['*X*', ['aXb', 'aXXb']],
  ['a', []],
  ['', []]
]

export const keyPowerCases: readonly ConformanceCase[] = [
  withPower('clear', 'without a prefix, everything is forgotten', async (backend, subject) => {
    await fill(backend, subject, ['a', 'b', '', '__proto__'])
    await backend.clear()
    assert.deepEqual(await keptOf(backend, ['a', 'b', '', '__proto__']), [])
  }),

  withPower('clear', 'with a prefix, the keys that begin with it and no others', async (backend, subject) => {
    const keys = ['user:1', 'user:2', 'user:', 'user', 'users:1', 'xuser:1', 'User:1']
    await fill(backend, subject, keys)
    await backend.clear('user:')
    assert.deepEqual(await keptOf(backend, keys), ['user', 'users:1', 'xuser:1', 'User:1'])
  }),

  withPower('clear', 'a prefix is text and not a pattern', async (backend, subject) => {
    const keys = ['a*1', 'a?1', 'a%1', 'a_1', 'a[1', 'a\\1', 'aX1']
    for (const prefix of ['a*', 'a?', 'a%', 'a_', 'a[', 'a\\']) {
      await fill(backend, subject, keys)
      await backend.clear(prefix)
      assert.deepEqual(await keptOf(backend, keys), keys.filter((key) => !key.startsWith(prefix)), `after clear(${JSON.stringify(prefix)})`)
    }
  }),

  withPower('clear', 'a prefix of any script, also at the end of its range', async (backend, subject) => {
    const keys = ['\u00e9a', '\u00e9\uffffz', 'e\u0301a', '\uffffa', '\uffff', '\u{10ffff}a', '\u{1f5dd}1', '\u{1f5dd}2', 'z']
    for (const prefix of ['\u00e9', '\uffff', '\u{10ffff}', '\u{1f5dd}']) {
      await fill(backend, subject, keys)
      await backend.clear(prefix)
      assert.deepEqual(await keptOf(backend, keys), keys.filter((key) => !key.startsWith(prefix)), `after clear(${JSON.stringify(prefix)})`)
    }
  }),

  withPower('clear', 'a key can be set again afterwards', async (backend, subject) => {
    await fill(backend, subject, ['a'])
    await backend.clear()
    await fill(backend, subject, ['a'])
    assertHolds(await backend.get('a'), bytesOf('a'), 'a')
  }),

  withPower('clear', 'of nothing is no error', async (backend) => {
    await answerOf('clear', () => backend.clear())
    await answerOf('clear with a prefix', () => backend.clear('nonexistent'))
    assertMiss(await backend.get('nonexistent'), 'get')
  }),

  withPower('keys', 'without a pattern, the keys of all entries, as they were set', async (backend, subject) => {
    const keys = ['a', 'A', '', 'a\nb', 'a\0b', '../a', '\u00e9', 'e\u0301', '\ud800', '\udfff', '__proto__', '%61']
    await fill(backend, subject, keys)
    assert.deepEqual((await backend.keys()).sort(), [...keys].sort())
  }),

  withPower('keys', 'a star is any text, a question mark any one character, everything else is itself', async (backend, subject) => {
    await fill(backend, subject, WILD_KEYS)
    for (const [pattern, matches] of PATTERNS) {
      assert.deepEqual((await backend.keys(pattern)).sort(), [...matches].sort(), `keys(${JSON.stringify(pattern)})`)
    }
  }),

  withPower('keys', 'what was deleted or is over is not among them', async (backend, subject) => {
    await fill(backend, subject, ['kept', 'deleted'])
    await backend.set('over', entryOf('value', subject, 1_000))
    await backend.delete('deleted')
    await subject.pass(1_000)
    assert.deepEqual(await backend.keys(), ['kept'])
  })
]
