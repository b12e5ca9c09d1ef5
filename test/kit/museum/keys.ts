// Cases for public bugs in which keys or values were confused.
import { always, withPower, type ConformanceCase } from '../case.js'
import { bytesOf, entryOf, LIFE_MS } from '../entries.js'
import { assertHolds, assertMiss } from '../expect.js'
import assert from 'node:assert/strict'

/** Creates a case in which each of these keys must have its own value. */
function apart (name: string, keys: readonly string[], reference: string): ConformanceCase {
  return always(name, async (backend, subject) => {
    for (const key of keys) await backend.set(key, entryOf(`of ${key}`, subject))
    for (const key of keys) assertHolds(await backend.get(key), bytesOf(`of ${key}`), `get(${JSON.stringify(key)})`)
  }, { reference, advice: 'The whole key identifies an entry, and no part of it is special' })
}

export const keyBugCases: readonly ConformanceCase[] = [
  apart('keys that differ only after a question mark are different keys', [
    'GET /list', 'GET /list?', 'GET /list?page=1', 'GET /list?page=2'
  ], 'nodejs/undici#4209'),
  apart('keys that differ only in their separators are different keys', ['a:b,c', 'a,b:c', 'a,b,c', 'a:b:c', 'abc', 'a,:b,c'],
    'nodejs/undici#5012'),

  always('an expired entry does not hide another one whose key begins alike', async (backend, subject) => {
    await backend.set('GET /page gzip', entryOf('gzip', subject, 1_000))
    await backend.set('GET /page br', entryOf('br', subject))
    await backend.set('GET /page', entryOf('none', subject))
    await subject.pass(1_000)
    assertMiss(await backend.get('GET /page gzip'), 'get() of the expired variant')
    assertHolds(await backend.get('GET /page br'), bytesOf('br'), 'get() of another variant')
    assertHolds(await backend.get('GET /page'), bytesOf('none'), 'get() of the page itself')
  }, { reference: 'nodejs/undici#5094', advice: 'Find an entry by its whole key, and read no other entry' }),

  always('a set replaces every part of the earlier entry', async (backend, subject) => {
    await backend.set('key', entryOf('the first, longer value', subject, LIFE_MS))
    await backend.set('key', entryOf('second', subject, 1_000))
    const hit = await backend.get('key')
    assertHolds(hit, bytesOf('second'), 'get() after a second set()')
    const latest = subject.now() + 1_000
    assert.ok(hit!.expiresAt <= latest,
      `get() after a second set() must return its expiresAt, ${latest} at most; got ${hit!.expiresAt}, which belongs to the first set()`)
  }, { reference: 'nodejs/undici#5109', advice: 'Replace the whole row (REPLACE, or an upsert of all columns)' }),

  always('a value is returned as bytes, not as an object that a Buffer became in JSON', async (backend, subject) => {
    const value = Buffer.from('{"a":1}')
    await backend.set('key', { value, expiresAt: subject.now() + LIFE_MS })
    assertHolds(await backend.get('key'), value, 'get()')
  }, { reference: 'nitrojs/nitro#2932', advice: 'JSON.stringify turns bytes into an object: use base64, or a store that accepts bytes' }),

  always('entries belong to one backend, not to its module', async (backend, subject) => {
    if (subject.isOneStore === true) return
    const others = [await subject.open(), await subject.open()]
    await backend.set('state', entryOf('of the first', subject))
    for (const other of others) assertMiss(await other.get('state'), 'get() of another instance')
    for (const other of others) await other.close()
    assertHolds(await backend.get('state'), bytesOf('of the first'), 'get() after other instances were closed')
  }, { reference: 'fastify/fastify#2559', advice: 'Keep entries in the instance, not in a variable of the module' }),

  withPower('has', 'agrees with get after an entry expired, was cleared or was deleted', async (backend, subject) => {
    const agree = async (key: string, what: string): Promise<void> => {
      const [hit, has] = [await backend.get(key), await backend.has(key)]
      assert.ok(has === (hit !== undefined),
        `has() ${what} must be ${hit !== undefined}, as get() returns ${hit === undefined ? 'undefined' : 'an entry'}; got ${has}`)
    }
    await backend.set('kept', entryOf('kept', subject))
    await backend.set('expired', entryOf('expired', subject, 1_000))
    await backend.set('past', entryOf('past', subject))
    await backend.set('past', entryOf('past', subject, -1))
    await subject.pass(1_000)
    await agree('kept', 'of an entry')
    await agree('expired', 'of an expired entry')
    await agree('past', 'of an entry that was set with an expiresAt in the past')
    await backend.clear?.('kept')
    await agree('kept', 'after clear()')
    await backend.delete('kept')
    await agree('kept', 'after delete()')
  }, { reference: 'Julien-R44/bentocache#64', advice: 'Use the same condition in both; has() does not need to read the value' })
]
