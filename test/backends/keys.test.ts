// Keys on every backend: different keys stay apart, whatever they contain and however long they are.
import t from 'tap'
import fc from 'fast-check'
import { builtIns } from '../../backends/index.js'
import type { CacheBackend } from '../../registry/backend.js'
import { EVERY, needsFor, opened } from '../support/every-backend.js'
import { sized } from '../support/size.js'

t.setTimeout(300_000)

const LONG = 'k'.repeat(1_000_000)
const SEGMENT = 's'.repeat(300)

const HOSTILE: readonly string[] = [
  '', ' ', '\0', 'a', 'a\0', 'a\0b', 'a\n', '\n', 'a\nb', 'a\r\nb', '../', '../a', '../../etc/passwd', './a', '/a', 'a/', 'a//b', 'a/b',
  'a\\b', 'a:b', '%2e', '.', '..', '%2e%2e/', '%2E', '%', '%00',
  '\u00e9', 'e\u0301', '\u{1F468}\u200d\u{1F469}', '\u{1F468}\u{1F469}', '\u{1F44D}\u{1F3FD}', '\u2764\ufe0f', '\u2764', '\u00c5', '\u212b',
  'A\u030a', '\ud800', '\udfff', '\ufffd', '\ud800\ud800', '\udfff\ud800', 'a\ud800', '\ud800a',
  '__proto__', 'constructor', 'toString', 'hasOwnProperty', SEGMENT, `${SEGMENT}/${SEGMENT}`, `${SEGMENT}s`, `${SEGMENT}/`,
  'CON', 'con', 'NUL', 'aux.txt', 'COM1', 'LPT1', 'a.', 'a ', 'a?', 'a*', 'a<b', 'C:\\a', 'Key', 'key', 'KEY', '\0utf16:', 'null',
  'undefined', '0', '00',
  LONG, `${LONG}k`, `${LONG.slice(1)}x`, `x${LONG.slice(1)}`, `${LONG}\ud800`, `${LONG}\udfff`
]

const unit = fc.oneof(fc.integer({ min: 0, max: 0xffff }), fc.integer({ min: 0xd7fe, max: 0xe001 }),
  fc.constantFrom(0, 0x0a, 0x25, 0x2e, 0x2f, 0x3a, 0x5c, 0x61, 0x0301, 0xfffd))
const text = fc.array(unit, { maxLength: 6 }).map((units) => String.fromCharCode(...units))

/** A text, and another that is almost the same. */
const pair = fc.tuple(text, unit, fc.nat(6))
  .map(([one, code, at]) => [one, one.slice(0, at) + String.fromCharCode(code) + one.slice(at)] as const)

const PAIRS = sized(10_000)
const AT_ONCE = 250

/** Calls `act` for each item, a few hundred at once. */
async function each<T> (items: readonly T[], act: (item: T, at: number) => Promise<void>): Promise<void> {
  for (let from = 0; from < items.length; from += AT_ONCE) {
    await Promise.all(items.slice(from, from + AT_ONCE).map((item, at) => act(item, from + at)))
  }
}

/** Stores a different value under each key. Returns the keys under which another value, or none, was found afterwards. */
async function confused (backend: CacheBackend, keys: readonly string[]): Promise<string[]> {
  await each(keys, async (key, at) => { await backend.set(key, { value: Buffer.from(`value ${at}`), expiresAt: Date.now() + 3_600_000 }) })
  const wrong: string[] = []
  await each(keys, async (key, at) => {
    const found = await backend.get(key)
    if (found === undefined || Buffer.from(found.value).toString() !== `value ${at}`) wrong.push(JSON.stringify(key.slice(0, 40)))
  })
  return wrong
}

t.test('the list of backends is complete', async (t) => {
  t.same(Object.keys(EVERY).sort(), builtIns().names().sort())
})

for (const [name, choose] of Object.entries(EVERY)) {
  t.test(`${name}: hostile keys and keys of a megabyte stay apart, and each is deleted alone`, needsFor(name), async (t) => {
    const backend = await opened(t, await choose(t))
    t.equal(new Set(HOSTILE).size, HOSTILE.length)
    t.same(await confused(backend, HOSTILE), [])
    const [gone, kept] = [0, 1].map((parity) => HOSTILE.filter((_, at) => at % 2 === parity)) as [string[], string[]]
    for (const key of gone) await backend.delete(key)
    for (const key of gone) t.equal(await backend.get(key), undefined, JSON.stringify(key.slice(0, 40)))
    for (const key of kept) t.ok(await backend.get(key), JSON.stringify(key.slice(0, 40)))
  })

  t.test(`${name}: ${PAIRS} pairs of random keys stay apart`, needsFor(name), async (t) => {
    const backend = await opened(t, await choose(t))
    const keys = [...new Set(fc.sample(pair, PAIRS).flat())]
    t.same(await confused(backend, keys), [], `${keys.length} keys`)
  })
}
