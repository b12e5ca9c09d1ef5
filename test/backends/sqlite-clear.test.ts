// How the SQLite backend clears: in steps, in order with the writes around it.
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import t from 'tap'
import { entry, textAt } from '../support/entries.js'
import { openSqlite } from '../support/sqlite.js'

t.test('sqlite: clear forgets what was set before it, and nothing that is set after it was called', async (t) => {
  const { backend } = await openSqlite(t, { path: join(t.testdir(), 'cache.db') })
  const keys = Array.from({ length: 20_000 }, (_, at) => `user:${at}`)
  await Promise.all(keys.map((key) => backend.set(key, entry('old', Infinity))))
  await backend.set('other', entry('old', Infinity))
  backend.set('user:waiting', entry('old', Infinity))
  backend.set('user:1', entry('older', Infinity))
  const cleared = backend.clear('user:')
  t.equal(backend.get('user:waiting'), undefined, 'what waits is forgotten at once')
  const set = backend.set('user:7', entry('new', Infinity))
  let turns = 0
  const turning = setInterval(() => { turns++ }, 1)
  await Promise.all([cleared, set])
  clearInterval(turning)
  t.ok(turns > 3, 'the loop turned meanwhile')
  t.same((await backend.keys()).sort(), ['other', 'user:7'])
  t.equal(await textAt(backend, 'user:7'), 'new')
})

t.test('sqlite: a set made while a clear is under way survives it', async (t) => {
  const { backend } = await openSqlite(t, { path: ':memory:' })
  const keys = Array.from({ length: 20_000 }, (_, at) => String(at))
  await Promise.all(keys.map((key) => backend.set(key, entry('old', Infinity))))
  const cleared = backend.clear()
  const later = keys.filter((_, at) => at % 100 === 0)
  for (const key of later) {
    backend.set(key, entry('new', Infinity))
    if (later.indexOf(key) % 20 === 0) await wait(1)
  }
  await cleared
  t.same((await backend.keys()).sort(), later.sort())
})

t.test('sqlite: clear takes half a surrogate pair for what it is, a beginning', async (t) => {
  const { backend } = await openSqlite(t, { path: ':memory:' })
  const keys = ['a\ud83d', 'a\ud83d\ude00', 'a\ud83e', 'a', 'b\ud83d', '\ud83d\ude00', '\ud83d', '\u0000utf16:x', '\u0000', '\ud7ff', '\ud7ffa', '\ue000']
  for (const prefix of ['a\ud83d', '\ud83d', '\u0000', '\u0000utf', '\ud7ff', 'a']) {
    await Promise.all(keys.map((key) => backend.set(key, entry('value', Infinity))))
    await backend.clear(prefix)
    t.same((await backend.keys()).sort(), keys.filter((key) => !key.startsWith(prefix)).sort(), JSON.stringify(prefix))
  }
})
