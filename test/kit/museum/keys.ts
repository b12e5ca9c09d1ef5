// Public bugs of keys and values that were mixed up.
import { always, withPower, type ConformanceCase } from '../case.js'
import { bytesOf, entryOf, LIFE_MS } from '../entries.js'
import { assertHolds, assertMiss } from '../expect.js'
import assert from 'node:assert/strict'

/** A case in which each of these keys has a value of its own. */
function apart (name: string, keys: readonly string[], reference: string): ConformanceCase {
  return always(name, async (backend, subject) => {
    for (const key of keys) await backend.set(key, entryOf(`of ${key}`, subject))
    for (const key of keys) assertHolds(await backend.get(key), bytesOf(`of ${key}`), `get(${JSON.stringify(key)})`)
  }, { reference, advice: 'The whole key tells entries apart, and no part of it has a meaning' })
}

export const keyBugCases: readonly ConformanceCase[] = [
  apart('keys that differ only behind a question mark are different keys', [
    'GET /list', 'GET /list?', 'GET /list?page=1', 'GET /list?page=2'
  ], 'nodejs/undici#4209'),
  apart('keys of the same pieces between other separators are different keys', ['a:b,c', 'a,b:c', 'a,b,c', 'a:b:c', 'abc', 'a,:b,c'],
    'nodejs/undici#5012'),

  always('an entry that is over does not hide another one whose key begins alike', async (backend, subject) => {
    await backend.set('GET /page gzip', entryOf('gzip', subject, 1_000))
    await backend.set('GET /page br', entryOf('br', subject))
    await backend.set('GET /page', entryOf('none', subject))
    await subject.pass(1_000)
    assertMiss(await backend.get('GET /page gzip'), 'get() of the variant that is over')
    assertHolds(await backend.get('GET /page br'), bytesOf('br'), 'get() of another variant')
    assertHolds(await backend.get('GET /page'), bytesOf('none'), 'get() of the page itself')
  }, { reference: 'nodejs/undici#5094', advice: 'Find an entry by its whole key, and look at no other' }),

  always('a set over an entry replaces all that was kept of it', async (backend, subject) => {
    await backend.set('key', entryOf('the first, longer value', subject, LIFE_MS))
    await backend.set('key', entryOf('second', subject, 1_000))
    const hit = await backend.get('key')
    assertHolds(hit, bytesOf('second'), 'get() after a second set()')
    const latest = subject.now() + 1_000
    assert.ok(hit!.expiresAt <= latest,
      `get() after a second set() must answer its expiresAt, ${latest} at most; got ${hit!.expiresAt}, which belongs to the first one`)
  }, { reference: 'nodejs/undici#5109', advice: 'Replace the whole row (REPLACE, or an upsert of all columns)' }),

  always('a value comes back as bytes and not as what JSON makes of them', async (backend, subject) => {
    const value = Buffer.from('{"a":1}')
    await backend.set('key', { value, expiresAt: subject.now() + LIFE_MS })
    assertHolds(await backend.get('key'), value, 'get()')
  }, { reference: 'nitrojs/nitro#2932', advice: 'JSON.stringify turns bytes into an object: use base64, or a store that takes bytes' }),

  always('what is kept belongs to one backend and not to its module', async (backend, subject) => {
    if (subject.isOneStore === true) return
    const others = [await subject.open(), await subject.open()]
    await backend.set('state', entryOf('of the first', subject))
    for (const other of others) assertMiss(await other.get('state'), 'get() of another instance')
    for (const other of others) await other.close()
    assertHolds(await backend.get('state'), bytesOf('of the first'), 'get() after other instances were closed')
  }, { reference: 'fastify/fastify#2559', advice: 'Keep entries in the instance: no variable at module level' }),

  withPower('has', 'agrees with get after whatever makes an entry go', async (backend, subject) => {
    const agree = async (key: string, what: string): Promise<void> => {
      const [hit, has] = [await backend.get(key), await backend.has(key)]
      assert.ok(has === (hit !== undefined),
        `has() ${what} must be ${hit !== undefined}, as get() answers ${hit === undefined ? 'undefined' : 'an entry'}; got ${has}`)
    }
    await backend.set('kept', entryOf('kept', subject))
    await backend.set('over', entryOf('over', subject, 1_000))
    await backend.set('past', entryOf('past', subject))
    await backend.set('past', entryOf('past', subject, -1))
    await subject.pass(1_000)
    await agree('kept', 'of an entry that is there')
    await agree('over', 'of an entry that is over')
    await agree('past', 'of an entry that was set to the past')
    await backend.clear?.('kept')
    await agree('kept', 'after clear()')
    await backend.delete('kept')
    await agree('kept', 'after delete()')
  }, { reference: 'Julien-R44/bentocache#64', advice: 'Ask the same question in both, without reading the value' })
]
