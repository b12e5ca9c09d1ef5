// The Keyv backend: its options, stores handed over and caller-owned, failures that adapters only emit as events, lifetimes.
import KeyvRedis, { createKeyv } from '@keyv/redis'
import KeyvSqlite from '@keyv/sqlite'
import { Keyv } from 'keyv'
import t, { type Test } from 'tap'
import keyvBackend, { type KeyvOptions } from '../../backends/keyv.js'
import { storedKey, nameOf } from '../../registry/codec.js'
import { TestAdapter } from '../support/keyv-adapter.js'
import { startServer } from '../support/redis-server.js'
import { failureOf, textAt } from '../support/entries.js'
import { entry } from '../support/redis.js'
import { listeners, open, type Opened } from '../support/stores.js'
import { needs } from '../support/programs.js'

const DAY_MS = 86_400_000

const openKeyv = (t: Test, options: KeyvOptions): Promise<Opened> => open(t, keyvBackend, options)

/** The name of an entry in a store that was handed over. */
const nameIn = (key: string): string => `frc:${nameOf(storedKey(key))}`

t.test('keyv: an option that is invalid, unknown, missing or one too many is refused, and no password is shown', async (t) => {
  const store = new TestAdapter()
  const wrong: ReadonlyArray<readonly [options: object, message: RegExp]> = [
    [{}, /exactly one of store, keyv, got none/],
    [{ store, keyv: new Keyv() }, /exactly one of store, keyv, got store and keyv/],
    [{ store: 'postgresql://user:secret@host' }, /keyv\.store' must be a storage adapter/],
    [{ store: { get () {}, url: 'secret' } }, /keyv\.store' must be a storage adapter/],
    [{ store: new Keyv() }, /keyv\.store' must be a storage adapter, got a Keyv, which is the option keyv/],
    [{ keyv: store }, /keyv\.keyv' must be a Keyv of version 5, got an adapter, which is the option store/],
    [{ keyv: 'secret' }, /keyv\.keyv' must be a Keyv/],
    [{ store, prefix: 'Mine' }, /keyv\.prefix' must be 1 to 64 of/],
    [{ store, prefix: '' }, /keyv\.prefix'/],
    [{ store, timeout: 0 }, /keyv\.timeout'/],
    [{ store, cleanupInterval: 'often' }, /keyv\.cleanupInterval'/],
    [{ store, url: 'secret' }, /keyv\.url' must be absent/]
  ]
  for (const [options, message] of wrong) {
    const failure = await failureOf(() => openKeyv(t, options as KeyvOptions))
    t.match(failure, { code: 'CACHE_ERR_OPTION', message })
    t.notMatch(failure?.message, /secret/)
  }
})

t.test('keyv: an adapter that was handed over is disconnected once, and a caller-owned Keyv stays as it was', async (t) => {
  const store = new TestAdapter()
  const { backend } = await openKeyv(t, { store })
  await backend.close()
  await backend.close()
  t.equal(store.disconnects, 1)

  const keyv = new Keyv({ store: new KeyvSqlite(), namespace: 'theirs' })
  await keyv.set('key', 'theirs')
  const [before, beforeInside] = [listeners(keyv), listeners(keyv.store)]
  const callerOwned = (await openKeyv(t, { keyv })).backend
  await callerOwned.set('key', entry('ours'))
  t.equal(await keyv.get('key'), 'theirs')
  await callerOwned.clear!()
  t.equal(await callerOwned.size!(), 0)
  await callerOwned.close()
  t.same([listeners(keyv), listeners(keyv.store)], [before, beforeInside])
  t.equal(await keyv.get('key'), 'theirs')
  await keyv.disconnect()
})

t.test('keyv: clear removes no keys of other users of the store', needs('redis-server'), async (t) => {
  const { url, admin } = await startServer(t)
  const { backend } = await openKeyv(t, { store: new KeyvRedis(url) })
  const other = (await openKeyv(t, { store: new KeyvRedis(url), prefix: 'other' })).backend
  await admin.mset('key', '1', 'frc::mine', '2', 'frc', '3')
  await backend.set('key', entry('ours'))
  await other.set('key', entry('of the other'))
  await backend.clear!()
  t.equal(await backend.get('key'), undefined)
  t.equal(await textAt(other, 'key'), 'of the other')
  t.same(await admin.mget('key', 'frc::mine', 'frc'), ['1', '2', '3'])
})

t.test('keyv: the serialisation of a Keyv, such as compression or encryption, applies to our values', async (t) => {
  const turned = (text: string): string => [...text].reverse().join('')
  const map = new Map<string, string>()
  const keyv = new Keyv({ store: map, serialize: (data) => turned(JSON.stringify(data)), deserialize: (text) => JSON.parse(turned(text)) })
  const { backend } = await openKeyv(t, { keyv })
  await backend.set('key', entry('value'))
  t.match([...map.values()][0], /^\}/)
  t.equal(await textAt(backend, 'key'), 'value')
  t.same(await backend.keys!(), ['key'])
})

t.test('keyv: a failure that @keyv/redis only emits as an event is a failure, for reads, writes and deletes', needs('redis-server'),
  async (t) => {
    const { url, admin } = await startServer(t)
    const { backend } = await openKeyv(t, { store: new KeyvRedis(url) })
    await admin.lpush(`frc::${nameIn('list')}`, 'a list is no text')
    t.match(await failureOf(() => backend.get('list')), { message: /WRONGTYPE/ })
    t.equal(await backend.get('nothing'), undefined, 'a miss is still a miss')
    await admin.replicaof('127.0.0.1', '1')
    t.match(await failureOf(() => backend.set('key', entry('value'))), { message: /READONLY/ })
    t.match(await failureOf(() => backend.delete('key')), { message: /READONLY/ })
    await admin.replicaof('NO', 'ONE')
    await backend.set('key', entry('value'))
    t.equal(await textAt(backend, 'key'), 'value')
  })

t.test('keyv: a Keyv with emitErrors: false hides no errors from the cache', needs('redis-server'), async (t) => {
  const { url, admin } = await startServer(t)
  const keyv = createKeyv(url)
  keyv.opts.emitErrors = false
  t.teardown(async () => await keyv.disconnect())
  const { backend } = await openKeyv(t, { keyv })
  await admin.lpush(nameIn('list'), 'a list is no text')
  t.match(await failureOf(() => backend.get('list')), { message: /WRONGTYPE/ })
})

t.test('keyv: a set for which an adapter returns false rejects', async (t) => {
  const store = new TestAdapter()
  const { backend } = await openKeyv(t, { store })
  store.act = () => false
  t.match(await failureOf(() => backend.set('key', entry('value'))), { code: 'CACHE_ERR_BACKEND_FAILED' })
  store.act = () => undefined
  t.equal(await failureOf(() => backend.delete('key')), undefined, 'false from a delete is not a failure')
})

t.test('keyv: an emitted error does not end the process, also after close, and does not turn a hit into a failure', async (t) => {
  const store = new TestAdapter()
  const { backend } = await openKeyv(t, { store })
  await backend.set('key', entry('value'))
  store.act = () => { store.emit('error', new Error('a connection of many was lost')) }
  t.equal(await textAt(backend, 'key'), 'value')
  t.match(await failureOf(() => backend.get('nothing')), { message: 'a connection of many was lost' })
  await backend.close()
  store.emit('error', new Error('while it disconnects'))
})

t.test('keyv: close ends hanging calls, and listens to a caller-owned adapter until they have ended', async (t) => {
  const store = new TestAdapter()
  const { backend } = await openKeyv(t, { keyv: new Keyv({ store }) })
  const before = listeners(store)
  let goOn = (): void => {}
  store.act = () => new Promise<void>((resolve) => { goOn = resolve })
  const pending = failureOf(() => backend.get('key'))
  await backend.close()
  t.match(await pending, { code: 'CACHE_ERR_CLOSED' })
  t.equal(listeners(store), before)
  goOn()
  await new Promise(setImmediate)
  t.equal(listeners(store), before - 1)
  t.match(await failureOf(() => backend.get('key')), { code: 'CACHE_ERR_CLOSED' })
  t.match(await failureOf(() => backend.set('key', entry('value'))), { code: 'CACHE_ERR_CLOSED' })
  t.match(await failureOf(() => backend.delete('key')), { code: 'CACHE_ERR_CLOSED' })
})

t.test('keyv: a value that a Keyv was still serialising when the cache closed is not stored', async (t) => {
  const store = new TestAdapter()
  let goOn = (): void => {}
  const keyv = new Keyv({ store })
  keyv.serializeData = async () => await new Promise<string>((resolve) => { goOn = () => resolve('made') })
  const { backend } = await openKeyv(t, { keyv })
  const setting = failureOf(() => backend.set('key', entry('value')))
  await backend.close()
  t.match(await setting, { code: 'CACHE_ERR_CLOSED' })
  goOn()
  await new Promise(setImmediate)
  t.equal(store.held.size, 0)
})

t.test('keyv: a server that is stopped costs the timeout, delays close only briefly, and is used again once it resumes',
  needs('redis-server'), async (t) => {
    const server = await startServer(t)
    const { backend } = await openKeyv(t, { store: new KeyvRedis(server.url), timeout: '600ms' })
    await backend.set('key', entry('value'))
    server.stop()
    for (const call of [() => backend.get('key'), () => backend.set('other', entry('value')), () => backend.delete('another')]) {
      t.match(await failureOf(call), { code: 'CACHE_ERR_BACKEND_FAILED', message: /within 600 ms/ })
    }
    server.goOn()
    t.equal(await textAt(backend, 'key'), 'value')
    t.match(await backend.stats!(), { timeouts: 3 })
    server.stop()
    const beganAt = performance.now()
    await backend.close()
    t.ok(performance.now() - beganAt < 1_000)
  })

t.test('keyv: a lifetime becomes whole seconds, never zero or too few, and 30 days at most', needs('redis-server'), async (t) => {
  const { url, admin } = await startServer(t)
  const { backend } = await openKeyv(t, { store: new KeyvRedis(url) })
  for (const [
    lifeMs, least, most
  ] of [[1, 1_000, 2_000], [999, 1_000, 2_000], [1_500, 2_000, 3_000], [40 * DAY_MS, 30 * DAY_MS - 1_000, 30 * DAY_MS]] as const) {
    await backend.set('key', entry('value', lifeMs))
    const ttlMs = await admin.pttl(`frc::${nameIn('key')}`)
    t.ok(ttlMs > least && ttlMs <= most, `${lifeMs} ms became ${ttlMs}`)
  }
  await backend.set('key', entry('value', 0))
  t.equal(await admin.exists(`frc::${nameIn('key')}`), 0)
})

t.test('keyv: in a store without expiry, expired entries are removed when they are read, and by the cleanup', async (t) => {
  const store = new KeyvSqlite()
  const { backend, clock, tasks } = await openKeyv(t, { store })
  for (let number = 0; number < 30; number++) await backend.set(`over ${number}`, entry('value', 1_000))
  for (let number = 0; number < 30; number++) await backend.set(`live ${number}`, entry('value', 60_000))
  await clock.pass(1_000)
  t.equal(await backend.get('over 0'), undefined)
  await backend.set('over 0', entry('again', 60_000))
  t.equal(await textAt(backend, 'over 0'), 'again', 'an entry that was set meanwhile stays')
  t.equal(await backend.get('over 1'), undefined)
  await backend.delete('over 1')
  t.equal(await backend.size!(), 59)
  // The adapter pages by number, so each run skips some entries after it removed others.
  for (let run = 0; run < 30 && await backend.size!() > 31; run++) await tasks.get('keyv cleanup')!()
  t.equal(await backend.size!(), 31)
  t.equal((await backend.keys!('live *')).length, 30)
})

t.test('keyv: there is no cleanup if the store removes expired entries itself', async (t) => {
  t.equal((await openKeyv(t, { store: new KeyvRedis('redis://127.0.0.1:1') })).tasks.size, 0)
})

t.test('keyv: clear finds every entry although the adapter pages by number and skips some', async (t) => {
  const { backend } = await openKeyv(t, { store: new KeyvSqlite() })
  for (let number = 0; number < 95; number++) await backend.set(`key ${number}`, entry('value'))
  await backend.set('another', entry('value'))
  await backend.clear!('key ')
  t.same(await backend.keys!(), ['another'])
})

t.test('keyv: without an iterator there is neither clear nor keys nor size', async (t) => {
  const { backend } = await openKeyv(t, { store: new TestAdapter() })
  t.same([backend.clear, backend.keys, backend.size], [undefined, undefined, undefined])
})

t.test('keyv: a truncated value, a value of another key and a value that is not an entry are misses, and counted', async (t) => {
  const store = new TestAdapter()
  const { backend } = await openKeyv(t, { store })
  await backend.set('key', entry('a long value'))
  await backend.set('other', entry('of another key'))
  const [whole, others] = [store.held.get(nameIn('key')) as string, store.held.get(nameIn('other'))]
  const { value } = JSON.parse(whole) as { value: string }
  const wrong = [
    whole.slice(0, -10), JSON.stringify({ value: value.slice(0, -4) }), others, 'garbage', '5', '{"value":5}', Buffer.from('garbage'),
    { value: 'garbage' }
  ]
  for (const one of wrong) {
    store.held.set(nameIn('key'), one)
    t.equal(await backend.get('key'), undefined, String(one))
  }
  t.match(await backend.stats!(), { foreignValues: wrong.length })
  for (const nothing of [undefined, null, { value: undefined, expires: 0 }, 'null', '{}']) {
    store.held.set(nameIn('key'), nothing)
    t.equal(await backend.get('key'), undefined)
  }
  t.match(await backend.stats!(), { foreignValues: wrong.length }, 'nothing is not counted')
})
