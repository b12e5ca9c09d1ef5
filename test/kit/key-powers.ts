// Cases for the optional methods clear, with and without a prefix, and keys, with and without a pattern.
import { setImmediate as turn, setTimeout as wait } from 'node:timers/promises'
import type { CacheBackend } from '../../registry/backend.js'
import { withPower, type ConformanceCase } from './case.js'
import { bytesOf, entryOf, LIFE_MS } from './entries.js'
import { assertHolds, assertMiss, assertSame } from './expect.js'
import { resultOf } from './outcome.js'
import type { ConformanceSubject } from './subject.js'

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

const LARGE_BYTES = 64 * 1024

/** How long a case waits for work that a backend may still do after its calls have settled. */
const LATE_MS = 50

const WILD_KEYS = ['a*b', 'a?b', 'a[b]', 'a%b', 'a_b', 'a\\b', 'a.b', 'aXb', 'aXXb', '^a', 'a+', '(a)', 'A*b']

// Each row is a pattern and the keys of WILD_KEYS that it matches.
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
  withPower('clear', 'removes everything if there is no prefix', async (backend, subject) => {
    await fill(backend, subject, ['a', 'b', '', '__proto__'])
    await backend.clear()
    assertSame(await keptOf(backend, ['a', 'b', '', '__proto__']), [], 'what is left after clear()')
  }),

  withPower('clear', 'removes only the keys that begin with the prefix', async (backend, subject) => {
    const keys = ['user:1', 'user:2', 'user:', 'user', 'users:1', 'xuser:1', 'User:1']
    await fill(backend, subject, keys)
    await backend.clear('user:')
    assertSame(await keptOf(backend, keys), ['user', 'users:1', 'xuser:1', 'User:1'], "what is left after clear('user:')")
  }),

  withPower('clear', 'takes the prefix as text, not as a pattern', async (backend, subject) => {
    const keys = ['a*1', 'a?1', 'a%1', 'a_1', 'a[1', 'a\\1', 'aX1']
    for (const prefix of ['a*', 'a?', 'a%', 'a_', 'a[', 'a\\']) {
      await fill(backend, subject, keys)
      await backend.clear(prefix)
      assertSame(await keptOf(backend, keys), keys.filter((key) => !key.startsWith(prefix)),
        `what is left after clear(${JSON.stringify(prefix)})`)
    }
  }, { advice: 'A prefix is text: escape it if your store expects a pattern' }),

  withPower('clear', 'accepts a prefix in any script, even at the end of its range', async (backend, subject) => {
    const keys = ['\u00e9a', '\u00e9\uffffz', 'e\u0301a', '\uffffa', '\uffff', '\u{10ffff}a', '\u{1f5dd}1', '\u{1f5dd}2', 'z']
    for (const prefix of ['\u00e9', '\uffff', '\u{10ffff}', '\u{1f5dd}']) {
      await fill(backend, subject, keys)
      await backend.clear(prefix)
      assertSame(await keptOf(backend, keys), keys.filter((key) => !key.startsWith(prefix)),
        `what is left after clear(${JSON.stringify(prefix)})`)
    }
  }, { advice: 'A prefix is text: escape it if your store expects a pattern' }),

  withPower('clear', 'white space and control characters at either end of a prefix are part of it', async (backend, subject) => {
    const keys = ['a', 'a 1', 'a\n1', 'a\r\n1', 'a\x001', 'a\ufeff1', ' a', '\na', '\ufeffa', '\0a', 'ab']
    for (const prefix of ['a ', 'a\n', 'a\r\n', 'a\0', 'a\ufeff', ' ', '\n', '\ufeff', '\0']) {
      await fill(backend, subject, keys)
      await backend.clear(prefix)
      const kept = keys.filter((key) => !key.startsWith(prefix))
      assertSame(await keptOf(backend, keys), kept, `what is left after clear(${JSON.stringify(prefix)})`)
    }
  }, { advice: 'A prefix is text: do not trim or change it' }),

  withPower('clear', 'a key can be set again afterwards', async (backend, subject) => {
    await fill(backend, subject, ['a'])
    await backend.clear()
    await fill(backend, subject, ['a'])
    assertHolds(await backend.get('a'), bytesOf('a'), 'get() of a key that was set after clear()')
  }),

  withPower('clear', 'removes the entries of pending sets too', async (backend, subject) => {
    const keys = Array.from({ length: 5 }, (_, at) => `key ${at}`)
    const large = { value: new Uint8Array(LARGE_BYTES), expiresAt: subject.now() + LIFE_MS }
    for (const prefix of [undefined, 'key']) {
      for (const turns of [2, 1, 0]) {
        const changes: Array<Promise<void>> = keys.map(async (key) => backend.set(key, large))
        for (let passed = 0; passed < turns; passed++) await turn()
        changes.push((async () => backend.clear(prefix))())
        await Promise.all(changes)
        assertSame(await keptOf(backend, keys), [], 'what is left after sets and a clear() that was called before they settled')
      }
    }
    await wait(LATE_MS)
    assertSame(await keptOf(backend, keys), [], 'what is left some time after sets and a clear() that was called before they settled')
  }, {
    advice: 'clear() removes what was set before the call, even by a set that has not settled: wait for pending sets, or let them find out that they were cleared'
  }),

  withPower('clear', 'is not an error if there is nothing to remove', async (backend) => {
    await resultOf('clear() of an empty store', () => backend.clear())
    await resultOf('clear() of an empty store with a prefix', () => backend.clear('nonexistent'))
    assertMiss(await backend.get('nonexistent'), 'get()')
  }),

  withPower('keys', 'returns the keys of all entries, unchanged, if there is no pattern', async (backend, subject) => {
    const keys = ['a', 'A', '', 'a\nb', 'a\0b', '../a', '\u00e9', 'e\u0301', '\ud800', '\udfff', '__proto__', '%61']
    await fill(backend, subject, keys)
    assertSame(await backend.keys(), keys, 'keys()')
  }),

  withPower('keys', 'a star matches any text, a question mark one character, everything else itself', async (backend, subject) => {
    await fill(backend, subject, WILD_KEYS)
    for (const [pattern, matches] of PATTERNS) {
      assertSame(await backend.keys(pattern), matches, `keys(${JSON.stringify(pattern)})`)
    }
  }, { advice: 'Only * and ? are special, and matching is case-sensitive: escape everything else, or match the keys yourself' }),

  withPower('keys', 'keeps white space and control characters at either end of a key', async (backend, subject) => {
    const keys = ['a', 'a\n', '\na', 'a\r\n', ' a', 'a ', '\ufeffa', 'a\ufeff', 'a\0', '\0a', '\n', '\u2028a']
    await fill(backend, subject, keys)
    assertSame(await backend.keys(), keys, 'keys()')
  }),

  withPower('keys', 'a star and a question mark match line endings too', async (backend, subject) => {
    const keys = ['a\nb', 'a\rb', 'a\r\nb', 'a\u2028b', 'a\n', 'b']
    await fill(backend, subject, keys)
    assertSame(await backend.keys('a*'), ['a\nb', 'a\rb', 'a\r\nb', 'a\u2028b', 'a\n'], 'keys("a*")')
    assertSame(await backend.keys('a?b'), ['a\nb', 'a\rb', 'a\u2028b'], 'keys("a?b")')
    assertSame(await backend.keys('a'), [], 'keys("a")')
  }),

  withPower('keys', 'does not return the keys of deleted and expired entries', async (backend, subject) => {
    await fill(backend, subject, ['kept', 'deleted'])
    await backend.set('expired', entryOf('value', subject, 1_000))
    await backend.delete('deleted')
    await subject.pass(1_000)
    assertSame(await backend.keys(), ['kept'], 'keys() after one was deleted and one expired')
  })
]
