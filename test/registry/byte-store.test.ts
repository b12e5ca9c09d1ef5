// A byte store as a backend: expired entries, and scans over stores that are hard to list.
import t from 'tap'
import { encodeRecord, storedKey } from '../../registry/codec.js'
import { name, TestStore, wear } from '../support/byte-store.js'
import { testClock } from '../support/clock.js'
import { conforms } from '../support/conformance.js'
import { failureOf, textAt } from '../support/entries.js'
import { entry } from '../support/redis.js'
import { sized } from '../support/size.js'

// A tenth of this is remembered completely.
const MORE_THAN_REMEMBERED = sized(10_050)

t.test('byte store: a store that can be listed and can read several keys at once conforms', async (t) => {
  const clock = testClock()
  class Many extends TestStore {
    async getMany (names: readonly string[]): Promise<Array<Uint8Array | undefined>> { return names.map((name) => this.held.get(name)) }
  }
  await conforms(t, { ...clock, open: async () => wear(t, new Many(), { clock }).backend })
})

t.test('byte store: a store that throws synchronously fails that call only', async (t) => {
  const { backend } = wear(t, { removesExpired: true, get () { throw new Error('at once') }, set () {}, delete () {}, close () {} })
  t.match(await failureOf(() => backend.get('key')), { message: 'at once' })
})

t.test('byte store: clear waits for earlier sets, and deletes unreadable records only if it deletes everything', async (t) => {
  const store = new TestStore()
  const { backend } = wear(t, store)
  const setting = backend.set('key', entry('value'))
  await Promise.all([setting, backend.clear!('k')])
  t.equal(await backend.get('key'), undefined)
  store.held.set(name('damaged'), Buffer.from('damaged'))
  await backend.clear!('damaged')
  t.equal(store.held.size, 1)
  await backend.clear!()
  t.equal(store.held.size, 0)
})

t.test('byte store: a scan during which the store hangs or fails rejects', async (t) => {
  const store = new TestStore()
  const { backend } = wear(t, store, { timeoutMs: 50 })
  await backend.set('key', entry('value'))
  store.act = (operation) => { if (operation === 'list') throw new Error('no listing today') }
  for (const call of [() => backend.clear!(), () => backend.keys!(), () => backend.size!()]) {
    t.match(await failureOf(call), { message: 'no listing today' })
  }
  store.act = (operation) => operation === 'list' ? new Promise(() => {}) : undefined
  t.match(await failureOf(() => backend.clear!()), { message: /'test' failed in clear: the store did not respond within 50 ms/ })
  store.act = (operation) => { if (operation === 'delete') throw new Error('not this one') }
  t.match(await failureOf(() => backend.clear!()), { message: 'not this one' })
})

t.test('byte store: an expired entry is removed when it is read, unless the store does that itself or it was set again',
  async (t) => {
    const store = new TestStore()
    const { backend, clock } = wear(t, store)
    await backend.set('key', entry('value', 1_000))
    await clock.pass(1_000)
    t.equal(await backend.get('key'), undefined)
    await backend.set('key', { value: Buffer.from('again'), expiresAt: clock.now() + 1_000 })
    t.equal(await textAt(backend, 'key'), 'again')
    await clock.pass(1_000)
    store.removesExpired = true
    await backend.get('key')
    store.removesExpired = false
    t.equal(store.held.size, 1)
    await backend.get('key')
    await backend.delete('another')
    t.equal(store.held.size, 0)
  })

t.test('byte store: an expired entry with many readers is removed once, and a set of its key does not wait for that',
  async (t) => {
    const store = new TestStore()
    const { backend, clock } = wear(t, store)
    await backend.set('key', entry('value', 1_000))
    await clock.pass(1_000)
    store.asked.length = 0
    await Promise.all(Array.from({ length: 5 }, () => backend.get('key')))
    await new Promise(setImmediate)
    t.same(store.asked, [...Array(5).fill('get'), 'get', 'delete'])
    await backend.set('key', { value: Buffer.from('value'), expiresAt: clock.now() + 1_000 })
    await clock.pass(1_000)
    const looks: Array<() => void> = []
    store.act = (operation) => store.asked.filter((one) => one === 'get').length > 1 && operation === 'get' &&
      new Promise<void>((resolve) => { looks.push(resolve) })
    store.asked.length = 0
    t.equal(await backend.get('key'), undefined)
    await backend.set('key', { value: Buffer.from('again'), expiresAt: clock.now() + 1_000 })
    t.same(store.asked, ['get', 'get', 'set'], 'while the store is read once more')
    store.act = () => undefined
    for (const goOn of looks) goOn()
    await new Promise(setImmediate)
    t.same(store.asked, ['get', 'get', 'set'])
    t.equal(await textAt(backend, 'key'), 'again')
  })

t.test('byte store: clear rejects if the store keeps entries that it was told to delete', async (t) => {
  for (const [count, prefix] of [[1, ''], [1, 'key'], [MORE_THAN_REMEMBERED, 'key']] as const) {
    const store = new TestStore()
    const { backend } = wear(t, store, { timeoutMs: 60_000 })
    for (let number = 0; number < count; number++) {
      store.held.set(name(`key ${number}`), encodeRecord(storedKey(`key ${number}`), entry('value')))
    }
    store.delete = async () => {}
    t.match(await failureOf(() => backend.clear!(prefix)), {
      code: 'CACHE_ERR_BACKEND_FAILED', message: /'test' failed in clear: the store still has a value that it was told to delete/
    })
  }
})

t.test('byte store: clear does not mistake an entry that is set again and again for one that was not deleted', async (t) => {
  const store = new TestStore()
  const { backend } = wear(t, store)
  let number = 0
  const setAnew = () => store.held.set(name('key'), encodeRecord(storedKey('key'), entry(`value ${number++}`)))
  setAnew()
  const deleteFromStore = store.delete.bind(store)
  store.delete = async (name) => {
    await deleteFromStore(name)
    setAnew()
  }
  await backend.clear!()
  t.equal(number, 4)
})

t.test('byte store: the sweep removes expired entries and records damaged twice in a row, and ends when the backend closes', async (t) => {
  const store = new TestStore()
  const { backend, sweep, clock } = wear(t, store)
  for (const key of ['a', 'b', 'c']) await backend.set(key, entry(key, key === 'b' ? 60_000 : 1_000))
  const half = encodeRecord(storedKey('half'), entry('half of it')).subarray(0, 40)
  store.held.set(name('half'), half)
  store.held.set(name('moved'), encodeRecord(storedKey('of another key'), entry('value')))
  await clock.pass(1_000)
  await sweep()
  t.same([...store.held.keys()].sort(), [name('b'), name('half'), name('moved')].sort())
  store.held.set(name('half'), encodeRecord(storedKey('half'), entry('half of it')))
  await sweep()
  t.same((await backend.keys!()).sort(), ['b', 'half'])
  t.equal(store.held.size, 2)
  store.act = (operation) => { if (operation === 'list') backend.close() }
  await sweep()
  t.equal(store.closes, 1)
})

t.test('byte store: a failing sweep rejects with the reason', async (t) => {
  const store = new TestStore()
  const { backend, sweep } = wear(t, store)
  await backend.set('key', entry('value'))
  store.act = () => { throw new Error('out of order') }
  t.match(await failureOf(() => sweep()), { message: 'out of order' })
})

t.test('byte store: clear leaves no entry, even if there are more keys than it remembers', async (t) => {
  const store = new TestStore()
  const { backend } = wear(t, store)
  const value = Buffer.from('value')
  for (let number = 0; number < MORE_THAN_REMEMBERED; number++) {
    const key = `key ${number}`
    store.held.set(name(key), encodeRecord(storedKey(key), { value, expiresAt: 2e12 }))
  }
  await backend.clear!('key')
  t.equal(store.held.size, 0)
})
