// Patterns over keys: the same results as the literal rule, in at most as many steps as the product of both lengths.
import fc from 'fast-check'
import t from 'tap'
import { matchesGlob } from '../../registry/glob.js'
import { sized } from '../support/size.js'

/** The literal rule, which may take exponential time. */
function literally (pattern: string, text: string): boolean {
  if (pattern === '') return text === ''
  const [first, rest] = [pattern[0], pattern.slice(1)]
  if (first === '*') return literally(rest, text) || (text !== '' && literally(pattern, text.slice(1)))
  return text !== '' && (first === '?' || first === text[0]) && literally(rest, text.slice(1))
}

t.test('glob: a star matches any text, a question mark any one character, and everything else itself', async (t) => {
  const rows: ReadonlyArray<readonly [pattern: string, text: string, matches: boolean]> = [
    ['', '', true], ['', 'a', false], ['*', '', true], ['*', 'a\nb', true], ['?', '', false], ['?', 'a', true], ['?', '\n', true],
    ['a*', 'a', true], ['a*', 'ba', false], ['*a', 'aba', true], ['*ab', 'aab', true], ['a*b*c', 'a12b34c', true],
    ['a*b*c', 'a12c34b', false], ['a?c', 'abc', true], ['a?c', 'ac', false], ['**', 'anything', true], ['*?', '', false],
    ['?*?', 'ab', true], ['?*?', 'a', false], ['.', 'a', false], ['a+', 'aa', false], ['[a-z]', 'b', false], ['[', '[', true],
    ['{a,b}', 'a', false], ['\\*', 'a', false], ['\\*', '\\a', true], ['A', 'a', false]
  ]
  for (const [pattern, text, matches] of rows) {
    t.equal(matchesGlob(pattern, text), matches, `${JSON.stringify(pattern)} and ${JSON.stringify(text)}`)
  }
})

t.test('glob: the result is that of the literal rule', async (t) => {
  const few = (letters: string[], maxLength: number) =>
    fc.array(fc.constantFrom(...letters), { maxLength }).map((characters) => characters.join(''))
  fc.assert(fc.property(few(['a', 'b', '*', '?'], 8), few(['a', 'b', '*', '?'], 8), (pattern, text) =>
    matchesGlob(pattern, text) === literally(pattern, text)), { numRuns: sized(5_000) })
  t.pass('for every pair that was tried')
})

t.test('glob: a pattern made by replacing parts of a text with wildcards matches that text', async (t) => {
  fc.assert(fc.property(fc.string(), fc.nat(), fc.nat(), (text, a, b) => {
    const [from, to] = [a % (text.length + 1), b % (text.length + 1)].sort((one, other) => one - other) as [number, number]
    return matchesGlob(`${text.slice(0, from)}*${text.slice(to)}`, text) && matchesGlob(text.replace(/[^]/g, '?'), text)
  }))
  t.pass('for every text that was tried')
})

/** A text that counts how often its characters are read. */
function counted (text: string): { text: string, reads: () => number } {
  let reads = 0
  const watched = new Proxy(Object(text), {
    get (target, property) {
      if (property !== 'length') reads++
      return target[property]
    }
  })
  return { text: watched as string, reads: () => reads }
}

t.test('glob: many stars on a long key take steps in the order of the product of both lengths', async (t) => {
  const length = 2_000
  for (const pattern of [
    '*a*a*a*a*a*a*a*b', `${'*a'.repeat(20)}b`, '*'.repeat(1_000) + 'b', '?*'.repeat(50) + 'b', `${'a'.repeat(100)}*b`
  ]) {
    const { text, reads } = counted('a'.repeat(length))
    t.equal(matchesGlob(pattern, text), false, pattern.slice(0, 20))
    t.ok(reads() <= pattern.length * length, `${reads()} reads of characters`)
  }
})

t.test('glob: a pattern of 1 MB and a key of 1 MB are matched in time', async (t) => {
  const MANY = 1_000_000
  const startedAt = performance.now()
  t.equal(matchesGlob('*'.repeat(MANY), 'a'.repeat(MANY)), true)
  t.equal(matchesGlob('*a'.repeat(MANY / 2) + 'b', 'a'.repeat(MANY)), false)
  t.equal(matchesGlob('[{'.repeat(MANY / 2), 'a'.repeat(MANY)), false)
  t.ok(performance.now() - startedAt < 5_000, 'in less than five seconds')
})
